/* Logarithms and the inverse hyperbolic functions: a part of elementary.h, which has the tools. */
#ifndef MT_LOGARITHMS_H
#define MT_LOGARITHMS_H
/* --- logarithms ---------------------------------------------------------------------------------------------------------------
 * x = 2^k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2).  A subnormal is multiplied first. */
INLINE float mt_logf(float x) {
    uint32_t up = -(uint32_t)(x < 0x1p-126f) & (23u << 23);     /* masks, since of a choice compilers compute both sides whole */
    uint32_t b = bits_f(x * from_bits_f(up + 0x3f800000u)) - 0x3f3504f3u;
    float k = (float)((int32_t)(b - up) >> 23);
    float f = from_bits_f((b & 0x7fffff) + 0x3f3504f3u) - 1;
    float q = MADD(f * f, MADD(f, POLY_F(f, MT_POLY_LOG_F), -0.5f), k * (float)MT_LN2F_1);
    float y = MADD(k, (float)MT_LN2F_0, f + q);
    y = x < INFINITY ? y : x;
    y = x < 0 ? NAN : y;
    return x == 0 ? -INFINITY : y;
}
typedef struct { double k, f; } mt_split;
INLINE mt_split mt_split_log(double x) {
    uint64_t up = -(uint64_t)(x < 0x1p-1022) & ((uint64_t)52 << 52);
    uint64_t b = bits(x * from_bits(up + 0x3ff0000000000000u)) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double k = from_bits((b >> 52) | 0x4330000000000000u) - (from_bits((up >> 52) | 0x4330000000000000u) + 1023);
    return (mt_split){k, from_bits((b & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1};
}
/* what a logarithm is where it isn't a finite number */
INLINE double mt_log_special(double x, double y) {
    y = x < INFINITY ? y : x;
    y = x < 0 ? NAN : y;
    return x == 0 ? -INFINITY : y;
}
/* log(1 + f) = f - (f²/2 - s (f²/2 + R)), s = f / (2 + f); the last term of it */
INLINE double mt_log_tail(double f, double half) {
    double s = f / (2 + f), z = s * s;
    return s * (half + z * POLY(z, MT_POLY_LOG));
}
INLINE double mt_log(double x) {
    mt_split v = mt_split_log(x);
    double half = 0.5 * v.f * v.f, tail = mt_log_tail(v.f, half);
    return mt_log_special(x, v.k * MT_LN2_0 - ((half - (tail + v.k * MT_LN2_1)) - v.f));
}
/* log(1 + f) in two numbers, the first of them short, so that its products with a short constant are exact */
#define MT_LOG_BASE(name, inverse_0, inverse_1, k_0, k_1)                                                                  \
    INLINE double name(double x) {                                                                                         \
        mt_split v = mt_split_log(x);                                                                                      \
        double half = 0.5 * v.f * v.f, tail = mt_log_tail(v.f, half);                                                      \
        double high = from_bits(bits(v.f - half) & 0xffffffff00000000u), low = ((v.f - high) - half) + tail;               \
        double product = high * inverse_0, rest = (low + high) * inverse_1 + low * inverse_0, whole = v.k * k_0;              \
        double sum = whole + product;                                                                                         \
        return mt_log_special(x, sum + (rest + ((whole - sum) + product) + v.k * k_1));                                       \
    }
MT_LOG_BASE(mt_log2, MT_INV_LN2_0, MT_INV_LN2_1, 1.0, 0.0)
MT_LOG_BASE(mt_log10, MT_INV_LN10_0, MT_INV_LN10_1, MT_LOG10_2_0, MT_LOG10_2_1)
/* log(1 + x + low), or with `more` log(2 x).  1 + x loses the end of x, which counts where the sum is near 1: `lost` brings it back. */
INLINE double mt_log_of_sum(double x, double low, double more) {
    double u = more == 0 ? 1 + x : x, lost = fabs(x) < 1 ? x - (u - 1) : 1 - (u - x);
    mt_split v = mt_split_log(u);
    bool near_one = v.k == 0 && more == 0;
    double correction = (near_one ? low : more == 0 ? lost + low : 0) / u, f = near_one ? x : v.f, k = v.k + more;
    double half = 0.5 * f * f, tail = mt_log_tail(f, half);
    return mt_log_special(u, k * MT_LN2_0 - ((half - (tail + (k * MT_LN2_1 + correction))) - f));
}
INLINE double mt_log1p(double x) { return with_sign(mt_log_of_sum(x, 0, 0), x); }
INLINE double mt_asinh(double x) {
    double a = fabs(x), more = a > 0x1p28 ? 1 : 0, b = a > 0x1p28 ? 1 : a, z = b * b, t = z / (1 + sqrt(1 + z)), sum = b + t;
    return with_sign(mt_log_of_sum(more == 0 ? sum : a, t - (sum - b), more), x);
}
/* The root is needed to more than its own digits: its square is compared with what it should be, in two halves. */
INLINE double mt_acosh(double x) {
    double more = x > 0x1p28 ? 1 : 0, t = x > 0x1p28 ? 1 : x - 1, square = t * t, w = 2 * t + square, s = sqrt(w);
    double left = t < 2 ? square - (w - 2 * t) : 2 * t - (w - square), high = from_bits(bits(s) & ~(uint64_t)0x7ffffff), low = s - high;
    double rest = ((w - high * high) - 2 * high * low) - low * low + left, sum = s + t;
    double lost = t < s ? t - (sum - s) : s - (sum - t);
    double y = mt_log_of_sum(more == 0 ? sum : x, s > 0 ? lost + rest / (2 * s) : 0, more);
    return x < 1 ? NAN : y;
}
INLINE double mt_atanh(double x) {
    double a = fabs(x), d = 1 - a, t = 2 * a, extra = t * a / d, sum = a < 0.5 ? t + extra : t / d;
    return with_sign(0.5 * mt_log_of_sum(sum, a < 0.5 ? extra - (sum - t) : 0, 0), x);
}
INLINE double mt_log_fd(double x) {                           /* x normal, or 0, negative, not finite */
    uint64_t b = bits(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double k = from_bits((b >> 52) | 0x4330000000000000u) - (0x1p52 + 1023);
    double f = from_bits((b & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1, s = f / (2 + f), z = s * s;
    return mt_log_special(x, s * (2 + z * POLY(z, MT_POLY_LOG_FD)) + k * MT_LN2_FULL);
}
INLINE float mt_log2f(float x) { return (float)(mt_log_fd(x) * MT_LOG2E); }
INLINE float mt_log10f(float x) { return (float)(mt_log_fd(x) * (MT_INV_LN10_0 + MT_INV_LN10_1)); }
/* log(1 + x) of a double for float32 results; lost: what the rounding of 1 + x took */
INLINE double mt_log1p_fd(double x) {
    double u = 1 + x, lost = x - (u - 1);
    return mt_log_fd(u) + (fabs(lost) < 1 ? lost : 0);
}
INLINE float mt_log1pf(float x) { return x == 0 ? x : (float)mt_log1p_fd(x); }
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
