/* Storages in the arena: moving in, copy on write, sending and receiving.
 *
 * A value that is sent to another process is the value of that moment, as with any Python object, and its bytes are not copied.  So a
 * storage moves into a block of the arena when it is first sent, and stays there; what is sent is a token of the block.  Who
 * writes to a storage whose block somebody else has too, or will have, gets a block of their own first (mt_storage_own, from the
 * executor, before the task that writes).  All views of the storage follow, because they look at the storage's memory and not at their own.
 *
 * `everyone` is the other kind, asked for by name (share_memory_): all who have it write to the same bytes.
 *
 * Moving changes a storage's address.  It happens only while no task is at work on the storage and none is queued (`busy`, the marks), and while
 * no NumPy array looks at it: an array keeps the memory it has, so a storage that is looked at is copied to be sent.  An array that
 * looks at a block holds the block by itself, so the storage may leave it.  Others see those bytes, so
 * the array is read-only, and so is the buffer under it: no flag of the array makes it writable.  A
 * consumer that knows no read-only memory (DLPack) gets an exclusive export: the storage leaves the
 * arena, and while the export lives a journey copies. */
#include <stdlib.h>

#include "executor/executor.h"

static bool quiet(const mt_storage *s) { return !s->busy && mt_reached(s->last_write) && mt_reached(s->last_read); }

/* No other process has its block, no token, no other storage of this process and no array of such a one; nor will, but by ourselves. */
static bool take_over(const mt_storage *s) { return mt_arena_own(s->block, 1 + s->looks); }

/* A thread of this process, not one of the process that it was forked from, copies it into the arena. */
static bool is_moving(const mt_storage *s) { return s->moving == atomic_load(&mt_exec.generation) + 1; }

static void leave(mt_storage *s) {                          /* the memory that it has */
    if (s->block) mt_arena_drop(s->block);
    else mt_block_free(s->device, s->data, s->nbytes);
    s->promised = false;
}

/* Before a task writes: the storage has memory, and its bytes are its own.  Called by the one task that may touch it now. */
int mt_storage_own(mt_storage *s) {
    if (!s->data) return mt_storage_take(s) ? MT_OK : MT_MEMORY_ERROR;
    if (!s->block || s->everyone || take_over(s)) return MT_OK;
    int64_t block = mt_arena_alloc(s->nbytes);              /* it has travelled and is likely to travel again */
    bool promised = block < 0 && mt_block_promise(s->device, s->nbytes, NULL);
    char *data = block > 0 ? mt_arena_data(block) : promised ? mt_block_take(s->device, s->nbytes) : NULL;
    if (!data && promised) mt_block_free(s->device, NULL, s->nbytes);
    if (!data) return MT_MEMORY_ERROR;
    memcpy(data, s->data, (size_t)s->nbytes);
    mt_arena_note(1, 0);
    leave(s);
    s->data = data;
    s->block = block > 0 ? block : 0;
    s->promised = promised;
    s->looks = 0;
    return MT_OK;
}

