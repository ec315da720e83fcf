/* The arena's layout in shared memory, and the interface between its files: arena.c (the essay),
 * slots.c (slots and their locks), fork.c (fork), guest.c (guests), blocks.c and allocate.c
 * (memory), tokens.c, channels.c, reap.c (reaping), check.c (invariants, statistics). */
#ifndef MT_ARENA_H
#define MT_ARENA_H
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include "types.h"

enum {
    MT_SLOTS = 1 << 14,
    MT_PLANES = MT_SLOTS / 64,
    MT_BLOCKS = 1 << 16,
    MT_TOKENS = 1 << 15,
    MT_CHANNELS = 1 << 12,
    MT_SHARED_CLASSES = 128,
    MT_PAGE = 4096
};

/* A member: the number of a slot whose lock is held.  Only slots.c makes one, so that a function
 * that takes a member can't receive the slot of a process that has none. */
typedef struct {
    uint32_t slot;
} mt_member;

/* The member that never dies.  It holds the blocks that a guest inherits and can't copy (fork.c).
 */
static const mt_member MT_WARDEN = {0};

/* A set of members: a bit for each slot.  Its first word lies in its block or channel.  The others
 * lie in planes, which take memory only when the family has grown so far.
 *
 * A process sets and clears its own bit, a dead member's bit under the lock of that slot, and the
 * child's bit before a fork.  A set is not read atomically.  So a process that sets a bit steps the
 * word beside the set before it drops anything.  A process that has found the set empty swaps the
 * word that it had read before.  The same swap covers a family that grows meanwhile: a slot is
 * counted in n_slots before its member sets any bit. */
typedef struct {
    _Atomic uint64_t *first, *rest;
    uint32_t stride;
} mt_set;

/* --- words: what one compare-and-swap changes -----------------------------------------------
 * owner: the member that works on the entry while its state is OWNED; count: a block's tokens in
 * flight; seq: steps with each change, so that a process that has read more than the word detects
 * any change since; gen: steps with each new use. */
enum { NEVER, FREE, OWNED, LIVE };
typedef struct {
    unsigned state, owner, count, seq, gen;
} mt_word;
_Static_assert(MT_SLOTS <= 1 << 14 && MT_TOKENS < 1 << 16,
               "a word has 14 bits for the owner and 16 for the count");
static inline uint64_t pack(mt_word w) {
    return (uint64_t)w.state | (uint64_t)(w.owner & 0x3fff) << 2 |
           (uint64_t)(w.count & 0xffff) << 16 | (uint64_t)(w.seq & 0xffff) << 32 |
           (uint64_t)(w.gen & 0xffff) << 48;
}
static inline mt_word unpack(uint64_t w) {
    return (mt_word){w & 3, w >> 2 & 0x3fff, w >> 16 & 0xffff, w >> 32 & 0xffff, w >> 48 & 0xffff};
}
static inline mt_word load_word(_Atomic uint64_t *word) { return unpack(atomic_load(word)); }
/* True: nothing came in between, and the word is `to` with its seq stepped. */
static inline bool change(_Atomic uint64_t *word, mt_word from, mt_word to) {
    uint64_t expected = pack(from);
    to.seq = from.seq + 1;
    return atomic_compare_exchange_strong(word, &expected, pack(to));
}
/* Steps the word: a swap by a process that has read it before fails. */
static inline void touch(_Atomic uint64_t *word) {
    for (mt_word w = load_word(word); !change(word, w, w);) w = load_word(word);
}

typedef struct {
    /* LIVE: the block has holders or tokens in flight, or is about to be freed. */
    _Atomic uint64_t word;
    _Atomic uint64_t holders; /* the set's first word */
    int64_t offset, size;     /* written before the block can be found, never changed */
    atomic_bool committed;    /* there is memory behind it; changed by the owner only */
    /* shared_mutable: every holder writes to it (share_memory_); set by a holder while LIVE. */
    atomic_bool mutable;
    int32_t class;
    uint32_t next; /* of the same class; never changed */
} mt_shared_block;

typedef struct {
    _Atomic uint64_t word;           /* LIVE: in flight */
    _Atomic uint32_t block, channel; /* written by the owner before it is LIVE */
} mt_token;

typedef struct {
    _Atomic uint64_t word;
    _Atomic uint64_t users; /* the set's first word */
    /* 1: a guest uses the channel, too, so its users can't be counted any more; 2: a stranger uses
     * it, which can't read tokens. */
    atomic_int guests;
} mt_channel;

typedef struct {
    /* FREE, OWNED (reserved for a process that is being started), LIVE; changed under the lock of
     * its byte. */
    atomic_int state;
    atomic_int pid; /* for statistics; 0: not known yet */
} mt_slot;

