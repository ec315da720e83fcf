/* The arena: memory that the processes of one tree share, in which a storage lives once its value has travelled.
 *
 * The problem.  A tensor that goes to another process shall not be copied, and what it lies in must be freed when nobody has it any
 * more, wherever and however those who had it ended: by return, by exit, or by SIGKILL between any two instructions.
 *
 * What fails.  A name in /dev/shm for each tensor outlives a crash, and that folder may be small.  A descriptor for each tensor runs out.
 * A counter that every holder steps up and down is wrong for ever once one of them dies in between, and a lock stays locked.
 *
 * The solution.  One anonymous file (memfd), mapped by all.  It has no name, so the kernel frees all of it with the last process.
 * In it, tables:
 *
 *   slots     a member's place, whose lock the kernel drops when the process is gone, however it went (arena_slots.c).
 *   blocks    pieces of memory.  Who holds a block is a set with a bit for each slot, not a number: setting and clearing one's own bit
 *             may be done twice, so a dead process's part in everything is removed by clearing its bit everywhere.  How
 *             often one process holds a block is its private business (mt_my.holds).
 *   tokens    references in flight: in a message that has not been unpickled yet.
 *   channels  which members use a queue.  When none is left, the tokens in it can't arrive and are dropped.
 *
 * The tables have room for 16,383 members, 65,535 blocks and 32,767 tokens.  The file is sparse, so a table takes memory as it is used.
 *
 * A block is freed by one compare-and-swap of its word, by the process that finds that it has no holder and no token.  The word counts the block's
 * tokens in flight.  A token is counted before it flies and uncounted after it has landed, so the count may be too high when a
 * process was killed in between, never too low; a reaper sets it right as soon as at most the reaper itself holds the block.  Every change
 * steps the word's `seq`.  A decision that needs more than the word (the holders, the tokens) is made in this order: the word, the rest, a swap of
 * the word that was read.  The swap fails when anything has changed meanwhile; a look at both without it has seen no moment at all.
 *
 *   allocate  FREE -> OWNED by me; memory, my bit; -> LIVE
 *   send      a token: FREE -> OWNED by me; count up; token -> LIVE
 *   claim     my bit; token LIVE -> FREE: this is the moment at which the reference changes hands; count down
 *   write     if there is no token and no bit but mine: a new generation, and the bytes are mine to change; else into a copy
 *   drop      my bit off; if no bit and no token is left, LIVE -> FREE
 *
 * A token that was claimed already (the same bytes unpickled twice) gives another reference if the block still lives in the same
 * generation: my bit, then a step of `seq` that fails if the block has just been freed.
 *
 * The dead (arena_reap.c).  A process that has locked a dead member's byte has the right to reap: clear its bits, give up what it OWNED, free the
 * slot.  All of these can be done again by the next if the reaper dies.  One member a second looks after the dead for the family.
 *
 * Fork.  Before, the parent reserves a place for the child, and sets the child's bit wherever it has one itself, with a step of `seq` after
 * each: a process that is just reading a set can't miss the child and then find the parent's bit gone.  Where there is no place
 * to be had, the child is a guest, which has copies (arena_fork.c).
 *
 * Spawn.  The parent reserves a place and hands over two descriptors, the file's and the one that keeps the place's lock; the new process
 * maps the file and enters.  One that can't is a guest.
 *
 * Memory.  Classes of size, four to a doubling, from a page on; blocks are used again and never joined or moved, since address space
 * costs nothing.  Pages are taken before they are touched (arena_blocks.c), so that full memory is an error and no SIGBUS.
 * Free memory beyond a cap goes back by punching holes.
 *
 * A process that ends normally need not say goodbye: all ends are the same one, and it is the one that is tested. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "arena/arena.h"

mt_here mt_my = {.fd = -1};
_Atomic int64_t mt_steps_left;
atomic_int mt_signal;

/* What has to be the same in two programs that share an arena. */
uint64_t mt_arena_layout(void) { return MT_FINGERPRINT; }

__attribute__((constructor)) static void init(void) { mt_mutex_init(&mt_my.lock); }

void mt_arena_signal_after(int64_t steps, int signal) {
    atomic_store(&mt_signal, signal);
    atomic_store(&mt_steps_left, steps);
}

static void leave(void) {                                   /* nothing of ours is in it yet */
    munmap(mt_my.arena, (size_t)mt_my.reach);
    free(mt_my.holds);
    mt_my.arena = NULL;
    mt_my.me = NULL;
    mt_my.fd = -1;
}

