/* Arrays that view a storage's memory.  move_to_arena.c describes when a storage may move. */
#include <stdlib.h>

#include "executor/executor.h"
#include "executor/submit.h"

typedef struct {
    mt_storage *storage;
    int64_t block;
} array_view;

/* Copies a storage's bytes out of the arena into memory of this process alone; all views follow.
 * Memory shared by name stays.  Returns MT_TIMEOUT if a task uses the storage.  Takes the lock. */
static int leave_arena(mt_storage *s) {
    pthread_mutex_lock(&mt_exec.lock);
    int64_t block = s->shared_mutable || s->exclusive ? 0 : s->block;
    uint32_t writes = s->writes;
    const char *from = s->data;
    bool still = mt_storage_is_idle(s);
    pthread_mutex_unlock(&mt_exec.lock);
    if (!block) return MT_OK;
    if (!still) return MT_TIMEOUT;
    if (!mt_block_reserve(s->device, s->nbytes, NULL)) return MT_MEMORY_ERROR;
    char *data = mt_block_commit(s->device, s->nbytes);
    /* Without the lock: the arena's memory stays mapped. */
    if (data) memcpy(data, from, (size_t)s->nbytes);
    pthread_mutex_lock(&mt_exec.lock);
    bool unchanged = data && mt_storage_is_idle(s) && s->writes == writes && s->block == block &&
                     !s->shared_mutable;
    if (unchanged) {
        mt_storage_leave(s);
        s->data = data;
        s->block = 0;
        s->reserved = true;
        s->array_views = 0;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (unchanged) mt_arena_note(1, 0);
    else mt_block_free(s->device, data, s->nbytes);
    return unchanged ? MT_OK : data ? MT_TIMEOUT : MT_MEMORY_ERROR;
}

/* Bytes from which a block that other processes have is mapped privately, not copied.  Read in
 * whole, 38 MiB take 3.9 ms so and 8.9 ms copied; 1 MiB takes 0.12 and 0.06. */
static const int64_t MAPPED_FROM = (int64_t)16 << 20;

/* Returns true if no other process sees a write to the storage's memory, and none will while an
 * array is exported.  The caller holds the lock, and exports an array then. */
static bool make_exclusive(mt_storage *s) {
    if (s->block && !s->shared_mutable && !s->exclusive && mt_storage_is_idle(s))
        s->exclusive =
            mt_arena_make_exclusive(s->block, 1 + s->array_views, s->nbytes >= MAPPED_FROM);
    return !s->block || s->shared_mutable || s->exclusive;
}

/* Counts an export of the storage.  The caller holds the lock. */
static void count_export(mt_storage *s, array_view *l, mt_memory *out) {
    mt_exec.looks++;
    *l = (array_view){s, s->block};
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    atomic_fetch_add(&s->exports, 1);
    if (s->block) {
        s->array_views++;
        mt_arena_hold(s->block);
    }
    *out = (mt_memory){l, s->data, s->nbytes, s->block && !s->shared_mutable && !s->exclusive};
}

bool mt_export_idle(const mt_tensor *t, mt_memory *out) {
    mt_storage *s = t->storage;
    array_view *l = malloc(sizeof *l);
    if (!l) return false;
    pthread_mutex_lock(&mt_exec.lock);
    bool idle = mt_storage_is_idle(s) && !s->error && s->data &&
                (!s->block || s->exclusive || (s->born && make_exclusive(s)));
    if (idle) count_export(s, l, out);
    pthread_mutex_unlock(&mt_exec.lock);
    if (!idle) free(l);
    return idle;
}

int mt_export(mt_ref tensor, int exclusive, mt_memory *out) {
    mt_storage *s = mt_t(tensor)->storage;
    array_view *l = malloc(sizeof *l);
    if (!l) return MT_MEMORY_ERROR;
    pthread_mutex_lock(&mt_exec.lock);
    /* The lock is held from the last test until the export is counted. */
    while ((exclusive || s->born) && !make_exclusive(s)) {
        pthread_mutex_unlock(&mt_exec.lock);
        int status = leave_arena(s);
        if (status != MT_OK) {
            free(l);
            return status;
        }
        pthread_mutex_lock(&mt_exec.lock);
    }
    count_export(s, l, out);
    pthread_mutex_unlock(&mt_exec.lock);
    return MT_OK;
}

void mt_unexport(void *handle) {
    array_view *l = handle;
    pthread_mutex_lock(&mt_exec.lock);
    mt_storage *s = l->storage;
    bool last = atomic_fetch_sub(&s->exports, 1) == 1;
    if (l->block && l->block == s->block) s->array_views--;
    if (last && s->exclusive) s->exclusive = !mt_arena_end_exclusive(s->block);
    pthread_mutex_unlock(&mt_exec.lock);
    if (l->block) mt_arena_drop(l->block);
    mt_storage_release(s);
    free(l);
}

/* Keeps the memory at its address until mt_unpin, for a short read. */
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
