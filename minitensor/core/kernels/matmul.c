/* The product of two small matrices.
 *
 * NumPy's BLAS multiplies better than we ever could, but to have it do so takes some ten microseconds of Python, and the product of
 * two 4x4 matrices a tenth of one.  Up to SMALL multiplications a plain loop of ours does it: at that bound it takes some 6 us longer than BLAS
 * alone, and less than BLAS and the way there.
 *
 * Each element is the sum of its products in the order of the inner dimension, in the matrices' own precision: the error bound is
 * that of any BLAS, the last bits may be others. */
#include <stdio.h>

#include "types.h"

enum { SMALL = 32 * 32 * 32 };

/* By rows, so that the innermost loop goes along rows of b and out: a vector loop when b's elements lie side by side.  An array of
 * NumPy's that a tensor shares need not be aligned. */
#define MATMUL(name, T)                                                                                                       \
    static void name(int64_t m, int64_t k, int64_t n, T *restrict out, const mt_operand *a, const mt_operand *b) {             \
        for (int64_t i = 0; i < m; i++, out += n) {                                                                            \
            for (int64_t j = 0; j < n; j++) out[j] = 0;                                                                        \
            for (int64_t p = 0; p < k; p++) {                                                                                  \
                T factor, element;                                                                                             \
                memcpy(&factor, a->data + i * a->strides[0] + p * a->strides[1], sizeof factor);                               \
                const char *row = b->data + p * b->strides[0];                                                                 \
                if (b->strides[1] == sizeof(T) && (uintptr_t)row % sizeof(T) == 0)                                             \
                    for (int64_t j = 0; j < n; j++) out[j] += factor * ((const T *)row)[j];                                    \
                else                                                                                                           \
                    for (int64_t j = 0; j < n; j++)                                                                            \
                        memcpy(&element, row + j * b->strides[1], sizeof element), out[j] += factor * element;                 \
            }                                                                                                                  \
        }                                                                                                                      \
    }
MATMUL(matmul_f32, float)
MATMUL(matmul_f64, double)

void mt_run_matmul(int dtype, int64_t m, int64_t k, int64_t n, char *out, const mt_operand *a, const mt_operand *b) {
    if (dtype == MT_DT_float32) matmul_f32(m, k, n, (float *)out, a, b);
    else matmul_f64(m, k, n, (double *)out, a, b);
}

mt_ref mt_matmul(mt_ref a_ref, mt_ref b_ref) {
    mt_tensor *a = mt_t(a_ref), *b = mt_t(b_ref);
    if (a->ndim != 2 || b->ndim != 2 || a->dtype != b->dtype || (a->dtype != MT_DT_float32 && a->dtype != MT_DT_float64)) return 0;
    if (a->device != b->device || !(mt_devices[a->device].flags & MT_DEVICE_NATIVE) || a->shape[1] != b->shape[0]) return 0;
    int64_t shape[] = {a->shape[0], b->shape[1]}, inner = a->shape[1];
    if (!a->size || !b->size || a->size > SMALL || b->size > SMALL || shape[0] * inner * shape[1] > SMALL) return 0;
    if (atomic_load_explicit(&mt_devices[a->device].lost, memory_order_relaxed)) return 0;
    mt_tensor *out = mt_tensor_empty(a->device, a->dtype, 2, shape, false);
    if (!out) return mt_no_memory("matmul", a->device, shape[0] * shape[1] * MT_ITEMSIZE[a->dtype]);
    mt_task task;
    mt_task_init(&task, MT_TASK_MATMUL, -1, a->dtype);
    snprintf(task.host_op, sizeof task.host_op, "matmul");
    return mt_task_launch(&task, 2, (mt_tensor *[]){a, b}, out);
}
