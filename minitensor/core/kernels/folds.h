/* The loops of reductions: how runs and rows fold into running values.
 *
 * Summation.  Adding up one by one loses digits as the sum grows.  NumPy sums in pairs, but only along the fastest axis.
 * Here float32 is added in double, and float64 keeps next to each sum the exact error of every addition (Knuth's
 * two-sum): as good as twice the digits in both shapes of loop, and still as fast as memory.  Integers are added in 64 bits.
 *
 * A run is folded in LANES running values side by side: one would wait for each addition to end before the next.
 *
 * What threads have folded apart is merged, in the order of the elements (loops.h: MT_FOLD_BLOCK). */
enum { LANES = 32 };

/* Asks for the memory of a run before it is needed: converting keeps the processor too busy to look far enough ahead by itself (an eighth of the
 * time of a sum of float32 that comes from memory).  Addresses behind the end are asked for in vain and harm nothing. */
#define AHEAD(at, T)                                                                                                      \
    for (int j_ = 0; j_ < LANES; j_ += 64 / (int)sizeof(T)) __builtin_prefetch((const void *)((uintptr_t)((at) + j_) + 4096));

#define FOLDS(name) {name##_start, name##_accumulate_run, name##_accumulate_rows, name##_merge, name##_finish}
/* row i of those that lie `stride` bytes apart from x on */
#define ROWS(i) ((const void *)((const char *)x + (i) * stride))
#define START(name, ACC, identity)                                                                                        \
    static void name##_start(void *acc, void *aux, int64_t n) {                                                           \
        ACC *r = acc;                                                                                                     \
        double *e = aux;                                                                                                  \
        for (int64_t j = 0; j < n; j++) r[j] = identity, e[j] = 0;                                                        \
    }

/* sum and prod in an accumulator that is wider than the elements */
#define WIDE(name, T, ACC, identity, zero, OP)                                                                            \
    START(name, ACC, identity)                                                                                            \
    static void name##_accumulate_run(void *acc, void *aux, const void *x, int64_t n, int64_t index) {                             \
        const T *v = x;                                                                                                   \
        ACC lane[LANES], r = *(ACC *)acc;                                                                                 \
        int64_t i = 0;                                                                                                    \
        (void)aux, (void)index;                                                                                           \
        if (n >= LANES) {                                                                                                 \
            for (int j = 0; j < LANES; j++) lane[j] = (ACC)v[j];                                                          \
            for (i = LANES; i + LANES <= n; i += LANES) {                                                                 \
                AHEAD(v + i, T)                                                                                           \
                for (int j = 0; j < LANES; j++) lane[j] = lane[j] OP (ACC)v[i + j];                                       \
            }                                                                                                             \
            for (int width = LANES / 2; width > 0; width /= 2)                                                            \
                for (int j = 0; j < width; j++) lane[j] = lane[j] OP lane[j + width];                                     \
            r = r OP lane[0];                                                                                             \
        }                                                                                                                 \
        for (; i < n; i++) r = r OP (ACC)v[i];                                                                            \
        *(ACC *)acc = r;                                                                                                  \
    }                                                                                                                     \
    static void name##_accumulate_rows(void *acc, void *aux, const void *x, int64_t stride, int64_t rows, int64_t n, int64_t index) {\
        ACC *restrict r = acc;                                                                                            \
        (void)aux, (void)index;                                                                                           \
        for (; rows >= 4; rows -= 4, x = (const char *)x + 4 * stride) {                                                  \
            const T *restrict v = ROWS(0), *restrict w = ROWS(1), *restrict y = ROWS(2), *restrict z = ROWS(3);           \
            for (int64_t j = 0; j < n; j++) r[j] = r[j] OP (ACC)v[j] OP (ACC)w[j] OP (ACC)y[j] OP (ACC)z[j];              \
        }                                                                                                                 \
        for (; rows > 0; rows--, x = ROWS(1)) {                                                                           \
            const T *restrict v = x;                                                                                      \
            for (int64_t j = 0; j < n; j++) r[j] = r[j] OP (ACC)v[j];                                                     \
        }                                                                                                                 \
    }                                                                                                                     \
    static void name##_merge(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n, int64_t index) {        \
        ACC *restrict r = acc;                                                                                            \
        const ACC *restrict v = acc2;                                                                                     \
        (void)aux, (void)aux2, (void)index;                                                                               \
        for (int64_t j = 0; j < n; j++) r[j] = r[j] OP v[j];                                                              \
    }                                                                                                                     \
    static void name##_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count, bool mean) {         \
        const ACC *r = acc;                                                                                               \
        T *o = out;                                                                                                       \
        (void)aux;                                                                                                        \
        for (int64_t j = 0; j < n; j++) o[j] = (T)(mean ? r[j] / (ACC)count : count ? r[j] : zero);                       \
    }

/* The running sum s, and e, all that rounding has taken from it. */
#define TWO_SUM(s, e, value)                                                                                              \
    do {                                                                                                                  \
        double v_ = (value), t_ = (s) + v_, b_ = t_ - (s);                                                                \
        (e) += ((s) - (t_ - b_)) + (v_ - b_);                                                                             \
        (s) = t_;                                                                                                         \
    } while (0)
