/* Tensors: views of storages. */
#ifndef MT_TENSOR_H
#define MT_TENSOR_H
#include "kernels/kernels.h"
#include "tensor/storage.h"

/* A value of mt_tensor.weak: a number on the stack of a call, without a count. */
enum { MT_ON_STACK = 2 };

static inline mt_tensor *mt_t(mt_ref ref) { return (mt_tensor *)(intptr_t)ref; }
static inline mt_ref mt_ref_of(mt_tensor *t) { return (mt_ref)(intptr_t)t; }

/* Returns the address of the first element, in the storage or in the tensor itself. */
static inline char *mt_tensor_data(const mt_tensor *t) {
    return t->storage ? t->storage->data + t->offset : (char *)&t->value;
}

/* Returns a new tensor with one count.  Takes over the count of storage that the caller owns.
 * strides NULL: in C order.  Returns NULL, and leaves the count with the caller, if there is no
 * memory. */
mt_tensor *mt_tensor_new(mt_storage *storage, int device, int dtype, int ndim, const int64_t *shape,
                         const int64_t *strides, int64_t offset);
/* Adds a count. */
void mt_tensor_retain(mt_tensor *tensor);
/* Releases one count.  The last release frees the tensor and may call Python. */
void mt_tensor_release(mt_tensor *tensor);

/* Releases one count if that is fast and calls no Python.  Returns false if it did nothing. */
bool mt_release_promptly(mt_tensor *tensor);

/* Returns a copy, with one count, of a number that may be on a stack; NULL: no memory. */
mt_tensor *mt_tensor_weak_copy(const mt_tensor *number);

/* Stores the offsets of the first and the last byte of the tensor in its storage. */
void mt_tensor_extent(const mt_tensor *tensor, int64_t *low, int64_t *high);

/* Records that a number was assigned to the tensor: see mt_assigns. */
void mt_forget_swap(const mt_tensor *target);

/* Returns how many elements a shape has; -1: their bytes exceed an int64. */
int64_t mt_size(int ndim, const int64_t *shape);

/* Writes a shape as Python prints it, in at most n bytes. */
void mt_shape_text(char *text, size_t n, int ndim, const int64_t *shape);

/* Returns true if both tensors are the same view.  The strides follow the shape in memory, so
 * one comparison covers both. */
static inline bool mt_same_view(const mt_tensor *a, const mt_tensor *b) {
    return a == b ||
           (a->storage == b->storage && a->offset == b->offset && a->dtype == b->dtype &&
            a->ndim == b->ndim &&
            (!a->ndim || memcmp(a->shape, b->shape, 2 * (size_t)a->ndim * sizeof *a->shape) == 0));
}
/* Returns true if the elements are in C order without gaps. */
static inline bool mt_contiguous(const mt_tensor *t) {
    int64_t step = MT_ITEMSIZE[t->dtype];
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && t->strides[d] != step) return t->size == 0;
        step *= t->shape[d];
    }
    return true;
}
/* Returns true if the shapes are equal.  A number on the stack has no shape array, so 0
 * dimensions compare nothing. */
static inline bool mt_same_shape(const mt_tensor *a, const mt_tensor *b) {
    return a->ndim == b->ndim &&
           (!a->ndim || memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0);
}

/* Returns the tensor as an operand, broadcast to `ndim` dimensions of this shape. */
static inline mt_operand mt_broadcast(const mt_tensor *t, int ndim, const int64_t *shape) {
    mt_operand result = {.data = mt_tensor_data(t), .dtype = t->dtype};
    int shift = ndim - t->ndim;
    for (int d = 0; d < ndim; d++)
        result.strides[d] =
            d < shift || (t->shape[d - shift] == 1 && shape[d] != 1) ? 0 : t->strides[d - shift];
    return result;
}

#endif
