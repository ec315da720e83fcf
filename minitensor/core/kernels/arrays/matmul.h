/* Products of float matrices and vectors.
 *
 * The problem.  The BLAS of NumPy is as fast as a processor allows on large matrices, but its call
 * takes some 10 us, it knows nothing of batches, and its product of a matrix and a vector has one
 * thread.  A plain loop over 64 x 64 matrices takes six times as long as BLAS.
 *
 * The solution.  A block of ROWS x WIDTH results stays in registers while the inner dimension runs:
 * each step loads a row of the right matrix once, and multiplies it by ROWS numbers of the left
 * one.  A panel of WIDTH columns that does not lie so in memory is copied first.  One thread
 * computes a panel; threads share the panels of all matrices.  A product of one row with columns
 * that lie in memory is a sum of products for each column, in blocks of DOT_BLOCK elements that are
 * added in order.
 *
 * Each result depends on its row, its column and the shapes alone, so neither on the number of
 * threads nor on other matrices of the batch.  The error bound is that of any BLAS. */
#include <stdlib.h>

#include "base/threadpool.h"

enum { DOT_BLOCK = 1 << 15, INNER_BLOCK = 256, ROWS = 6, DOT_VECTORS = 4 };
enum { PANEL_VECTORS = MT_VECTOR == 64 ? 4 : 2 };
enum { PIECE = 1 << 19 }; /* products that a thread computes at once, at least */

/* One product, of m x k and k x n; strides in bytes. */
typedef struct {
    int64_t m, k, n;
    const char *a, *b;
    char *out;
    int64_t a_row, a_column, b_row, b_column;
} product;

typedef struct {
    const mt_arrays *call;
    int64_t batch_dims, panels, blocks;
    product of;    /* the first product; its strides are those of all */
    void *partial; /* sums of blocks */
} matmul_job;

/* Returns product number i of a batch. */
static product product_at(const matmul_job *job, int64_t i) {
    const mt_array *a = &job->call->in[0], *b = &job->call->in[1], *out = &job->call->out[0];
    product p = job->of;
    p.out += i * p.m * p.n * MT_ITEMSIZE[out->dtype];
    for (int64_t d = job->batch_dims - 1; d >= 0; d--) {
        int64_t at = i % out->shape[d], in_a = d - job->batch_dims + (a->ndim - 2),
                in_b = d - job->batch_dims + (b->ndim - 2);
        i /= out->shape[d];
        if (in_a >= 0 && a->shape[in_a] != 1) p.a += at * a->strides[in_a];
        if (in_b >= 0 && b->shape[in_b] != 1) p.b += at * b->strides[in_b];
    }
    if (p.n == 1 && p.m != 1) { /* a column is computed as a row: the transposed product */
        product t = {1, p.k, p.m, p.b, p.a, p.out, p.b_column, p.b_row, p.a_column, p.a_row};
        return t;
    }
    return p;
}

/* The compiler may fuse a product and a sum here; elsewhere a result must not depend on it. */
#if defined(__clang__)
#define FUSED _Pragma("clang fp contract(fast)")
#else
#define FUSED
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif
#define INLINE static inline __attribute__((always_inline))

/* Defines, for an element type: NAME_block, rows x (vectors * LANES) results from `inner` steps,
 * added to those of out unless `first`; NAME_dot, the sum of n products. */
