/* Making an arena, and entering another process's.  The essay is in arena.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "arena/arena.h"

static void leave(void) { /* nothing of ours is in it yet */
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
    mt_arena *arena =
        mmap(NULL, (size_t)reach, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (arena == MAP_FAILED) return -errno;
    madvise(arena, (size_t)reach, MADV_DONTDUMP);
    uint32_t *counts = calloc(MT_BLOCKS + MT_CHANNELS, sizeof *counts + sizeof(bool) + 1);
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
    mt_my.exclusive = (uint8_t *)(mt_my.copied + MT_BLOCKS);
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
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, capacity) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        error = -errno;
    pthread_mutex_lock(&mt_my.lock);
    bool late = mt_my.arena; /* another thread was faster */
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

/* Maps all of the file or, if that fails, its tables only, with which a guest receives. */
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
    if (!error && lock_fd < 0) error = slot; /* the parent found no slot: the reason */
    if (!error && !(place.anchor = mt_slot_hold(lock_fd))) error = -ENOMEM;
    if (!error) mt_slot_settle(place);
    else if (part >= 0) be_guest(error);
    pthread_mutex_unlock(&mt_my.lock);
    if (lock_fd >= 0) close(lock_fd);
    if (part < 0) close(fd);
    else fcntl(fd, F_SETFD, FD_CLOEXEC);
    return error;
}