START(sum_f64, double, -0.0)
static void sum_f64_accumulate_run(void *acc, void *aux, const void *x, int64_t n, int64_t index) {
    const double *v = x;
    double s[LANES], e[LANES] = {0}, sum = *(double *)acc, error = *(double *)aux;
    int64_t i = 0;
    (void)index;
    if (n >= LANES) {
        for (int j = 0; j < LANES; j++) s[j] = v[j];
        for (i = LANES; i + LANES <= n; i += LANES)
            for (int j = 0; j < LANES; j++) TWO_SUM(s[j], e[j], v[i + j]);
        for (int j = 0; j < LANES; j++) {
            TWO_SUM(sum, error, s[j]);
            error += e[j];
        }
    }
    for (; i < n; i++) TWO_SUM(sum, error, v[i]);
    *(double *)acc = sum, *(double *)aux = error;
}
static void sum_f64_accumulate_rows(void *acc, void *aux, const void *x, int64_t stride, int64_t rows, int64_t n, int64_t index) {
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
static void sum_f64_merge(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n, int64_t index) {
    double *s = acc, *e = aux;
    const double *v = acc2, *f = aux2;
    (void)index;
    for (int64_t j = 0; j < n; j++) {
        TWO_SUM(s[j], e[j], v[j]);
        e[j] += f[j];
    }
}
static void sum_f64_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count, bool mean) {
    const double *s = acc, *e = aux;
    double *o = out;
    for (int64_t j = 0; j < n; j++) {
        double sum = fabs(s[j]) < INFINITY && e[j] != 0 ? s[j] + e[j] : s[j];   /* of an infinity the error is NaN */
        o[j] = mean ? sum / (double)count : count ? sum : 0;
    }
}

/* the running value a takes in b: LOSES is <= or >=, and a NaN beats all but an earlier one */
#define BETTER(a, b, LOSES) (((a) == (a)) & !((b) LOSES (a)))
#define BEST(a, b, LOSES) ((a) != (a) ? (a) : (b) LOSES (a) ? (a) : (b))   /* GCC vectorises rows in this form, runs in the other */

#define EXTREME(name, T, identity, LOSES)                                                                                 \
    static void name##_start(void *acc, void *aux, int64_t n) {                                                           \
        T *r = acc;                                                                                                       \
        (void)aux;                                                                                                        \
        for (int64_t j = 0; j < n; j++) r[j] = identity;                                                                  \
    }                                                                                                                     \
    static void name##_accumulate_run(void *acc, void *aux, const void *x, int64_t n, int64_t index) {                             \
        const T *v = x;                                                                                                   \
        T lane[LANES], r = index ? *(T *)acc : v[0];                                                                      \
        int64_t i = 0;                                                                                                    \
        (void)aux;                                                                                                        \
        if (n >= LANES) {                                                                                                 \
            for (int j = 0; j < LANES; j++) lane[j] = v[j];                                                               \
            for (i = LANES; i + LANES <= n; i += LANES)                                                                   \
                for (int j = 0; j < LANES; j++) lane[j] = BETTER(lane[j], v[i + j], LOSES) ? v[i + j] : lane[j];          \
            for (int j = 0; j < LANES; j++) r = BETTER(r, lane[j], LOSES) ? lane[j] : r;                                  \
        }                                                                                                                 \
        for (; i < n; i++) r = BETTER(r, v[i], LOSES) ? v[i] : r;                                                         \
        *(T *)acc = r;                                                                                                    \
    }                                                                                                                     \
    static void name##_accumulate_rows(void *acc, void *aux, const void *x, int64_t stride, int64_t rows, int64_t n, int64_t index) {\
        T *restrict r = acc;                                                                                              \
        (void)aux;                                                                                                        \
        if (index == 0) memcpy(r, x, (size_t)n * sizeof(T)), rows--, x = ROWS(1);                                         \
        for (; rows >= 4; rows -= 4, x = (const char *)x + 4 * stride) {                                                  \
            const T *restrict v = ROWS(0), *restrict w = ROWS(1), *restrict y = ROWS(2), *restrict z = ROWS(3);           \
            IVDEP for (int64_t j = 0; j < n; j++) {                                                                       \
                T a = r[j], p0 = v[j], p1 = w[j], p2 = y[j], p3 = z[j];                                                   \
                a = BEST(a, p0, LOSES);                                                                                   \
                a = BEST(a, p1, LOSES);                                                                                   \
                a = BEST(a, p2, LOSES);                                                                                   \
                r[j] = BEST(a, p3, LOSES);                                                                                \
            }                                                                                                             \
        }                                                                                                                 \
        for (; rows > 0; rows--, x = ROWS(1)) {                                                                           \
            const T *restrict v = x;                                                                                      \
            IVDEP for (int64_t j = 0; j < n; j++) r[j] = BEST(r[j], v[j], LOSES);                                         \
        }                                                                                                                 \
    }                                                                                                                     \
    static void name##_merge(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n, int64_t index) {        \
        T *r = acc;                                                                                                       \
        const T *v = acc2;                                                                                                \
        (void)aux, (void)aux2, (void)index;                                                                               \
        for (int64_t j = 0; j < n; j++) r[j] = BEST(r[j], v[j], LOSES);                                                   \
    }                                                                                                                     \
    static void name##_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count, bool mean) {         \
        (void)aux, (void)count, (void)mean;                                                                               \
        memcpy(out, acc, (size_t)n * sizeof(T));                                                                          \
    }                                                                                                                     \
    /* Where the extreme is: find it a tile at a time, and search a tile only when it has a better one. */                \
    static void arg_##name##_accumulate_run(void *acc, void *aux, const void *x, int64_t n, int64_t index) {                       \
        T *r = acc;                                                                                                       \
        for (int64_t i = 0; i < n; i += MT_TILE) {                                                                        \
            const T *v = (const T *)x + i;                                                                                \
            int64_t m = n - i < MT_TILE ? n - i : MT_TILE, at = 0;                                                        \
            T best;                                                                                                       \
            name##_accumulate_run(&best, NULL, v, m, 0);                                                                           \
            if (index + i > 0 && !BETTER(*r, best, LOSES)) continue;                                                      \
            while (best == best ? v[at] != best : v[at] == v[at]) at++;                                                   \
            *r = best, *(int64_t *)aux = index + i + at;                                                                  \
        }                                                                                                                 \
    }                                                                                                                     \
    static void arg_##name##_accumulate_rows(void *acc, void *aux, const void *x, int64_t stride, int64_t rows, int64_t n, int64_t index) {\
        T *restrict r = acc;                                                                                              \
        int64_t *restrict where = aux;                                                                                    \
        for (; rows > 0; rows--, index++, x = ROWS(1)) {                                                                  \
            const T *restrict v = x;                                                                                      \
            for (int64_t j = 0; j < n; j++) {                                                                             \
                bool take = index == 0 || BETTER(r[j], v[j], LOSES);                                                      \
                r[j] = take ? v[j] : r[j], where[j] = take ? index : where[j];                                            \
            }                                                                                                             \
        }                                                                                                                 \
    }                                                                                                                     \
    static void arg_##name##_merge(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n, int64_t index) {  \
        T *r = acc;                                                                                                       \
        const T *v = acc2;                                                                                                \
        int64_t *where = aux;                                                                                             \
        const int64_t *there = aux2;                                                                                      \
        for (int64_t j = 0; j < n; j++) {                                                                                 \
            bool take = BETTER(r[j], v[j], LOSES);                                                                        \
            r[j] = take ? v[j] : r[j], where[j] = take ? there[j] + index : where[j];                                     \
        }                                                                                                                 \
    }
