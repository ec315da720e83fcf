/* softmax, log_softmax and logsumexp along an axis, the cross entropy of classes, and layer_norm
 * over the last dimensions.
 *
 * A row is read from memory once and stays in the cache for the steps, which are the core's own
 * folds and kernels: the greatest element, the exponentials of the distances from it, their sum in
 * double, the quotients.  Where the axis is not the last one, a tile of neighbouring columns takes
 * the place of a row, and each step goes over its rows.  A row of a half type is computed in
 * float32, in memory of its own, and rounded once. */
#include <stdio.h>
#include <stdlib.h>

#include "base/threadpool.h"
#include "kernels/isa.h"
#include "kernels/walk.h"

enum { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP };
enum { SOFT_COLUMNS = 256 };

/* The steps on n elements, of one dtype. */
#define STEPS(T, name)                                                                             \
    static void shift_##name(void *out, const void *x, double by, int64_t n) {                     \
        T *o = out;                                                                                \
        const T *v = x, top = (T)by;                                                               \
        IVDEP for (int64_t j = 0; j < n; j++) o[j] = v[j] - top;                                   \
    }                                                                                              \
    static void divide_##name(void *out, double by, int64_t n) {                                   \
        T *o = out, sum = (T)by;                                                                   \
        for (int64_t j = 0; j < n; j++) o[j] /= sum;                                               \
    }                                                                                              \
    static void shift_columns_##name(void *out, const void *x, const void *tops, int64_t n) {      \
        T *o = out;                                                                                \
        const T *v = x, *top = tops;                                                               \
        IVDEP for (int64_t j = 0; j < n; j++) o[j] = v[j] - top[j];                                \
    }                                                                                              \
    static void divide_columns_##name(void *out, const void *sums, int64_t n) {                    \
        T *o = out;                                                                                \
        const T *sum = sums;                                                                       \
        IVDEP for (int64_t j = 0; j < n; j++) o[j] /= sum[j];                                      \
    }                                                                                              \
    static void normalise_##name(void *out, const void *x, double mean, double factor,             \
                                 const void *weight, const void *bias, int64_t n) {                \
        T *o = out;                                                                                \
        const T *v = x, *w = weight, *b = bias, m = (T)mean, f = (T)factor;                        \
        IVDEP for (int64_t j = 0; j < n; j++) o[j] = (v[j] - m) * f;                               \
        if (w) IVDEP for (int64_t j = 0; j < n; j++) o[j] *= w[j];                                 \
        if (b) IVDEP for (int64_t j = 0; j < n; j++) o[j] += b[j];                                 \
    }
STEPS(float, f32)
STEPS(double, f64)

typedef struct {
    const mt_array *in, *out;
    int mode, axis, dtype, size; /* of the computation: dtype, bytes of an element */
    int64_t length, inner, tiles;
    const mt_fold *greatest, *sum;
    mt_kernel exponential, logarithm;
    atomic_int status;
} soft;

static double value_of(const soft *s, const void *x) {
    return s->dtype == MT_DT_float32 ? (double)*(const float *)x : *(const double *)x;
}
static void shift(const soft *s, void *out, const void *x, double by, int64_t n) {
    if (s->dtype == MT_DT_float32) shift_f32(out, x, by, n);
    else shift_f64(out, x, by, n);
}

/* Returns the log of a sum, in double. */
static double log_of(double sum) {
    mt_kernel_find(MT_OP_log, MT_DT_float64)(&sum, &sum, NULL, NULL, 1);
    return sum;
}

/* Returns the first element of run `outer` of the input. */
static const char *soft_input(const soft *s, int64_t outer) {
    const char *from = s->in->data;
    for (int d = s->axis - 1; d >= 0; d--) {
        from += outer % s->in->shape[d] * s->in->strides[d];
        outer /= s->in->shape[d];
    }
    return from;
}

/* Returns the sum of the exponentials of the distances from the greatest element of a row, which
 * goes to `top`; the exponentials go to `kept`, if it is given. */
