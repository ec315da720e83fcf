/* New tensors: empty, of other memory, of numbers, and views. */
#include <stdlib.h>

#include "api/create.h"
#include "executor/pending.h"
#include "executor/submit.h"

static bool find_memory(mt_storage *s, bool commit) {
    if (mt_storage_reserve(s, commit)) return true;
    s->unbacked = mt_work_under_way();                   /* it may be about to free some */
    return s->unbacked || mt_storage_reserve(s, commit); /* the last of it may just have ended */
}

mt_tensor *mt_tensor_empty(int device, int dtype, int ndim, const int64_t *shape, bool commit) {
    mt_storage *storage =
        mt_storage_new(&mt_devices[device], mt_size(ndim, shape) * MT_ITEMSIZE[dtype]);
    if (!storage) return NULL;
    mt_tensor *t = find_memory(storage, commit)
                       ? mt_tensor_new(storage, device, dtype, ndim, shape, NULL, 0)
                       : NULL;
    if (!t) mt_storage_release(storage);
    return t;
}

static mt_ref too_many(const char *op, int ndim) {
    return mt_fail(op, MT_VALUE_ERROR, "%d dimensions, a tensor has at most %d", ndim, MT_MAX_NDIM);
}

mt_ref mt_empty(int device, int dtype, int ndim, const int64_t *shape) {
    if (ndim > MT_MAX_NDIM) return too_many("empty", ndim);
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0)
            return mt_fail("empty", MT_VALUE_ERROR, "a dimension can't be negative, got %lld",
                           (long long)shape[i]);
    if (atomic_load(&mt_devices[device].lost))
        return mt_fail("empty", MT_DEVICE_LOST, "%s", mt_devices[device].why_lost);
    int64_t size = mt_size(ndim, shape);
    if (size < 0) return mt_no_memory("empty", device, INT64_MAX);
    mt_tensor *t = mt_tensor_empty(device, dtype, ndim, shape, true);
    if (!t) return mt_no_memory("empty", device, size * MT_ITEMSIZE[dtype]);
    return t->storage->unbacked ? mt_call_for_memory("empty", t) : mt_ref_of(t);
}

mt_ref mt_zero_pages(int device, int dtype, int ndim, const int64_t *shape) {
    int64_t size = ndim > MT_MAX_NDIM ? -1 : mt_size(ndim, shape);
    if (size < 0 || !mt_block_large(size * MT_ITEMSIZE[dtype])) return 0;
    mt_tensor *t = mt_tensor_empty(device, dtype, ndim, shape, true);
    if (!t || t->storage->unbacked) {
        if (t) mt_tensor_release(t);
        return 0;
    }
    if (t->storage->block) memset(t->storage->data, 0, (size_t)t->storage->nbytes);
    else mt_block_zero(t->storage->data, t->storage->nbytes);
    return mt_ref_of(t);
}

mt_ref mt_external(int device, int dtype, int ndim, const int64_t *shape, const int64_t *strides,
                   void *base, int64_t nbytes, int64_t offset, void *owner) {
    mt_storage *storage = ndim > MT_MAX_NDIM ? NULL : mt_storage_new(&mt_devices[device], nbytes);
    if (!storage) {
        mt_py_release(owner);
        return ndim > MT_MAX_NDIM ? too_many("from_numpy", ndim)
                                  : mt_no_memory("from_numpy", device, (int64_t)sizeof *storage);
    }
    storage->external = true;
    storage->data = base;
    atomic_init(&storage->exports, 1); /* its owner can look at it for as long as it lives */
    mt_tensor *t = mt_tensor_new(storage, device, dtype, ndim, shape, strides, offset);
    if (!t) {
        free(storage);
        mt_py_release(owner);
        return mt_no_memory("from_numpy", device, (int64_t)sizeof *t);
    }
    storage->owner = owner;
    return mt_ref_of(t);
}

mt_ref mt_view(mt_ref base, int dtype, int ndim, const int64_t *shape, const int64_t *strides,
               int64_t offset) {
    if (ndim > MT_MAX_NDIM) return too_many("view", ndim);
    mt_storage *storage = mt_t(base)->storage;
    mt_tensor *t = mt_tensor_new(storage, mt_t(base)->device, dtype, ndim, shape, strides, offset);
    if (!t) return mt_no_memory("view", mt_t(base)->device, (int64_t)sizeof *t);
    atomic_fetch_add_explicit(&storage->refs, 1, memory_order_relaxed);
    t->born = atomic_load_explicit(&storage->assignments, memory_order_relaxed);
    return mt_ref_of(t);
}

static mt_tensor *weak(int dtype) {
    mt_tensor *t = mt_tensor_new(NULL, -1, dtype, 0, NULL, NULL, 0);
    if (t) t->weak = 1;
    return t;
}

mt_ref mt_weak_int(int64_t value, int is_bool) {
    mt_tensor *t = weak(is_bool ? MT_DT_bool : MT_DT_int64);
    if (!t) return mt_no_memory("scalar", 0, (int64_t)sizeof *t);
    if (is_bool) t->value.b = value != 0;
    else t->value.i = value;
    return mt_ref_of(t);
}

mt_ref mt_weak_float(double value) {
    mt_tensor *t = weak(MT_DT_float64);
    if (!t) return mt_no_memory("scalar", 0, (int64_t)sizeof *t);
    t->value.f = value;
    return mt_ref_of(t);
}

mt_ref mt_weak_complex(double real, double imag) {
    mt_tensor *t = weak(MT_DT_complex128);
    if (!t) return mt_no_memory("scalar", 0, (int64_t)sizeof *t);
    t->value.c[0] = real;
    t->value.c[1] = imag;
    return mt_ref_of(t);
}
