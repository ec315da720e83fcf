/* The loops of reductions: they fold runs and rows into running values.
 *
 * Summation.  A sum of one element after the other loses digits as it grows.  NumPy sums in
 * pairs, but only along the fastest axis.  Here float32 is summed in double.  A float64 sum
 * keeps beside each running value the exact error of every addition (the two-sum of Knuth).
 * This is as good as twice the digits in both shapes of loop, and still as fast as memory.
 * Integers are summed in 64 bits.
 *
 * A run is folded into LANES running values side by side, since a single one would wait for the
 * end of each addition.  What is left at the end of a run is folded as the last whole block of the
 * run, in which the elements that were folded before count as the identity.
 *
 * Variance.  A run is read twice from the nearest cache: for its mean, then for the squares of the
 * distances from it, in double.  Rows go four at a time.  Means and sums of squares of parts are
 * merged as Chan et al. do (1979), so nothing cancels and no second pass over memory is needed.
 *
 * The partial results of threads are merged in the order of the elements (loops.h:
 * MT_FOLD_BLOCK). */
enum { LANES = 32, FEW_LANES = 8 };

/* Prefetches the memory of a run: conversions keep the processor too busy to look far enough
 * ahead (this saves an eighth of the time of a float32 sum from memory).  Prefetches past the
 * end have no effect. */
#define AHEAD(at, T)                                                                               \
    for (int j_ = 0; j_ < LANES; j_ += 64 / (int)sizeof(T))                                        \
        __builtin_prefetch((const void *)((uintptr_t)((at) + j_) + 4096));

/* The name of a fold's function, for the templates: FOLD_NAME(start) is sum_i8_start. */
#define JOIN_EXPANDED(a, b, c) a##_##b##_##c
#define JOIN(a, b, c) JOIN_EXPANDED(a, b, c)
#define FOLD_NAME(function) JOIN(FOLD, S, function)
#define ARG_JOIN_EXPANDED(a, b, c) arg_##a##_##b##_##c
#define ARG_JOIN(a, b, c) ARG_JOIN_EXPANDED(a, b, c)
#define ARG_FOLD_NAME(function) ARG_JOIN(FOLD, S, function)
#define FOLDS(name)                                                                                \
    {name##_start, name##_accumulate_run, name##_accumulate_rows, name##_merge, name##_finish}
/* The address of row i; rows begin `stride` bytes apart at x. */
#define ROWS(i) ((const void *)((const char *)x + (i) * stride))

/* Adds `value` to the running sum s, and the rounding error of the addition to e. */
#define TWO_SUM(s, e, value)                                                                       \
    do {                                                                                           \
        double v_ = (value), t_ = (s) + v_, b_ = t_ - (s);                                         \
        (e) += ((s) - (t_ - b_)) + (v_ - b_);                                                      \
        (s) = t_;                                                                                  \
    } while (0)
static void sum_f64_start(void *acc, void *aux, int64_t n) {
    double *r = acc, *e = aux;
    for (int64_t j = 0; j < n; j++) r[j] = -0.0, e[j] = 0;
}
#define SUM_BY(L)                                                                                  \
    do {                                                                                           \
        double s[L], e[L] = {0};                                                                   \
        for (int j = 0; j < L; j++) s[j] = v[j];                                                   \
        for (i = L; i + L <= n; i += L)                                                            \
            for (int j = 0; j < L; j++) TWO_SUM(s[j], e[j], v[i + j]);                             \
        int seen = L - (int)(n - i);                                                               \
        if (i < n) IVDEP for (int j = 0; j < L; j++) {                                             \
                double b = v[n - L + j], more = j < seen ? -0.0 : b;                               \
                TWO_SUM(s[j], e[j], more);                                                         \
            }                                                                                      \
        HALVE(L, j, to, e[j] += e[to]; TWO_SUM(s[j], e[j], s[to]))                                 \
        TWO_SUM(sum, error, s[0]);                                                                 \
        error += e[0];                                                                             \
    } while (0)
static void sum_f64_accumulate_run(void *acc, void *aux, const void *x, int64_t n, int64_t index) {
    const double *v = x;
    double sum = *(double *)acc, error = *(double *)aux;
    int64_t i = 0;
    (void)index;
    if (n >= LANES) SUM_BY(LANES);
    else if (n >= FEW_LANES) SUM_BY(FEW_LANES);
    else
        for (; i < n; i++) TWO_SUM(sum, error, v[i]);
    *(double *)acc = sum, *(double *)aux = error;
}
#undef SUM_BY
static void sum_f64_accumulate_rows(void *acc, void *aux, const void *x, int64_t stride,
                                    int64_t rows, int64_t n, int64_t index) {
    double *restrict s = acc, *restrict e = aux;
    (void)index;
    for (; rows >= 2; rows -= 2, x = (const char *)x + 2 * stride) {
        const double *restrict v = ROWS(0), *restrict w = ROWS(1);
        for (int64_t j = 0; j < n; j++) {
            double sum = s[j], lost = e[j];
            TWO_SUM(sum, lost, v[j]);
            TWO_SUM(sum, lost, w[j]);
            s[j] = sum, e[j] = lost;
        }
    }
    const double *restrict v = x;
    for (int64_t j = 0; rows && j < n; j++) TWO_SUM(s[j], e[j], v[j]);
}
static void sum_f64_merge(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n,
                          int64_t index, int64_t count) {
    double *s = acc, *e = aux;
    const double *v = acc2, *f = aux2;
    (void)index, (void)count;
    for (int64_t j = 0; j < n; j++) {
        TWO_SUM(s[j], e[j], v[j]);
        e[j] += f[j];
    }
}
static void sum_f64_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count,
                           double divisor) {
    const double *s = acc, *e = aux;
    double *o = out;
    for (int64_t j = 0; j < n; j++) {
        /* The error beside an infinity is NaN. */
        double sum = fabs(s[j]) < INFINITY && e[j] != 0 ? s[j] + e[j] : s[j];
        o[j] = (count ? sum : 0) / divisor;
    }
}

