/* Storages: counted memory on one device, private or in the arena. */
#ifndef MT_STORAGE_H
#define MT_STORAGE_H
#include <stdlib.h>

#include "memory/allocator.h"

/* A mark is a position in a stream: all tasks up to number `seq` of stream `stream`.  seq 0 is
 * reached from the start. */
typedef struct {
    int32_t stream;
    uint64_t seq;
} mt_mark;

struct mt_storage {
    _Atomic int64_t refs;
    mt_device *device;
    /* NULL: reserved, until a task commits it.  A task changes it only while no other task uses
     * the storage. */
    char *data;
    int64_t nbytes;
    int64_t block;       /* the block in the arena that holds data; 0: none.  Changes with data */
    bool shared_mutable; /* every process that has the block writes to it */
    void *owner;         /* foreign memory: the object that mt_py_release takes; NULL: none */
    bool external;
    /* The device has counted its bytes (allocator.c), committed or not. */
    bool reserved;
    /* Not yet reserved.  Only the call that creates the storage knows it, and waits for memory. */
    bool unbacked;
    atomic_int exports; /* NumPy arrays on the memory */
    /* Assignments of tensors to views of the storage, counted by mt_assigns. */
    _Atomic uint32_t assignments;
    /* Offsets of the last assignment; equal unless both sides were views. */
    _Atomic int64_t swap_to, swap_from;
    /* Guarded by the executor's lock: */
    mt_mark last_write, last_read;
    /* 0, or a generation of forks + 1: a thread copies the storage into the arena
     * (move_to_arena.c). */
    unsigned moving;
    /* busy: tasks and short reads that use the storage; array_views: NumPy arrays on its present
     * block. */
    int busy, array_views;
    /* Arrays of this process write to the block, or did before a fork: it is not sent. */
    atomic_bool exclusive;
    /* No other process has had the block: its first journey copies nothing (storage.c). */
    atomic_bool born;
    /* Increases when a task begins to write and when it ends; odd: a task is writing. */
    uint32_t writes;
    /* The error that the storage holds in place of a value. */
    mt_error *error;
};

/* Returns true if NumPy arrays or other processes (share_memory_) may read and write the memory
 * without the streams.  A task on such memory is done when its call returns, since the next step
 * of the caller (it releases a lock, or sets an event) tells others so. */
static inline bool mt_storage_visible(const mt_storage *s) {
    return s->shared_mutable || atomic_load_explicit(&s->exports, memory_order_relaxed);
}

/* A result of this size or more is committed at the call, where the error of a refusal has the
 * line of the user. */
static const int64_t MT_AT_THE_CALL = (int64_t)1 << 30;
/* A result of this size or less is committed at the call if the cache has a block: a later
 * commit would cost more than it saves. */
static const int64_t MT_AT_ONCE = 1024;

/* By the bit length of a size: how many storages are born in the arena before the next one has to
 * travel (storage.c). */
extern atomic_int mt_travel[64];
enum { MT_BORN_FROM = 1 << 16 }; /* bytes; a copy of less costs less than a block */

/* Returns true if the storage may be born in the arena. */
static inline bool mt_storage_may_travel(const mt_storage *s) {
    return s->nbytes >= MT_BORN_FROM &&
           atomic_load_explicit(&mt_travel[63 - __builtin_clzll((uint64_t)s->nbytes)],
                                memory_order_relaxed) > 0;
}

/* Returns a new storage without memory, with one count; NULL: no memory. */
static inline mt_storage *mt_storage_new(mt_device *device, int64_t nbytes) {
    /* malloc, since glibc serves calloc without the cache of the thread. */
    mt_storage *storage = malloc(sizeof *storage);
    if (storage) *storage = (mt_storage){.refs = 1, .device = device, .nbytes = nbytes};
    return storage;
}

/* Releases one count.  The last release frees the memory, the error and the storage; it may call
 * Python. */
void mt_storage_release(mt_storage *storage);

/* Commits the storage's memory as a block of the arena, where storages of its size travel.  Returns
 * false if they don't, or if there is no room. */
bool mt_storage_born(mt_storage *storage);

/* Commits the reserved memory, unless it is committed.  Returns false if the system has none. */
static inline bool mt_storage_commit(mt_storage *s) {
    return s->data || mt_storage_born(s) || (s->data = mt_block_commit(s->device, s->nbytes));
}

/* Notes that storages of this size travel: later ones are born in the arena. */
void mt_storage_travels(const mt_storage *storage);

/* Reserves memory for the storage, unless it is reserved; with `commit` also commits it.
 * Returns false if the device or the system has none now. */
static inline bool mt_storage_reserve(mt_storage *s, bool commit) {
    if (!s->reserved && !s->block) {
        bool at_once = (commit && !mt_storage_may_travel(s)) || s->nbytes <= MT_AT_ONCE;
        s->reserved = mt_block_reserve(s->device, s->nbytes, at_once ? &s->data : NULL);
    }
    return (s->reserved || s->block) &&
           (!(commit || s->nbytes >= MT_AT_THE_CALL) || mt_storage_commit(s));
}

/* Prepares the storage for a write: commits its memory, and copies a block that other processes
 * have (copy on write).  Only the one task that may use the storage now calls it.  Returns a
 * status. */
int mt_storage_own(mt_storage *storage);

/* Returns true, and makes the block private to the storage, if no other process, token, other
 * storage of this process or array of such a storage has it.  From then on only this process can
 * give the block to others. */
bool mt_storage_make_sole(const mt_storage *storage);

/* Releases the memory of the storage.  The caller then gives the storage new memory. */
void mt_storage_leave(mt_storage *storage);

#endif