static double sum_of_row(const soft *s, const char *x, char *kept, double *top) {
    union {
        char bytes[MT_TILE * 8];
        double aligned;
    } tile;
    double sum, unused, rounded;
    int64_t n = s->length;
    s->greatest->accumulate_run(&rounded, NULL, x, n, 0);
    *top = value_of(s, &rounded);
    if (s->mode == LOGSUMEXP && !(fabs(*top) < INFINITY)) *top = *top != *top ? *top : 0;
    s->sum->start(&sum, &unused, 1);
    for (int64_t i = 0, m; i < n; i += m) {
        m = n - i < MT_TILE ? n - i : MT_TILE;
        char *e = kept ? kept + i * s->size : tile.bytes;
        shift(s, e, x + i * s->size, *top, m);
        s->exponential(e, e, NULL, NULL, m);
        s->sum->accumulate_run(&sum, &unused, e, m, i);
    }
    s->sum->finish(&sum, &unused, &rounded, 1, n, 1);
    return value_of(s, &rounded);
}

/* Computes one row, of contiguous elements x, to `to`. */
static void soft_row(const soft *s, const char *x, char *to) {
    int64_t n = s->length;
    double top, sum = sum_of_row(s, x, s->mode == SOFTMAX ? to : NULL, &top);
    if (s->mode == SOFTMAX && s->dtype == MT_DT_float32) divide_f32(to, sum, n);
    else if (s->mode == SOFTMAX) divide_f64(to, sum, n);
    else if (s->mode == LOGSUMEXP) {
        sum = top + log_of(sum);
        if (s->dtype == MT_DT_float32) *(float *)to = (float)sum;
        else *(double *)to = sum;
    } else {
        sum = log_of(sum);
        shift(s, to, x, top, n);
        shift(s, to, to, sum, n);
    }
}

static void soft_rows(void *job, int64_t begin, int64_t end) {
    soft *s = job;
    int64_t step = s->in->strides[s->axis];
    int kept = s->out->dtype;
    mt_cast_fn cast = mt_cast_find(s->in->dtype, s->dtype), round = mt_cast_find(s->dtype, kept);
    char *wide = kept == s->dtype ? NULL : malloc((size_t)(s->length * s->size));
    if (kept != s->dtype && !wide) {
        atomic_store(&s->status, MT_MEMORY_ERROR);
        return;
    }
    for (int64_t row = begin; row < end; row++) {
        const char *x = soft_input(s, row);
        int64_t size = MT_ITEMSIZE[kept];
        char *result = s->out->data + row * (s->mode == LOGSUMEXP ? 1 : s->length) * size;
        char *to = wide ? wide : result;
        if (s->in->dtype != s->dtype || step != s->size || (uintptr_t)x % (size_t)s->size) {
            cast(to, s->size, x, step, s->length); /* logsumexp gets its rows ready */
            x = to;
        }
        soft_row(s, x, to);
        if (wide) round(result, size, wide, s->size, s->length);
    }
    free(wide);
}

