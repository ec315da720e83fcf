/* Storages and tensors.
 *
 * A storage is counted memory on one device; a tensor is an immutable view of it: dtype, offset, shape, strides.  Python's
 * Tensor holds one count of one tensor, every queued task one of each tensor it reads or writes, so memory lives exactly
 * as long as somebody can still reach it, and no task can see freed memory.  Counts are atomic, nothing else here needs a lock:
 * all other fields are written before the object is shared (the executor's marks apart, see executor.c). */
#include <stdlib.h>

#include "types.h"

/* A result this large is taken at the call, where the system's refusal rises best. */
static const int64_t AT_THE_CALL = (int64_t)1 << 30;
/* One this small is, too, where a block is at hand: taking it later would cost more than it spares. */
static const int64_t AT_ONCE = 1024;

mt_storage *mt_storage_new(mt_device *device, int64_t nbytes) {
    mt_storage *storage = malloc(sizeof *storage);      /* not calloc, which glibc serves from no cache of the thread's */
    if (storage) *storage = (mt_storage){.refs = 1, .device = device, .nbytes = nbytes};
    return storage;
}

void mt_storage_release(mt_storage *storage) {
    if (atomic_fetch_sub_explicit(&storage->refs, 1, memory_order_acq_rel) != 1) return;
    if (storage->block) mt_arena_drop(storage->block);
    else if (storage->promised) mt_block_free(storage->device, storage->data, storage->nbytes);
    else if (storage->owner && !atomic_load(&mt_python_gone)) mt_py_release(storage->owner);
    if (storage->error) mt_error_release(storage->error);
    free(storage);
}

mt_tensor *mt_tensor_new(mt_storage *storage, int device, int dtype, int ndim, const int64_t *shape, const int64_t *strides,
                         int64_t offset) {
    mt_tensor *t = malloc(sizeof *t + 2 * (size_t)ndim * sizeof(int64_t));
    if (!t) return NULL;
    atomic_init(&t->refs, 1);
    t->storage = storage;
    t->offset = offset;
    t->dtype = dtype;
    t->device = device;
    t->ndim = ndim;
    t->weak = 0;
    t->born = 0;
    t->shape = t->dims;
    t->strides = t->dims + ndim;
    t->size = 1;
    for (int i = 0; i < ndim; i++) t->size *= t->shape[i] = shape[i];
    if (!t->size) t->offset = 0;                            /* a view of no elements may lie past the end of its storage */
    int64_t step = MT_ITEMSIZE[dtype];
    for (int i = ndim - 1; i >= 0; i--) {
        t->strides[i] = strides ? strides[i] : step;
        if (shape[i] > 0) step *= shape[i];
    }
    return t;
}

bool mt_storage_take(mt_storage *s) { return s->data || (s->data = mt_block_take(s->device, s->nbytes)); }

bool mt_storage_promise(mt_storage *s, bool take) {
    if (!s->promised) s->promised = mt_block_promise(s->device, s->nbytes, take || s->nbytes <= AT_ONCE ? &s->data : NULL);
    return s->promised && (!(take || s->nbytes >= AT_THE_CALL) || mt_storage_take(s));
}

static bool find_memory(mt_storage *s, bool take) {
    if (mt_storage_promise(s, take)) return true;
    s->bare = mt_work_under_way();                          /* it may be about to free some */
    return s->bare || mt_storage_promise(s, take);          /* the last of it may just have ended */
}

mt_tensor *mt_tensor_empty(int device, int dtype, int ndim, const int64_t *shape, bool take) {
    mt_storage *storage = mt_storage_new(&mt_devices[device], mt_size(ndim, shape) * MT_ITEMSIZE[dtype]);
    if (!storage) return NULL;
    mt_tensor *t = find_memory(storage, take) ? mt_tensor_new(storage, device, dtype, ndim, shape, NULL, 0) : NULL;
    if (!t) mt_storage_release(storage);
    return t;
}

void mt_tensor_retain(mt_tensor *t) { atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed); }

void mt_tensor_release(mt_tensor *t) {
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    if (t->storage) mt_storage_release(t->storage);
    free(t);
}

/* That the counts are 1 tells that nobody else can reach them, nor count on. */
bool mt_release_promptly(mt_tensor *t) {
    enum { SOON = 1 << 20 };            /* bytes: what is given to the system and not to the cache costs by the page */
    mt_storage *s = t->storage;
    if (atomic_load_explicit(&t->refs, memory_order_acquire) != 1) return false;
    if (s && (atomic_load_explicit(&s->refs, memory_order_acquire) != 1 || s->block || s->owner || s->error || s->nbytes > SOON)) return false;
    mt_tensor_release(t);
    return true;
}

void mt_release(mt_ref tensor) { mt_tensor_release(mt_t(tensor)); }

static mt_ref too_many(const char *op, int ndim) {
    return mt_fail(op, MT_VALUE_ERROR, "%d dimensions, a tensor has at most %d", ndim, MT_MAX_NDIM);
}

