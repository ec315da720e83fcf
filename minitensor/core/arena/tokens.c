/* Tokens: references in messages between processes.  The essay is in arena.c. */
#include "arena/arena.h"

#define ARENA mt_my.arena
#define TOKEN(i) (&mt_my.arena->tokens[i])

/* Raises a table's high-water mark to at least `to`. */
static void raise_mark(_Atomic uint32_t *mark, uint32_t to) {
    uint32_t seen = atomic_load(mark);
    while (seen < to && !atomic_compare_exchange_weak(mark, &seen, to)) continue;
}

/* NEVER or FREE -> OWNED by us, with a new generation.  The search begins after the entry that the
 * last search found: most of the table is free. */
uint32_t mt_entry_take(_Atomic uint64_t *(*word_of)(uint32_t), uint32_t first, uint32_t n,
                       uint32_t *next, _Atomic uint32_t *mark) {
    for (uint32_t tries = 0; tries < n; tries++) {
        uint32_t i = *next;
        *next = i + 1 < n ? i + 1 : first;
        if (i < first) continue;
        mt_word w = load_word(word_of(i)), to = w;
        if (w.state > FREE) continue;
        to.state = OWNED;
        to.owner = mt_owner().slot;
        to.gen++;
        /* The mark rises first: a reaper searches for a dead member's entries up to the mark. */
        raise_mark(mark, i + 1);
        if (change(word_of(i), w, to)) {
            step();
            return i;
        }
    }
    return 0;
}

static _Atomic uint64_t *token_word(uint32_t i) { return &TOKEN(i)->word; }

void mt_entry_set(_Atomic uint64_t *word, unsigned state) {
    mt_word w = load_word(word), to = w;
    to.state = state;
    to.owner = 0;
    change(word, w, to);
    step();
}

/* Adds `by` to the block's count of tokens; false: the count is at its maximum. */
static bool count(uint32_t block, int by) {
    for (;;) {
        mt_word w = load_word(&ARENA->blocks[block].word), to = w;
        if (by > 0 && w.count == 0xffff) return false;
        if (by < 0 && w.count == 0) return true; /* the reaper has set it right already */
        to.count += (unsigned)by;
        if (change(&ARENA->blocks[block].word, w, to)) return true;
    }
}

/* Ends a token's flight; false: another process was faster.  The caller holds the lock.  Our bit is
 * set before the count becomes wrong, and stays set until the count is right: the recount skips
 * blocks that another process holds. */
bool mt_token_claim(uint32_t t, mt_word w) {
    uint32_t b = atomic_load(&TOKEN(t)->block);
    mt_word to = w;
    to.state = FREE;
    if (!mt_my.holds[b]) add(mt_holders(b), *mt_my.me);
    step();
    bool landed = change(&TOKEN(t)->word, w, to);
    step();
    if (landed) count(b, -1);
    step();
    return landed;
}

void mt_arena_block_let_go(uint32_t b) {
    if (mt_my.holds[b]) return;
    discard(mt_holders(b), *mt_my.me);
    step();
    mt_arena_block_maybe_free(b); /* our bit may have kept another process from it */
}

/* Returns the number in the message: the token, its generation, the block, its generation. */
static int64_t id_of(uint32_t token, uint32_t block) {
    return (int64_t)token << 48 | (int64_t)(load_word(&TOKEN(token)->word).gen & 0x7fff) << 32 |
           (int64_t)load_word(&ARENA->blocks[block].word).gen << 16 | (int64_t)block;
}

uint32_t mt_token_obtain(uint32_t block, int64_t channel) {
    uint32_t t = mt_entry_take(token_word, 1, MT_TOKENS, &mt_my.next_token, &ARENA->n_tokens);
    if (!t) return mt_arena_refuse(MT_NO_TOKEN, 0, 0), 0;
    atomic_store(&TOKEN(t)->block, block);
    atomic_store(&TOKEN(t)->channel,
                 (uint32_t)channel & 0xffff); /* its place; the generation stays with the users */
    return t;
}

int64_t mt_token_send(uint32_t t, uint32_t block) {
    mt_entry_set(token_word(t), LIVE);
    return id_of(t, block);
}