/* Computes tiles of neighbouring columns, whose rows are gathered in the output. */
static void soft_columns(void *job, int64_t begin, int64_t end) {
    const soft *s = job;
    double top[SOFT_COLUMNS], sum[SOFT_COLUMNS], lost[SOFT_COLUMNS], rounded[SOFT_COLUMNS],
        tile[SOFT_COLUMNS];
    int order[MT_MAX_NDIM], dims = 0;
    bool single = s->dtype == MT_DT_float32;
    for (int d = s->axis + 1; d < s->in->ndim; d++) order[dims++] = d;
    for (int64_t u = begin; u < end; u++) {
        int64_t outer = u / s->tiles, column = u % s->tiles * SOFT_COLUMNS,
                n = s->inner - column < SOFT_COLUMNS ? s->inner - column : SOFT_COLUMNS,
                row = s->inner * s->size;
        mt_operand source = {.data = (char *)soft_input(s, outer), .dtype = s->in->dtype};
        memcpy(source.strides, s->in->strides, (size_t)s->in->ndim * sizeof *s->in->strides);
        mt_walk columns;
        mt_walk_begin(&columns, &source, s->dtype, false, dims, order, s->in->shape);
        mt_walk_seek(&columns, column);
        char *first = s->out->data + outer * s->length * row + column * s->size, *to = first;
        for (int64_t i = 0; i < s->length; i++, to += row) {
            mt_walk next = columns;
            next.at += i * s->in->strides[s->axis];
            mt_walk_move(&next, to, s->size, n, false);
        }
        s->greatest->accumulate_rows(top, NULL, first, row, s->length, n, 0);
        s->sum->start(sum, lost, n);
        to = first;
        for (int64_t i = 0; i < s->length; i++, to += row) {
            char *e = s->mode == SOFTMAX ? to : (char *)tile;
            if (single) shift_columns_f32(to, to, top, n);
            else shift_columns_f64(to, to, top, n);
            s->exponential(e, to, NULL, NULL, n);
            s->sum->accumulate_rows(sum, lost, e, 0, 1, n, i);
        }
        s->sum->finish(sum, lost, rounded, n, s->length, 1);
        if (s->mode == LOG_SOFTMAX) s->logarithm(rounded, rounded, NULL, NULL, n);
        to = first;
        for (int64_t i = 0; i < s->length; i++, to += row) {
            if (s->mode == SOFTMAX && single) divide_columns_f32(to, rounded, n);
            else if (s->mode == SOFTMAX) divide_columns_f64(to, rounded, n);
            else if (single) shift_columns_f32(to, to, rounded, n);
            else shift_columns_f64(to, to, rounded, n);
        }
    }
}

static void find_steps(soft *s) {
    s->greatest = mt_fold_find(MT_OP_amax, s->dtype), s->sum = mt_fold_find(MT_OP_sum, s->dtype);
    s->exponential = mt_kernel_find(MT_OP_exp, s->dtype);
    s->logarithm = mt_kernel_find(MT_OP_log, s->dtype);
}

/* in: of at least one dimension; out: of its shape, in C order; of logsumexp one element for each
 * row of an input whose last axis is contiguous and of the result's dtype; of a half type the axis
 * is the last one; param: the mode, the axis. */
MT_ARRAY_KERNEL(softmax) {
    const mt_array *in = &a->in[0], *out = &a->out[0];
    soft s = {.in = in,
              .out = out,
              .mode = (int)a->param[0].i,
              .axis = (int)a->param[1].i,
              .dtype = MT_COMPUTE[out->dtype],
              .size = MT_ITEMSIZE[MT_COMPUTE[out->dtype]],
              .inner = 1};
    atomic_init(&s.status, MT_OK);
    if (in->size == 0) return MT_OK;
    find_steps(&s);
    s.length = in->shape[s.axis];
    for (int d = s.axis + 1; d < in->ndim; d++) s.inner *= in->shape[d];
    s.tiles = (s.inner + SOFT_COLUMNS - 1) / SOFT_COLUMNS;
    int64_t outer = in->size / s.length / s.inner,
            width = s.inner < SOFT_COLUMNS ? s.inner : SOFT_COLUMNS,
            grain = (1 << 14) / (s.length * width);
    mt_parallel(outer * s.tiles, grain > 0 ? grain : 1, s.inner > 1 ? soft_columns : soft_rows, &s);
    return atomic_load(&s.status);
}

/* --- cross entropy ---------------------------------------------------------------------------- */

enum { LOSSES, LOSS_SUM, LOSS_MEAN };

typedef struct {
    soft s;
    const mt_array *target, *weight; /* the weights of the classes; or NULL */
    int64_t ignored;
    bool logits; /* not logarithms of probabilities */
    double *losses, *factors;
} entropy;

