/* Invariants and statistics.  The essay is in arena.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena/arena.h"

#define ARENA mt_my.arena

void mt_arena_note(int copied, int inline_sent) {
    if (!ARENA) return;
    if (copied) atomic_fetch_add(&ARENA->copied, 1);
    if (inline_sent) atomic_fetch_add(&ARENA->inline_sent, 1);
}

int mt_arena_stats(mt_arena_numbers *out) {
    memset(out, 0, sizeof *out);
    if (!mt_arena_member()) return MT_RUNTIME_ERROR;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t slots = atomic_load(&ARENA->n_slots), blocks = atomic_load(&ARENA->n_blocks),
             tokens = atomic_load(&ARENA->n_tokens), channels = atomic_load(&ARENA->n_channels);
    for (uint32_t s = 1; s < slots; s++)
        out->processes += atomic_load(&ARENA->slots[s].state) > FREE;
    for (uint32_t b = 1; b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        unsigned state = load_word(&block->word).state;
        if (state > FREE) out->blocks++, out->bytes += block->size;
        else if (atomic_load(&block->committed)) out->free_bytes += block->size;
    }
    for (uint32_t t = 1; t < tokens; t++)
        out->in_flight += load_word(&ARENA->tokens[t].word).state == LIVE;
    for (uint32_t c = 1; c < channels; c++)
        out->channels += load_word(&ARENA->channels[c].word).state > FREE;
    out->reaped = atomic_load(&ARENA->reaped);
    out->copied = atomic_load(&ARENA->copied);
    out->inline_sent = atomic_load(&ARENA->inline_sent);
    out->capacity = ARENA->capacity;
    pthread_mutex_unlock(&mt_my.lock);
    return MT_OK;
}

typedef struct {
    char *text;
    size_t room;
    int found;
} report;

/* Appends a violated invariant to the report, as far as its text has room. */
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

/* Recounts blocks, tokens and channels, and writes the violated invariants to `text`.  Returns
 * their number.  Takes the lock.  The caller ensures that no other process works in the arena: a
 * token that a reader claims during the check would appear as a fault. */
int mt_arena_check(char *text, int room) {
    report r = {text, room > 0 ? (size_t)room : 0, 0};
    if (room > 0) *text = 0;
    if (!mt_arena_member()) return 0;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t blocks = atomic_load(&ARENA->n_blocks), tokens = atomic_load(&ARENA->n_tokens),
             channels = atomic_load(&ARENA->n_channels);
    uint32_t *flying = calloc(MT_BLOCKS, sizeof *flying);
    if (!flying) fault(&r, "no memory to check\n");
    for (uint32_t t = 1; flying && t < tokens; t++) {
        mt_token *token = &ARENA->tokens[t];
        mt_word w = load_word(&token->word);
        uint32_t b = atomic_load(&token->block), c = atomic_load(&token->channel);
        if (w.state == OWNED) fault(&r, "token %u is still owned by slot %u\n", t, w.owner);
        if (w.state != LIVE) continue;
        if (b == 0 || b >= blocks) fault(&r, "token %u of no block\n", t);
        else flying[b]++;
        if (c && load_word(&ARENA->channels[c % MT_CHANNELS].word).state != LIVE)
            fault(&r, "token %u in channel %u, which no member uses\n", t, c);
    }
    for (uint32_t b = 1; flying && b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        mt_word w = load_word(&block->word);
        bool held = !empty(mt_holders(b));
        if (w.state == OWNED) fault(&r, "block %u is still owned by slot %u\n", b, w.owner);
        if (w.state == LIVE && (w.count < flying[b] || (w.count > flying[b] && mt_countable(b))))
            fault(&r, "block %u counts %u tokens and has %u\n", b, w.count, flying[b]);
        if (w.state == LIVE && !w.count && !held)
            fault(&r, "block %u lives, and no member has it\n", b);
        if (w.state <= FREE && (held || flying[b]))
            fault(&r, "block %u is free, and a member has it\n", b);
        if (has(mt_holders(b), *mt_my.me) != (mt_my.holds[b] > 0))
            fault(&r, "block %u: our bit is not what we hold\n", b);
        for (uint32_t s = 0, n = atomic_load(&ARENA->n_slots); held && s < n; s++)
            if (has(mt_holders(b), (mt_member){s}) && atomic_load(&ARENA->slots[s].state) <= FREE)
                fault(&r, "block %u is held by slot %u, which is free\n", b, s);
    }
    for (uint32_t c = 1; c < channels; c++) {
        mt_word w = load_word(&ARENA->channels[c].word);
        if (w.state == OWNED) fault(&r, "channel %u is still owned by slot %u\n", c, w.owner);
        if (w.state == LIVE && !atomic_load(&ARENA->channels[c].guests) && empty(mt_users(c)))
            fault(&r, "channel %u lives, and no member uses it\n", c);
    }
    free(flying);
    pthread_mutex_unlock(&mt_my.lock);
    return r.found;
}
