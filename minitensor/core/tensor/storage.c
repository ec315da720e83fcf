#include <stdlib.h>

#include "base/host.h"
#include "tensor/storage.h"

void mt_storage_release(mt_storage *storage) {
    if (atomic_fetch_sub_explicit(&storage->refs, 1, memory_order_acq_rel) != 1) return;
    if (storage->block) mt_arena_drop(storage->block);
    else if (storage->promised) mt_block_free(storage->device, storage->data, storage->nbytes);
    else mt_host_release(storage->owner);
    if (storage->error) mt_error_release(storage->error);
    free(storage);
}

bool mt_storage_take_over(const mt_storage *s) { return mt_arena_own(s->block, 1 + s->looks); }

void mt_storage_leave(mt_storage *s) {
    if (s->block) mt_arena_drop(s->block);
    else mt_block_free(s->device, s->data, s->nbytes);
    s->promised = false;
}

int mt_storage_own(mt_storage *s) {
    if (!s->data) return mt_storage_take(s) ? MT_OK : MT_MEMORY_ERROR;
    if (!s->block || s->everyone || mt_storage_take_over(s)) return MT_OK;
    int64_t block = mt_arena_alloc(s->nbytes);              /* it has travelled and is likely to travel again */
    bool promised = block < 0 && mt_block_promise(s->device, s->nbytes, NULL);
    char *data = block > 0 ? mt_arena_data(block) : promised ? mt_block_take(s->device, s->nbytes) : NULL;
    if (!data && promised) mt_block_free(s->device, NULL, s->nbytes);
    if (!data) return MT_MEMORY_ERROR;
    memcpy(data, s->data, (size_t)s->nbytes);
    mt_arena_note(1, 0);
    mt_storage_leave(s);
    s->data = data;
    s->block = block > 0 ? block : 0;
    s->promised = promised;
    s->looks = 0;
    return MT_OK;
}
