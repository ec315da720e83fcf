/* Storages: counted memory on one device, private or in the arena. */
#ifndef MT_STORAGE_H
#define MT_STORAGE_H
#include <stdlib.h>

#include "memory/allocator.h"

/* A mark is a place in a stream: everything up to number `seq` of stream `stream`.  seq 0 is reached from the start. */
typedef struct {
    int32_t stream;
    uint64_t seq;
} mt_mark;

struct mt_storage {
    _Atomic int64_t refs;
    mt_device *device;
    char *
        data; /* NULL: reserved, until a task writes it.  Changed while no other task is at work on it */
    int64_t nbytes;
    int64_t block;       /* the arena's, in which data lies; 0: none.  Changed with data */
    bool shared_mutable; /* all processes that have the block write to it */
    void *owner;         /* somebody else's memory: what to hand to mt_py_release */
    bool external;
    bool reserved; /* the device has counted its memory (allocator.c), committed or not */
    bool unbacked; /* no memory yet: known only to the call that makes it, which waits for some */
    atomic_int exports;           /* NumPy arrays that look at it now */
    _Atomic uint32_t assignments; /* of tensors to views of it: mt_assigns counts them, and keeps */
    _Atomic int64_t swap_to, swap_from; /* the last one's offsets; equal unless both were views */
    /* Guarded by the executor's lock: */
    mt_mark last_write, last_read;
    unsigned
        moving; /* 0, or a generation of forks + 1: a thread copies it into the arena (move_to_arena.c) */
    int busy,
        array_views; /* tasks and glances at work on it; arrays that look at its present block */
    uint32_t writes; /* steps when a task begins to write and when it ends: odd, one is at it */
    mt_error *error; /* why there is no value */
};

/* Memory that NumPy arrays or other processes (share_memory_) may read and write, unknown to the
 * streams: a task that touches it is done when its call returns, since what its caller does next
 * (gives a lock back, sets an event) tells others so. */
static inline bool mt_storage_visible(const mt_storage *s) {
    return s->shared_mutable || atomic_load_explicit(&s->exports, memory_order_relaxed);
}

/* A result this large is taken at the call, where the system's refusal rises best. */
static const int64_t MT_AT_THE_CALL = (int64_t)1 << 30;
/* One this small is, too, where a block is at hand: taking it later would cost more than it spares. */
static const int64_t MT_AT_ONCE = 1024;

/* Returns a storage without memory, with one count; NULL: no memory. */
static inline mt_storage *mt_storage_new(mt_device *device, int64_t nbytes) {
    mt_storage *storage =
        malloc(sizeof *storage); /* not calloc, which glibc serves from no cache of the thread's */
    if (storage) *storage = (mt_storage){.refs = 1, .device = device, .nbytes = nbytes};
    return storage;
}

void mt_storage_release(mt_storage *storage);

/* Commits the memory that is reserved; false: the system has none. */
static inline bool mt_storage_commit(mt_storage *s) {
    return s->data || (s->data = mt_block_commit(s->device, s->nbytes));
}

/* Reserves memory for the storage, and with `commit` commits it; false: there is none now. */
static inline bool mt_storage_reserve(mt_storage *s, bool commit) {
    if (!s->reserved)
        s->reserved = mt_block_reserve(s->device, s->nbytes,
                                       commit || s->nbytes <= MT_AT_ONCE ? &s->data : NULL);
    return s->reserved && (!(commit || s->nbytes >= MT_AT_THE_CALL) || mt_storage_commit(s));
}

/* Before a task writes: the storage has memory, and its bytes are its own.  Called by the one task that may touch it now; a status. */
int mt_storage_own(mt_storage *storage);

/* Makes the storage's block its own; true: no other process has the block, no token, no other storage of this process and no array of
 * such a one; nor will, but by ourselves. */
bool mt_storage_make_sole(const mt_storage *storage);

/* Gives back the memory that the storage has, which must get another. */
void mt_storage_leave(mt_storage *storage);

#endif
