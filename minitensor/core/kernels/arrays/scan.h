/* Running sums and products along an axis: cumsum and cumprod.
 *
 * Floats run in double, integers in 64 bits, and each value is rounded once where it is stored.  A
 * run is cut in blocks of MT_FOLD_BLOCK elements.  A block runs from its own beginning, and what
 * the blocks before it come to is added to each of its values; so the blocks of a long run can be
 * shared by threads, and the values do not depend on how many there are. */
#include <stdlib.h>

#include "base/threadpool.h"
#include "kernels/math/halves.h"
#include "kernels/walk.h"

enum { SCAN_COLUMNS = 256 };

/* Stores doubles as bfloat16, each rounded once: the cast makes float32 of them first. */
static void store_bf16(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {
    for (; n > 0; n--, dst += ds, src += ss) {
        double x;
        memcpy(&x, src, sizeof x);
        uint16_t half = to_bf16(sticky_f32(x));
        memcpy(dst, &half, sizeof half);
    }
}

/* Runs n values of x, in place: from `*local` within the block, each combined with `before`. */
#define SCAN(name, T, OP)                                                                          \
    static void name##_run(void *x, int64_t n, void *local, const void *before) {                  \
        T *v = x, run = *(T *)local;                                                               \
        const T base = *(const T *)before;                                                         \
        int64_t i = 0;                                                                             \
        for (; i + 4 <= n; i += 4) { /* a chain of one operation for four elements */              \
            T two = v[i] OP v[i + 1], three = two OP v[i + 2],                                     \
              four = two OP(v[i + 2] OP v[i + 3]);                                                 \
            v[i] = base OP(run OP v[i]), v[i + 1] = base OP(run OP two);                           \
            v[i + 2] = base OP(run OP three), v[i + 3] = base OP(run OP four);                     \
            run = run OP four;                                                                     \
        }                                                                                          \
        for (; i < n; i++) run = run OP v[i], v[i] = base OP run;                                  \
        *(T *)local = run;                                                                         \
    }                                                                                              \
    static void name##_rows(void *acc, const void *x, int64_t n) {                                 \
        T *restrict r = acc;                                                                       \
        const T *restrict v = x;                                                                   \
        for (int64_t j = 0; j < n; j++) r[j] = r[j] OP v[j];                                       \
    }
SCAN(sum_float, double, +)
SCAN(prod_float, double, *)
SCAN(sum_int, uint64_t, +)
SCAN(prod_int, uint64_t, *)

typedef union {
    double f;
    uint64_t i;
} scan_value;

typedef struct {
    const mt_array *in, *out;
    int axis, dtype; /* of the computation */
    int64_t length, inner, blocks, tiles;
    bool product;
    scan_value identity;
    scan_value *totals; /* by row and block, then what is before each; NULL: one block for a row */
    void (*run)(void *x, int64_t n, void *local, const void *before);
    void (*rows)(void *acc, const void *x, int64_t n);
    mt_cast_fn load, store;
} scan;

/* Returns the first element of run `outer` of the input. */
static const char *scan_input(const scan *s, int64_t outer) {
    const char *from = s->in->data;
    for (int d = s->axis - 1; d >= 0; d--) {
        from += outer % s->in->shape[d] * s->in->strides[d];
        outer /= s->in->shape[d];
    }
    return from;
}

/* Runs one block of one row, and stores its values unless `total` is given to receive the last. */
static void scan_block(const scan *s, int64_t row, int64_t block, scan_value before,
                       scan_value *total) {
    scan_value tile[MT_TILE], local = s->identity;
    int64_t first = block * MT_FOLD_BLOCK, step = s->in->strides[s->axis],
            size = MT_ITEMSIZE[s->out->dtype], end = first + MT_FOLD_BLOCK;
    const char *from = scan_input(s, row);
    char *to = s->out->data + row * s->length * size;
    end = end < s->length ? end : s->length;
    for (int64_t i = first, n; i < end; i += n) {
        n = end - i < MT_TILE ? end - i : MT_TILE;
        s->load((char *)tile, sizeof *tile, from + i * step, step, n);
        s->run(tile, n, &local, &before);
        if (!total) s->store(to + i * size, size, (const char *)tile, sizeof *tile, n);
    }
    if (total) *total = local;
}

static void scan_totals(void *job, int64_t begin, int64_t end) {
    const scan *s = job;
    for (int64_t u = begin; u < end; u++)
        scan_block(s, u / s->blocks, u % s->blocks, s->identity, &s->totals[u]);
}