typedef struct {
    uint64_t layout;     /* of the program that made it: another one's can't be entered */
    int64_t capacity;    /* bytes of the file */
    int64_t cap;         /* free memory beyond this goes back to the system */
    _Atomic int64_t top; /* where the next new block begins */
    /* High-water marks; index 0 is unused in blocks and channels, and the warden in slots. */
    _Atomic uint32_t n_blocks, n_tokens, n_channels, n_slots;
    _Atomic int64_t free_bytes; /* committed and free; a hint, set right when the dead are reaped */
    /* A block may live without a holder and a token: a stranger has ended its token (fork.c). */
    atomic_bool stray;
    _Atomic int64_t reaped_at; /* seconds: one member a second reaps for the family */
    _Atomic int64_t reaped, copied, inline_sent; /* for people */
    struct {
        _Atomic uint32_t head, recent;
        atomic_int free;
    } classes[MT_SHARED_CLASSES]; /* recent and free are hints */
    mt_slot slots[MT_SLOTS];
    mt_channel channels[MT_CHANNELS];
    mt_token tokens[MT_TOKENS];
    mt_shared_block blocks[MT_BLOCKS];
    _Atomic uint64_t users[MT_PLANES - 1][MT_CHANNELS], holders[MT_PLANES - 1][MT_BLOCKS];
} mt_arena;

/* The arena's state in this process.  The lock guards everything but the arena's own atomics. */
typedef struct {
    pthread_mutex_t lock;
    mt_arena *arena;     /* NULL: there is none.  All of it, or (`reach`) its tables only */
    int64_t reach;       /* bytes of it that are mapped */
    const mt_member *me; /* NULL: a guest, which has copies (fork.c) */
    int fd;              /* the file; -1: the program that we were forked from had closed it */
    ino_t inode;
    char *data;         /* where the blocks that we hold lie: the arena, but in a forked guest */
    uint32_t *holds;    /* by block: how many storages and arrays of ours hold it */
    bool *copied;       /* by block: in a guest, its memory here is ours alone */
    uint32_t *uses;     /* by channel: how many queues of ours use it */
    uint8_t *exclusive; /* by block: whether only we see its bytes (exclusive.c) */
    uint32_t next_token, next_channel;
    char why_guest[160]; /* why this process is no member; empty: it is, or there is no arena */
} mt_here;
extern mt_here mt_my;
enum { MT_SHARED, MT_EXCLUSIVE, MT_APART }; /* exclusive.c */

static inline mt_set mt_holders(uint32_t b) {
    return (mt_set){&mt_my.arena->blocks[b].holders, &mt_my.arena->holders[0][b], MT_BLOCKS};
}
static inline mt_set mt_users(uint32_t c) {
    return (mt_set){&mt_my.arena->channels[c].users, &mt_my.arena->users[0][c], MT_CHANNELS};
}
/* Returns the owner of the entries that this process works on. */
static inline mt_member mt_owner(void) { return mt_my.me ? *mt_my.me : MT_WARDEN; }
/* Returns how many words of a set may have a bit set. */
static inline uint32_t mt_planes(void) { return (atomic_load(&mt_my.arena->n_slots) + 63) / 64; }
static inline _Atomic uint64_t *mt_plane(mt_set set, uint32_t i) {
    return i == 0 ? set.first : set.rest + (size_t)(i - 1) * set.stride;
}
static inline uint64_t mt_bit(mt_member m) { return (uint64_t)1 << (m.slot % 64); }
static inline bool has(mt_set set, mt_member m) {
    return atomic_load(mt_plane(set, m.slot / 64)) & mt_bit(m);
}
static inline void add(mt_set set, mt_member m) {
    atomic_fetch_or(mt_plane(set, m.slot / 64), mt_bit(m));
}
static inline void discard(mt_set set, mt_member m) {
    atomic_fetch_and(mt_plane(set, m.slot / 64), ~mt_bit(m));
}
static inline bool empty(mt_set set) {
    for (uint32_t i = 0, n = mt_planes(); i < n; i++)
        if (atomic_load(mt_plane(set, i))) return false;
    return true;
}
static inline bool only(mt_set set, mt_member m) {
    for (uint32_t i = 0, n = mt_planes(); i < n; i++)
        if (atomic_load(mt_plane(set, i)) != (i == m.slot / 64 ? mt_bit(m) : 0)) return false;
    return true;
}

/* Returns true if the block lies in what is mapped. */
static inline bool mt_in_reach(const mt_shared_block *block) {
    return block->offset + block->size <= mt_my.reach;
}

/* Returns the block of a token's number. */
static inline uint32_t mt_token_block(int64_t id) { return (uint32_t)id & 0xffff; }

/* Returns true if at most this process holds the block, so that its tokens can be counted
 * (reap.c). */
static inline bool mt_countable(uint32_t b) {
    return empty(mt_holders(b)) || only(mt_holders(b), *mt_my.me);
}

/* A process may be killed between any two steps of the protocol, or stop while other processes
 * continue.  The tests kill or stop it here. */
