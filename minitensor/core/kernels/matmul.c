/* The product of two small matrices.
 *
 * The BLAS of NumPy is faster than any loop of this core, but its call takes some ten
 * microseconds of Python, and the product of two 4x4 matrices a tenth of a microsecond.  Up to
 * some 30 thousand multiplications (api/infer.c) a plain loop computes the product.  At that
 * bound the loop takes some 6 us longer than BLAS alone, and less than BLAS and its call.
 *
 * Each element is the sum of its products in the order of the inner dimension, in the precision
 * of the matrices.  The error bound is that of any BLAS; the last bits may differ.  Matrices of
 * a half type are widened to float32, and the product is rounded once. */
#include <stdlib.h>

#include "kernels/kernels.h"

static void matmul_f32(int64_t m, int64_t k, int64_t n, float *restrict out, const mt_operand *a,
                       const mt_operand *b);

/* Stores a matrix of a half type in `to`, in rows and widened. */
static void widen(int dtype, int64_t rows, int64_t columns, float *to, const mt_operand *from) {
    for (int64_t i = 0; i < rows; i++, to += columns)
        mt_cast_find(dtype, MT_DT_float32)(
            (char *)to, sizeof *to, from->data + i * from->strides[0], from->strides[1], columns);
}

/* Multiplies in float32, and rounds each element once. */
static int matmul_halves(int dtype, int64_t m, int64_t k, int64_t n, char *out, const mt_operand *a,
                         const mt_operand *b) {
    enum { FEW = 1024 };
    int64_t size = m * k + k * n + m * n;
    float few[FEW], *left = size <= FEW ? few : malloc((size_t)size * sizeof *left);
    if (!left) return MT_MEMORY_ERROR;
    float *right = left + m * k, *product = right + k * n;
    widen(dtype, m, k, left, a);
    widen(dtype, k, n, right, b);
    const int64_t step = sizeof *left;
    mt_operand wide_a = {.data = (char *)left, .strides = {k * step, step}},
               wide_b = {.data = (char *)right, .strides = {n * step, step}};
    matmul_f32(m, k, n, product, &wide_a, &wide_b);
    mt_cast_find(MT_DT_float32, dtype)(out, MT_ITEMSIZE[dtype], (char *)product, step, m * n);
    if (left != few) free(left);
    return MT_OK;
}

/* Defines the product by rows, so that the innermost loop runs along rows of b and out: a vector
 * loop when the elements of a row of b are contiguous.  Memory of NumPy may be unaligned. */
#define MATMUL(name, T)                                                                            \
    static void name(int64_t m, int64_t k, int64_t n, T *restrict out, const mt_operand *a,        \
                     const mt_operand *b) {                                                        \
        for (int64_t i = 0; i < m; i++, out += n) {                                                \
            for (int64_t j = 0; j < n; j++) out[j] = 0;                                            \
            for (int64_t p = 0; p < k; p++) {                                                      \
                T factor, element;                                                                 \
                memcpy(&factor, a->data + i * a->strides[0] + p * a->strides[1], sizeof factor);   \
                const char *row = b->data + p * b->strides[0];                                     \
                if (b->strides[1] == sizeof(T) && (uintptr_t)row % sizeof(T) == 0)                 \
                    for (int64_t j = 0; j < n; j++) out[j] += factor * ((const T *)row)[j];        \
                else                                                                               \
                    for (int64_t j = 0; j < n; j++)                                                \
                        memcpy(&element, row + j * b->strides[1], sizeof element),                 \
                            out[j] += factor * element;                                            \
            }                                                                                      \
        }                                                                                          \
    }
MATMUL(matmul_f32, float)
MATMUL(matmul_f64, double)

int mt_run_matmul(int dtype, int64_t m, int64_t k, int64_t n, char *out, const mt_operand *a,
                  const mt_operand *b) {
    if (MT_COMPUTE[dtype] != dtype) return matmul_halves(dtype, m, k, n, out, a, b);
    if (dtype == MT_DT_float32) matmul_f32(m, k, n, (float *)out, a, b);
    else matmul_f64(m, k, n, (double *)out, a, b);
    return MT_OK;
}