/* Returns true if b replaces the running value a: WINS is > or <.  A NaN replaces every value
 * except an earlier NaN. */
#define BETTER(a, b, WINS) (((a) == (a)) & (((b)WINS(a)) | IS_NAN(b)))
#define IS_NAN(a) ((a) != (a))

/* Stores counts. */
static void count_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count,
                         double divisor) {
    (void)aux, (void)count, (void)divisor;
    memcpy(out, acc, (size_t)n * sizeof(int64_t));
}

/* Stores the indices of the extremes. */
static void arg_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count,
                       double divisor) {
    (void)acc, (void)count, (void)divisor;
    memcpy(out, aux, (size_t)n * sizeof(int64_t));
}

#define ACC uint64_t
#define SUM_IDENTITY 0
#define NOT_A_NUMBER 0 /* an integer never is */
#define T int8_t
#define UT uint8_t
#define S i8
#include "kernels/fold_type.inc"
#define T int16_t
#define UT uint16_t
#define S i16
#include "kernels/fold_type.inc"
#define T int32_t
#define UT uint32_t
#define S i32
#include "kernels/fold_type.inc"
#define T int64_t
#define UT uint64_t
#define S i64
#include "kernels/fold_type.inc"
#define T uint8_t
#define UT uint8_t
#define S u8
#include "kernels/fold_type.inc"
#define T uint16_t
#define UT uint16_t
#define S u16
#include "kernels/fold_type.inc"
#define T uint32_t
#define UT uint32_t
#define S u32
#include "kernels/fold_type.inc"
#define T uint64_t
#define UT uint64_t
#define S u64
#include "kernels/fold_type.inc"
#undef ACC
#undef SUM_IDENTITY
#undef NOT_A_NUMBER
#define NOT_A_NUMBER NAN
#define ACC double
#define SUM_IDENTITY -0.0
#define T float
#define UT uint32_t
#define S f32
#include "kernels/fold_type.inc"
#include "kernels/half_sums.h"
#define FOLD_NO_SUM
#define T double
#define UT uint64_t
#define S f64
#include "kernels/fold_type.inc"

#define T float
#define S f32
#include "kernels/fold_moments.inc"
#define T double
#define S f64
#include "kernels/fold_moments.inc"

#define ARG_FOLDS(name, s)                                                                         \
    {name##_##s##_start, arg_##name##_##s##_accumulate_run, arg_##name##_##s##_accumulate_rows,    \
     arg_##name##_##s##_merge, arg_finish}
#define COUNT_FOLDS(s)                                                                             \
    {count_##s##_start, count_##s##_accumulate_run, count_##s##_accumulate_rows,                   \
     count_##s##_merge, count_finish}
#define VAR_FOLDS(s, finish)                                                                       \
    {var_##s##_start, var_##s##_accumulate_run, var_##s##_accumulate_rows, var_##s##_merge, finish}
#define ROW(s)                                                                                     \
    [MT_SUM] = FOLDS(sum_##s), [MT_PROD] = FOLDS(prod_##s), [MT_MIN] = FOLDS(min_##s),             \
    [MT_MAX] = FOLDS(max_##s), [MT_ARGMIN] = ARG_FOLDS(min, s), [MT_ARGMAX] = ARG_FOLDS(max, s),   \
    [MT_COUNT] = COUNT_FOLDS(s)
#define FLOAT_ROW(s)                                                                               \
    ROW(s), [MT_VAR] = VAR_FOLDS(s, var_##s##_finish), [MT_STD] = VAR_FOLDS(s, std_##s##_finish)
#define MT_FOLD_TABLE                                                                              \
    {                                                                                              \
        [MT_DT_bool] = {ROW(u8)},                                                                  \
        [MT_DT_int8] = {ROW(i8)},                                                                  \
        [MT_DT_int16] = {ROW(i16)},                                                                \
        [MT_DT_int32] = {ROW(i32)},                                                                \
        [MT_DT_int64] = {ROW(i64)},                                                                \
        [MT_DT_uint8] = {ROW(u8)},                                                                 \
        [MT_DT_uint16] = {ROW(u16)},                                                               \
        [MT_DT_uint32] = {ROW(u32)},                                                               \
        [MT_DT_uint64] = {ROW(u64)},                                                               \
        [MT_DT_float32] = {FLOAT_ROW(f32)},                                                        \
        [MT_DT_float64] = {FLOAT_ROW(f64)},                                                        \
        [MT_DT_float16] = {FOLD_HALVES(f16)},                                                      \
        [MT_DT_bfloat16] = {FOLD_HALVES(bf16)},                                                    \
    }
