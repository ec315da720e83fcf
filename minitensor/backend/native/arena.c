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
 *   slots     a process has one, and holds a lock on the slot's byte of the file by an open file description of its own.  The
 *             kernel drops it when the process is gone, however it went.
 *   blocks    pieces of memory.  Who holds a block is a set with a bit for each slot, not a number: setting and clearing one's own bit
 *             may be done twice, so a dead process's part in everything is removed by clearing its bit everywhere.  How
 *             often one process holds a block is its private business (mt_my.holds).
 *   tokens    references in flight: in a message that nobody has unpickled yet.
 *   channels  which processes use a queue.  When none is left, the tokens in it can't arrive and are dropped.
 *
 * A block is freed by one compare-and-swap of its word, by whoever finds that it has no holder and no token.  The word counts the block's
 * tokens in flight.  A token is counted before it flies and uncounted after it has landed, so the count may be too high when a
 * process was killed in between, never too low; the reaper sets it right as soon as at most he himself holds the block.  Every change
 * steps the word's `seq`.  A decision that needs more than the word (the holders, the tokens) is made in this order: the word, the rest, a swap of
 * the word that was read.  The swap fails when anything has changed meanwhile; a look at both without it has seen no moment at all.
 *
 *   allocate  FREE -> OWNED by me; memory, my bit; -> LIVE
 *   send      a token: FREE -> OWNED by me; count up; token -> LIVE
 *   claim     my bit; token LIVE -> FREE: this is the moment at which the reference changes hands; count down
 *   write     if there is no token and no bit but mine: a new generation, and the bytes are mine to change; else into a copy
 *   drop      my bit off; if nobody is left, LIVE -> FREE
 *
 * A token that was claimed already (the same bytes unpickled twice) gives another reference if the block still lives in the same
 * generation: my bit, then a step of `seq` that fails if somebody has just freed it.
 *
 * The dead (arena_reap.c).  Whoever can lock a slot's byte and finds no such process (its start time tells a pid that is used again; a
 * process that has closed all its descriptors is alive) has the right to reap: clear its bits, give up what it OWNED, free the slot.  All of
 * these can be done again by the next if the reaper dies.
 *
 * Fork.  Before, the parent opens the file anew and takes a slot's lock by that description for the child, and sets the child's
 * bit wherever it has one itself, with a step of `seq` after each: for whoever is just reading a set, the next process has the block before this one
 * can let go.  The child keeps that descriptor, the parent closes it: the lock is held without a gap, and a child that is
 * killed before its first instruction, or a fork that failed, is a dead slot like any other.
 *
 * Memory.  Classes of size, four to a doubling, from a page on; blocks are used again and never joined or moved, since address space
 * costs nothing.  Pages are taken with fallocate before they are touched, so that full memory is an error and no SIGBUS.
 * Free memory beyond a cap goes back by punching holes.
 *
 * Who ends normally need not say goodbye: all ends are the same one, and it is the one that is tested. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "arena.h"

mt_here mt_my = {.fd = -1, .slot = -1, .reserved_fd = -1};
_Atomic int64_t mt_steps_left;
atomic_int mt_signal;

__attribute__((constructor)) static void init(void) { mt_mutex_init(&mt_my.lock); }

void mt_arena_signal_after(int64_t steps, int signal) {
    atomic_store(&mt_signal, signal);
    atomic_store(&mt_steps_left, steps);
}

/* The word as it is, one step on: a swap of somebody who has looked before fails. */
static void touch(_Atomic uint64_t *word) {
    for (mt_word w = look(word); !change(word, w, w);) w = look(word);
}

static int lock_byte(int fd, int slot, int type) {
    struct flock byte = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &byte);
}

static uint64_t start_of(int pid, char *state) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    char *field = strrchr(text, ')');                       /* the command's name may hold anything */
    unsigned long long start = 0;
    if (!field || sscanf(field + 2, "%c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", state, &start) != 2)
        return 0;
    return start;
}

/* A process may close all its descriptors, and then another file may have our number. */
int mt_arena_file(void) {
    struct stat status;
    return mt_my.arena && fstat(mt_my.fd, &status) == 0 && status.st_ino == mt_my.inode ? mt_my.fd : -1;
}

/* With the slot's byte locked by us, or when it can't be: is its process there? */
bool mt_slot_alive(int s) {
    mt_slot *slot = &mt_my.arena->slots[s];
    int pid = atomic_load(&slot->pid);
    char state = 0;
    if (mt_arena_file() < 0 || lock_byte(mt_my.fd, s, F_WRLCK) != 0) return true;
    bool alive = pid && kill(pid, 0) == 0 && start_of(pid, &state) == atomic_load(&slot->start) && state != 'Z' && state != 'X';
    if (alive) lock_byte(mt_my.fd, s, F_UNLCK);
    return alive;                                           /* false: its byte is locked by us */
}

void mt_slot_give_back(int s) {
    atomic_store(&mt_my.arena->slots[s].pid, 0);
    atomic_store(&mt_my.arena->slots[s].state, FREE);
    step();
    lock_byte(mt_my.fd, s, F_UNLCK);
}

/* Takes a free slot for whoever keeps the open file description of `fd`; -1: there is none. */
static int take_slot(mt_arena *arena, int fd) {
    for (int s = 0; s < MT_SLOTS; s++) {
        if (atomic_load(&arena->slots[s].state) > FREE || lock_byte(fd, s, F_WRLCK) != 0) continue;
        if (atomic_load(&arena->slots[s].state) <= FREE) {
            atomic_store(&arena->slots[s].pid, 0);
            atomic_store(&arena->slots[s].state, OWNED);
            uint32_t seen = atomic_load(&arena->n_slots);
            while (seen < (uint32_t)s + 1 && !atomic_compare_exchange_weak(&arena->n_slots, &seen, (uint32_t)s + 1)) continue;
            return s;
        }
        lock_byte(fd, s, F_UNLCK);
    }
    return -1;
}

