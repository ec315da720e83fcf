/* The dead, the books, and what people see.  The essay is in arena.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena/arena.h"

#define ARENA mt_my.arena

/* Everything that a dead process had a part in.  We hold its slot's lock; each step may have been done before by a reaper that died. */
static void bury(mt_member dead) {
    uint32_t blocks = atomic_load(&ARENA->n_blocks), tokens = atomic_load(&ARENA->n_tokens), channels = atomic_load(&ARENA->n_channels);
    for (uint32_t t = 1; t < tokens; t++) {
        mt_word w = look(&ARENA->tokens[t].word), to = w;
        to.state = FREE;
        if (w.state == OWNED && w.owner == dead.slot) change(&ARENA->tokens[t].word, w, to);
    }
    step();
    for (uint32_t b = 1; b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        bool held = has(mt_holders(b), dead);
        if (held) discard(mt_holders(b), dead);
        mt_word w = look(&block->word);
        if (w.state == OWNED && w.owner == dead.slot) mt_block_disown(b);
        else if (held) mt_block_maybe_free(b);
    }
    step();
    for (uint32_t c = 1; c < channels; c++) {
        mt_channel *channel = &ARENA->channels[c];
        if (has(mt_users(c), dead)) discard(mt_users(c), dead);
        mt_word w = look(&channel->word);
        if (w.state == OWNED && w.owner == dead.slot) mt_channel_sweep(c);
        else mt_channel_maybe_sweep(c);
    }
    step();
}

/* Sets counts right that a killed process has left too high, on blocks that nobody holds but perhaps we: nobody else can send those, and we
 * have our lock.  So each token that a word counts was in the table when the word was read, below the table's mark of then; hence the
 * order: words, mark, tokens.  A claim that lands meanwhile steps the word.  What others hold, too, waits until they don't; meanwhile its
 * count only makes who writes copy once more than he need. */
static bool countable(uint32_t b) { return empty(mt_holders(b)) || only(mt_holders(b), *mt_my.me); }

static void recount(void) {
    uint32_t blocks = atomic_load(&ARENA->n_blocks);
    step();
    uint32_t *flying = NULL;
    uint64_t *before = NULL;
    for (uint32_t b = 1; b < blocks; b++) {
        mt_word w = look(&ARENA->blocks[b].word);
        if (w.state != LIVE || !countable(b)) continue;
        if (!w.count) {
            mt_block_maybe_free(b);
            continue;
        }
        if (!flying && (!(flying = calloc(MT_BLOCKS, sizeof *flying)) || !(before = calloc(MT_BLOCKS, sizeof *before)))) break;
        before[b] = pack(w);
    }
    if (flying && before) {
        step();
        uint32_t tokens = atomic_load(&ARENA->n_tokens);    /* after the counts: what they have counted lies below this mark */
        for (uint32_t t = 1; t < tokens; t++)
            if (look(&ARENA->tokens[t].word).state >= OWNED) flying[atomic_load(&ARENA->tokens[t].block) % MT_BLOCKS]++;
        for (uint32_t b = 1; b < blocks; b++) {
            mt_word w = unpack(before[b]), to = w;
            if (!before[b] || flying[b] >= w.count || !countable(b)) continue;
            step();
            to.count = flying[b];
            if (change(&ARENA->blocks[b].word, w, to)) mt_block_maybe_free(b);
        }
    }
    free(flying);
    free(before);
    int64_t idle = 0;
    int free_of[MT_SHARED_CLASSES] = {0};
    for (uint32_t b = 1; b < blocks; b++) {                 /* the hints */
        mt_shared_block *block = &ARENA->blocks[b];
        if (look(&block->word).state != FREE || !block->size) continue;
        free_of[block->class]++;
        if (atomic_load(&block->committed)) idle += block->size;
    }
    for (int c = 0; c < MT_SHARED_CLASSES; c++) atomic_store(&ARENA->classes[c].free, free_of[c]);
    atomic_store(&ARENA->free_bytes, idle);
}

bool mt_reap_if_dead(int probe, mt_member m) {
    if (!mt_slot_dead(probe, m)) return false;
    if (atomic_load(&ARENA->slots[m.slot].state) > FREE) {  /* no other reaper was faster */
        bury(m);
        atomic_fetch_add(&ARENA->reaped, 1);
    }
    mt_slot_give_back(probe, m);
    return true;
}

int mt_reap_locked(void) {
    int n = 0, probe = mt_my.me ? mt_slot_probe() : -1;
    if (probe < 0) return 0;                                /* another member has to */
    uint32_t slots = atomic_load(&ARENA->n_slots);
    for (uint32_t s = 1; s < slots; s++)
        if (s != mt_my.me->slot && atomic_load(&ARENA->slots[s].state) > FREE) n += mt_reap_if_dead(probe, (mt_member){s});
    close(probe);
    if (n || atomic_load(&ARENA->reaped) || atomic_load(&ARENA->stray)) recount();      /* again and again: what is held now can't be set right yet */
    return n;
}

