/* The interface of the kernels: pure functions of their arguments.  They use no tensor, task,
 * lock or stream. */
#ifndef MT_KERNELS_H
#define MT_KERNELS_H
#include "types.h"

/* A tensor as kernels receive it; strides in bytes. */
typedef struct {
    char *data;
    int dtype;
    int64_t strides[MT_MAX_NDIM];
} mt_operand;

/* A number of a call of an array kernel (loops.h). */
typedef union {
    int64_t i;
    double f;
} mt_param;

/* Elements that a pass computes at once, in the nearest cache. */
enum { MT_TILE = 512 };

/* Computes an elementwise op on n contiguous elements of one dtype.  Returns 0; 1: an element
 * met FAIL. */
typedef int (*mt_kernel)(void *out, const void *a, const void *b, const void *c, int64_t n);

/* Returns the kernel of an op in a dtype (generated); NULL: there is none, and NumPy computes
 * the op. */
mt_kernel mt_kernel_find(int op, int dtype);

/* Returns the dtype of the elements that the kernel of an op takes and returns when it computes in
 * `dtype`: the same; float32 for a half type; negative: there is no kernel. */
static inline int mt_kernel_dtype(int op, int dtype) {
    if (MT_OP_RULE[op] == MT_RULE_where && MT_ITEMSIZE[dtype] == 2) return MT_DT_uint16; /* moves */
    return MT_COMPUTE[dtype];
}

/* Returns the dtype of the elements that the fold of an op takes when it computes in `dtype`: the
 * same, or float32 for a half type (but sums take halves); negative: there is no fold.  A fold
 * that takes float32 for a half type returns float32, which the caller rounds. */
int mt_fold_dtype(int op, int dtype);

/* Casts n elements between memory with any strides, in bytes. */
typedef void (*mt_cast_fn)(char *dst, int64_t dst_stride, const char *src, int64_t src_stride,
                           int64_t n);

/* Returns the cast between two dtypes; NULL: there is none. */
mt_cast_fn mt_cast_find(int from, int to);
bool mt_cast_supported(int from, int to);

/* Casts `in` to `out`, of the same shape.  Works for every dtype when both are the same, for
 * kernel dtypes when they differ.  Returns 0; 1: there is no such cast. */
int mt_run_copy(int ndim, const int64_t *shape, const mt_operand *out, const mt_operand *in);

/* Sorts dimensions by the size of a stride, the largest first.  Equal ones keep their order. */
void mt_sort_dims(int n, int *order, const int64_t *strides);

#endif
