/* Elementary functions that compilers can vectorise.
 *
 * The problem.  A loop that calls exp of libm computes one element at a time, and compilers
 * don't vectorise a loop with a branch for special values.  So each function here has no
 * branches: it reduces the argument, evaluates a polynomial and composes the result.  The source
 * is plain C for one element; the compiler vectorises it for every instruction set.
 *
 * Special values.  The frequently used functions are right for ordinary arguments only: exp
 * where the result is a normal number, log of normal numbers.  Functions named _special compute
 * the other arguments, in a second loop of the kernel (elementwise.h).  They have no branches,
 * too, since zeros are frequent arguments of log.  All other functions select special values at
 * the end.
 *
 * Float32.  The frequently used functions are computed in float32.  The others are computed in
 * double and rounded once, with polynomials of just enough precision for that (named _FD), so
 * all results are right except one in thousands.
 *
 * Float64.  A sum that cancels is kept in two numbers, as in the k * ln(2) of log.  tan, atan2
 * and hypot are those of libm: they need twice the digits inside, and libm computes them to one
 * ULP.
 *
 * Bounds: at most 2 ULP; docs/accuracy.md has the measured errors.  Zeros keep their sign, NaN
 * stays NaN, and subnormals keep their value.
 *
 * Reproducibility.  MADD is a fused multiply-add where the machine has one, otherwise two
 * roundings: instruction sets may differ in the last bit.  Within one instruction set the result
 * depends on the argument alone.
 *
 * Large angles.  Reduction by pi/2 in four pieces is exact enough up to MT_TRIG_MAX.  The op
 * table has a condition for larger angles, for which the kernel calls libm (elementwise.h).
 *
 * The whole number and the exponent are read from the bits of x + 1.5 * 2^52, since few
 * instruction sets convert doubles to 64-bit integers.  The constants are in polynomials.h.  The
 * forms of log and its relatives are those of FDLIBM. */
#ifndef MT_ELEMENTARY_H
#define MT_ELEMENTARY_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/math/polynomials.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef MT_FMA
#define MADD(a, b, c) _Generic((a), float: __builtin_fmaf, default: __builtin_fma)(a, b, c)
#else
#define MADD(a, b, c) ((a) * (b) + (c))
#endif

/* Returns c[0] + c[1] x + ..., with the even powers beside the odd ones, since each step of a
 * chain waits for the step before it.  HORNER has one chain, for series that cancel when they
 * are split.  The loops have a fixed length, and compilers unroll them. */
#define POLYNOMIAL(T, name)                                                                        \
    INLINE T name(T x, const T *c, int n) {                                                        \
        T z = x * x, last = c[n - 1], other = c[n - 2];                                            \
        _Pragma("GCC unroll 32") for (int i = n - 3; i >= 0; i--) {                                \
            T next = MADD(last, z, c[i]);                                                          \
            last = other, other = next;                                                            \
        }                                                                                          \
        return MADD(last, x, other);                                                               \
    }
POLYNOMIAL(float, polynomial_f)
POLYNOMIAL(double, polynomial)
INLINE double horner(double x, const double *c, int n) {
    double sum = c[n - 1];
    _Pragma("GCC unroll 32") for (int i = n - 2; i >= 0; i--) sum = MADD(sum, x, c[i]);
    return sum;
}
#define POLY_F(x, ...)                                                                             \
    polynomial_f(x, (const float[]){__VA_ARGS__},                                                  \
                 (int)(sizeof((const float[]){__VA_ARGS__}) / sizeof(float)))
#define POLY(x, ...)                                                                               \
    polynomial(x, (const double[]){__VA_ARGS__},                                                   \
               (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))
