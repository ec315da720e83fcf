/* The arena's memory: blocks, and which members hold them.  The essay is in arena.c. */
#include <fcntl.h>
#include <sys/mman.h>

#include "arena/arena.h"

#define ARENA mt_my.arena
#define BLOCK(i) (&mt_my.arena->blocks[i])

/* Frees the block's memory to the system. */
static void give_pages_back(const mt_shared_block *block) {
    if (mt_in_reach(block))
        madvise((char *)ARENA + block->offset, (size_t)block->size, MADV_REMOVE);
    else
        fallocate(mt_arena_file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block->offset,
                  block->size);
}

/* OWNED by us or by a dead member -> FREE.  If the owner was killed, the block may have memory that
 * is not noted as committed; that memory goes back to the system. */
void mt_arena_block_disown(uint32_t b) {
    mt_shared_block *block = BLOCK(b);
    if (!atomic_load(&block->committed) && block->size) give_pages_back(block);
    step();
    mt_word w = load_word(&block->word), to = w;
    to.state = FREE;
    to.owner = to.count = 0;
    if (!change(&block->word, w, to) || !block->size) return;
    atomic_fetch_add(&ARENA->classes[block->class].free, 1);
    if (atomic_load(&block->committed)) {
        atomic_store(&ARENA->classes[block->class].recent, b);
        atomic_fetch_add(&ARENA->free_bytes, block->size);
    }
}

/* FREE -> OWNED by us. */
bool mt_arena_block_try_own(uint32_t b) {
    mt_word w = load_word(&BLOCK(b)->word), to = w;
    if (w.state != FREE) return false;
    to.state = OWNED;
    to.owner = mt_owner().slot;
    if (!change(&BLOCK(b)->word, w, to)) return false;
    step();
    atomic_fetch_sub(&ARENA->classes[BLOCK(b)->class].free, 1);
    if (atomic_load(&BLOCK(b)->committed)) atomic_fetch_sub(&ARENA->free_bytes, BLOCK(b)->size);
    return true;
}

/* Frees the memory of a committed block that is OWNED by us, and disowns the block. */
static void punch(uint32_t b) {
    /* The flag is cleared first: if this process dies here, the reaper frees the memory. */
    atomic_store(&BLOCK(b)->committed, false);
    step();
    mt_arena_block_disown(b);
}

bool mt_trim_to(int64_t bytes) {
    bool any = false;
    uint32_t n = atomic_load(&ARENA->n_blocks);
    for (uint32_t b = n; b-- > 1 && atomic_load(&ARENA->free_bytes) > bytes;)
        if (load_word(&BLOCK(b)->word).state == FREE && atomic_load(&BLOCK(b)->committed) &&
            mt_arena_block_try_own(b))
            punch(b), any = true;
    return any;
}

void mt_arena_block_maybe_free(uint32_t b) {
    mt_shared_block *block = BLOCK(b);
    for (;;) {
        /* The word is read before the holders: a claim counts down after its bit is set. */
        mt_word w = load_word(&block->word), to = w;
        if (w.state != LIVE || w.count || !empty(mt_holders(b))) return;
        step();
        to.state = FREE;
        to.gen++;
        if (change(&block->word, w, to)) break;
    }
    step();
    atomic_fetch_add(&ARENA->classes[block->class].free, 1);
    atomic_store(&ARENA->classes[block->class].recent, b);
    bool full = atomic_fetch_add(&ARENA->free_bytes, block->size) + block->size > ARENA->cap;
    if (full && mt_my.me && mt_arena_block_try_own(b)) punch(b);
}

char *mt_arena_data(int64_t b) { return mt_my.data + BLOCK(b)->offset; }
char *mt_arena_members_data(int64_t b) { return (char *)ARENA + BLOCK(b)->offset; }
void mt_arena_mark_mutable(int64_t b) { atomic_store(&BLOCK(b)->mutable, true); }
int64_t mt_arena_size(int64_t b) { return BLOCK(b)->size; }