#define MATMUL(NAME, T)                                                                            \
    typedef T NAME __attribute__((vector_size(MT_VECTOR), aligned(1), may_alias));                 \
    enum { NAME##_LANES = MT_VECTOR / sizeof(T) };                                                 \
    INLINE void NAME##_block(int rows, int vectors, int64_t inner, const char *a, int64_t a_row,   \
                             int64_t a_column, const char *b, int64_t b_row, char *out,            \
                             int64_t out_row, bool first) {                                        \
        FUSED                                                                                      \
        NAME sum[ROWS][PANEL_VECTORS];                                                             \
        for (int i = 0; i < rows; i++)                                                             \
            for (int v = 0; v < vectors; v++)                                                      \
                sum[i][v] = first ? (NAME){0} : ((const NAME *)(out + i * out_row))[v];            \
        for (int64_t p = 0; p < inner; p++, a += a_column, b += b_row) {                           \
            NAME row[PANEL_VECTORS];                                                               \
            for (int v = 0; v < vectors; v++) row[v] = ((const NAME *)b)[v];                       \
            for (int i = 0; i < rows; i++) {                                                       \
                T factor;                                                                          \
                memcpy(&factor, a + i * a_row, sizeof factor);                                     \
                for (int v = 0; v < vectors; v++) sum[i][v] = factor * row[v] + sum[i][v];         \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < rows; i++)                                                             \
            for (int v = 0; v < vectors; v++) ((NAME *)(out + i * out_row))[v] = sum[i][v];        \
    }                                                                                              \
    INLINE void NAME##_rows(int64_t m, int vectors, int64_t inner, const char *a, int64_t a_row,   \
                            int64_t a_column, const char *b, int64_t b_row, char *out,             \
                            int64_t out_row, bool first) {                                         \
        for (; m >= ROWS; m -= ROWS, a += ROWS * a_row, out += ROWS * out_row)                     \
            NAME##_block(ROWS, vectors, inner, a, a_row, a_column, b, b_row, out, out_row, first); \
        for (; m >= 2; m -= 2, a += 2 * a_row, out += 2 * out_row)                                 \
            NAME##_block(2, vectors, inner, a, a_row, a_column, b, b_row, out, out_row, first);    \
        if (m) NAME##_block(1, vectors, inner, a, a_row, a_column, b, b_row, out, out_row, first); \
    }                                                                                              \
    static void NAME##_panel_1(int64_t m, int64_t inner, const char *a, int64_t a_row,             \
                               int64_t a_column, const char *b, int64_t b_row, char *out,          \
                               int64_t out_row, bool first) {                                      \
        NAME##_rows(m, 1, inner, a, a_row, a_column, b, b_row, out, out_row, first);               \
    }                                                                                              \
    static void NAME##_panel_all(int64_t m, int64_t inner, const char *a, int64_t a_row,           \
                                 int64_t a_column, const char *b, int64_t b_row, char *out,        \
                                 int64_t out_row, bool first) {                                    \
        NAME##_rows(m, PANEL_VECTORS, inner, a, a_row, a_column, b, b_row, out, out_row, first);   \
    }                                                                                              \
    /* The last elements are a whole vector whose first ones have been added already. */           \
    static T NAME##_dot(const char *a, const char *b, int64_t n) {                                 \
        FUSED                                                                                      \
        NAME sum[DOT_VECTORS] = {{0}};                                                             \
        int64_t i = 0, lanes = NAME##_LANES, step = DOT_VECTORS * lanes;                           \
        T total = 0, lane[NAME##_LANES], x, y;                                                     \
        for (; i + step <= n;                                                                      \
             i += step, a += DOT_VECTORS * MT_VECTOR, b += DOT_VECTORS * MT_VECTOR)                \
            for (int v = 0; v < DOT_VECTORS; v++)                                                  \
                sum[v] = ((const NAME *)a)[v] * ((const NAME *)b)[v] + sum[v];                     \
        for (; i + lanes <= n; i += lanes, a += MT_VECTOR, b += MT_VECTOR)                         \
            sum[0] = *(const NAME *)a * *(const NAME *)b + sum[0];                                 \
        if (i < n && n >= lanes) {                                                                 \
            int64_t back = (lanes - (n - i)) * (int64_t)sizeof(T);                                 \
            NAME p = *(const NAME *)(a - back) * *(const NAME *)(b - back), none = {0};            \
            for (int l = 0; l < (int)NAME##_LANES; l++) lane[l] = l < lanes - (n - i) ? 0 : p[l];  \
            memcpy(&none, lane, sizeof none);                                                      \
            sum[1] = sum[1] + none;                                                                \
            i = n;                                                                                 \
        }                                                                                          \
        sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);                                            \
        memcpy(lane, &sum[0], sizeof lane);                                                        \
        HALVE((int)NAME##_LANES, l, to, lane[l] += lane[to])                                       \
        total = lane[0];                                                                           \
        for (; i < n; i++, a += sizeof(T), b += sizeof(T)) {                                       \
            memcpy(&x, a, sizeof x);                                                               \
            memcpy(&y, b, sizeof y);                                                               \
            total = x * y + total;                                                                 \
        }                                                                                          \
        return total;                                                                              \
    }
MATMUL(f32, float)
MATMUL(f64, double)
#if !defined(__clang__)
#pragma GCC pop_options
#endif

/* Copies a block of `rows` x `columns`, and zeros up to `width` columns, to rows without gaps. */
static void pack(char *to, int64_t width, const char *from, int64_t rows, int64_t columns,
                 int64_t row, int64_t column, int64_t size) {
    mt_cast_fn copy = mt_cast_find(size == 4 ? MT_DT_float32 : MT_DT_float64,
                                   size == 4 ? MT_DT_float32 : MT_DT_float64);
    for (int64_t p = 0; p < rows; p++, to += width * size, from += row) {
        copy(to, size, from, column, columns);
        memset(to + columns * size, 0, (size_t)((width - columns) * size));
    }
}

/* Computes `columns` columns from `first` on, at most as many as PANEL_VECTORS have. */
static void panel(const product *p, bool single, int64_t first, int64_t columns) {
    int64_t size = single ? 4 : 8, lanes = MT_VECTOR / size;
    bool narrow = columns <= lanes;
    int64_t width = narrow ? lanes : PANEL_VECTORS * lanes;
    bool whole = columns == width, direct = whole && p->b_column == size;
    _Alignas(MT_VECTOR) char packed[INNER_BLOCK * PANEL_VECTORS * MT_VECTOR / 4],
        tile[ROWS * PANEL_VECTORS * MT_VECTOR];
    int64_t step = direct ? p->k : (int64_t)sizeof packed / (width * size);
    int64_t rows = whole ? p->m : ROWS;
    for (int64_t k = 0; k < p->k; k += step) {
        int64_t inner = k + step < p->k ? step : p->k - k, b_row = direct ? p->b_row : width * size;
        const char *b = p->b + k * p->b_row + first * p->b_column;
        if (!direct) pack(packed, width, b, inner, columns, p->b_row, p->b_column, size);
        b = direct ? b : packed;
        for (int64_t i = 0; i < p->m; i += rows) {
            int64_t m = i + rows < p->m ? rows : p->m - i;
            const char *a = p->a + i * p->a_row + k * p->a_column;
            char *out = p->out + (i * p->n + first) * size, *to = whole ? out : tile;
            int64_t out_row = whole ? p->n * size : width * size;
            if (!whole && k) pack(tile, width, out, m, columns, p->n * size, size, size);
            if (single && narrow)
                f32_panel_1(m, inner, a, p->a_row, p->a_column, b, b_row, to, out_row, !k);
            else if (single)
                f32_panel_all(m, inner, a, p->a_row, p->a_column, b, b_row, to, out_row, !k);
            else if (narrow)
                f64_panel_1(m, inner, a, p->a_row, p->a_column, b, b_row, to, out_row, !k);
            else f64_panel_all(m, inner, a, p->a_row, p->a_column, b, b_row, to, out_row, !k);
            if (!whole)
                for (int64_t r = 0; r < m; r++)
                    memcpy(out + r * p->n * size, tile + r * width * size,
                           (size_t)(columns * size));
        }
    }
}

/* Computes panels [begin, end) of all products. */
static void panels(void *argument, int64_t begin, int64_t end) {
    const matmul_job *job = argument;
    bool single = job->call->out[0].dtype == MT_DT_float32;
    int64_t width = PANEL_VECTORS * (MT_VECTOR / (single ? 4 : 8)), last = -1;
    product p = job->of;
    for (int64_t i = begin; i < end; i++) {
        if (i / job->panels != last) p = product_at(job, last = i / job->panels);
        int64_t first = i % job->panels * width;
        panel(&p, single, first, first + width < p.n ? width : p.n - first);
    }
}

/* Computes blocks [begin, end) of the sums of products of one row with all columns. */
static void dots(void *argument, int64_t begin, int64_t end) {
    const matmul_job *job = argument;
    bool single = job->call->out[0].dtype == MT_DT_float32;
    int64_t size = single ? 4 : 8, each = job->of.n * job->of.m * job->blocks, last = -1;
    product p = job->of;
    for (int64_t i = begin; i < end; i++) {
        if (i / each != last) p = product_at(job, last = i / each);
        int64_t column = i % each / job->blocks, from = i % job->blocks * DOT_BLOCK;
        int64_t n = from + DOT_BLOCK < p.k ? DOT_BLOCK : p.k - from;
        const char *a = p.a + from * size, *b = p.b + column * p.b_column + from * size;
        if (single) ((float *)job->partial)[i] = f32_dot(a, b, n);
        else ((double *)job->partial)[i] = f64_dot(a, b, n);
    }
}

/* Computes products of one row with columns that lie in memory.  Returns a status. */
static int run_dots(matmul_job *job, int64_t count) {
    const mt_array *out = &job->call->out[0];
    bool single = out->dtype == MT_DT_float32;
    int64_t k = job->of.k;
    job->blocks = (k + DOT_BLOCK - 1) / DOT_BLOCK;
    bool one = job->blocks == 1;
    job->partial = one ? out->data : malloc((size_t)(out->size * job->blocks) * (single ? 4 : 8));
    if (!job->partial) return MT_MEMORY_ERROR;
    int64_t grain = PIECE / 8 / (k < DOT_BLOCK ? k : DOT_BLOCK);
    mt_parallel(count * job->of.m * job->of.n * job->blocks, grain > 0 ? grain : 1, dots, job);
    for (int64_t i = 0; !one && i < out->size; i++) {
        double sum = 0;
        for (int64_t b = 0; b < job->blocks; b++)
            sum += single ? (double)((float *)job->partial)[i * job->blocks + b]
                          : ((double *)job->partial)[i * job->blocks + b];
        if (single) ((float *)out->data)[i] = (float)sum;
        else ((double *)out->data)[i] = sum;
    }
    if (!one) free(job->partial);
    return MT_OK;
}

#include "kernels/arrays/matmul_halves.h"

/* in: two operands of one float dtype, as for numpy.matmul; out: the product in C order. */
MT_ARRAY_KERNEL(matmul) {
    if (MT_COMPUTE[a->out[0].dtype] != a->out[0].dtype) return multiply_halves(a);
    const mt_array *x = &a->in[0], *y = &a->in[1], *out = &a->out[0];
    int64_t size = MT_ITEMSIZE[out->dtype], count = 1;
    bool row = x->ndim == 1, column = y->ndim == 1;
    matmul_job job = {.call = a, .batch_dims = out->ndim - !row - !column};
    job.of = (product){.m = row ? 1 : x->shape[x->ndim - 2],
                       .k = x->shape[x->ndim - 1],
                       .n = column ? 1 : y->shape[y->ndim - 1],
                       .a = x->data,
                       .b = y->data,
                       .out = out->data,
                       .a_row = row ? 0 : x->strides[x->ndim - 2],
                       .a_column = x->strides[x->ndim - 1],
                       .b_row = y->strides[column ? 0 : y->ndim - 2],
                       .b_column = column ? 0 : y->strides[y->ndim - 1]};
    if (out->size == 0) return MT_OK;
    if (job.of.k == 0) {
        memset(out->data, 0, (size_t)(out->size * size));
        return MT_OK;
    }
    for (int64_t d = 0; d < job.batch_dims; d++) count *= out->shape[d];
    product p = product_at(&job, 0);
    if (p.m == 1 && p.a_column == size && p.b_row == size && (p.n == 1 || p.b_column != size))
        return run_dots(&job, count);
    int64_t width = PANEL_VECTORS * (MT_VECTOR / size), grain = PIECE / (p.m * p.k * width);
    job.panels = (p.n + width - 1) / width;
    mt_parallel(count * job.panels, grain > 0 ? grain : 1, panels, &job);
    return MT_OK;
}
