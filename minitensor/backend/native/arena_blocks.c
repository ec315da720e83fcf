/* The arena's memory: blocks, and who holds them.  The essay is in arena.c. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "arena.h"

#define ARENA mt_my.arena
#define BLOCK(i) (&mt_my.arena->blocks[i])

/* The class of a size and the size of the class: 4, 5, 6, 7, 8, 10, ... pages. */
static int class_of(int64_t nbytes, int64_t *size) {
    if (nbytes <= MT_PAGE) return *size = MT_PAGE, 0;
    int doubling = 63 - __builtin_clzll((uint64_t)(nbytes - 1));
    int64_t quarter = ((int64_t)1 << doubling) / 4, k = (nbytes - ((int64_t)1 << doubling) + quarter - 1) / quarter;
    *size = ((((int64_t)1 << doubling) + k * quarter) + MT_PAGE - 1) / MT_PAGE * MT_PAGE;
    return (doubling - 12) * 4 + (int)k;
}

/* OWNED by us -> FREE.  Memory that nobody has noted as committed may be there all the same, if its owner was killed. */
void mt_block_disown(uint32_t b) {
    mt_shared_block *block = BLOCK(b);
    if (!atomic_load(&block->committed) && block->size) fallocate(mt_arena_file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block->offset, block->size);
    step();
    mt_word w = look(&block->word), to = w;
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
static bool own(uint32_t b) {
    mt_word w = look(&BLOCK(b)->word), to = w;
    if (w.state != FREE) return false;
    to.state = OWNED;
    to.owner = (unsigned)mt_my.slot;
    if (!change(&BLOCK(b)->word, w, to)) return false;
    step();
    atomic_fetch_sub(&ARENA->classes[BLOCK(b)->class].free, 1);
    if (atomic_load(&BLOCK(b)->committed)) atomic_fetch_sub(&ARENA->free_bytes, BLOCK(b)->size);
    return true;
}

static void punch(uint32_t b) {                             /* OWNED by us, committed */
    atomic_store(&BLOCK(b)->committed, false);              /* first: if we die in between, the reaper punches */
    step();
    mt_block_disown(b);
}

bool mt_trim_to(int64_t bytes) {
    bool any = false;
    uint32_t n = atomic_load(&ARENA->n_blocks);
    for (uint32_t b = n; b-- > 1 && atomic_load(&ARENA->free_bytes) > bytes;)
        if (look(&BLOCK(b)->word).state == FREE && atomic_load(&BLOCK(b)->committed) && own(b)) punch(b), any = true;
    return any;
}

void mt_block_maybe_free(uint32_t b) {
    mt_shared_block *block = BLOCK(b);
    for (;;) {
        mt_word w = look(&block->word), to = w;             /* the word first: a claim counts down after its bit is set */
        if (w.state != LIVE || w.count || !empty(&block->holders)) return;
        step();
        to.state = FREE;
        to.gen++;
        if (change(&block->word, w, to)) break;
    }
    step();
    atomic_fetch_add(&ARENA->classes[block->class].free, 1);
    atomic_store(&ARENA->classes[block->class].recent, b);
    if (atomic_fetch_add(&ARENA->free_bytes, block->size) + block->size > ARENA->cap && own(b)) punch(b);
}

static uint32_t find(int class) {
    uint32_t recent = atomic_load(&ARENA->classes[class].recent), other = 0;
    if (recent && look(&BLOCK(recent)->word).state == FREE && atomic_load(&BLOCK(recent)->committed) && own(recent)) return recent;
    if (atomic_load(&ARENA->classes[class].free) <= 0) return 0;
    for (uint32_t b = atomic_load(&ARENA->classes[class].head); b; b = BLOCK(b)->next) {
        if (look(&BLOCK(b)->word).state != FREE) continue;
        if (atomic_load(&BLOCK(b)->committed)) {
            if (own(b)) return b;
        } else if (!other) other = b;
    }
    return other && own(other) ? other : 0;
}

static uint32_t create(int class, int64_t size) {          /* 0: the arena is full */
    int64_t offset = atomic_load(&ARENA->top);
    do if (offset + size > ARENA->capacity) return 0;
    while (!atomic_compare_exchange_weak(&ARENA->top, &offset, offset + size));
    step();                                                 /* if we die here, address space is lost, and no memory */
    uint32_t b = atomic_load(&ARENA->n_blocks);
    do if (b >= MT_BLOCKS) return 0;
    while (!atomic_compare_exchange_weak(&ARENA->n_blocks, &b, b + 1));
    step();
    mt_shared_block *block = BLOCK(b);
    block->offset = offset;
    block->class = class;
    block->size = size;
    step();
    atomic_store(&block->word, pack((mt_word){.state = OWNED, .owner = (unsigned)mt_my.slot}));
    step();
    uint32_t head = atomic_load(&ARENA->classes[class].head);
    do block->next = head;
    while (!atomic_compare_exchange_weak(&ARENA->classes[class].head, &head, b));
    step();
    return b;
}

static bool commit(uint32_t b) {
    if (atomic_load(&BLOCK(b)->committed)) return true;
    int status;
    do status = fallocate(mt_arena_file(), 0, BLOCK(b)->offset, BLOCK(b)->size);
    while (status != 0 && errno == EINTR);
    step();
    if (status == 0) atomic_store(&BLOCK(b)->committed, true);
    return status == 0;
}

int64_t mt_arena_alloc(int64_t nbytes) {
    int64_t size;
    int class = class_of(nbytes, &size);
    int64_t result = -MT_MEMORY_ERROR;
    pthread_mutex_lock(&mt_my.lock);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec > mt_my.reaped_at) {                     /* once a second, who works looks after the dead */
        mt_my.reaped_at = now.tv_sec;
        mt_reap_locked();
    }
    for (int attempt = 0; attempt < 2 && result < 0 && mt_arena_member() && class < MT_SHARED_CLASSES; attempt++) {
        if (attempt) {                                      /* the dead may hold what we need, and so may we */
            mt_reap_locked();
            mt_trim_to(0);
        }
        uint32_t b = find(class);
        if (!b) b = create(class, size);
        if (b && commit(b)) {
            add(&BLOCK(b)->holders, mt_my.slot);
            step();
            mt_my.holds[b] = 1;
            mt_word w = look(&BLOCK(b)->word), to = w;
            to.state = LIVE;
            to.owner = 0;
            change(&BLOCK(b)->word, w, to);
            result = b;
        } else if (b) mt_block_disown(b);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}

char *mt_arena_data(int64_t b) { return (char *)ARENA + BLOCK(b)->offset; }
int64_t mt_arena_size(int64_t b) { return BLOCK(b)->size; }
int mt_arena_generation(int64_t b) { return (int)look(&BLOCK(b)->word).gen; }

void mt_arena_hold(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    mt_my.holds[b]++;                                       /* our bit is set already */
    pthread_mutex_unlock(&mt_my.lock);
}

void mt_arena_drop(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    if (--mt_my.holds[b] == 0 && mt_arena_member()) {
        discard(&BLOCK(b)->holders, mt_my.slot);
        step();
        mt_block_maybe_free((uint32_t)b);
    }
    pthread_mutex_unlock(&mt_my.lock);
}

/* Makes the block's bytes ours to write, if nobody else has them: no token, no other holder.  Others can then come to them only through us: by a
 * token or a fork of ours.  The swap proves that the word and the holders were so at one moment; without it, a holder that sends the block
 * on and lets go between our two looks has both a token and no bit.  The new generation makes stale what was sent before: the value
 * of that moment is about to go. */
int mt_arena_own(int64_t b, int holds) {
    mt_shared_block *block = BLOCK(b);
    bool ours = false;
    pthread_mutex_lock(&mt_my.lock);
    while (!ours && mt_my.holds[b] == (uint32_t)holds) {
        mt_word w = look(&block->word), to = w;
        step();
        if (w.count || !only(&block->holders, mt_my.slot)) break;
        step();
        to.gen++;
        ours = change(&block->word, w, to);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return ours;
}

int mt_arena_sole(int64_t b) {
    for (;;) {
        uint64_t w = atomic_load(&BLOCK(b)->word);
        bool alone = unpack(w).count == 0 && only(&BLOCK(b)->holders, mt_my.slot);
        if (atomic_load(&BLOCK(b)->word) == w) return alone;
    }
}
