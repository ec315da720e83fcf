/* Tensors: views of storages. */
#ifndef MT_TENSOR_H
#define MT_TENSOR_H
#include "kernels/kernels.h"
#include "tensor/storage.h"

enum {
    MT_ON_STACK = 2
}; /* mt_tensor.weak: a number that is gone when the call returns; it has no count */

static inline mt_tensor *mt_t(mt_ref ref) { return (mt_tensor *)(intptr_t)ref; }
static inline mt_ref mt_ref_of(mt_tensor *t) { return (mt_ref)(intptr_t)t; }

static inline char *mt_tensor_data(const mt_tensor *t) {
    return t->storage ? t->storage->data + t->offset : (char *)&t->value;
}

/* Returns a tensor with one count, which takes over the caller's count of storage; strides NULL: in C order; NULL: no memory. */
mt_tensor *mt_tensor_new(mt_storage *storage, int device, int dtype, int ndim, const int64_t *shape,
                         const int64_t *strides, int64_t offset);
void mt_tensor_retain(mt_tensor *tensor);
void mt_tensor_release(mt_tensor *tensor);

/* Gives the tensor back if that neither takes long nor calls Python; false: it was not done. */
bool mt_release_promptly(mt_tensor *tensor);

/* Returns a number of one count, out of one that may lie on a stack; NULL: no memory. */
mt_tensor *mt_tensor_weak_copy(const mt_tensor *number);

/* Finds the first and the last byte that the tensor touches in its storage. */
void mt_tensor_extent(const mt_tensor *tensor, int64_t *low, int64_t *high);

/* A number is assigned to the tensor: see mt_assigns. */
void mt_forget_swap(const mt_tensor *target);

/* Returns how many elements a shape has; -1: more than an int64 of bytes can count. */
int64_t mt_size(int ndim, const int64_t *shape);

/* Writes a shape as Python prints it. */
void mt_shape_text(char *text, size_t n, int ndim, const int64_t *shape);

static inline bool mt_same_view(const mt_tensor *a, const mt_tensor *b) {
    return a == b ||
           (a->storage == b->storage && a->offset == b->offset && a->dtype == b->dtype &&
            a->ndim == b->ndim &&
            (!a->ndim || memcmp(a->shape, b->shape, 2 * (size_t)a->ndim * sizeof *a->shape) ==
                             0)); /* the strides come after the shape */
}
static inline bool mt_contiguous(const mt_tensor *t) {
    int64_t step = MT_ITEMSIZE[t->dtype];
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && t->strides[d] != step) return t->size == 0;
        step *= t->shape[d];
    }
    return true;
}
static inline bool
mt_same_shape(const mt_tensor *a,
              const mt_tensor *b) { /* a number on the stack has no lengths, not even none */
    return a->ndim == b->ndim &&
           (!a->ndim || memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0);
}

/* A tensor as it looks when broadcast to `ndim` dimensions of this shape. */
static inline mt_operand mt_broadcast(const mt_tensor *t, int ndim, const int64_t *shape) {
    mt_operand result = {.data = mt_tensor_data(t), .dtype = t->dtype};
    int shift = ndim - t->ndim;
    for (int d = 0; d < ndim; d++)
        result.strides[d] =
            d < shift || (t->shape[d - shift] == 1 && shape[d] != 1) ? 0 : t->strides[d - shift];
    return result;
}

#endif
