/* Storages: release, birth in the arena, and copy on write.
 *
 * The first journey of a storage copies it into the arena.  For a process that makes a value, sends
 * it, and makes the next one, this copy is most of the journey's cost.  If all large storages were
 * born in the arena, processes that send nothing would pay: shared pages are small, are not taken
 * over by the allocator's cache, and a fork doesn't copy them page by page.
 *
 * So the past decides.  When a storage travels, the next storages of its size (to a factor of two)
 * are born in the arena: `TRAVEL` of them, and as many again each time that one of them travels.  A
 * process that stops sending soon makes private memory again. */
#include <stdlib.h>

#include "base/host.h"
#include "tensor/storage.h"

void mt_storage_release(mt_storage *storage) {
    if (atomic_fetch_sub_explicit(&storage->refs, 1, memory_order_acq_rel) != 1) return;
    if (storage->block) mt_arena_drop(storage->block);
    else if (storage->reserved) mt_block_free(storage->device, storage->data, storage->nbytes);
    else mt_host_release(storage->owner);
    if (storage->error) mt_error_release(storage->error);
    free(storage);
}

bool mt_storage_make_sole(const mt_storage *s) {
    return mt_arena_own(s->block, 1 + s->array_views);
}

void mt_storage_leave(mt_storage *s) {
    if (s->block) mt_arena_drop(s->block);
    else mt_block_free(s->device, s->data, s->nbytes);
    s->reserved = s->exclusive = s->born = false;
}

enum { TRAVEL = 8 };
atomic_int mt_travel[64];

static atomic_int *travel(const mt_storage *s) {
    return &mt_travel[63 - __builtin_clzll((uint64_t)s->nbytes)];
}

void mt_storage_travels(const mt_storage *s) {
    if (s->nbytes >= MT_BORN_FROM && (s->device->flags & MT_DEVICE_NUMPY))
        atomic_store_explicit(travel(s), TRAVEL, memory_order_relaxed);
}

bool mt_storage_born(mt_storage *s) {
    if (!mt_storage_may_travel(s) || !(s->device->flags & MT_DEVICE_NUMPY)) return false;
    atomic_fetch_sub_explicit(travel(s), 1, memory_order_relaxed);
    int64_t block = mt_arena_alloc(s->nbytes);
    if (block < 0) return false;
    if (s->reserved) mt_block_free(s->device, NULL, s->nbytes);
    s->reserved = false;
    s->born = true;
    s->block = block;
    s->data = mt_arena_data(block);
    return true;
}

int mt_storage_own(mt_storage *s) {
    if (!s->data) return mt_storage_commit(s) ? MT_OK : MT_MEMORY_ERROR;
    if (!s->block || s->exclusive || s->shared_mutable || mt_storage_make_sole(s)) return MT_OK;
    /* The storage has been sent and is likely to be sent again, so its copy is in the arena,
     * too. */
    int64_t block = mt_arena_alloc(s->nbytes);
    bool reserved = block < 0 && mt_block_reserve(s->device, s->nbytes, NULL);
    char *data = block > 0  ? mt_arena_data(block)
                 : reserved ? mt_block_commit(s->device, s->nbytes)
                            : NULL;
    if (!data && reserved) mt_block_free(s->device, NULL, s->nbytes);
    if (!data) return MT_MEMORY_ERROR;
    memcpy(data, s->data, (size_t)s->nbytes);
    mt_arena_note(1, 0);
    mt_storage_leave(s);
    s->data = data;
    s->block = block > 0 ? block : 0;
    s->reserved = reserved;
    s->array_views = 0;
    return MT_OK;
}