static int64_t class_of(const entropy *e, int64_t row) {
    int64_t step = e->target->strides[0], found;
    mt_cast_fn cast = mt_cast_find(e->target->dtype, MT_DT_int64);
    cast((char *)&found, sizeof found, e->target->data + row * step, step, 1);
    return found;
}

static double weight_of(const entropy *e, int64_t class) {
    double weight = 1;
    if (!e->weight) return weight;
    int64_t step = e->weight->strides[0];
    mt_cast_fn cast = mt_cast_find(e->weight->dtype, MT_DT_float64);
    cast((char *)&weight, sizeof weight, e->weight->data + class * step, step, 1);
    return weight;
}

/* Computes the losses of rows [begin, end), and the weights of their classes. */
static void loss_rows(void *job, int64_t begin, int64_t end) {
    entropy *e = job;
    const soft *s = &e->s;
    int64_t step = s->in->strides[1];
    mt_cast_fn cast = mt_cast_find(s->in->dtype, s->dtype);
    char *copy = malloc((size_t)(s->length * s->size) + 1);
    for (int64_t row = begin; row < end && copy; row++) {
        int64_t class = class_of(e, row);
        e->losses[row] = e->factors[row] = 0;
        if (class == e->ignored) continue;
        if (class < 0 || class >= s->length) {
            atomic_store(&e->s.status, MT_INDEX_ERROR);
            break;
        }
        const char *x = soft_input(s, row);
        double top = 0, log_sum = 0;
        if (s->in->dtype != s->dtype || step != s->size || (uintptr_t)x % (size_t)s->size) {
            cast(copy, s->size, x, step, s->length);
            x = copy;
        }
        if (e->logits) log_sum = log_of(sum_of_row(s, x, NULL, &top));
        e->factors[row] = weight_of(e, class);
        e->losses[row] = (log_sum - (value_of(s, x + class * s->size) - top)) * e->factors[row];
    }
    if (!copy) atomic_store(&e->s.status, MT_MEMORY_ERROR);
    free(copy);
}

/* in: rows of logits or of logarithms of probabilities; the class of each row, of ints; the weights
 * of the classes, if the call has them.  out: the losses, or one number.  param: LOSSES, LOSS_SUM
 * or LOSS_MEAN; the class that does not count; whether logits. */
MT_ARRAY_KERNEL(cross_entropy) {
    const mt_array *in = &a->in[0], *out = &a->out[0];
    int64_t rows = in->shape[0], what = a->param[0].i, grain;
    entropy e = {.s = {.in = in, .out = out, .mode = LOG_SOFTMAX, .axis = 1},
                 .target = &a->in[1],
                 .weight = a->n_in > 2 ? &a->in[2] : NULL,
                 .ignored = a->param[1].i,
                 .logits = a->param[2].i != 0};
    e.s.dtype = MT_COMPUTE[in->dtype], e.s.size = MT_ITEMSIZE[e.s.dtype];
    e.s.length = in->shape[1];
    find_steps(&e.s);
    atomic_init(&e.s.status, MT_OK);
    e.losses = malloc((size_t)(2 * rows + 1) * sizeof *e.losses);
    if (!e.losses) return MT_MEMORY_ERROR;
    e.factors = e.losses + rows;
    grain = (1 << 14) / (e.s.length > 0 ? e.s.length : 1);
    mt_parallel(rows, grain > 0 ? grain : 1, loss_rows, &e);
    int status = atomic_load(&e.s.status);
    mt_cast_fn store = mt_cast_find(MT_DT_float64, out->dtype);
    if (status == MT_OK && what == LOSSES)
        store(out->data, MT_ITEMSIZE[out->dtype], (char *)e.losses, sizeof *e.losses, rows);
    else if (status == MT_OK) {
        double sum = 0, factors = 0;
        for (int64_t i = 0; i < rows; i++) sum += e.losses[i], factors += e.factors[i];
        if (what == LOSS_MEAN) sum /= factors;
        store(out->data, MT_ITEMSIZE[out->dtype], (char *)&sum, sizeof sum, 1);
    }
    for (int64_t i = 0; i < rows && status == MT_INDEX_ERROR; i++) {
        int64_t class = class_of(&e, i);
        if (class == e.ignored || (class >= 0 && class < e.s.length)) continue;
        snprintf(a->why, MT_WHY,
                 "target must be from 0 to %lld for %lld classes, or be ignore_index, %lld, got "
                 "%lld",
                 (long long)e.s.length - 1, (long long)e.s.length, (long long)e.ignored,
                 (long long)class);
        break;
    }
    free(e.losses);
    return status;
}

