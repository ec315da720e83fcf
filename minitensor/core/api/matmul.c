/* Products that the core computes: kernels/arrays/matmul.h. */
#include "api/matmul.h"
#include "api/arrays.h"
#include "executor/pending.h"
#include "generated/array_codes.h"

/* Multiplications of one product of matrices, up to which the kernel takes less time than a call
 * of BLAS. */
enum { SMALL = 128 * 128 * 128 };

/* Finds the shape of the product; -1: the shapes do not fit, or NumPy multiplies better. */
static int product_shape(const mt_tensor *a, const mt_tensor *b, int64_t *shape) {
    if (!a->ndim || !b->ndim) return -1;
    bool row = a->ndim == 1, column = b->ndim == 1;
    int of_a = row ? 0 : a->ndim - 2, of_b = column ? 0 : b->ndim - 2,
        n = of_a > of_b ? of_a : of_b;
    int64_t inner = a->shape[a->ndim - 1], m = row ? 1 : a->shape[of_a],
            columns = column ? 1 : b->shape[of_b + 1];
    if (b->shape[of_b] != inner) return -1;
    if (m != 1 && columns != 1 && (double)m * (double)inner * (double)columns > SMALL) return -1;
    for (int d = 0; d < n; d++) {
        int64_t x = d + of_a < n ? 1 : a->shape[d + of_a - n],
                y = d + of_b < n ? 1 : b->shape[d + of_b - n];
        if (x != y && x != 1 && y != 1) return -1;
        shape[d] = x == 1 ? y : x;
    }
    if (!row) shape[n++] = m;
    if (!column) shape[n++] = columns;
    return n;
}

mt_ref mt_matmul(mt_tensor *a, mt_tensor *b) {
    int64_t shape[MT_MAX_NDIM + 1];
    if (a->dtype != b->dtype || a->device != b->device ||
        !mt_array_kernel_has(MT_ARRAY_matmul, a->device, a->dtype))
        return 0;
    int ndim = product_shape(a, b, shape);
    if (ndim < 0) return 0;
    mt_array_call call = {MT_ARRAY_matmul, "matmul", 2, 0, (mt_tensor *[]){a, b}, NULL};
    return mt_array_op(&call, a->device, a->dtype, ndim, shape);
}
