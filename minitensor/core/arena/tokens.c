/* References on their way between processes: tokens, and the channels that they travel in.  The essay is in arena.c. */
#include "arena/arena.h"

#define ARENA mt_my.arena
#define TOKEN(i) (&mt_my.arena->tokens[i])
#define CHANNEL(i) (&mt_my.arena->channels[i])

static void raise_mark(_Atomic uint32_t *mark, uint32_t to) {
    uint32_t seen = atomic_load(mark);
    while (seen < to && !atomic_compare_exchange_weak(mark, &seen, to)) continue;
}

/* NEVER or FREE -> OWNED by us, with a new generation.  A walk from where the last one was found: the table is mostly free. */
static uint32_t take(_Atomic uint64_t *(*word_of)(uint32_t), uint32_t first, uint32_t n, uint32_t *next, _Atomic uint32_t *mark) {
    for (uint32_t tries = 0; tries < n; tries++) {
        uint32_t i = *next;
        *next = i + 1 < n ? i + 1 : first;
        if (i < first) continue;
        mt_word w = look(word_of(i)), to = w;
        if (w.state > FREE) continue;
        to.state = OWNED;
        to.owner = mt_owner().slot;
        to.gen++;
        raise_mark(mark, i + 1);                            /* first: who looks for what the dead owned goes up to the mark */
        if (change(word_of(i), w, to)) {
            step();
            return i;
        }
    }
    return 0;
}

static _Atomic uint64_t *token_word(uint32_t i) { return &TOKEN(i)->word; }
static _Atomic uint64_t *channel_word(uint32_t i) { return &CHANNEL(i)->word; }

static void set_state(_Atomic uint64_t *word, unsigned state) {     /* of an entry that we own */
    mt_word w = look(word), to = w;
    to.state = state;
    to.owner = 0;
    change(word, w, to);
    step();
}

static bool count(uint32_t block, int by) {                 /* false: the count is at its end */
    for (;;) {
        mt_word w = look(&ARENA->blocks[block].word), to = w;
        if (by > 0 && w.count == 0xffff) return false;
        if (by < 0 && w.count == 0) return true;            /* the reaper has set it right already */
        to.count += (unsigned)by;
        if (change(&ARENA->blocks[block].word, w, to)) return true;
    }
}

/* Ends a token's flight, if nobody was faster.  Our bit is set before and as long as the count is wrong: the recount leaves blocks
 * alone that have a holder. */