/* --- layer_norm ------------------------------------------------------------------------------- */

typedef struct {
    const mt_array *in, *out;
    const void *weight, *bias; /* of the computation's dtype; or NULL */
    int64_t length;
    double eps;
    int dtype; /* of the computation */
    atomic_int status;
} layer;

static void layer_rows(void *job, int64_t begin, int64_t end) {
    layer *l = job;
    enum { RUN = 8 * MT_TILE };
    int dtype = l->dtype, kept = l->out->dtype;
    const mt_fold *fold = mt_fold_find(MT_OP_var, dtype);
    mt_cast_fn cast = mt_cast_find(kept, dtype), round = mt_cast_find(dtype, kept);
    int64_t n = l->length, size = MT_ITEMSIZE[dtype], size_kept = MT_ITEMSIZE[kept];
    char *wide = kept == dtype ? NULL : malloc((size_t)(n * size));
    if (kept != dtype && !wide) {
        atomic_store(&l->status, MT_MEMORY_ERROR);
        return;
    }
    for (int64_t row = begin; row < end; row++) {
        const char *x = l->in->data + row * n * size_kept;
        char *result = l->out->data + row * n * size_kept, *to = wide ? wide : result;
        double mean = 0, squares = 0;
        if (wide || (uintptr_t)x % (size_t)size) {
            cast(to, size, x, size_kept, n);
            x = to;
        }
        for (int64_t i = 0; i < n; i += RUN)
            fold->accumulate_run(&mean, &squares, x + i * size, n - i < RUN ? n - i : RUN, i);
        double factor = 1 / sqrt(squares / (double)n + l->eps);
        if (dtype == MT_DT_float32) normalise_f32(to, x, mean, factor, l->weight, l->bias, n);
        else normalise_f64(to, x, mean, factor, l->weight, l->bias, n);
        if (wide) round(result, size_kept, wide, size, n);
    }
    free(wide);
}

/* in: the input, then the weight and the bias where the call has them, contiguous and of the same
 * dtype; param: eps, the elements of a row, whether there is a weight. */
MT_ARRAY_KERNEL(layer_norm) {
    layer l = {.in = &a->in[0], .out = &a->out[0], .eps = a->param[0].f, .length = a->param[1].i};
    l.dtype = MT_COMPUTE[l.out->dtype];
    atomic_init(&l.status, MT_OK);
    bool weight = a->param[2].i != 0;
    int64_t size = MT_ITEMSIZE[l.dtype], size_kept = MT_ITEMSIZE[l.out->dtype];
    mt_cast_fn cast = mt_cast_find(l.out->dtype, l.dtype);
    if (l.in->size == 0) return MT_OK;
    char *copies = a->n_in > 1 ? malloc((size_t)(2 * l.length * size)) : NULL;
    if (a->n_in > 1 && !copies) return MT_MEMORY_ERROR;
    for (int i = 1; i < a->n_in; i++) { /* they may lie anywhere */
        char *copy = copies + (i - 1) * l.length * size;
        cast(copy, size, a->in[i].data, size_kept, l.length);
        if (i == weight) l.weight = copy;
        else l.bias = copy;
    }
    int64_t grain = (1 << 14) / l.length;
    mt_parallel(l.in->size / l.length, grain > 0 ? grain : 1, layer_rows, &l);
    free(copies);
    return atomic_load(&l.status);
}