int64_t mt_arena_send(int64_t block, int64_t channel) {
    int64_t result = -MT_MEMORY_ERROR;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t t = mt_my.me ? mt_token_obtain((uint32_t)block, channel) : 0;
    if (t) {
        bool counted = count((uint32_t)block, 1);
        step();
        if (counted) result = mt_token_send(t, (uint32_t)block);
        else mt_entry_set(token_word(t), FREE);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}

/* Makes a token's reference one of ours.  Returns the block, or -MT_STALE: the value is gone. */
int64_t mt_arena_claim(int64_t id) {
    uint32_t t = (uint32_t)(id >> 48), gen_t = (uint32_t)(id >> 32) & 0x7fff,
             gen_b = (uint32_t)(id >> 16) & 0xffff, b = (uint32_t)id & 0xffff;
    if (id <= 0 || !mt_arena_member() || t == 0 || t >= MT_TOKENS || b == 0 ||
        b >= atomic_load(&ARENA->n_blocks))
        return -MT_STALE;
    int64_t result = -MT_STALE;
    pthread_mutex_lock(&mt_my.lock);
    mt_shared_block *block = &ARENA->blocks[b];
    mt_word w = load_word(token_word(t));
    if (w.state == LIVE && (w.gen & 0x7fff) == gen_t && atomic_load(&TOKEN(t)->block) == b &&
        mt_token_claim(t, w)) {
        mt_my.holds[b]++;
        result = b;
    } else { /* the same message again: valid while the value lives */
        if (!mt_my.holds[b]) add(mt_holders(b), *mt_my.me);
        step();
        mt_word live = load_word(&block->word);
        while (live.state == LIVE && live.gen == gen_b && !change(&block->word, live, live))
            live = load_word(&block->word);
        if (live.state == LIVE && live.gen == gen_b) {
            mt_my.holds[b]++;
            result = b;
        } else mt_arena_block_let_go(b);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}

/* --- by a process that is no member -------------------------------------------------------- */

bool mt_token_flies(const mt_arena *arena, int64_t id) {
    uint32_t t = (uint32_t)(id >> 48);
    if (t == 0 || t >= MT_TOKENS) return false;
    mt_token *token = (mt_token *)&arena->tokens[t];
    mt_word w = load_word(&token->word);
    return w.state == LIVE && (w.gen & 0x7fff) == ((uint32_t)(id >> 32) & 0x7fff) &&
           atomic_load(&token->block) == mt_token_block(id);
}

/* Ends a token's flight, if no other process was faster. */
bool mt_token_end(mt_arena *arena, int64_t id) {
    _Atomic uint64_t *token = &arena->tokens[(uint32_t)(id >> 48)].word,
                     *block = &arena->blocks[mt_token_block(id)].word;
    mt_word w = load_word(token), to = w;
    to.state = OWNED;
    to.owner = MT_WARDEN.slot;
    if (!mt_token_flies(arena, id) || w.state != LIVE || !change(token, w, to)) return false;
    step();
    for (mt_word word = load_word(block); word.count; word = load_word(block)) {
        mt_word less = word;
        less.count--;
        if (change(block, word, less)) break;
    }
    step();
    w = to = load_word(token);
    to.state = FREE;
    to.owner = 0;
    change(token, w, to);
    return true;
}

/* Ends a token's flight for a guest, and frees its block if it was the last reference. */
static bool guest_end_token(int64_t id) {
    if (id <= 0 || !mt_my.arena || !mt_token_end(mt_my.arena, id)) return false;
    mt_arena_block_maybe_free(mt_token_block(id));
    return true;
}

/* Drops a token that the sender did not send, or that the reader could not use.  A claimed token
 * has another state or generation and stays unchanged.  A number that is no token, such as a
 * status, has no effect.  Takes the lock. */
void mt_arena_unsend(int64_t id) {
    uint32_t t = (uint32_t)(id >> 48), gen = (uint32_t)(id >> 32) & 0x7fff;
    if (id <= 0 || !mt_my.arena || t == 0 || t >= MT_TOKENS) return;
    pthread_mutex_lock(&mt_my.lock);
    mt_word w = load_word(token_word(t));
    if (!mt_my.me) guest_end_token(id);
    else if (w.state == LIVE && (w.gen & 0x7fff) == gen) {
        uint32_t b = atomic_load(&TOKEN(t)->block);
        mt_token_claim(t, w);
        mt_arena_block_let_go(b);
    }
    pthread_mutex_unlock(&mt_my.lock);
}
