/* The sum and the mean of float16 and bfloat16.  Included by folds.h, after the sum of float32.
 *
 * A conversion to double for each element would take most of the time.  So long runs and many
 * rows are added up in float32 first, up to HALF_DEPTH numbers each, whose error is below 2^-19
 * of the sum of their absolute values: a half type has 11 bits or 8.  The partial sums are added
 * in double.  Short runs and few rows are added in double at once, so that a short reduction has
 * one result, whichever of the two loops computes it.  Sums of bfloat16 that are too large for
 * float32 are computed again in double. */
#include "kernels/math/halves.h"

enum { HALF_LANES = 64, HALF_DEPTH = 32, HALF_RUN = HALF_LANES * HALF_DEPTH, HALF_ROW = 256 };

/* add_<half> adds the numbers of v to those of `to`; lanes_<half> stores in `to` the sums of
 * HALF_LANES columns of as many numbers in `rows` rows. */
#ifdef MT_F16C
#define ADD(h, LOAD)                                                                               \
    static inline void add_##h(float *restrict to, const uint16_t *restrict v, int n) {            \
        int j = 0;                                                                                 \
        for (; j + MT_F16C <= n; j += MT_F16C) STORE_F32(to + j, LOAD(v + j) + LOAD_F32(to + j));  \
        for (; j < n; j++) to[j] += from_##h(v[j]);                                                \
    }                                                                                              \
    static inline void lanes_##h(float *restrict to, const uint16_t *restrict v, int64_t rows) {   \
        f32_vector sum[HALF_LANES / MT_F16C];                                                      \
        for (int k = 0; k < HALF_LANES / MT_F16C; k++) sum[k] = LOAD(v + k * MT_F16C);             \
        for (int64_t i = 1; i < rows; i++)                                                         \
            for (int k = 0; k < HALF_LANES / MT_F16C; k++)                                         \
                sum[k] += LOAD(v + i * HALF_LANES + k * MT_F16C);                                  \
        for (int k = 0; k < HALF_LANES / MT_F16C; k++) STORE_F32(to + k * MT_F16C, sum[k]);        \
    }
#else
#define ADD(h, LOAD)                                                                               \
    static inline void add_##h(float *restrict to, const uint16_t *restrict v, int n) {            \
        for (int j = 0; j < n; j++) to[j] += from_##h(v[j]);                                       \
    }                                                                                              \
    static inline void lanes_##h(float *restrict to, const uint16_t *restrict v, int64_t rows) {   \
        for (int j = 0; j < HALF_LANES; j++) to[j] = -0.0f;                                        \
        for (int64_t i = 0; i < rows; i++) add_##h(to, v + i * HALF_LANES, HALF_LANES);            \
    }
#endif
ADD(f16, LOAD_F16)
ADD(bf16, LOAD_BF16)
#undef ADD

/* Returns true if all are finite. */
static inline bool all_finite(const float *x, int64_t n) {
    float zero = 0;
    for (int64_t j = 0; j < n; j++) zero += x[j] * 0;
    return zero == 0;
}

#define SUM_OF_HALVES(h)                                                                           \
    static void sum_##h##_in_double(void *acc, const uint16_t *v, int64_t n) {                     \
        float wide[HALF_LANES];                                                                    \
        for (int64_t m; n > 0; n -= m, v += m) {                                                   \
            m = n < HALF_LANES ? n : HALF_LANES;                                                   \
            for (int64_t j = 0; j < m; j++) wide[j] = -0.0f;                                       \
            add_##h(wide, v, (int)m);                                                              \
            sum_f32_accumulate_run(acc, NULL, wide, m, 0);                                         \
        }                                                                                          \
    }                                                                                              \
    static void sum_##h##_accumulate_run(void *acc, void *aux, const void *x, int64_t n,           \
                                         int64_t index) {                                          \
        const uint16_t *v = x;                                                                     \
        (void)aux, (void)index;                                                                    \
        for (int64_t m; n >= HALF_LANES; n -= m, v += m) {                                         \
            float part[HALF_LANES];                                                                \
            m = n < HALF_RUN ? n / HALF_LANES * HALF_LANES : HALF_RUN;                             \
            lanes_##h(part, v, m / HALF_LANES);                                                    \
            if (all_finite(part, HALF_LANES))                                                      \
                sum_f32_accumulate_run(acc, NULL, part, HALF_LANES, 0);                            \
            else sum_##h##_in_double(acc, v, m);                                                   \
        }                                                                                          \
        sum_##h##_in_double(acc, v, n);                                                            \
    }                                                                                              \
    /* Adds `rows` rows of n elements, at most HALF_ROW, to n sums. */                             \
    static void sum_##h##_rows(double *acc, const char *x, int64_t stride, int64_t rows,           \
                               int64_t n) {                                                        \
        float part[HALF_ROW];                                                                      \
        for (int64_t i = 0, m; i < rows; i += m) {                                                 \
            m = rows - i < HALF_DEPTH ? 1 : HALF_DEPTH;                                            \
            for (int64_t j = 0; j < n; j++) part[j] = -0.0f;                                       \
            for (int64_t k = i; k < i + m; k++) add_##h(part, ROWS(k), (int)n);                    \
            bool right = m == 1 || all_finite(part, n);                                            \
            if (right)                                                                             \
                for (int64_t j = 0; j < n; j++) acc[j] += (double)part[j];                         \
            else                                                                                   \
                for (int64_t k = i; k < i + m; k++) sum_##h##_rows(acc, ROWS(k), stride, 1, n);    \
        }                                                                                          \
    }                                                                                              \
    static void sum_##h##_accumulate_rows(void *acc, void *aux, const void *x, int64_t stride,     \
                                          int64_t rows, int64_t n, int64_t index) {                \
        (void)aux, (void)index;                                                                    \
        for (int64_t j = 0; j < n; j += HALF_ROW)                                                  \
            sum_##h##_rows((double *)acc + j, (const char *)x + 2 * j, stride, rows,               \
                           n - j < HALF_ROW ? n - j : HALF_ROW);                                   \
    }                                                                                              \
    static void sum_##h##_finish(const void *acc, const void *aux, void *out, int64_t n,           \
                                 int64_t count, double divisor) {                                  \
        const double *r = acc;                                                                     \
        uint16_t *o = out;                                                                         \
        (void)aux;                                                                                 \
        for (int64_t j = 0; j < n; j++) o[j] = to_##h(sticky_f32((count ? r[j] : 0) / divisor));   \
    }
SUM_OF_HALVES(f16)
SUM_OF_HALVES(bf16)
#define FOLD_HALVES(h)                                                                             \
    {sum_f32_start, sum_##h##_accumulate_run, sum_##h##_accumulate_rows, sum_f32_merge,            \
     sum_##h##_finish}