static void arg_finish(const void *acc, const void *aux, void *out, int64_t n, int64_t count, bool mean) {
    (void)acc, (void)count, (void)mean;
    memcpy(out, aux, (size_t)n * sizeof(int64_t));
}

#define INTEGER(T, s)                                                                                                     \
    WIDE(sum_##s, T, uint64_t, 0, 0, +)                                                                                   \
    WIDE(prod_##s, T, uint64_t, 1, 1, *)                                                                                  \
    EXTREME(min_##s, T, 1, >=)                                                                                            \
    EXTREME(max_##s, T, 0, <=)
INTEGER(int8_t, i8)
INTEGER(int16_t, i16)
INTEGER(int32_t, i32)
INTEGER(int64_t, i64)
INTEGER(uint8_t, u8)
INTEGER(uint16_t, u16)
INTEGER(uint32_t, u32)
INTEGER(uint64_t, u64)
WIDE(sum_f32, float, double, -0.0, 0, +)
WIDE(prod_f32, float, double, 1, 1, *)
WIDE(prod_f64, double, double, 1, 1, *)
EXTREME(min_f32, float, 1, >=)
EXTREME(max_f32, float, 0, <=)
EXTREME(min_f64, double, 1, >=)
EXTREME(max_f64, double, 0, <=)

#define ROW(s)                                                                                                            \
    {FOLDS(sum_##s), FOLDS(prod_##s), FOLDS(min_##s), FOLDS(max_##s),                                                     \
     {min_##s##_start, arg_min_##s##_accumulate_run, arg_min_##s##_accumulate_rows, arg_min_##s##_merge, arg_finish},                                            \
     {max_##s##_start, arg_max_##s##_accumulate_run, arg_max_##s##_accumulate_rows, arg_max_##s##_merge, arg_finish}}
#define MT_FOLD_TABLE                                                                                                     \
    {                                                                                                                     \
        [MT_DT_bool] = ROW(u8),    [MT_DT_int8] = ROW(i8),    [MT_DT_int16] = ROW(i16),   [MT_DT_int32] = ROW(i32),       \
        [MT_DT_int64] = ROW(i64),  [MT_DT_uint8] = ROW(u8),   [MT_DT_uint16] = ROW(u16),  [MT_DT_uint32] = ROW(u32),      \
        [MT_DT_uint64] = ROW(u64), [MT_DT_float32] = ROW(f32), [MT_DT_float64] = ROW(f64),                                \
    }
