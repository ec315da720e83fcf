/* Allocating a block of the arena.  The essay is in arena.c.
 *
 * Pages are committed before they are touched.  MADV_POPULATE_WRITE (Linux 5.14) does it through
 * the mapping, so it needs no descriptor, and saves the copy that follows its page faults (16 MiB
 * committed and written: 12.1 ms, after fallocate 15.5).  An older kernel has fallocate.  A sandbox
 * that refuses both has system calls that write to memory: where there is no page, they return
 * EFAULT, and no signal comes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "arena/arena.h"

#define ARENA mt_my.arena
#define BLOCK(i) (&mt_my.arena->blocks[i])

/* The class of a size and the size of the class: 4, 5, 6, 7, 8, 10, ... pages. */
static int class_of(int64_t nbytes, int64_t *size) {
    if (nbytes <= MT_PAGE) return *size = MT_PAGE, 0;
    int doubling = 63 - __builtin_clzll((uint64_t)(nbytes - 1));
    int64_t quarter = ((int64_t)1 << doubling) / 4,
            k = (nbytes - ((int64_t)1 << doubling) + quarter - 1) / quarter;
    *size = ((((int64_t)1 << doubling) + k * quarter) + MT_PAGE - 1) / MT_PAGE * MT_PAGE;
    return (doubling - 12) * 4 + (int)k;
}

static uint32_t find(int class) {
    uint32_t recent = atomic_load(&ARENA->classes[class].recent), other = 0;
    if (recent && load_word(&BLOCK(recent)->word).state == FREE &&
        atomic_load(&BLOCK(recent)->committed) && mt_arena_block_try_own(recent))
        return recent;
    if (atomic_load(&ARENA->classes[class].free) <= 0) return 0;
    for (uint32_t b = atomic_load(&ARENA->classes[class].head); b; b = BLOCK(b)->next) {
        if (load_word(&BLOCK(b)->word).state != FREE) continue;
        if (atomic_load(&BLOCK(b)->committed)) {
            if (mt_arena_block_try_own(b)) return b;
        } else if (!other) other = b;
    }
    return other && mt_arena_block_try_own(other) ? other : 0;
}

/* Creates a block of a class; 0: the arena is full. */
static uint32_t create(int class, int64_t size) {
    int64_t offset = atomic_load(&ARENA->top);
    do
        if (offset + size > ARENA->capacity) return mt_arena_refuse(MT_NO_SPACE, size, 0), 0;
    while (!atomic_compare_exchange_weak(&ARENA->top, &offset, offset + size));
    step(); /* if we die here, address space is lost, and no memory */
    uint32_t b = atomic_load(&ARENA->n_blocks);
    do
        if (b >= MT_BLOCKS) return mt_arena_refuse(MT_NO_ENTRY, size, 0), 0;
    while (!atomic_compare_exchange_weak(&ARENA->n_blocks, &b, b + 1));
    step();
    mt_shared_block *block = BLOCK(b);
    block->offset = offset;
    block->class = class;
    block->size = size;
    step();
    atomic_store(&block->word, pack((mt_word){.state = OWNED, .owner = mt_owner().slot}));
    step();
    uint32_t head = atomic_load(&ARENA->classes[class].head);
    do block->next = head;
    while (!atomic_compare_exchange_weak(&ARENA->classes[class].head, &head, b));
    step();
    return b;
}

/* Commits pages by a system call that writes to each: a refusal of the system is an error and no
 * signal. */
static int take_by_writing(char *data, int64_t size) {
    for (int64_t at = 0; at < size; at += MT_PAGE)
        if (syscall(SYS_getrandom, data + at, 1, 1 /* GRND_NONBLOCK */) != 1)
            return errno == EFAULT ? ENOMEM : errno;
    return 0;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static atomic_int refused_ways; /* for tests: a bit for each of the three ways */

void mt_arena_refuse_ways(int ways) { atomic_store(&refused_ways, ways); }

static int take_pages(const mt_shared_block *block) {
    char *data = (char *)ARENA + block->offset;
    int64_t size = block->size;
    int error = EINVAL, ways = ~atomic_load(&refused_ways), file;
    if (!mt_in_reach(block)) ways = 2;
    if (ways & 1) do
            error = madvise(data, (size_t)size, MADV_POPULATE_WRITE) ? errno : 0;
        while (error == EINTR || error == EAGAIN);
    if (error == EFAULT) error = ENOMEM; /* it would have been a SIGBUS */
    if (error == 0 || error == ENOMEM) return error;
    if ((ways & 2) && (file = mt_arena_file()) >= 0) {
        do error = fallocate(file, 0, block->offset, size) ? errno : 0;
        while (error == EINTR);
        if (error == 0 || error == ENOMEM || error == ENOSPC) return error;
    }
    return ways & 4 ? take_by_writing(data, size) : error;
}

static bool commit(uint32_t b) {
    mt_shared_block *block = BLOCK(b);
    if (atomic_load(&block->committed)) return true;
    int error = take_pages(block);
    step();
    if (error == 0) atomic_store(&block->committed, true);
    else mt_arena_refuse(MT_NO_PAGES, block->size, error);
    return error == 0;
}

/* Reaps for the family; one member does it once a second. */
static void reap_now_and_then(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    int64_t last = atomic_load_explicit(&ARENA->reaped_at, memory_order_relaxed);
    if (now.tv_sec > last && mt_arena_file() >= 0 &&
        atomic_compare_exchange_strong(&ARENA->reaped_at, &last, now.tv_sec))
        mt_reap_locked();
}

uint32_t mt_arena_block_obtain(int64_t nbytes) {
    int64_t size;
    int class = class_of(nbytes, &size);
    if (class >= MT_SHARED_CLASSES) return mt_arena_refuse(MT_TOO_LARGE, nbytes, 0), 0;
    reap_now_and_then();
    for (int attempt = 0; attempt < 2; attempt++) {
        if (attempt) { /* the dead may hold what we need, and so may we */
            mt_reap_locked();
            mt_trim_to(0);
        }
        uint32_t b = find(class);
        if (!b) b = create(class, size);
        if (b && commit(b)) {
            atomic_store(&BLOCK(b)->mutable, false);
            return b;
        }
        if (b) mt_arena_block_disown(b);
    }
    return 0;
}

int64_t mt_arena_alloc(int64_t nbytes) {
    pthread_mutex_lock(&mt_my.lock);
    uint32_t b = mt_my.me ? mt_arena_block_obtain(nbytes) : 0;
    if (b) {
        add(mt_holders(b), *mt_my.me);
        step();
        mt_my.holds[b] = 1;
        mt_word w = load_word(&BLOCK(b)->word), to = w;
        to.state = LIVE;
        to.owner = 0;
        change(&BLOCK(b)->word, w, to);
    } else if (!mt_my.me) mt_arena_refuse(MT_NOT_A_MEMBER, nbytes, 0);
    pthread_mutex_unlock(&mt_my.lock);
    return b ? (int64_t)b : -MT_MEMORY_ERROR;
}
