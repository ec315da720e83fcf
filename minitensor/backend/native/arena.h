/* The arena's layout in shared memory, and what its files share: arena.c (the map, slots, fork), arena_blocks.c (memory),
 * arena_flight.c (tokens and channels), arena_reap.c (the dead, and checking).  The essay is in arena.c. */
#ifndef MT_ARENA_H
#define MT_ARENA_H
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include "internal.h"

enum { MT_SLOTS = 512, MT_SET = MT_SLOTS / 64, MT_BLOCKS = 1 << 16, MT_TOKENS = 1 << 15, MT_CHANNELS = 1 << 12, MT_SHARED_CLASSES = 128,
       MT_PAGE = 4096 };

/* A set of processes: a bit for each slot.  Each process sets and clears its own bit only, a dead one's under its slot's lock, and before a fork
 * the child's.  A set is not read in one piece: who sets a bit steps the word beside it before he lets go of anything, and who
 * has found nobody in a set swaps the word that he had read before. */
typedef struct { _Atomic uint64_t bits[MT_SET]; } mt_set;

/* --- words: what one compare-and-swap changes --------------------------------------------------------------------------------------
 * state, owner: who is at work on it while it is OWNED; count: a block's tokens in flight; seq: steps with each change, so
 * that who has looked at more than the word can tell whether anything has changed since; gen: steps with each new use. */
enum { NEVER, FREE, OWNED, LIVE };
typedef struct { unsigned state, owner, count, seq, gen; } mt_word;
static inline uint64_t pack(mt_word w) {
    return (uint64_t)w.state | (uint64_t)(w.owner & 0x3ff) << 2 | (uint64_t)(w.count & 0xfffff) << 12 | (uint64_t)(w.seq & 0xffff) << 32 |
           (uint64_t)(w.gen & 0xffff) << 48;
}
static inline mt_word unpack(uint64_t w) {
    return (mt_word){w & 3, w >> 2 & 0x3ff, w >> 12 & 0xfffff, w >> 32 & 0xffff, w >> 48 & 0xffff};
}
static inline mt_word look(_Atomic uint64_t *word) { return unpack(atomic_load(word)); }
/* True: nobody was in between, and the word is `to` with its seq stepped. */
static inline bool change(_Atomic uint64_t *word, mt_word from, mt_word to) {
    uint64_t expected = pack(from);
    to.seq = from.seq + 1;
    return atomic_compare_exchange_strong(word, &expected, pack(to));
}

typedef struct {
    _Atomic uint64_t word;                  /* LIVE: it has holders or tokens in flight, or is about to be freed */
    mt_set holders;
    int64_t offset, size;                   /* written before the block can be found, never changed */
    atomic_bool committed;                  /* there is memory behind it; changed by the owner only */
    int32_t class;
    uint32_t next;                          /* of the same class; never changed */
} mt_shared_block;

typedef struct {
    _Atomic uint64_t word;                  /* LIVE: in flight */
    _Atomic uint32_t block, channel;        /* written by the owner before it is LIVE */
} mt_token;

typedef struct {
    _Atomic uint64_t word;
    mt_set users;
} mt_channel;

typedef struct {
    atomic_int state;                       /* FREE, OWNED (a fork has reserved it), LIVE; taken and given under the lock of its byte */
    atomic_int pid;                         /* 0: not known yet */
    _Atomic uint64_t start;                 /* of that process, in ticks since boot: a pid may be used again */
} mt_slot;

typedef struct {
    int64_t capacity;                       /* bytes of the file */
    int64_t cap;                            /* free memory beyond this goes back to the system */
    _Atomic int64_t top;                    /* where the next new block begins */
    _Atomic uint32_t n_blocks, n_tokens, n_channels, n_slots;    /* high-water marks; index 0 of blocks and channels is nobody */
    _Atomic int64_t free_bytes;             /* committed and free; a hint, set right when the dead are reaped */
    _Atomic int64_t reaped, copied, inline_sent;   /* for people */
    struct { _Atomic uint32_t head, recent; atomic_int free; } classes[MT_SHARED_CLASSES];     /* recent and free are hints */
    mt_slot slots[MT_SLOTS];
    mt_channel channels[MT_CHANNELS];
    mt_token tokens[MT_TOKENS];
    mt_shared_block blocks[MT_BLOCKS];
} mt_arena;

/* What this process knows.  Everything but the atomics of the arena itself is guarded by the lock. */
typedef struct {
    pthread_mutex_t lock;
    mt_arena *arena;                        /* NULL: there is none yet */
    int fd;                                 /* the open file description that holds our slot's lock */
    int slot;
    ino_t inode;
    uint32_t *holds;                        /* by block: how many storages and arrays of ours hold it */
    uint32_t *uses;                         /* by channel: how many queues of ours use it */
    uint32_t next_token, next_channel;
    int64_t reaped_at;                      /* seconds */
    int reserved_fd, reserved_slot;         /* of the fork under way: the child's */
} mt_here;
extern mt_here mt_my;

static inline bool has(mt_set *set, int slot) { return atomic_load(&set->bits[slot / 64]) >> (slot % 64) & 1; }
static inline void add(mt_set *set, int slot) { atomic_fetch_or(&set->bits[slot / 64], (uint64_t)1 << (slot % 64)); }
static inline void discard(mt_set *set, int slot) { atomic_fetch_and(&set->bits[slot / 64], ~((uint64_t)1 << (slot % 64))); }
static inline bool empty(mt_set *set) {
    for (int i = 0; i < MT_SET; i++)
        if (atomic_load(&set->bits[i])) return false;
    return true;
}
static inline bool only(mt_set *set, int slot) {
    for (int i = 0; i < MT_SET; i++)
        if (atomic_load(&set->bits[i]) != (i == slot / 64 ? (uint64_t)1 << (slot % 64) : 0)) return false;
    return true;
}

/* Between any two steps of the protocol a process may be killed, or stand still while others go on: the tests do it here. */
extern _Atomic int64_t mt_steps_left;
extern atomic_int mt_signal;
static inline void step(void) {
    if (__builtin_expect(atomic_load_explicit(&mt_steps_left, memory_order_relaxed) > 0, 0) && atomic_fetch_sub(&mt_steps_left, 1) == 1)
        kill(getpid(), atomic_load(&mt_signal));
}

/* With the lock held, all of them: */
void mt_block_maybe_free(uint32_t block);
void mt_block_disown(uint32_t block);               /* OWNED by us or by a dead one: FREE again, with memory or without */
bool mt_trim_to(int64_t bytes);                     /* gives free memory back until so little is left; false: there was none */
void mt_channel_maybe_sweep(uint32_t channel);
void mt_channel_sweep(uint32_t channel);            /* of a channel that is OWNED by us or by a dead one */
int mt_reap_locked(void);
bool mt_slot_alive(int slot);                       /* false: and its byte is locked by us */
void mt_slot_give_back(int slot);                   /* of a slot whose byte is locked by us */
int mt_arena_file(void);                            /* our descriptor; -1: the program has closed it */
#endif
