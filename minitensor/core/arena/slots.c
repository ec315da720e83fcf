/* Slots, and which of their members are dead.
 *
 * The problem.  When a process has died, the family must release what it held, soon and never too
 * early: however it died, whatever it has forked, whatever it has done to its descriptors, and also
 * when it only became another program (exec).
 *
 * What fails.  A pid is no proof: it is used again, it outlives exec, and in another pid namespace
 * it is another one.  A lock on a descriptor ends when the program closes its descriptors, as
 * daemons do.  It continues in every process that inherits the descriptor or a mapping made by it.
 *
 * The solution.  A member holds a lock on its slot's byte by an open file description that nothing
 * else uses.  A mapping of one page, the anchor, keeps that description open; children don't
 * inherit the anchor (MADV_DONTFORK).  The descriptor itself is closed at once.  So the lock lives
 * exactly as long as the process's memory: it survives closed descriptors, and the kernel drops it
 * at exit, at SIGKILL and at exec, whatever was forked meanwhile.  Dead means: the lock can be
 * acquired.
 *
 * A process tests locks by another description (the probe), which is open only during the test.
 * Descriptions are made by opening /proc/self/fd/N; a process that can't do that can neither reap
 * nor reserve slots for its children.
 *
 * The parent reserves a slot for a process before its start.  A forked child inherits the anchor,
 * which its parent unmaps and which the child makes its own; a spawned process inherits the
 * descriptor.  In between both hold the lock, so it is never free, and a child that is killed
 * before its first instruction is a dead member like any other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arena/arena.h"

static mt_member my_place; /* what mt_my.me points to */

static int lock_byte(int fd, uint32_t slot, int type) {
    struct flock byte = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &byte);
}

/* A program may close all its descriptors, and then another file may have our number. */
int mt_arena_file(void) {
    struct stat status;
    return mt_my.arena && mt_my.fd >= 0 && fstat(mt_my.fd, &status) == 0 &&
                   status.st_ino == mt_my.inode
               ? mt_my.fd
               : -1;
}

int mt_file_again(void) {
    char path[64];
    int file = mt_arena_file();
    if (file < 0) return -EBADF;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

const char *mt_slot_refusal(int error) {
    switch (-error) {
    case EBADF: return "the program has closed the descriptor of the shared memory";
    case EACCES:
    case EPERM:
        return "the process has changed its user, and the shared memory is the former one's";
    case ENOENT:
    case ENOTDIR: return "there is no /proc of this process to open the shared memory by";
    case EMFILE:
    case ENFILE: return "no descriptor is left (ulimit -n)";
    case EUSERS: return "every place in the shared memory is taken: 16383 processes";
    case ENOMEM: return "no address space is left (ulimit -v)";
    case ENXIO: return "the process that started it is no member, either";
    case ESTALE: return "the shared memory is another program version's";
    default: return strerror(-error);
    }
}

/* Takes a free slot, whose lock fd's description keeps; the warden's slot: there is none. */
mt_member mt_slot_take(int fd) {
    mt_arena *arena = mt_my.arena;
    for (uint32_t s = 1; s < MT_SLOTS; s++) {
        if (atomic_load(&arena->slots[s].state) > FREE || lock_byte(fd, s, F_WRLCK) != 0) continue;
        if (atomic_load(&arena->slots[s].state) <= FREE) {
            uint32_t seen = atomic_load(&arena->n_slots);
            while (seen < s + 1 && !atomic_compare_exchange_weak(&arena->n_slots, &seen, s + 1))
                continue;
            atomic_store(&arena->slots[s].pid, 0);
            atomic_store(&arena->slots[s].state, OWNED);
            return (mt_member){s};
        }
        lock_byte(fd, s, F_UNLCK);
    }
    return MT_WARDEN;
}

void *mt_slot_hold(int fd) {
    void *anchor = mmap(NULL, MT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
    return anchor == MAP_FAILED ? NULL : anchor;
}

void mt_slot_settle(mt_reservation place) {
    my_place = place.member;
    mt_my.me = &my_place;
    mt_my.why_guest[0] = 0;
    mt_my.next_token = place.member.slot * 97 % MT_TOKENS;
    madvise(place.anchor, MT_PAGE, MADV_DONTFORK);
    atomic_store(&mt_my.arena->slots[place.member.slot].pid, getpid());
    atomic_store(&mt_my.arena->slots[place.member.slot].state, LIVE);
}

int mt_slot_probe(void) { return mt_file_again(); }

bool mt_slot_dead(int probe, mt_member m) { return lock_byte(probe, m.slot, F_WRLCK) == 0; }

void mt_slot_give_back(int probe, mt_member m) {
    atomic_store(&mt_my.arena->slots[m.slot].pid, 0);
    atomic_store(&mt_my.arena->slots[m.slot].state, FREE);
    step();
    lock_byte(probe, m.slot, F_UNLCK);
}
