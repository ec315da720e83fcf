/* Tensors: creation, counts, extents.
 *
 * A storage is counted memory on one device.  A tensor is an immutable view of it: dtype,
 * offset, shape, strides.  A Tensor in Python holds one count of one tensor, and each queued
 * task holds one count of each tensor that it reads or writes.  So memory lives exactly as long
 * as a Tensor or a task can reach it, and no task can see freed memory.  The counts are atomic.
 * Nothing else here needs a lock: all other fields are written before the object is shared,
 * except for the marks of the executor (executor/order.c). */
#include <stdio.h>
#include <stdlib.h>

#include "tensor/tensor.h"

mt_tensor *mt_tensor_new(mt_storage *storage, int device, int dtype, int ndim, const int64_t *shape,
                         const int64_t *strides, int64_t offset) {
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
    /* A view of no elements may begin past the end of its storage. */
    if (!t->size) t->offset = 0;
    int64_t step = MT_ITEMSIZE[dtype];
    for (int i = ndim - 1; i >= 0; i--) {
        t->strides[i] = strides ? strides[i] : step;
        if (shape[i] > 0) step *= shape[i];
    }
    return t;
}

void mt_tensor_retain(mt_tensor *t) {
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

void mt_tensor_release(mt_tensor *t) {
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    if (t->storage) mt_storage_release(t->storage);
    free(t);
}

/* Releases one count unless it is the last. */
static bool release_shared(_Atomic int64_t *refs) {
    int64_t held = atomic_load_explicit(refs, memory_order_acquire);
    while (held > 1)
        if (atomic_compare_exchange_weak_explicit(refs, &held, held - 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return true;
    return false;
}

/* A count of 1 shows that no other thread has the object, so no other thread can add a count. */
bool mt_release_promptly(mt_tensor *t) {
    /* Bytes.  A release of memory to the system, and not to the cache, costs time for each page. */
    enum { SOON = 1 << 20 };
    mt_storage *s = t->storage;
    if (release_shared(&t->refs)) return true;
    if (s && release_shared(&s->refs)) { /* a view of memory that others hold, too */
        free(t);
        return true;
    }
    if (s && (atomic_load_explicit(&s->refs, memory_order_acquire) != 1 || s->block || s->owner ||
              s->error || s->nbytes > SOON))
        return false;
    mt_tensor_release(t);
    return true;
}

void mt_release(mt_ref tensor) { mt_tensor_release(mt_t(tensor)); }

mt_tensor *mt_tensor_weak_copy(const mt_tensor *number) {
    mt_tensor *t = mt_tensor_new(NULL, -1, number->dtype, 0, NULL, NULL, 0);
    if (!t) return NULL;
    t->weak = 1;
    t->value = number->value;
    return t;
}

char *mt_data(mt_ref tensor) { return mt_tensor_data(mt_t(tensor)); }

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

/* `t[i], t[j] = t[j], t[i]` makes two views and assigns each; the first assignment overwrites
 * the elements of the second view.  This function detects the second assignment: its source is a
 * view that is older than the last assignment, and that assignment had the same sides exchanged.
 * Then t[j] would be written to itself, which no program intends.  A race of threads over these
 * fields loses a hint and has no other effect. */
int mt_assigns(mt_ref target_ref, mt_ref source_ref) {
    const mt_tensor *target = mt_t(target_ref), *source = mt_t(source_ref);
    mt_storage *s = target->storage;
    bool inside =
        s == source->storage && target->offset != source->offset && target->size == source->size;
    uint32_t before = atomic_fetch_add_explicit(&s->assignments, 1, memory_order_relaxed);
    bool loses = inside && source->born != before &&
                 atomic_load_explicit(&s->swap_to, memory_order_relaxed) == source->offset &&
                 atomic_load_explicit(&s->swap_from, memory_order_relaxed) == target->offset;
    mt_forget_swap(target);
    if (inside) atomic_store_explicit(&s->swap_from, source->offset, memory_order_relaxed);
    return loses ? 2 : mt_overlaps(target_ref, source_ref);
}

int64_t mt_size(int ndim, const int64_t *shape) {
    int64_t size = 1;
    bool empty = false;
    for (int i = 0; i < ndim; i++) empty |= shape[i] == 0;
    if (empty) return 0;
    for (int i = 0; i < ndim; i++)
        if (__builtin_mul_overflow(size, shape[i], &size) || size > INT64_MAX / 32) return -1;
    return size;
}

void mt_shape_text(char *text, size_t n, int ndim, const int64_t *shape) {
    size_t used = (size_t)snprintf(text, n, "(");
    for (int i = 0; i < ndim && used < n; i++)
        used += (size_t)snprintf(text + used, n - used, i ? ", %lld" : "%lld", (long long)shape[i]);
    if (used < n) snprintf(text + used, n - used, ndim == 1 ? ",)" : ")");
}
