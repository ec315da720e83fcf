/* Logarithms and the inverse hyperbolic functions: a part of elementary.h, which defines their
 * tools. */
#ifndef MT_LOGARITHMS_H
#define MT_LOGARITHMS_H
/* --- logarithms -------------------------------------------------------------------------------
 * x = 2^k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2).  x is a normal number; `more` is added to
 * k.  Rare arguments are subnormals, which are multiplied first, and special values, selected at
 * the end. */
typedef struct {
    float k, f;
} mt_split_f;
INLINE mt_split_f mt_split_log_f(float x, int32_t more) {
    uint32_t b = bits_f(x) - 0x3f3504f3u;
    return (mt_split_f){(float)(((int32_t)b >> 23) + more),
                        from_bits_f((b & 0x7fffff) + 0x3f3504f3u) - 1};
}
INLINE float mt_log_of_f(mt_split_f v) {
    return MADD(v.k, (float)MT_LN2_FULL,
                MADD(v.f * v.f, MADD(v.f, POLY_F(v.f, MT_POLY_LOG_F), -0.5f), v.f));
}
/* f (c0 + c1) + rest: c0 has 12 bits, and so has `high`, so their product is exact. */
INLINE float mt_scaled_f(float f, float c0, float c1, float rest) {
    float high = from_bits_f(bits_f(f) & 0xfffff000u);
    return MADD(high, c0, MADD(f - high, c0, MADD(f, c1, rest)));
}
INLINE float mt_log2_of_f(mt_split_f v) {
    return v.k +
           mt_scaled_f(v.f, MT_INV_LN2F_0, MT_INV_LN2F_1, v.f * v.f * POLY_F(v.f, MT_POLY_LOG2_F));
}
INLINE float mt_log10_of_f(mt_split_f v) {
    float q = MADD(v.f * v.f, POLY_F(v.f, MT_POLY_LOG10_F), v.k * MT_LOG10_2F_1);
    return MADD(v.k, MT_LOG10_2F_0, mt_scaled_f(v.f, MT_INV_LN10F_0, MT_INV_LN10F_1, q));
}
typedef struct {
    double k, f;
} mt_split;
INLINE mt_split mt_split_log(double x, double more) {
    uint64_t b = bits(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double k = from_bits((b >> 52) | 0x4330000000000000u) - (0x1p52 + 1023 - more);
    return (mt_split){k, from_bits((b & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1};
}
/* Returns the logarithm y of x, or its value where it is not a finite number. */
INLINE double mt_log_at_ends(double x, double y) {
    y = x < INFINITY ? y : x;
    y = x < 0 ? NAN : y;
    return x == 0 ? -INFINITY : y;
}
/* log(1 + f) = f - (f²/2 - s (f²/2 + R)), s = f / (2 + f); returns the last term. */
INLINE double mt_log_tail(double f, double half) {
    double s = f / (2 + f), z = s * s;
    return s * (half + z * POLY(z, MT_POLY_LOG));
}
INLINE double mt_log_of(mt_split v) {
    double half = 0.5 * v.f * v.f, tail = mt_log_tail(v.f, half);
    return MADD(v.k, MT_LN2_0, -((half - MADD(v.k, MT_LN2_1, tail)) - v.f));
}
/* log(1 + f) in two numbers, the first of them short, so that its products with a short constant
 * are exact. */
#define MT_LOG_BASE(name, inverse_0, inverse_1, k_0, k_1)                                          \
    INLINE double name(mt_split v) {                                                               \
        double half = 0.5 * v.f * v.f, tail = mt_log_tail(v.f, half);                              \
        double high = from_bits(bits(v.f - half) & 0xffffffff00000000u),                           \
               low = ((v.f - high) - half) + tail;                                                 \
        double product = high * inverse_0, rest = (low + high) * inverse_1 + low * inverse_0,      \
               whole = v.k * k_0;                                                                  \
        double sum = whole + product;                                                              \
        return sum + (rest + ((whole - sum) + product) + v.k * k_1);                               \
    }
MT_LOG_BASE(mt_log2_of, MT_INV_LN2_0, MT_INV_LN2_1, 1.0, 0.0)
MT_LOG_BASE(mt_log10_of, MT_INV_LN10_0, MT_INV_LN10_1, MT_LOG10_2_0, MT_LOG10_2_1)
#define MT_LOG(T, name, suffix, infix, times, more)                                                \
    INLINE T mt_##name##suffix(T x) { return mt_##name##_of##infix(mt_split_log##infix(x, 0)); }   \
    INLINE T mt_##name##_special##suffix(T x) {                                                    \
        T y = mt_##name##_of##infix(mt_split_log##infix(x * times, -more));                        \
        y = x < INFINITY ? y : x;                                                                  \
        y = x < 0 ? NAN : y;                                                                       \
        return x == 0 ? -INFINITY : y;                                                             \
    }
MT_LOG(float, log, f, _f, 0x1p23f, 23)
MT_LOG(float, log2, f, _f, 0x1p23f, 23)
MT_LOG(float, log10, f, _f, 0x1p23f, 23)
MT_LOG(double, log, , , 0x1p52, 52)
MT_LOG(double, log2, , , 0x1p52, 52)
MT_LOG(double, log10, , , 0x1p52, 52)
/* log(1 + x + low), or with `more` log(2 x).  1 + x loses the last digits of x, which matter
 * where the sum is near 1: `lost` adds them again. */
INLINE double mt_log_of_sum(double x, double low, double more) {
    double u = more == 0 ? 1 + x : x, lost = fabs(x) < 1 ? x - (u - 1) : 1 - (u - x);
    mt_split v = mt_split_log(u, 0);
    bool near_one = v.k == 0 && more == 0;
    double correction = (near_one    ? low
                         : more == 0 ? lost + low
                                     : 0) /
                        u,
           f = near_one ? x : v.f, k = v.k + more;
    double half = 0.5 * f * f, tail = mt_log_tail(f, half);
    return mt_log_at_ends(u, k * MT_LN2_0 - ((half - (tail + (k * MT_LN2_1 + correction))) - f));
}
INLINE double mt_log1p(double x) { return with_sign(mt_log_of_sum(x, 0, 0), x); }
INLINE double mt_asinh(double x) {
    double a = fabs(x), more = a > 0x1p28 ? 1 : 0, b = a > 0x1p28 ? 1 : a, z = b * b,
           t = z / (1 + sqrt(1 + z)), sum = b + t;
    return with_sign(mt_log_of_sum(more == 0 ? sum : a, t - (sum - b), more), x);
}
/* The root is needed with more digits than a double has: its square is compared with the exact
 * value, in two halves. */
INLINE double mt_acosh(double x) {
    double more = x > 0x1p28 ? 1 : 0, t = x > 0x1p28 ? 1 : x - 1, square = t * t,
           w = 2 * t + square, s = sqrt(w);
    double left = t < 2 ? square - (w - 2 * t) : 2 * t - (w - square),
           high = from_bits(bits(s) & ~(uint64_t)0x7ffffff), low = s - high;
    double rest = ((w - high * high) - 2 * high * low) - low * low + left, sum = s + t;
    double lost = t < s ? t - (sum - s) : s - (sum - t);
    double y = mt_log_of_sum(more == 0 ? sum : x, s > 0 ? lost + rest / (2 * s) : 0, more);
    return x < 1 ? NAN : y;
}
INLINE double mt_atanh(double x) {
    double a = fabs(x), d = 1 - a, t = 2 * a, extra = t * a / d, sum = a < 0.5 ? t + extra : t / d;
    return with_sign(0.5 * mt_log_of_sum(sum, a < 0.5 ? extra - (sum - t) : 0, 0), x);
}
/* log of x for float32 results; x is normal, 0, negative or not finite. */
INLINE double mt_log_fd(double x) {
    uint64_t b = bits(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double k = from_bits((b >> 52) | 0x4330000000000000u) - (0x1p52 + 1023);
    double f = from_bits((b & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1, s = f / (2 + f),
           z = s * s;
    return mt_log_at_ends(x, s * (2 + z * POLY(z, MT_POLY_LOG_FD)) + k * MT_LN2_FULL);
}
/* log(1 + x) of a double for float32 results; `lost` is the rounding of 1 + x. */
INLINE double mt_log1p_fd(double x) {
    double u = 1 + x, lost = x - (u - 1);
    return mt_log_fd(u) + (fabs(lost) < 1 ? lost : 0);
}
/* log(u) with u = 1 + x.  `lost`, the rounding of u, is added to f, where it matters: for small
 * k. */
INLINE float mt_log1pf(float x) {
    float u = 1 + x, lost = x - (u - 1);
    mt_split_f v = mt_split_log_f(u, 0);
    v.f = MADD(lost, from_bits_f(0x3f800000u - ((bits_f(u) - 0x3f3504f3u) & 0xff800000u)), v.f);
    return copysignf(mt_log_of_f(v), x);
}
INLINE float mt_log1p_specialf(float x) {
    float y = x < INFINITY ? mt_logf(x) : x;
    return x == -1 ? -INFINITY : x < -1 ? NAN : y;
}
INLINE double mt_log1p_special(double x) {
    double y = x < INFINITY ? mt_log(x) : x;
    return x == -1 ? -INFINITY : x < -1 ? NAN : y;
}
INLINE float mt_asinhf(float x) {
    double a = fabsf(x), z = a * a, y = mt_log1p_fd(a + z / (1 + sqrt(1 + z)));
    return copysignf((float)(a < INFINITY ? y : a), x);
}
INLINE float mt_acoshf(float x) {
    double t = (double)x - 1;
    return x < 1 ? NAN : (float)mt_log1p_fd(t + sqrt(t * (t + 2)));
}
INLINE float mt_atanhf(float x) {
    double a = fabsf(x);
    return copysignf((float)(0.5 * mt_log1p_fd(2 * a / (1 - a))), x);
}
#endif
