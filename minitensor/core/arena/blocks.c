/* The arena's memory: blocks, and which members hold them.  The essay is in arena.c. */
#include <fcntl.h>
#include <sys/mman.h>

#include "arena/arena.h"

#define ARENA mt_my.arena
#define BLOCK(i) (&mt_my.arena->blocks[i])

static void give_pages_back(const mt_shared_block *block) {
    if (mt_in_reach(block))
        madvise((char *)ARENA + block->offset, (size_t)block->size, MADV_REMOVE);
    else
        fallocate(mt_arena_file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block->offset,
                  block->size);
}

/* OWNED by us -> FREE.  Memory that is not noted as committed may be there all the same, if its
 * owner was killed. */
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

static void punch(uint32_t b) {                /* OWNED by us, committed */
    atomic_store(&BLOCK(b)->committed, false); /* first: if we die in between, the reaper punches */
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
        mt_word w = load_word(&block->word),
                to = w; /* the word first: a claim counts down after its bit is set */
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

/* With a step of the word: a process that is reading the set reads it again. */
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

static void forget(uint32_t b) {
    if (!mt_my.copied[b]) return; /* the warden's */
    mmap(mt_my.data + mt_my.arena->blocks[b].offset, (size_t)mt_my.arena->blocks[b].size, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

void mt_arena_drop(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    if (--mt_my.holds[b] == 0 && !mt_my.me) forget((uint32_t)b);
    else if (mt_my.holds[b] == 0) {
        discard(mt_holders((uint32_t)b), *mt_my.me);
        step();
        mt_arena_block_maybe_free((uint32_t)b);
    }
    pthread_mutex_unlock(&mt_my.lock);
}

/* Lets this process write to the block's bytes if no token and no other holder exists.
 * Others can then come to them only through us: by a token or a fork of ours.  The swap proves that
 * the word and the holders were so at one moment; without it, a holder that sends the block on and
 * lets go between our two looks has both a token and no bit.  The new generation makes stale what
 * was sent before: the value of that moment is about to go. */
int mt_arena_own(int64_t b, int holds) {
    mt_shared_block *block = BLOCK(b);
    bool ours = false;
    pthread_mutex_lock(&mt_my.lock);
    if (!mt_my.me) ours = mt_my.copied[b] && mt_my.holds[b] == (uint32_t)holds;
    while (mt_my.me && !ours && mt_my.holds[b] == (uint32_t)holds) {
        mt_word w = load_word(&block->word), to = w;
        step();
        if (w.count || !only(mt_holders((uint32_t)b), *mt_my.me)) break;
        step();
        to.gen++;
        ours = change(&block->word, w, to);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return ours;
}

int mt_arena_sole(int64_t b) {
    if (!mt_my.me) return mt_my.copied[b];
    for (;;) {
        uint64_t w = atomic_load(&BLOCK(b)->word);
        bool alone = unpack(w).count == 0 && only(mt_holders((uint32_t)b), *mt_my.me);
        if (atomic_load(&BLOCK(b)->word) == w) return alone;
    }
}