static void settle(int s) {
    char state;
    mt_my.slot = s;
    atomic_store(&mt_my.arena->slots[s].start, start_of(getpid(), &state));
    atomic_store(&mt_my.arena->slots[s].pid, getpid());
    atomic_store(&mt_my.arena->slots[s].state, LIVE);
}

/* Maps the file of `fd`, which it takes over, and takes a slot.  With a capacity: the file is new. */
static int enter(int fd, int64_t capacity, int64_t cap) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -errno;
    int64_t length = capacity ? capacity : status.st_size;
    if (length < (int64_t)sizeof(mt_arena)) return -EINVAL;
    mt_arena *arena = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (arena == MAP_FAILED) return -errno;
    madvise(arena, (size_t)length, MADV_DONTDUMP);
    uint32_t *counts = calloc(MT_BLOCKS + MT_CHANNELS, sizeof *counts);
    if (capacity) {
        arena->capacity = capacity;
        arena->cap = cap;
        atomic_store(&arena->n_blocks, 1);
        atomic_store(&arena->n_channels, 1);
        atomic_store(&arena->top, ((int64_t)sizeof *arena + MT_PAGE - 1) / MT_PAGE * MT_PAGE);
    }
    int slot = counts ? take_slot(arena, fd) : -1;
    if (slot < 0) {
        free(counts);
        munmap(arena, (size_t)length);
        return counts ? -EUSERS : -ENOMEM;
    }
    mt_my.arena = arena;
    mt_my.fd = fd;
    mt_my.inode = status.st_ino;
    mt_my.holds = counts;
    mt_my.uses = counts + MT_BLOCKS;
    mt_my.next_token = (uint32_t)slot * 97 % MT_TOKENS;
    settle(slot);
    return 0;
}

int mt_arena_create(int64_t capacity, int64_t cap) {
    int fd = (int)syscall(SYS_memfd_create, "minitensor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    int status = 0;
    capacity = (capacity + (int64_t)sizeof(mt_arena)) / MT_PAGE * MT_PAGE;
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, capacity) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        status = -errno;
    pthread_mutex_lock(&mt_my.lock);
    if (!status && !mt_my.arena) status = enter(fd, capacity, cap);
    else if (!status) close(fd);                            /* another thread was faster */
    pthread_mutex_unlock(&mt_my.lock);
    if (status) close(fd);
    return status;
}

int mt_arena_attach(const char *path, uint64_t inode) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);                /* a description of our own */
    if (fd < 0) return -errno;
    int result = fstat(fd, &status) != 0 ? -errno : (uint64_t)status.st_ino != inode ? -ESTALE : 0;
    pthread_mutex_lock(&mt_my.lock);
    if (!result) result = mt_my.arena ? -EEXIST : enter(fd, 0, 0);
    pthread_mutex_unlock(&mt_my.lock);
    if (result) close(fd);
    return result;
}

uint64_t mt_arena_inode(void) { return mt_my.arena ? (uint64_t)mt_my.inode : 0; }

int mt_arena_member(void) { return mt_my.arena && mt_my.slot >= 0; }

/* --- fork: process.c calls these inside of fork() itself, so that nothing of ours runs in between ---------------------------------- */

void mt_arena_before_fork(void) {
    pthread_mutex_lock(&mt_my.lock);
    mt_my.reserved_fd = mt_my.reserved_slot = -1;
    int fd = mt_arena_member() ? mt_arena_file() : -1;
    if (fd < 0) return;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mt_my.reserved_fd = open(path, O_RDWR | O_CLOEXEC);     /* another description of the same file */
    if (mt_my.reserved_fd < 0) return;
    int s = take_slot(mt_my.arena, mt_my.reserved_fd);
    if (s < 0 && mt_reap_locked() > 0) s = take_slot(mt_my.arena, mt_my.reserved_fd);
    mt_my.reserved_slot = s;
    if (s < 0) return;
    uint32_t blocks = atomic_load(&mt_my.arena->n_blocks), channels = atomic_load(&mt_my.arena->n_channels);
    for (uint32_t i = 1; i < blocks; i++) {
        if (!mt_my.holds[i]) continue;
        add(&mt_my.arena->blocks[i].holders, s);
        step();
        touch(&mt_my.arena->blocks[i].word);
    }
    for (uint32_t i = 1; i < channels; i++) {
        if (!mt_my.uses[i]) continue;
        add(&mt_my.arena->channels[i].users, s);
        step();
        touch(&mt_my.arena->channels[i].word);
    }
    step();
}

void mt_arena_in_parent(void) {
    if (mt_my.reserved_fd >= 0) close(mt_my.reserved_fd);   /* now the child alone holds its slot's lock, if there is a child */
    pthread_mutex_unlock(&mt_my.lock);
}

void mt_arena_in_child(void) {
    mt_mutex_init(&mt_my.lock);
    if (!mt_my.arena) return;
    if (mt_arena_file() >= 0) close(mt_my.fd);              /* the parent's description, and with it our part in its lock */
    mt_my.fd = mt_my.reserved_fd;
    mt_my.slot = -1;
    if (mt_my.reserved_slot >= 0) settle(mt_my.reserved_slot);
}