/* Moves a tensor's storage into the arena, if it is not there yet. */
int mt_share(mt_ref ref, int everyone) {
    mt_storage *s = mt_t(ref)->storage;
    int status = MT_OK;
    struct timespec deadline = mt_deadline_in(MT_SLICE_MS);
    pthread_mutex_lock(&mt_exec.lock);
    while (is_moving(s) && mt_wait_progress(NULL, &deadline)) continue;
    uint32_t writes = s->writes;
    if (is_moving(s) || !quiet(s)) status = MT_TIMEOUT;
    else if (s->external || (!s->block && atomic_load(&s->exports))) status = MT_VALUE_ERROR;
    bool there = s->block && (!everyone || s->everyone || take_over(s));
    if (status == MT_OK && there && everyone) {
        s->everyone = true;
        mt_arena_mark_mutable(s->block);
    }
    bool move = status == MT_OK && !there;
    if (move) s->moving = atomic_load(&mt_exec.generation) + 1;                             /* until it has moved, no other thread gives back the memory that is copied here */
    pthread_mutex_unlock(&mt_exec.lock);
    if (!move) return status;

    int64_t block = mt_arena_alloc(s->nbytes);
    if (block > 0) {
        if (everyone) mt_arena_mark_mutable(block);
        mt_point(MT_POINT_MOVE);
        memcpy(mt_arena_data(block), s->data, (size_t)s->nbytes);      /* not under the lock: it may be long */
    }
    pthread_mutex_lock(&mt_exec.lock);
    s->moving = 0;
    pthread_cond_broadcast(&mt_exec.progress);
    bool unchanged = block > 0 && quiet(s) && s->writes == writes && (s->block || !atomic_load(&s->exports));
    if (unchanged) {
        leave(s);
        s->data = mt_arena_data(block);
        s->block = block;
        s->looks = 0;
        s->everyone = everyone;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (block < 0) return (int)-block;
    if (!unchanged) mt_arena_drop(block);                   /* another thread was at it meanwhile */
    return unchanged ? MT_OK : MT_TIMEOUT;
}

int mt_is_shared(mt_ref ref) { return mt_t(ref)->storage && mt_t(ref)->storage->everyone; }
int mt_in_arena(mt_ref ref) { return mt_t(ref)->storage && mt_t(ref)->storage->block > 0; }

/* --- arrays that look at a storage's memory -------------------------------------------------------------------------------------- */

typedef struct { mt_storage *storage; int64_t block; } look;

/* Copies a storage's bytes out of the arena into memory of this process alone; all views follow.
 * Memory that is shared by name stays.  MT_TIMEOUT: a task is at work on the storage. */
static int leave_arena(mt_storage *s) {
    pthread_mutex_lock(&mt_exec.lock);
    int64_t block = s->everyone ? 0 : s->block;
    uint32_t writes = s->writes;
    const char *from = s->data;
    bool still = quiet(s);
    pthread_mutex_unlock(&mt_exec.lock);
    if (!block) return MT_OK;
    if (!still) return MT_TIMEOUT;
    if (!mt_block_promise(s->device, s->nbytes, NULL)) return MT_MEMORY_ERROR;
    char *data = mt_block_take(s->device, s->nbytes);
    if (data) memcpy(data, from, (size_t)s->nbytes);   /* no lock: the arena's memory stays mapped */
    pthread_mutex_lock(&mt_exec.lock);
    bool unchanged = data && quiet(s) && s->writes == writes && s->block == block && !s->everyone;
    if (unchanged) {
        leave(s);
        s->data = data;
        s->block = 0;
        s->promised = true;
        s->looks = 0;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (unchanged) mt_arena_note(1, 0);
    else mt_block_free(s->device, data, s->nbytes);
    return unchanged ? MT_OK : data ? MT_TIMEOUT : MT_MEMORY_ERROR;
}

int mt_export(mt_ref tensor, int exclusive, mt_memory *out) {
    mt_storage *s = mt_t(tensor)->storage;
    look *l = malloc(sizeof *l);
    if (!l) return MT_MEMORY_ERROR;
    pthread_mutex_lock(&mt_exec.lock);
    while (exclusive && s->block && !s->everyone) {    /* the export is counted under the same lock */
        pthread_mutex_unlock(&mt_exec.lock);
        int status = leave_arena(s);
        if (status != MT_OK) {
            free(l);
            return status;
        }
        pthread_mutex_lock(&mt_exec.lock);
    }
    *l = (look){s, s->block};
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    atomic_fetch_add(&s->exports, 1);
    if (s->block) {
        s->looks++;
        mt_arena_hold(s->block);
    }
    *out = (mt_memory){l, s->data, s->nbytes, s->block && !s->everyone};
    pthread_mutex_unlock(&mt_exec.lock);
    return MT_OK;
}

void mt_unexport(void *handle) {
    look *l = handle;
    pthread_mutex_lock(&mt_exec.lock);
    atomic_fetch_sub(&l->storage->exports, 1);
    if (l->block && l->block == l->storage->block) l->storage->looks--;
    pthread_mutex_unlock(&mt_exec.lock);
    if (l->block) mt_arena_drop(l->block);
    mt_storage_release(l->storage);
    free(l);
}

/* For a glance: the memory stays where it is until mt_unpin. */
void mt_pin(mt_ref tensor) {
    pthread_mutex_lock(&mt_exec.lock);
    if (mt_t(tensor)->storage) mt_t(tensor)->storage->busy++;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_unpin(mt_ref tensor) {
    pthread_mutex_lock(&mt_exec.lock);
    if (mt_t(tensor)->storage) mt_t(tensor)->storage->busy--;
    pthread_mutex_unlock(&mt_exec.lock);
}