/* Maps the file of `fd`, `reach` bytes of it; 0, or -errno. */
static int map(int fd, int64_t reach) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -errno;
    if (status.st_size < (int64_t)sizeof(mt_arena) || reach > status.st_size) return -ESTALE;
    mt_arena *arena = mmap(NULL, (size_t)reach, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (arena == MAP_FAILED) return -errno;
    madvise(arena, (size_t)reach, MADV_DONTDUMP);
    uint32_t *counts = calloc(MT_BLOCKS + MT_CHANNELS, sizeof *counts + sizeof(bool));
    if (!counts) {
        munmap(arena, (size_t)reach);
        return -ENOMEM;
    }
    mt_my.arena = arena;
    mt_my.reach = reach;
    mt_my.data = (char *)arena;
    mt_my.fd = fd;
    mt_my.inode = status.st_ino;
    mt_my.holds = counts;
    mt_my.uses = counts + MT_BLOCKS;
    mt_my.copied = (bool *)(mt_my.uses + MT_CHANNELS);
    return 0;
}

/* A place in the arena that is mapped; 0, or -errno. */
static int take_place(void) {
    mt_reservation place;
    int error = mt_slot_reserve(&place);
    if (error) return error;
    close(place.fd);
    mt_slot_settle(place);
    return 0;
}

int mt_arena_create(int64_t capacity, int64_t cap) {
    int fd = (int)syscall(SYS_memfd_create, "minitensor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    int error = 0;
    capacity = (capacity + (int64_t)sizeof(mt_arena)) / MT_PAGE * MT_PAGE;
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, capacity) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        error = -errno;
    pthread_mutex_lock(&mt_my.lock);
    bool late = mt_my.arena;                                /* another thread was faster */
    if (!error && !late && !(error = map(fd, capacity))) {
        mt_arena *arena = mt_my.arena;
        arena->layout = mt_arena_layout();
        arena->capacity = capacity;
        arena->cap = cap;
        atomic_store(&arena->n_blocks, 1);
        atomic_store(&arena->n_channels, 1);
        atomic_store(&arena->n_slots, 1);
        atomic_store(&arena->slots[MT_WARDEN.slot].state, LIVE);
        atomic_store(&arena->top, ((int64_t)sizeof *arena + MT_PAGE - 1) / MT_PAGE * MT_PAGE);
        if ((error = take_place()) != 0) leave();
    }
    pthread_mutex_unlock(&mt_my.lock);
    if (error || late) close(fd);
    return error;
}

/* Maps all of the file, and if that can't be had its tables, with which a guest receives. */
static int map_existing(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -errno;
    int whole = map(fd, status.st_size), error = whole ? map(fd, (int64_t)sizeof(mt_arena)) : 0;
    if (error) return whole;
    if (mt_my.arena->layout == mt_arena_layout()) return whole == 0 ? 0 : 1;
    leave();
    return -ESTALE;
}

static void be_guest(int error) {
    snprintf(mt_my.why_guest, sizeof mt_my.why_guest, "%s", mt_slot_refusal(error));
}

int mt_arena_attach(const char *path, uint64_t inode) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return -errno;
    int error = fstat(fd, &status) != 0 ? -errno : (uint64_t)status.st_ino != inode ? -ESTALE : 0;
    pthread_mutex_lock(&mt_my.lock);
    if (!error && mt_my.arena) error = -EEXIST;
    if (!error) {
        int part = map_existing(fd);
        error = part < 0 ? part : part ? -ENOMEM : take_place();
        if (part >= 0 && error) leave();
    }
    pthread_mutex_unlock(&mt_my.lock);
    if (error) close(fd);
    return error;
}

int mt_arena_enter(int fd, int lock_fd, int slot) {
    mt_reservation place = {{(uint32_t)slot}, lock_fd, NULL};
    pthread_mutex_lock(&mt_my.lock);
    int part = mt_my.arena ? -EEXIST : map_existing(fd);
    int error = part > 0 ? -ENOMEM : part;
    if (!error && lock_fd < 0) error = slot;                /* the parent found no place: why */
    if (!error && !(place.anchor = mt_slot_hold(lock_fd))) error = -ENOMEM;
    if (!error) mt_slot_settle(place);
    else if (part >= 0) be_guest(error);
    pthread_mutex_unlock(&mt_my.lock);
    if (lock_fd >= 0) close(lock_fd);
    if (part < 0) close(fd);
    else fcntl(fd, F_SETFD, FD_CLOEXEC);
    return error;
}

uint64_t mt_arena_inode(void) { return mt_my.arena ? (uint64_t)mt_my.inode : 0; }

int mt_arena_member(void) { return mt_my.me != NULL; }

const char *mt_arena_why_guest(void) { return mt_my.why_guest; }
