/* Channels: which members use a queue.  The essay is in arena.c. */
#include "arena/arena.h"

#define ARENA mt_my.arena
#define TOKEN(i) (&mt_my.arena->tokens[i])
#define CHANNEL(i) (&mt_my.arena->channels[i])

static _Atomic uint64_t *token_word(uint32_t i) { return &TOKEN(i)->word; }
static _Atomic uint64_t *channel_word(uint32_t i) { return &CHANNEL(i)->word; }

int64_t mt_channel_new(void) {
    pthread_mutex_lock(&mt_my.lock);
    uint32_t c = mt_arena_member() ? mt_entry_take(channel_word, 1, MT_CHANNELS,
                                                   &mt_my.next_channel, &ARENA->n_channels)
                                   : 0;
    int64_t id = -MT_MEMORY_ERROR;
    if (c) {
        add(mt_users(c), *mt_my.me);
        step();
        mt_my.uses[c] = 1;
        atomic_store(&CHANNEL(c)->guests, 0);
        mt_entry_set(channel_word(c), LIVE);
        id = (int64_t)load_word(channel_word(c)).gen << 16 | c;
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
    mt_word w = load_word(channel_word(c));
    while (w.state == LIVE && w.gen == gen && !change(channel_word(c), w, w))
        w = load_word(channel_word(c));
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
        mt_word w = load_word(token_word(t));
        if (w.state != LIVE || atomic_load(&TOKEN(t)->channel) != c) continue;
        uint32_t b = atomic_load(&TOKEN(t)->block);
        mt_token_claim(t, w);
        mt_arena_block_let_go(b);
    }
    mt_entry_set(channel_word(c), FREE);
}

/* A message that is left in it, which a guest may still read. */
static bool is_waited_for(uint32_t c) {
    if (!atomic_load(&CHANNEL(c)->guests)) return false;
    for (uint32_t t = 1, n = atomic_load(&ARENA->n_tokens); t < n; t++)
        if (load_word(token_word(t)).state == LIVE && atomic_load(&TOKEN(t)->channel) == c)
            return true;
    return false;
}

void mt_channel_maybe_sweep(uint32_t c) {
    for (;;) {
        mt_word w = load_word(channel_word(c)), to = w;
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
    int seen = 0; /* never back from 2 to 1 */
    while (seen < 1 + stranger && !atomic_compare_exchange_weak(
                                      &CHANNEL((uint32_t)id & 0xffff)->guests, &seen, 1 + stranger))
        continue;
}

int mt_channel_carries(int64_t id) {
    uint32_t c = (uint32_t)id & 0xffff;
    if (!mt_my.arena || c == 0 || c >= MT_CHANNELS || atomic_load(&CHANNEL(c)->guests) == 2)
        return 0;
    mt_word w = load_word(channel_word(c));
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
