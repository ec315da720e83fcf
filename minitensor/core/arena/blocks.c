/* The arena's memory: blocks, and which members hold them.  The essay is in arena.c.
 *
 * Pages are taken before they are touched.  MADV_POPULATE_WRITE (Linux 5.14) does it through the mapping, so it needs no descriptor, and spares the
 * copy that follows its page faults (16 MiB taken and written: 12.1 ms, after fallocate 15.5).  An older kernel has fallocate.  A sandbox that
 * refuses both has system calls that write to memory: where there is no page, they return EFAULT, and no signal comes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
    int64_t quarter = ((int64_t)1 << doubling) / 4, k = (nbytes - ((int64_t)1 << doubling) + quarter - 1) / quarter;
    *size = ((((int64_t)1 << doubling) + k * quarter) + MT_PAGE - 1) / MT_PAGE * MT_PAGE;
    return (doubling - 12) * 4 + (int)k;
}

static bool in_reach(const mt_shared_block *block) { return block->offset + block->size <= mt_my.reach; }

static void give_pages_back(const mt_shared_block *block) {
    if (in_reach(block)) madvise((char *)ARENA + block->offset, (size_t)block->size, MADV_REMOVE);
    else fallocate(mt_arena_file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, block->offset, block->size);
}

/* OWNED by us -> FREE.  Memory that is not noted as committed may be there all the same, if its owner was killed. */
void mt_block_disown(uint32_t b) {
    mt_shared_block *block = BLOCK(b);
    if (!atomic_load(&block->committed) && block->size) give_pages_back(block);
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
    to.owner = mt_owner().slot;
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
    if (full && mt_my.me && own(b)) punch(b);
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

/* --- why there is no memory -------------------------------------------------------------------------------------------------------- */

enum refusal { NOT_A_MEMBER, TOO_LARGE, NO_SPACE, NO_ENTRY, NO_PAGES, NO_TOKEN };
static _Thread_local struct { enum refusal why; int64_t nbytes; int error; } refused;       /* the thread's last one */

static int64_t refuse(enum refusal why, int64_t nbytes, int error) {
    refused.why = why;
    refused.nbytes = nbytes;
    refused.error = error;
    return -MT_MEMORY_ERROR;
}

int64_t mt_arena_no_token(void) { return refuse(NO_TOKEN, 0, 0); }

void mt_arena_explain(char *text, int room) {
    size_t n = (size_t)room;
    if (!mt_my.arena || refused.why == NOT_A_MEMBER) {
        snprintf(text, n, "this process is no member of its family's shared memory: %s", mt_my.why_guest[0] ? mt_my.why_guest : "there is none");
        return;
    }
    long long nbytes = refused.nbytes, room_left = ARENA->capacity - atomic_load(&ARENA->top), idle = atomic_load(&ARENA->free_bytes);
    switch (refused.why) {
        case TOO_LARGE: case NO_SPACE:
            snprintf(text, n, "%lld bytes have no room in the shared memory's address space: of %lld bytes (MINITENSOR_ARENA) %lld are left, and %lld "
                     "lie in freed blocks of other sizes", nbytes, (long long)ARENA->capacity, room_left > 0 ? room_left : 0, idle);
            break;
        case NO_ENTRY: snprintf(text, n, "the shared memory's table is full: %d blocks of memory are in use or kept", MT_BLOCKS - 1); break;
        case NO_TOKEN: snprintf(text, n, "%d references are on their way in messages, which is the most; receive what was sent", MT_TOKENS - 1); break;
        default:
            snprintf(text, n, "the system has no %lld bytes for the shared memory (%s); %lld freed bytes are kept in it", nbytes,
                     strerror(refused.error), idle);
    }
}

static uint32_t create(int class, int64_t size) {          /* 0: the arena is full */
    int64_t offset = atomic_load(&ARENA->top);
    do if (offset + size > ARENA->capacity) return refuse(NO_SPACE, size, 0), 0;
    while (!atomic_compare_exchange_weak(&ARENA->top, &offset, offset + size));
    step();                                                 /* if we die here, address space is lost, and no memory */
    uint32_t b = atomic_load(&ARENA->n_blocks);
    do if (b >= MT_BLOCKS) return refuse(NO_ENTRY, size, 0), 0;
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

/* Takes pages by a system call that writes to each: what the system refuses is its error and no signal. */
static int take_by_writing(char *data, int64_t size) {
    for (int64_t at = 0; at < size; at += MT_PAGE)
        if (syscall(SYS_getrandom, data + at, 1, 1 /* GRND_NONBLOCK */) != 1) return errno == EFAULT ? ENOMEM : errno;
    return 0;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static atomic_int refused_ways;                             /* for tests: a bit for each of the three ways */

void mt_arena_refuse_ways(int ways) { atomic_store(&refused_ways, ways); }

static int take_pages(const mt_shared_block *block) {
    char *data = (char *)ARENA + block->offset;
    int64_t size = block->size;
    int error = EINVAL, ways = ~atomic_load(&refused_ways), file;
    if (!in_reach(block)) ways = 2;
    if (ways & 1) do error = madvise(data, (size_t)size, MADV_POPULATE_WRITE) ? errno : 0;
        while (error == EINTR || error == EAGAIN);
    if (error == EFAULT) error = ENOMEM;                    /* it would have been a SIGBUS */
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
    else refuse(NO_PAGES, block->size, error);
    return error == 0;
}

/* Once a second one member looks after the dead for the family. */
static void reap_now_and_then(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    int64_t last = atomic_load_explicit(&ARENA->reaped_at, memory_order_relaxed);
    if (now.tv_sec > last && mt_arena_file() >= 0 && atomic_compare_exchange_strong(&ARENA->reaped_at, &last, now.tv_sec)) mt_reap_locked();
}

uint32_t mt_block_obtain(int64_t nbytes) {
    int64_t size;
    int class = class_of(nbytes, &size);
    if (class >= MT_SHARED_CLASSES) return refuse(TOO_LARGE, nbytes, 0), 0;
    reap_now_and_then();
    for (int attempt = 0; attempt < 2; attempt++) {
        if (attempt) {                                      /* the dead may hold what we need, and so may we */
            mt_reap_locked();
            mt_trim_to(0);
        }
        uint32_t b = find(class);
        if (!b) b = create(class, size);
        if (b && commit(b)) {
            atomic_store(&BLOCK(b)->mutable, false);
            return b;
        }
        if (b) mt_block_disown(b);
    }
    return 0;
}

int64_t mt_arena_alloc(int64_t nbytes) {
    pthread_mutex_lock(&mt_my.lock);
    uint32_t b = mt_my.me ? mt_block_obtain(nbytes) : 0;
    if (b) {
        add(mt_holders(b), *mt_my.me);
        step();
        mt_my.holds[b] = 1;
        mt_word w = look(&BLOCK(b)->word), to = w;
        to.state = LIVE;
        to.owner = 0;
        change(&BLOCK(b)->word, w, to);
    } else if (!mt_my.me) refuse(NOT_A_MEMBER, nbytes, 0);
    pthread_mutex_unlock(&mt_my.lock);
    return b ? (int64_t)b : -MT_MEMORY_ERROR;
}

char *mt_arena_data(int64_t b) { return mt_my.data + BLOCK(b)->offset; }
char *mt_arena_members_data(int64_t b) { return (char *)ARENA + BLOCK(b)->offset; }
void mt_arena_mark_mutable(int64_t b) { atomic_store(&BLOCK(b)->mutable, true); }
int64_t mt_arena_size(int64_t b) { return BLOCK(b)->size; }
int mt_arena_generation(int64_t b) { return (int)look(&BLOCK(b)->word).gen; }

/* With a step of the word: a process that is reading the set reads it again. */
void mt_block_hold_for(mt_member m, uint32_t b) {
    add(mt_holders(b), m);
    step();
    touch(&BLOCK(b)->word);
}

void mt_arena_hold(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    mt_my.holds[b]++;                                       /* our bit is set already */
    pthread_mutex_unlock(&mt_my.lock);
}

void mt_arena_drop(int64_t b) {
    pthread_mutex_lock(&mt_my.lock);
    if (--mt_my.holds[b] == 0 && !mt_my.me) mt_block_forget((uint32_t)b);
    else if (mt_my.holds[b] == 0) {
        discard(mt_holders((uint32_t)b), *mt_my.me);
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
    if (!mt_my.me) ours = mt_my.copied[b] && mt_my.holds[b] == (uint32_t)holds;
    while (mt_my.me && !ours && mt_my.holds[b] == (uint32_t)holds) {
        mt_word w = look(&block->word), to = w;
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