static void scan_blocks(void *job, int64_t begin, int64_t end) {
    const scan *s = job;
    for (int64_t u = begin; u < end; u++)
        scan_block(s, u / s->blocks, u % s->blocks, s->totals ? s->totals[u] : s->identity, NULL);
}

/* Runs a tile of neighbouring columns, row by row. */
static void scan_columns(void *job, int64_t begin, int64_t end) {
    const scan *s = job;
    scan_value acc[SCAN_COLUMNS], tile[SCAN_COLUMNS];
    int64_t size = MT_ITEMSIZE[s->out->dtype];
    int order[MT_MAX_NDIM], n = 0;
    for (int d = s->axis + 1; d < s->in->ndim; d++) order[n++] = d;
    for (int64_t u = begin; u < end; u++) {
        int64_t outer = u / s->tiles, column = u % s->tiles * SCAN_COLUMNS,
                width = s->inner - column < SCAN_COLUMNS ? s->inner - column : SCAN_COLUMNS;
        mt_operand source = {.data = (char *)scan_input(s, outer), .dtype = s->in->dtype};
        memcpy(source.strides, s->in->strides, (size_t)s->in->ndim * sizeof *s->in->strides);
        mt_walk columns;
        mt_walk_begin(&columns, &source, s->dtype, false, n, order, s->in->shape);
        mt_walk_seek(&columns, column);
        char *to = s->out->data + (outer * s->length * s->inner + column) * size;
        for (int64_t j = 0; j < width; j++) acc[j] = s->identity;
        for (int64_t row = 0; row < s->length; row++, to += s->inner * size) {
            mt_walk next = columns;
            next.at += row * s->in->strides[s->axis];
            mt_walk_move(&next, (char *)tile, sizeof *tile, width, false);
            s->rows(acc, tile, width);
            s->store(to, size, (const char *)acc, sizeof *acc, width);
        }
    }
}

/* in: of at least one dimension; out: of its shape, in C order; param: the axis, whether a
 * product. */
MT_ARRAY_KERNEL(scan) {
    const mt_array *in = &a->in[0], *out = &a->out[0];
    bool product = a->param[1].i, floats = MT_KIND[out->dtype] == 'f';
    scan s = {.in = in, .out = out, .axis = (int)a->param[0].i, .product = product, .inner = 1};
    if (in->size == 0) return MT_OK;
    s.dtype = floats ? MT_DT_float64 : MT_KIND[out->dtype] == 'u' ? MT_DT_uint64 : MT_DT_int64;
    if (floats) s.identity.f = product ? 1 : -0.0;
    else s.identity.i = product;
    s.run = floats    ? product ? prod_float_run : sum_float_run
            : product ? prod_int_run
                      : sum_int_run;
    s.rows = floats    ? product ? prod_float_rows : sum_float_rows
             : product ? prod_int_rows
                       : sum_int_rows;
    s.load = mt_cast_find(in->dtype, s.dtype), s.store = mt_cast_find(s.dtype, out->dtype);
    if (out->dtype == MT_DT_bfloat16) s.store = store_bf16;
    s.length = in->shape[s.axis];
    for (int d = s.axis + 1; d < in->ndim; d++) s.inner *= in->shape[d];
    int64_t outer = in->size / s.length / s.inner, grain;
    if (s.inner > 1) {
        s.tiles = (s.inner + SCAN_COLUMNS - 1) / SCAN_COLUMNS;
        grain = MT_FOLD_BLOCK / 2 / (s.length * (s.inner < SCAN_COLUMNS ? s.inner : SCAN_COLUMNS));
        mt_parallel(outer * s.tiles, grain > 0 ? grain : 1, scan_columns, &s);
        return MT_OK;
    }
    s.blocks = (s.length + MT_FOLD_BLOCK - 1) / MT_FOLD_BLOCK;
    if (s.blocks > 1) {
        s.totals = malloc((size_t)(outer * s.blocks) * sizeof *s.totals);
        if (!s.totals) return MT_MEMORY_ERROR;
        mt_parallel(outer * s.blocks, 1, scan_totals, &s);
        for (int64_t row = 0; row < outer; row++) {
            scan_value sum = s.identity;
            for (int64_t b = 0; b < s.blocks; b++) {
                scan_value *at = &s.totals[row * s.blocks + b], here = *at;
                *at = sum;
                s.rows(&sum, &here, 1);
            }
        }
    }
    grain = MT_FOLD_BLOCK / 2 / s.length;
    mt_parallel(outer * s.blocks, grain > 0 ? grain : 1, scan_blocks, &s);
    free(s.totals);
    return MT_OK;
}
