/* Storages in the arena: moving in, exports, sending.
 *
 * A message carries the value of the moment at which it was sent, as with any Python object, and
 * the bytes are not copied.  A storage therefore moves into a block of the arena at its first send
 * and stays there; the message carries a token of the block.  A task that writes to a storage whose
 * block another process has, or is about to get, first gives the storage a block of its own
 * (mt_storage_own, which the executor calls before the task).  All views of the storage follow,
 * because they refer to the storage and not to the memory.
 *
 * `shared_mutable` is the other kind, which a program asks for by name (share_memory_): all
 * processes that have the storage write to the same bytes.
 *
 * A move changes the address of a storage.  It happens only while no task uses the storage and none
 * is queued (`busy`, the marks), and while no NumPy array views it: an array keeps the memory that
 * it has, so a viewed storage is copied for the message.  An array that views a block holds the
 * block itself, so the storage may leave the block.  Other processes see those bytes; the array is
 * therefore read-only, and so is the buffer under it: no flag of the array makes it writable.  A
 * consumer that has no notion of read-only memory (DLPack) gets an exclusive export: the storage
 * leaves the arena, and a send copies while the export lives. */
#include "base/testpoints.h"
#include "executor/executor.h"

/* A thread of this process, not one of the process that it was forked from, copies it into the
 * arena. */
static bool is_moving(const mt_storage *s) {
    return s->moving == atomic_load(&mt_exec.generation) + 1;
}

/* Moves a tensor's storage into the arena, if it is not there yet. */
int mt_share(mt_ref ref, int shared_mutable) {
    mt_storage *s = mt_t(ref)->storage;
    int status = MT_OK;
    struct timespec deadline = mt_deadline_in(MT_SLICE_MS);
    pthread_mutex_lock(&mt_exec.lock);
    while (is_moving(s) && mt_wait_progress(NULL, &deadline)) continue;
    uint32_t writes = s->writes;
    if (is_moving(s) || !mt_storage_is_idle(s)) status = MT_TIMEOUT;
    else if (s->external || (!s->block && atomic_load(&s->exports))) status = MT_VALUE_ERROR;
    bool there = s->block && (!shared_mutable || s->shared_mutable || mt_storage_make_sole(s));
    if (status == MT_OK && there && shared_mutable) {
        s->shared_mutable = true;
        mt_arena_mark_mutable(s->block);
    }
    bool move = status == MT_OK && !there;
    if (move)
        s->moving =
            atomic_load(&mt_exec.generation) +
            1; /* until it has moved, no other thread gives back the memory that is copied here */
    pthread_mutex_unlock(&mt_exec.lock);
    if (!move) return status;

    int64_t block = mt_arena_alloc(s->nbytes);
    if (block > 0) {
        if (shared_mutable) mt_arena_mark_mutable(block);
        mt_point(MT_POINT_MOVE);
        memcpy(mt_arena_data(block), s->data,
               (size_t)s->nbytes); /* not under the lock: it may be long */
    }
    pthread_mutex_lock(&mt_exec.lock);
    s->moving = 0;
    pthread_cond_broadcast(&mt_exec.progress);
    bool unchanged = block > 0 && mt_storage_is_idle(s) && s->writes == writes &&
                     (s->block || !atomic_load(&s->exports));
    if (unchanged) {
        mt_storage_leave(s);
        s->data = mt_arena_data(block);
        s->block = block;
        s->array_views = 0;
        s->shared_mutable = shared_mutable;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (block < 0) return (int)-block;
    if (!unchanged) mt_arena_drop(block); /* another thread was at it meanwhile */
    return unchanged ? MT_OK : MT_TIMEOUT;
}

int mt_is_shared(mt_ref ref) { return mt_t(ref)->storage && mt_t(ref)->storage->shared_mutable; }
int mt_in_arena(mt_ref ref) { return mt_t(ref)->storage && mt_t(ref)->storage->block > 0; }

/* A token of the tensor's storage, which moves into the arena if it is not there yet. */
int64_t mt_send(mt_ref ref, int64_t channel) {
    mt_storage *s = mt_t(ref)->storage;
    for (;;) {
        pthread_mutex_lock(&mt_exec.lock);
        bool there = s->block > 0;
        bool whole = !(s->writes & 1) && mt_reached(s->last_write); /* no task is writing */
        int64_t token = !whole ? -MT_TIMEOUT : there ? mt_arena_send(s->block, channel) : 0;
        pthread_mutex_unlock(&mt_exec.lock);
        if (token) return token;
        int status = mt_share(ref, 0);
        if (status != MT_OK) return -status;
    }
}