int mt_arena_reap(void) {
    pthread_mutex_lock(&mt_my.lock);
    int n = mt_reap_locked();
    pthread_mutex_unlock(&mt_my.lock);
    return n;
}

void mt_arena_note(int copied, int inline_sent) {
    if (!ARENA) return;
    if (copied) atomic_fetch_add(&ARENA->copied, 1);
    if (inline_sent) atomic_fetch_add(&ARENA->inline_sent, 1);
}

int mt_arena_stats(mt_arena_numbers *out) {
    memset(out, 0, sizeof *out);
    if (!mt_arena_member()) return MT_RUNTIME_ERROR;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t slots = atomic_load(&ARENA->n_slots), blocks = atomic_load(&ARENA->n_blocks), tokens = atomic_load(&ARENA->n_tokens),
             channels = atomic_load(&ARENA->n_channels);
    for (uint32_t s = 1; s < slots; s++) out->processes += atomic_load(&ARENA->slots[s].state) > FREE;
    for (uint32_t b = 1; b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        unsigned state = look(&block->word).state;
        if (state > FREE) out->blocks++, out->bytes += block->size;
        else if (atomic_load(&block->committed)) out->free_bytes += block->size;
    }
    for (uint32_t t = 1; t < tokens; t++) out->in_flight += look(&ARENA->tokens[t].word).state == LIVE;
    for (uint32_t c = 1; c < channels; c++) out->channels += look(&ARENA->channels[c].word).state > FREE;
    out->reaped = atomic_load(&ARENA->reaped);
    out->copied = atomic_load(&ARENA->copied);
    out->inline_sent = atomic_load(&ARENA->inline_sent);
    out->capacity = ARENA->capacity;
    pthread_mutex_unlock(&mt_my.lock);
    return MT_OK;
}

typedef struct { char *text; size_t room; int found; } report;

static void fault(report *r, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(r->text, r->room, format, arguments);
    va_end(arguments);
    size_t used = n < 0 ? 0 : (size_t)n < r->room ? (size_t)n : r->room;
    r->text += used;
    r->room -= used;
    r->found++;
}

/* Recounts everything.  Only when nobody else is at work: a token that lands meanwhile would look like a fault. */
int mt_arena_check(char *text, int room) {
    report r = {text, room > 0 ? (size_t)room : 0, 0};
    if (room > 0) *text = 0;
    if (!mt_arena_member()) return 0;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t blocks = atomic_load(&ARENA->n_blocks), tokens = atomic_load(&ARENA->n_tokens), channels = atomic_load(&ARENA->n_channels);
    uint32_t *flying = calloc(MT_BLOCKS, sizeof *flying);
    if (!flying) fault(&r, "no memory to check\n");
    for (uint32_t t = 1; flying && t < tokens; t++) {
        mt_token *token = &ARENA->tokens[t];
        mt_word w = look(&token->word);
        uint32_t b = atomic_load(&token->block), c = atomic_load(&token->channel);
        if (w.state == OWNED) fault(&r, "token %u is still owned by slot %u\n", t, w.owner);
        if (w.state != LIVE) continue;
        if (b == 0 || b >= blocks) fault(&r, "token %u of no block\n", t);
        else flying[b]++;
        if (c && look(&ARENA->channels[c % MT_CHANNELS].word).state != LIVE) fault(&r, "token %u in channel %u, which nobody uses\n", t, c);
    }
    for (uint32_t b = 1; flying && b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        mt_word w = look(&block->word);
        bool held = !empty(mt_holders(b));
        if (w.state == OWNED) fault(&r, "block %u is still owned by slot %u\n", b, w.owner);
        if (w.state == LIVE && (w.count < flying[b] || (w.count > flying[b] && countable(b)))) fault(&r, "block %u counts %u tokens and has %u\n", b, w.count, flying[b]);
        if (w.state == LIVE && !w.count && !held) fault(&r, "block %u lives, and nobody has it\n", b);
        if (w.state <= FREE && (held || flying[b])) fault(&r, "block %u is free, and somebody has it\n", b);
        if (has(mt_holders(b), *mt_my.me) != (mt_my.holds[b] > 0)) fault(&r, "block %u: our bit is not what we hold\n", b);
        for (uint32_t s = 0, n = atomic_load(&ARENA->n_slots); held && s < n; s++)
            if (has(mt_holders(b), (mt_member){s}) && atomic_load(&ARENA->slots[s].state) <= FREE) fault(&r, "block %u is held by slot %u, which is free\n", b, s);
    }
    for (uint32_t c = 1; c < channels; c++) {
        mt_word w = look(&ARENA->channels[c].word);
        if (w.state == OWNED) fault(&r, "channel %u is still owned by slot %u\n", c, w.owner);
        if (w.state == LIVE && !atomic_load(&ARENA->channels[c].guests) && empty(mt_users(c))) fault(&r, "channel %u lives, and nobody uses it\n", c);
    }
    free(flying);
    pthread_mutex_unlock(&mt_my.lock);
    return r.found;
}