/* Steps the word, so that a process that is reading the set reads it again. */
void mt_arena_block_hold_for(mt_member m, uint32_t b) {
    add(mt_holders(b), m);
    step();
    touch(&BLOCK(b)->word);
}

void mt_arena_hold(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    mt_my.holds[b]++; /* our bit is set already */
    pthread_mutex_unlock(&mt_my.lock);
}

/* Discards a guest's private copy of a block; its address range stays reserved. */
static void forget(uint32_t b) {
    if (!mt_my.copied[b]) return; /* the warden holds the block */
    mmap(mt_my.data + mt_my.arena->blocks[b].offset, (size_t)mt_my.arena->blocks[b].size, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

void mt_arena_drop(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    if (--mt_my.holds[b] == 0 && !mt_my.me) forget((uint32_t)b);
    else if (mt_my.holds[b] == 0 && !mt_arena_rejoin((uint32_t)b)) mt_my.holds[b] = 1;
    else if (mt_my.holds[b] == 0) {
        discard(mt_holders((uint32_t)b), *mt_my.me);
        step();
        mt_arena_block_maybe_free((uint32_t)b);
    }
    pthread_mutex_unlock(&mt_my.lock);
}

/* Returns true if this process may write to the block's bytes: the block has no token and no other
 * holder.
 *
 * Another process can then get the block only from this one: by a token or a fork.  The swap proves
 * that the word and the holders had these values at one moment.  Without the swap, a holder that
 * sends the block and drops it between our two reads has a token and no bit, and both reads miss
 * it.  The new generation makes earlier tokens stale: the write replaces the value that they refer
 * to. */
bool mt_arena_own_locked(uint32_t b, int holds) {
    mt_shared_block *block = BLOCK(b);
    bool ours = false;
    if (!mt_my.me) ours = mt_my.copied[b] && mt_my.holds[b] == (uint32_t)holds;
    while (mt_my.me && !ours && mt_my.holds[b] == (uint32_t)holds) {
        mt_word w = load_word(&block->word), to = w;
        step();
        if (w.count || !only(mt_holders(b), *mt_my.me)) break;
        step();
        to.gen++;
        ours = change(&block->word, w, to);
    }
    return ours;
}

int mt_arena_own(int64_t b, int holds) {
    pthread_mutex_lock(&mt_my.lock);
    bool ours = mt_arena_own_locked((uint32_t)b, holds);
    pthread_mutex_unlock(&mt_my.lock);
    return ours;
}

int mt_arena_make_exclusive(int64_t b, int holds, int apart) {
    pthread_mutex_lock(&mt_my.lock);
    bool own = mt_arena_own_locked((uint32_t)b, holds);
    /* A guest's copies are private memory already. */
    if (own && mt_my.me && mt_my.exclusive[b] == MT_SHARED) mt_my.exclusive[b] = MT_EXCLUSIVE;
    if (!own && apart && mt_my.me && mt_my.holds[b] == (uint32_t)holds)
        own = mt_arena_set_apart((uint32_t)b);
    pthread_mutex_unlock(&mt_my.lock);
    return own;
}

int mt_arena_end_exclusive(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    if (mt_my.exclusive[b] == MT_EXCLUSIVE) mt_my.exclusive[b] = MT_SHARED;
    bool ended = mt_my.exclusive[b] == MT_SHARED;
    pthread_mutex_unlock(&mt_my.lock);
    return ended;
}

int mt_arena_sole(int64_t b) {
    if (!mt_my.me) return mt_my.copied[b];
    for (;;) {
        uint64_t w = atomic_load(&BLOCK(b)->word);
        bool alone = unpack(w).count == 0 && only(mt_holders((uint32_t)b), *mt_my.me);
        if (atomic_load(&BLOCK(b)->word) == w) return alone;
    }
}