static bool land(uint32_t t, mt_word w) {
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

static void let_go(uint32_t b) {                            /* of our bit, unless we hold the block */
    if (mt_my.holds[b]) return;
    discard(mt_holders(b), *mt_my.me);
    step();
    mt_block_maybe_free(b);                                 /* our bit may have kept somebody from it */
}

/* What goes into the message: which token, its generation, which block, its generation. */
static int64_t id_of(uint32_t token, uint32_t block) {
    return (int64_t)token << 48 | (int64_t)(look(&TOKEN(token)->word).gen & 0x7fff) << 32 | (int64_t)look(&ARENA->blocks[block].word).gen << 16 |
           (int64_t)block;
}

uint32_t mt_token_obtain(uint32_t block, int channel) {
    uint32_t t = take(token_word, 1, MT_TOKENS, &mt_my.next_token, &ARENA->n_tokens);
    if (!t) return mt_arena_no_token(), 0;
    atomic_store(&TOKEN(t)->block, block);
    atomic_store(&TOKEN(t)->channel, (uint32_t)channel);
    return t;
}

int64_t mt_token_send(uint32_t t, uint32_t block) {
    set_state(token_word(t), LIVE);
    return id_of(t, block);
}

int64_t mt_arena_send(int64_t block, int channel) {
    int64_t result = -MT_MEMORY_ERROR;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t t = mt_my.me ? mt_token_obtain((uint32_t)block, channel) : 0;
    if (t) {
        bool counted = count((uint32_t)block, 1);
        step();
        if (counted) result = mt_token_send(t, (uint32_t)block);
        else set_state(token_word(t), FREE);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}

/* Makes a token's reference one of ours; the block, or -MT_STALE: the value is gone. */
int64_t mt_arena_claim(int64_t id) {
    uint32_t t = (uint32_t)(id >> 48), gen_t = (uint32_t)(id >> 32) & 0x7fff, gen_b = (uint32_t)(id >> 16) & 0xffff, b = (uint32_t)id & 0xffff;
    if (id <= 0 || !mt_arena_member() || t == 0 || t >= MT_TOKENS || b == 0 || b >= atomic_load(&ARENA->n_blocks)) return -MT_STALE;
    int64_t result = -MT_STALE;
    pthread_mutex_lock(&mt_my.lock);
    mt_shared_block *block = &ARENA->blocks[b];
    mt_word w = look(token_word(t));
    if (w.state == LIVE && (w.gen & 0x7fff) == gen_t && atomic_load(&TOKEN(t)->block) == b && land(t, w)) {
        mt_my.holds[b]++;
        result = b;
    } else {                                                /* the same bytes a second time: fine while the value lives */
        if (!mt_my.holds[b]) add(mt_holders(b), *mt_my.me);
        step();
        mt_word live = look(&block->word);
        while (live.state == LIVE && live.gen == gen_b && !change(&block->word, live, live)) live = look(&block->word);
        if (live.state == LIVE && live.gen == gen_b) {
            mt_my.holds[b]++;
            result = b;
        } else let_go(b);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}

/* Takes back a token that was not sent after all, or that its receiver could not use.  One that was claimed has another state or
 * generation, and stays as it is; and so does all that is no token, such as a status. */
void mt_arena_unsend(int64_t id) {
    uint32_t t = (uint32_t)(id >> 48), gen = (uint32_t)(id >> 32) & 0x7fff;
    if (id <= 0 || !mt_my.arena || t == 0 || t >= MT_TOKENS) return;
    pthread_mutex_lock(&mt_my.lock);
    mt_word w = look(token_word(t));
    if (!mt_my.me) mt_guest_end_token(id);
    else if (w.state == LIVE && (w.gen & 0x7fff) == gen) {
        uint32_t b = atomic_load(&TOKEN(t)->block);
        land(t, w);
        let_go(b);
    }
    pthread_mutex_unlock(&mt_my.lock);
}

/* --- channels ----------------------------------------------------------------------------------------------------------------------- */

int64_t mt_channel_new(void) {
    pthread_mutex_lock(&mt_my.lock);
    uint32_t c = mt_arena_member() ? take(channel_word, 1, MT_CHANNELS, &mt_my.next_channel, &ARENA->n_channels) : 0;
    int64_t id = -MT_MEMORY_ERROR;
    if (c) {
        add(mt_users(c), *mt_my.me);
        step();
        mt_my.uses[c] = 1;
        atomic_store(&CHANNEL(c)->guests, 0);
        set_state(channel_word(c), LIVE);
        id = (int64_t)look(channel_word(c)).gen << 16 | c;
    }
    pthread_mutex_unlock(&mt_my.lock);
    return id;
}

int mt_channel_join(int64_t id) {
    uint32_t c = (uint32_t)id & 0xffff, gen = (uint32_t)(id >> 16);
    int status = MT_STALE;
    if (!mt_arena_member() || c == 0 || c >= MT_CHANNELS) return status;
    pthread_mutex_lock(&mt_my.lock);
    if (!mt_my.uses[c]) add(mt_users(c), *mt_my.me);
    step();
    mt_word w = look(channel_word(c));
    while (w.state == LIVE && w.gen == gen && !change(channel_word(c), w, w)) w = look(channel_word(c));
    if (w.state == LIVE && w.gen == gen) {
        mt_my.uses[c]++;
        status = MT_OK;
    } else if (!mt_my.uses[c]) discard(mt_users(c), *mt_my.me);
    pthread_mutex_unlock(&mt_my.lock);
    return status;
}

void mt_channel_sweep(uint32_t c) {
    uint32_t n = atomic_load(&ARENA->n_tokens);
    for (uint32_t t = 1; t < n; t++) {
        mt_word w = look(token_word(t));
        if (w.state != LIVE || atomic_load(&TOKEN(t)->channel) != c) continue;
        uint32_t b = atomic_load(&TOKEN(t)->block);
        land(t, w);
        let_go(b);
    }
    set_state(channel_word(c), FREE);
}

/* A message that is left in it, which a guest may still read. */
static bool is_waited_for(uint32_t c) {
    if (!atomic_load(&CHANNEL(c)->guests)) return false;
    for (uint32_t t = 1, n = atomic_load(&ARENA->n_tokens); t < n; t++)
        if (look(token_word(t)).state == LIVE && atomic_load(&TOKEN(t)->channel) == c) return true;
    return false;
}

void mt_channel_maybe_sweep(uint32_t c) {
    for (;;) {
        mt_word w = look(channel_word(c)), to = w;
        if (w.state != LIVE || !empty(mt_users(c)) || is_waited_for(c)) return;
        to.state = OWNED;
        to.owner = mt_owner().slot;
        if (change(channel_word(c), w, to)) break;
    }
    step();
    mt_channel_sweep(c);
}

void mt_channel_leave(int64_t id) {
    uint32_t c = (uint32_t)id & 0xffff;
    pthread_mutex_lock(&mt_my.lock);
    if (mt_my.uses[c] && --mt_my.uses[c] == 0 && mt_my.me) {
        discard(mt_users(c), *mt_my.me);
        step();
        mt_channel_maybe_sweep(c);
    }
    pthread_mutex_unlock(&mt_my.lock);
}

void mt_channel_add_guest(int64_t id, int stranger) {
    if (!mt_my.arena) return;
    int seen = 0;                                           /* never back from 2 to 1 */
    while (seen < 1 + stranger && !atomic_compare_exchange_weak(&CHANNEL((uint32_t)id & 0xffff)->guests, &seen, 1 + stranger)) continue;
}

int mt_channel_carries(int64_t id) {
    uint32_t c = (uint32_t)id & 0xffff;
    if (!mt_my.arena || c == 0 || c >= MT_CHANNELS || atomic_load(&CHANNEL(c)->guests) == 2) return 0;
    mt_word w = look(channel_word(c));
    return w.state != LIVE || w.gen != ((uint32_t)(id >> 16) & 0xffff) ? 0 : mt_my.me ? 2 : 1;
}

/* The process that a place is reserved for uses it, too, before it is started. */
void mt_channel_join_for(int64_t id, int slot) {
    uint32_t c = (uint32_t)id & 0xffff;
    pthread_mutex_lock(&mt_my.lock);
    if (mt_my.uses[c]) {
        add(mt_users(c), (mt_member){(uint32_t)slot});
        step();
        touch(channel_word(c));
    }
    pthread_mutex_unlock(&mt_my.lock);
}

/* One that lives is enough: a family of thousands that waits for messages does not look at every member each time. */
int mt_channel_has_others(int64_t id) {
    uint32_t c = (uint32_t)id & 0xffff;
    int result = -1;
    pthread_mutex_lock(&mt_my.lock);
    int probe = atomic_load(&CHANNEL(c)->guests) ? -1 : mt_slot_probe();
    if (probe >= 0) {
        result = 0;
        for (uint32_t s = 1, n = atomic_load(&ARENA->n_slots); s < n && !result; s++)
            if (s != mt_my.me->slot && has(mt_users(c), (mt_member){s})) result = !mt_reap_if_dead(probe, (mt_member){s});
        close(probe);
    }
    if (atomic_load(&CHANNEL(c)->guests)) result = -1;
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}