extern _Atomic int64_t mt_steps_left;
extern atomic_int mt_signal;
static inline void step(void) {
    if (__builtin_expect(atomic_load_explicit(&mt_steps_left, memory_order_relaxed) > 0, 0) &&
        atomic_fetch_sub(&mt_steps_left, 1) == 1)
        kill(getpid(), atomic_load(&mt_signal));
}

/* A slot that is reserved, OWNED, for a process before its start, with what keeps the slot's
 * lock. */
typedef struct {
    mt_member member;
    int fd;
    void *anchor;
} mt_reservation;

/* --- with the lock held -------------------------------------------------------------------- */

/* Opens another description of the arena's file; -errno. */
int mt_file_again(void);

/* Takes a free slot, whose lock fd's description keeps; the warden's: there is none. */
mt_member mt_slot_take(int fd);

/* Reserves a place, with its anchor; 0, or -errno: -EUSERS when every slot is taken. */
int mt_slot_reserve(mt_reservation *out);

/* Makes the place this process's own: it is a member from now on. */
void mt_slot_settle(mt_reservation place);

/* Returns a mapping that keeps the locks of fd's description; NULL: no address space. */
void *mt_slot_hold(int fd);

/* Returns a text that says why there is no place. */
const char *mt_slot_refusal(int error);

/* Opens a descriptor to ask for locks with; -1: this process can't. */
int mt_slot_probe(void);

/* Returns true if the member is dead; its byte is then locked by us, until mt_slot_give_back. */
bool mt_slot_dead(int probe, mt_member m);

/* Frees the slot of a dead member, and its byte. */
void mt_slot_give_back(int probe, mt_member m);

enum mt_refusal {
    MT_NOT_A_MEMBER,
    MT_TOO_LARGE,
    MT_NO_SPACE,
    MT_NO_ENTRY,
    MT_NO_PAGES,
    MT_NO_TOKEN
};

/* Notes why this thread finds no room (refusals.c); returns -MT_MEMORY_ERROR. */
int64_t mt_arena_refuse(enum mt_refusal why, int64_t nbytes, int error);

/* Returns a block with memory, OWNED by us; 0: there is none. */
uint32_t mt_arena_block_obtain(int64_t nbytes);

/* Makes a FREE block OWNED by us; false: another process was faster. */
bool mt_arena_block_try_own(uint32_t block);

/* Makes a block FREE that is OWNED by us or by a dead member, with memory or without. */
void mt_arena_block_disown(uint32_t block);

/* Sets a member's bit on a block that we hold, and steps the word. */
void mt_arena_block_hold_for(mt_member m, uint32_t block);

/* Maps a block that we hold privately, at its address; false: the system refuses. */
bool mt_arena_set_apart(uint32_t block);

/* Makes a block that we drop visible to others again; false: that is impossible, and we keep it. */
bool mt_arena_rejoin(uint32_t block);

/* mt_arena_own, with the lock held. */
bool mt_arena_own_locked(uint32_t block, int holds);

/* Clears our bit, unless this process holds the block. */
void mt_arena_block_let_go(uint32_t block);

/* Frees the block if it has no holder and no token. */
void mt_arena_block_maybe_free(uint32_t block);

/* Gives free memory back until `bytes` are left; false: there was none. */
bool mt_trim_to(int64_t bytes);

/* Takes an entry of a table that is NEVER or FREE: it is OWNED by us, with a new generation.
 * Returns its number, at least `first`; 0: the table is full. */
uint32_t mt_entry_take(_Atomic uint64_t *(*word_of)(uint32_t), uint32_t first, uint32_t n,
                       uint32_t *next, _Atomic uint32_t *mark);

/* Sets the state of an entry that we own, which has no owner then. */
void mt_entry_set(_Atomic uint64_t *word, unsigned state);

/* Returns a token of the block, OWNED by us; 0: there is none. */
uint32_t mt_token_obtain(uint32_t block, int64_t channel);

/* Sends a token that is OWNED by us; returns the number that goes into the message. */
int64_t mt_token_send(uint32_t token, uint32_t block);

/* Ends the flight of a token whose word was read; false: another process was faster.  Our bit of
 * the block is set. */
bool mt_token_claim(uint32_t token, mt_word word);

/* Returns true if the token of a message is in flight. */
bool mt_token_flies(const mt_arena *arena, int64_t id);

/* Ends a token's flight for a process that is no member; false: another process was faster. */
bool mt_token_end(mt_arena *arena, int64_t id);

/* Drops the tokens of a channel that is OWNED by us or by a dead member, and frees the channel. */
void mt_channel_sweep(uint32_t channel);

/* Sweeps the channel if no member uses it. */
void mt_channel_maybe_sweep(uint32_t channel);

/* Reaps the dead members; returns how many there were. */
int mt_reap_locked(void);

/* Reaps a member that is dead; false: it lives. */
bool mt_reap_if_dead(int probe, mt_member m);

/* --- without the lock ----------------------------------------------------------------------- */

/* Returns what has to be the same in two programs that share an arena. */
uint64_t mt_arena_layout(void);

#endif