#define HORNER(x, ...)                                                                             \
    horner(x, (const double[]){__VA_ARGS__},                                                       \
           (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

INLINE uint32_t bits_f(float x) {
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}
INLINE float from_bits_f(uint32_t b) {
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}
INLINE uint64_t bits(double x) {
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}
INLINE double from_bits(uint64_t b) {
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}
#define SIGN ((uint64_t)1 << 63)
#define ROUND_F 0x1.8p23f
#define ROUND 0x1.8p52
/* Returns 2^n for the whole number n that z = n + ROUND holds in its lowest bits. */
INLINE float power_f(float z) { return from_bits_f((bits_f(z) << 23) + 0x3f800000u); }
INLINE double power(double z) { return from_bits((bits(z) << 52) + 0x3ff0000000000000u); }
/* Returns |x| with the sign of `sign`. */
INLINE double with_sign(double x, double sign) {
    return from_bits((bits(x) & ~SIGN) | (bits(sign) & SIGN));
}

/* --- whether an argument is a special case (elementwise.h) ------------------------------------ */
/* |x|: floats are in the order of their bits. */
INLINE uint32_t mt_far_f(float x) { return bits_f(x) & 0x7fffffffu; }
/* Zeros, subnormals and negative numbers are above all others. */
INLINE uint32_t mt_not_normal_f(float x) { return bits_f(x) - 0x00800000u; }
INLINE uint32_t mt_log1p_rarity_f(float x) { return mt_not_normal_f(1 + x); }
/* A number: GCC would make a bool of the condition, for which SSE2 has no mask. */
INLINE uint64_t mt_yes(int yes) { return bits(yes ? 1.0 : 0.0); }
INLINE uint64_t mt_exp_is_special(double x) { return mt_yes(!(fabs(x) < 708)); }
INLINE uint64_t mt_exp2_is_special(double x) { return mt_yes(!(fabs(x) < 1022)); }
/* x - x is NaN for an infinity. */
INLINE uint64_t mt_log_is_special(double x) { return mt_yes(!(x - x + x >= 0x1p-1022)); }
/* x² - x² is NaN for large x, too. */
INLINE uint64_t mt_log1p_is_special(double x) { return mt_yes(!(x * x - x * x + x > -1)); }
#define MT_TRIG_MAX 0x1.8p20
INLINE uint64_t mt_angle_is_special(double x) { return mt_yes(fabs(x) > MT_TRIG_MAX); }

/* --- exp and the functions that use it --------------------------------------------------------
 * exp(x) = 2^n exp(r).  Where the result is a normal number, n is added to the exponent.
 * Otherwise 2^n is the product of two factors, so that a subnormal result is rounded once. */
/* The value p 2^n, and z = n + ROUND. */
typedef struct {
    float p, z;
} mt_power_f;
typedef struct {
    double p, z;
} mt_power;
/* Returns the value of v, a normal number. */
INLINE float mt_normal_f(mt_power_f v) { return from_bits_f(bits_f(v.p) + (bits_f(v.z) << 23)); }
INLINE double mt_normal(mt_power v) { return from_bits(bits(v.p) + (bits(v.z) << 52)); }
/* p 2^n, also where the result is subnormal, 0 or an infinity. */
INLINE float mt_scale_f(float p, float n) {
    float half = n * 0.5f + ROUND_F, rest = n - (half - ROUND_F) + ROUND_F;
    return p * power_f(half) * power_f(rest);
}
INLINE double mt_scale(double p, double n) {
    double half = n * 0.5 + ROUND, rest = n - (half - ROUND) + ROUND;
    return p * power(half) * power(rest);
}
/* p: exp(r) - 1, which must be r near 0. */
INLINE mt_power_f mt_reduce_exp_f(float x) {
    float z = MADD(x, (float)MT_LOG2E, ROUND_F), n = z - ROUND_F;
    float r = MADD(n, -(float)MT_LN2F_1, MADD(n, -(float)MT_LN2F_0, x));
    return (mt_power_f){MADD(r * r, POLY_F(r, MT_POLY_EXP_F), r), z};
}
INLINE mt_power_f mt_power_exp_f(float x) {
    mt_power_f v = mt_reduce_exp_f(x);
    return (mt_power_f){1 + v.p, v.z};
}
INLINE mt_power_f mt_power_exp2_f(float x) {
    float z = x + ROUND_F, r = x - (z - ROUND_F);
    return (mt_power_f){MADD(r, POLY_F(r, MT_POLY_EXP2_F), 1.0f), z};
}
INLINE mt_power mt_power_exp(double x) {
    double z = MADD(x, MT_LOG2E, ROUND), n = z - ROUND,
           r = MADD(n, -MT_LN2_1, MADD(n, -MT_LN2_0, x));
    return (mt_power){1 + MADD(r * r, POLY(r, MT_POLY_EXP), r), z};
}
INLINE mt_power mt_power_exp2(double x) {
    double z = x + ROUND, r = (x - (z - ROUND)) * MT_LN2_FULL;
    return (mt_power){1 + MADD(r * r, POLY(r, MT_POLY_EXP), r), z};
}
/* exp where the argument may be NaN; the result is then NaN. */
INLINE float mt_exp_or_nan_f(float x) {
    mt_power_f v = mt_power_exp_f(x);
    return v.p * power_f(v.z);
}
INLINE double mt_exp_or_nan(double x) {
    mt_power v = mt_power_exp(x);
    return v.p * power(v.z);
}
#define MT_EXP(T, name, suffix, power, round, infix, least, most)                                  \
    INLINE T mt_##name##suffix(T x) { return mt_normal##infix(mt_power_##name##infix(x)); }        \
    INLINE T mt_##name##_special##suffix(T x) {                                                    \
        power v = mt_power_##name##infix(x < least ? least : x > most ? most : x);                 \
        return mt_scale##infix(v.p, v.z - round);                                                  \
    }
MT_EXP(float, exp, f, mt_power_f, ROUND_F, _f, -104, 89)
MT_EXP(float, exp2, f, mt_power_f, ROUND_F, _f, -151, 129)
MT_EXP(double, exp, , mt_power, ROUND, , -746, 710)
MT_EXP(double, exp2, , mt_power, ROUND, , -1076, 1025)
/* exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), reduced: p is exp(r + low) - 1. */
/* p: exp(r + low) - 1. */
typedef struct {
    double n, r, low, p;
} mt_reduced;
INLINE mt_reduced mt_reduce_exp(double x) {
    double n = MADD(x, MT_LOG2E, ROUND) - ROUND;
    double high = x - n * MT_LN2_0, r = high - n * MT_LN2_1, low = (high - r) - n * MT_LN2_1;
    return (mt_reduced){n, r, low, r + MADD(r * r, POLY(r, MT_POLY_EXP), low)};
}
INLINE double mt_expm1(double x) {
    mt_reduced e = mt_reduce_exp(x);
    double p = e.r + MADD(e.r * e.r, POLY(e.r, MT_POLY_EXP), e.low * (1 + e.r)),
           s = power(e.n + ROUND);
    return with_sign(s * p + (s - 1), x);
}
/* exp in double, for float32 results; |x| is below 1000. */
INLINE double mt_exp_fd(double x) {
    double n = MADD(x, MT_LOG2E, ROUND) - ROUND, r = x - n * MT_LN2_FULL;
    return (1 + (r + r * r * POLY(r, MT_POLY_EXP_FD))) * power(n + ROUND);
}
INLINE float mt_expm1f(float x) {
    mt_power_f v = mt_reduce_exp_f(x);
    float s = power_f(v.z);
    return copysignf(MADD(s, v.p, s - 1), x);
}
INLINE float mt_expm1_specialf(float x) { return x < 0 ? -1 : mt_exp_specialf(x); }
INLINE double mt_expm1_special(double x) { return x < 0 ? -1 : mt_exp_special(x); }
/* e / (1 + e) or 1 / (1 + e), e = exp(-|x|).  The last line adds the roundings of e and 1 + e
 * again. */
INLINE double mt_sigmoid(double x) {
    mt_reduced v = mt_reduce_exp(-fabs(x));
    double w = 1 + v.p, s = power(v.n + ROUND), e = w * s, low = (v.p - (w - 1)) * s, sum = 1 + e,
           lost = (e - (sum - 1)) + low;
    double q = (x < 0 ? e : 1) / sum;
    return q + ((x < 0 ? low : 0) - q * lost) * (x < 0 ? 1 - q : q);
}
/* 1 / (1 + s + s p).  `lost`, the rounding of 1 + s, is added where s is large. */
INLINE float mt_sigmoidf(float x) {
    mt_power_f v = mt_reduce_exp_f(-x);
    float s = power_f(v.z), sum = s + 1, lost = (s - sum) + 1;
    return 1 / (sum + MADD(s, v.p, lost));
}
INLINE float mt_sigmoid_specialf(float x) { return x > 0 ? 1 : mt_exp_specialf(x); }
INLINE double mt_sigmoid_special(double x) { return x > 0 ? 1 : mt_exp_special(x); }

/* tanh(log(1 + e)) is n / (n + 2) with n = e (e + 2). */
INLINE double mt_mish(double x) {
    double e = mt_exp(x > 20 ? 20 : x), n = e * (e + 2);
    return x * (n / (n + 2));
}
INLINE float mt_mishf(float x) {
    float e = mt_expf(x > 20 ? 20 : x), n = e * (e + 2);
    return x * (n / (n + 2));
}

INLINE double mt_tanh(double x) {
    double a = fabs(x), z = a * a, small = a + a * z * POLY(z, MT_POLY_TANH);
    double large = 1 - 2 / (mt_exp_or_nan(2 * (a > 20 ? 20 : a)) + 1);
    return with_sign(a < 0.55 ? small : large, x);
}
INLINE float mt_tanhf(float x) {
    float a = fabsf(x), z = a * a, small = MADD(a * z, POLY_F(z, MT_POLY_TANH_F), a);
    return copysignf(a < 0.55f ? small : 1 - 2 / (mt_exp_or_nan_f(a > 10 ? 20 : 2 * a) + 1), x);
}
/* exp(x) / 2, without the overflow of exp */
INLINE double mt_half_exp(double x) {
    x = x > 712 ? 712 : x;
    mt_reduced e = mt_reduce_exp(x);
    return mt_scale(1 + e.p, e.n - 1);
}
INLINE double mt_sinh(double x) {
    double a = fabs(x), z = a * a, small = a + a * z * POLY(z, MT_POLY_SINH), h = mt_half_exp(a);
    return with_sign(a < 1 ? small : h - 0.25 / h, x);
}
INLINE double mt_cosh(double x) {
    double h = mt_half_exp(fabs(x));
    return h + 0.25 / h;
}
INLINE float mt_sinhf(float x) {
    double a = fabsf(x), z = a * a, small = a + a * z * POLY(z, MT_POLY_SINH_FD),
           h = 0.5 * mt_exp_fd(a > 100 ? 100 : a);
    return copysignf((float)(a < 1 ? small : h - 0.25 / h), x);
}
INLINE float mt_coshf(float x) {
    double a = fabsf(x), h = 0.5 * mt_exp_fd(a > 100 ? 100 : a);
    return (float)(h + 0.25 / h);
}

#include "kernels/math/logarithms.h"

#include "kernels/math/angles.h"

/* --- erf --------------------------------------------------------------------------------------
 * A polynomial up to 1; beyond, 1 - exp(log(erfc)), whose error has little weight. */
INLINE double mt_erf(double x) {
    double a = fabs(x), z = a * a, small = a + a * POLY(z, MT_POLY_ERF),
           b = a > 6   ? 6
               : a < 1 ? 1
                       : a;
    return with_sign(a < 1 ? small : 1 - mt_exp_or_nan(POLY(b, MT_POLY_ERFC)), x);
}
INLINE float mt_erff(float x) {
    float a = fabsf(x), z = a * a, small = MADD(a, POLY_F(z, MT_POLY_ERF_F), a), b = a > 4 ? 4 : a;
    return copysignf(a < 1 ? small : 1 - mt_exp_or_nan_f(POLY_F(b, MT_POLY_ERFC_F)), x);
}

#include "kernels/math/powers.h"

#include "kernels/math/division.h"

/* --- two operands ----------------------------------------------------------------------------- */
INLINE float mt_hypotf(float a, float b) {
    double x = a, y = b, h = sqrt(x * x + y * y);
    return (float)(fabs(x) == INFINITY || fabs(y) == INFINITY ? INFINITY : h);
}
/* Computes the angle in the first octant, then rotates it. */
INLINE float mt_atan2f(float a, float b) {
    double y = fabsf(a), x = fabsf(b), low = y < x ? y : x, high = y < x ? x : y;
    double t = high == 0 ? 0 : low == INFINITY ? 1 : low / high, z = t * t;
    double r = t + t * z * POLY(z, MT_POLY_ATAN_FD);
    r = y > x ? MT_PI_0 / 2 - r : r;
    r = bits((double)b) & SIGN ? MT_PI_0 - r : r;
    return a != a || b != b ? NAN : copysignf((float)r, a);
}
#endif
