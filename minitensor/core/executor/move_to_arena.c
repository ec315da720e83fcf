/* Storages in the arena: moving in, exports, sending.
 *
 * A message carries a tensor's value at the moment of sending, as with any Python object, and its
 * bytes are not copied.  So a storage moves into a block of the arena when it is first sent, and
 * stays there; the message carries a token of the block.  If another process has the block too, or
 * will have it, a writer to the storage first gets a block of its own (mt_storage_own, from the
 * executor, before the task that writes).  All views of the storage follow, because they read the
 * storage's address and keep none of their own.
 *
 * `shared_mutable` is the other kind, requested by name (share_memory_): every process that has
 * the block writes to the same bytes.
 *
 * Moving changes a storage's address.  A storage moves only while no task uses it and none that
 * will is queued (`busy`, the marks), and while no NumPy array views it.  An array keeps the
 * memory that it has, so a storage that an array views is copied to be sent.  An array that views
 * a block holds the block by itself, so the storage may leave the block.  Other processes see
 * those bytes, so the array is read-only, and so is the buffer under it: no flag of the array
 * makes it writable.  A consumer without read-only memory (DLPack) gets an exclusive export: the
 * storage leaves the arena, and while the export lives, sending copies. */
#include "base/testpoints.h"
#include "executor/executor.h"

/* Returns true if a thread of this process copies the storage into the arena.  A copy begun in the
 * process that this one was forked from does not count. */
static bool is_moving(const mt_storage *s) {
    return s->moving == atomic_load(&mt_exec.generation) + 1;
}

/* Moves a tensor's storage into the arena, unless it is there already.  Returns MT_TIMEOUT if the
 * storage is in use, and MT_VALUE_ERROR if its memory can't move. */
int mt_share(mt_ref ref, int shared_mutable) {
    mt_storage *s = mt_t(ref)->storage;
    int status = MT_OK;
    struct timespec deadline = mt_deadline_in(MT_SLICE_MS);
    pthread_mutex_lock(&mt_exec.lock);
    while (is_moving(s) && mt_wait_progress(NULL, &deadline)) continue;
    uint32_t writes = s->writes;
    if (is_moving(s) || !mt_storage_is_idle(s)) status = MT_TIMEOUT;
    else if (s->external || ((!s->block || s->exclusive) && atomic_load(&s->exports)))
        status = MT_VALUE_ERROR;
    bool there = s->block && !s->exclusive &&
                 (!shared_mutable || s->shared_mutable || mt_storage_make_sole(s));
    if (status == MT_OK && there && shared_mutable) {
        s->shared_mutable = true;
        mt_arena_mark_mutable(s->block);
    }
    bool move = status == MT_OK && !there;
    /* While `moving` is set, no other thread frees the memory that is copied here. */
    if (move) s->moving = atomic_load(&mt_exec.generation) + 1;
    pthread_mutex_unlock(&mt_exec.lock);
    if (!move) return status;

    int64_t block = mt_arena_alloc(s->nbytes);
    if (block > 0) {
        if (shared_mutable) mt_arena_mark_mutable(block);
        mt_point(MT_POINT_MOVE);
        /* Without the lock: the copy may take long. */
        memcpy(mt_arena_data(block), s->data, (size_t)s->nbytes);
    }
    pthread_mutex_lock(&mt_exec.lock);
    s->moving = 0;
    pthread_cond_broadcast(&mt_exec.progress);
    bool unchanged = block > 0 && mt_storage_is_idle(s) && s->writes == writes &&
                     ((s->block && !s->exclusive) || !atomic_load(&s->exports));
    if (unchanged) {
        mt_storage_leave(s);
        s->data = mt_arena_data(block);
        s->block = block;
        s->array_views = 0;
        s->shared_mutable = shared_mutable;
        if (!shared_mutable) mt_storage_travels(s);
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (block < 0) return (int)-block;
    /* Another thread used the storage during the copy. */
    if (!unchanged) mt_arena_drop(block);
    return unchanged ? MT_OK : MT_TIMEOUT;
}

int mt_is_shared(mt_ref ref) { return mt_t(ref)->storage && mt_t(ref)->storage->shared_mutable; }
int mt_in_arena(mt_ref ref) {
    const mt_storage *s = mt_t(ref)->storage;
    return s && s->block > 0 && !s->born;
}

/* Returns a token of the tensor's storage, which first moves into the arena unless it is there
 * already; on failure returns the negative status. */
int64_t mt_send(mt_ref ref, int64_t channel) {
    mt_storage *s = mt_t(ref)->storage;
    for (;;) {
        pthread_mutex_lock(&mt_exec.lock);
        bool there = s->block > 0 && !s->exclusive;
        /* No write is in progress. */
        bool whole = !(s->writes & 1) && mt_reached(s->last_write);
        int64_t token = !whole ? -MT_TIMEOUT : there ? mt_arena_send(s->block, channel) : 0;
        if (token > 0 && s->born) {
            s->born = false;
            mt_storage_travels(s);
        }
        pthread_mutex_unlock(&mt_exec.lock);
        if (token) return token;
        int status = mt_share(ref, 0);
        if (status != MT_OK) return -status;
    }
}