mt_ref mt_empty(int device, int dtype, int ndim, const int64_t *shape) {
    if (ndim > MT_MAX_NDIM) return too_many("empty", ndim);
    for (int i = 0; i < ndim; i++)
        if (shape[i] < 0)
            return mt_fail("empty", MT_VALUE_ERROR, "a dimension can't be negative, got %lld", (long long)shape[i]);
    if (atomic_load(&mt_devices[device].lost)) return mt_fail("empty", MT_DEVICE_LOST, "%s", mt_devices[device].why_lost);
    int64_t size = mt_size(ndim, shape);
    if (size < 0) return mt_no_memory("empty", device, INT64_MAX);
    mt_tensor *t = mt_tensor_empty(device, dtype, ndim, shape, true);
    if (!t) return mt_no_memory("empty", device, size * MT_ITEMSIZE[dtype]);
    return t->storage->bare ? mt_call_for_memory("empty", t) : mt_ref_of(t);
}

mt_ref mt_external(int device, int dtype, int ndim, const int64_t *shape, const int64_t *strides, void *base, int64_t nbytes,
                   int64_t offset, void *owner) {
    mt_storage *storage = ndim > MT_MAX_NDIM ? NULL : mt_storage_new(&mt_devices[device], nbytes);
    if (!storage) {
        mt_py_release(owner);
        return ndim > MT_MAX_NDIM ? too_many("from_numpy", ndim) : mt_no_memory("from_numpy", device, (int64_t)sizeof *storage);
    }
    storage->external = true;
    storage->data = base;
    atomic_init(&storage->exports, 1);                  /* its owner can look at it for as long as it lives */
    mt_tensor *t = mt_tensor_new(storage, device, dtype, ndim, shape, strides, offset);
    if (!t) {
        free(storage);
        mt_py_release(owner);
        return mt_no_memory("from_numpy", device, (int64_t)sizeof *t);
    }
    storage->owner = owner;
    return mt_ref_of(t);
}

mt_ref mt_view(mt_ref base, int dtype, int ndim, const int64_t *shape, const int64_t *strides, int64_t offset) {
    if (ndim > MT_MAX_NDIM) return too_many("view", ndim);
    mt_storage *storage = mt_t(base)->storage;
    mt_tensor *t = mt_tensor_new(storage, mt_t(base)->device, dtype, ndim, shape, strides, offset);
    if (!t) return mt_no_memory("view", mt_t(base)->device, (int64_t)sizeof *t);
    atomic_fetch_add_explicit(&storage->refs, 1, memory_order_relaxed);
    t->born = atomic_load_explicit(&storage->assignments, memory_order_relaxed);
    return mt_ref_of(t);
}

mt_tensor *mt_tensor_weak_copy(const mt_tensor *number) {
    mt_tensor *t = mt_tensor_new(NULL, -1, number->dtype, 0, NULL, NULL, 0);
    if (!t) return NULL;
    t->weak = 1;
    t->value = number->value;
    return t;
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

char *mt_data(mt_ref tensor) { return mt_tensor_data(mt_t(tensor)); }

char *mt_storage_base(mt_ref tensor, int64_t *nbytes) {
    if (nbytes) *nbytes = mt_t(tensor)->storage->nbytes;
    return mt_t(tensor)->storage->data;
}

int64_t mt_storage_id(mt_ref tensor) { return (int64_t)(intptr_t)mt_t(tensor)->storage; }

void mt_tensor_extent(const mt_tensor *t, int64_t *low, int64_t *high) {
    *low = t->offset;
    *high = t->offset + MT_ITEMSIZE[t->dtype] - 1;
    for (int d = 0; d < t->ndim; d++) {
        int64_t reach = (t->shape[d] - 1) * t->strides[d];
        if (reach < 0) *low += reach;
        else *high += reach;
    }
}

int mt_overlaps(mt_ref first, mt_ref second) {
    const mt_tensor *a = mt_t(first), *b = mt_t(second);
    if (!a->storage || a->storage != b->storage || !a->size || !b->size) return false;
    int64_t low_a, high_a, low_b, high_b;
    mt_tensor_extent(a, &low_a, &high_a);
    mt_tensor_extent(b, &low_b, &high_b);
    return low_a <= high_b && low_b <= high_a;
}

void mt_forget_swap(const mt_tensor *target) {
    atomic_store_explicit(&target->storage->swap_to, target->offset, memory_order_relaxed);
    atomic_store_explicit(&target->storage->swap_from, target->offset, memory_order_relaxed);
}

/* `t[i], t[j] = t[j], t[i]` makes two views and assigns each; the first assignment overwrites what the
 * second view shows.  This tells the second one: its source is a view that is older than the last
 * assignment, and that assignment was the same with the sides exchanged.  So t[j] would be written to
 * itself, which no program means.  A race of threads over these numbers loses a hint and nothing else. */
int mt_assigns(mt_ref target_ref, mt_ref source_ref) {
    const mt_tensor *target = mt_t(target_ref), *source = mt_t(source_ref);
    mt_storage *s = target->storage;
    bool inside = s == source->storage && target->offset != source->offset &&
                  target->size == source->size;
    uint32_t before = atomic_fetch_add_explicit(&s->assignments, 1, memory_order_relaxed);
    bool loses = inside && source->born != before &&
                 atomic_load_explicit(&s->swap_to, memory_order_relaxed) == source->offset &&
                 atomic_load_explicit(&s->swap_from, memory_order_relaxed) == target->offset;
    mt_forget_swap(target);
    if (inside) atomic_store_explicit(&s->swap_from, source->offset, memory_order_relaxed);
    return loses ? 2 : mt_overlaps(target_ref, source_ref);
}
