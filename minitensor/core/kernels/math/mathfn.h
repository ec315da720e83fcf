/* The functions that the expressions of the op table call, for float and double.
 *
 * Why not <tgmath.h>: its macros expand each argument a dozen times, so nested expressions
 * compile slowly, and they can't call functions of this core. */
#ifndef MT_MATHFN_H
#define MT_MATHFN_H
#include <math.h>
#include <stdint.h>

/* Returns base to the power of exponent, modulo 2^64. */
static inline uint64_t mt_ipow(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    if (exponent == 2) return base * base;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

/* The larger and the smaller of two floats; NaN wins.  With a name for the intermediate value,
 * nested calls are vectorised, too. */
#define MT_EXTREMES(T, suffix)                                                                     \
    static inline T mt_larger##suffix(T a, T b) {                                                  \
        T larger = a > b ? a : b;                                                                  \
        return a != a ? a : larger;                                                                \
    }                                                                                              \
    static inline T mt_smaller##suffix(T a, T b) {                                                 \
        T smaller = a < b ? a : b;                                                                 \
        return a != a ? a : smaller;                                                               \
    }                                                                                              \
    /* a between b and c.  One comparison finds the NaN of a or b. */                              \
    static inline T mt_clamp##suffix(T a, T b, T c) {                                              \
        T larger = a > b ? a : b, nan = a + b, y = larger < c ? larger : c;                        \
        return __builtin_isunordered(a, b) ? nan : y;                                              \
    }
MT_EXTREMES(float, f)
MT_EXTREMES(double, )

#define MT_PICK(x, f, d) _Generic((x), float: f, default: d)
/* Functions of libm: one instruction each, or rarely used. */
#define fabs(x) MT_PICK(x, fabsf, fabs)(x)
#define sqrt(x) MT_PICK(x, sqrtf, sqrt)(x)
#define ceil(x) MT_PICK(x, ceilf, ceil)(x)
#define floor(x) MT_PICK(x, floorf, floor)(x)
#define trunc(x) MT_PICK(x, truncf, trunc)(x)
#define rint(x) MT_PICK(x, rintf, rint)(x)
#define fmod(x, y) MT_PICK(x, fmodf, fmod)(x, y)
#define copysign(x, y) MT_PICK(x, copysignf, copysign)(x, y)
#define libm_sin(x) MT_PICK(x, sinf, sin)(x)
#define libm_cos(x) MT_PICK(x, cosf, cos)(x)
#define libm_tan(x) MT_PICK(x, tanf, tan)(x)
/* Functions of elementary.h.  exp, exp2, the logarithms, expm1 and sigmoid are for ordinary
 * arguments. */
#define exp(x) MT_PICK(x, mt_expf, mt_exp)(x)
#define exp2(x) MT_PICK(x, mt_exp2f, mt_exp2)(x)
#define expm1(x) MT_PICK(x, mt_expm1f, mt_expm1)(x)
#define log(x) MT_PICK(x, mt_logf, mt_log)(x)
#define log2(x) MT_PICK(x, mt_log2f, mt_log2)(x)
#define log10(x) MT_PICK(x, mt_log10f, mt_log10)(x)
#define log1p(x) MT_PICK(x, mt_log1pf, mt_log1p)(x)
#define sin(x) MT_PICK(x, mt_sinf, mt_sin)(x)
#define cos(x) MT_PICK(x, mt_cosf, mt_cos)(x)
#define asin(x) MT_PICK(x, mt_asinf, mt_asin)(x)
#define acos(x) MT_PICK(x, mt_acosf, mt_acos)(x)
#define atan(x) MT_PICK(x, mt_atanf, mt_atan)(x)
#define sinh(x) MT_PICK(x, mt_sinhf, mt_sinh)(x)
#define cosh(x) MT_PICK(x, mt_coshf, mt_cosh)(x)
#define tanh(x) MT_PICK(x, mt_tanhf, mt_tanh)(x)
#define erf(x) MT_PICK(x, mt_erff, mt_erf)(x)
#define sigmoid(x) MT_PICK(x, mt_sigmoidf, mt_sigmoid)(x)
#define mish(x) MT_PICK(x, mt_mishf, mt_mish)(x)
#define asinh(x) MT_PICK(x, mt_asinhf, mt_asinh)(x)
#define acosh(x) MT_PICK(x, mt_acoshf, mt_acosh)(x)
#define atanh(x) MT_PICK(x, mt_atanhf, mt_atanh)(x)
/* Special arguments of these functions have a rarity of FROM or more (elementwise.h).  The
 * functions for them have names in _special. */
#define exp_RARITY(x) MT_PICK(x, mt_far_f, mt_exp_is_special)(x)
#define exp_FROM(x) MT_PICK(x, mt_far_f(87), 1u)
#define exp2_RARITY(x) MT_PICK(x, mt_far_f, mt_exp2_is_special)(x)
#define exp2_FROM(x) MT_PICK(x, mt_far_f(126), 1u)
/* Special: all except positive normal numbers. */
#define log_RARITY(x) MT_PICK(x, mt_not_normal_f, mt_log_is_special)(x)
#define log_FROM(x) MT_PICK(x, mt_not_normal_f(INFINITY), 1u)
/* Special also: arguments that are not above -1. */
#define log1p_RARITY(x) MT_PICK(x, mt_log1p_rarity_f, mt_log1p_is_special)(x)
#define log1p_FROM(x) MT_PICK(x, mt_not_normal_f(0x1p63f), 1u)
#define angle_RARITY(x) MT_PICK(x, mt_far_f, mt_angle_is_special)(x)
#define angle_FROM(x) MT_PICK(x, mt_far_f(MT_TRIG_MAX), 1u)
#define exp_special(x) MT_PICK(x, mt_exp_specialf, mt_exp_special)(x)
#define exp2_special(x) MT_PICK(x, mt_exp2_specialf, mt_exp2_special)(x)
#define expm1_special(x) MT_PICK(x, mt_expm1_specialf, mt_expm1_special)(x)
#define log_special(x) MT_PICK(x, mt_log_specialf, mt_log_special)(x)
#define log2_special(x) MT_PICK(x, mt_log2_specialf, mt_log2_special)(x)
#define log10_special(x) MT_PICK(x, mt_log10_specialf, mt_log10_special)(x)
#define log1p_special(x) MT_PICK(x, mt_log1p_specialf, mt_log1p_special)(x)
#define sigmoid_special(x) MT_PICK(x, mt_sigmoid_specialf, mt_sigmoid_special)(x)
/* Functions of this core for float32, of libm for float64. */
#define tan(x) MT_PICK(x, mt_tanf, tan)(x)
#define pow(x, y) MT_PICK(x, mt_powf, mt_pow)(x, y)
#define pow_special(x, y) MT_PICK(x, mt_pow_specialf, mt_pow_special)(x, y)
#define pow_RARITY(x, y) MT_PICK(x, mt_pow_is_special_f, mt_pow_is_special)(x, y)
#define pow_FROM(x) MT_PICK(x, 1u, 1u)
#define pow_UNIFORM(o, x, y, n) MT_PICK(*(x), mt_pow_uniformf, mt_pow_uniform)(o, x, y, n)
#define atan2(x, y) MT_PICK(x, mt_atan2f, atan2)(x, y)
#define hypot(x, y) MT_PICK(x, mt_hypotf, hypot)(x, y)
#define mt_larger(x, y) MT_PICK(x, mt_largerf, mt_larger)(x, y)
#define mt_smaller(x, y) MT_PICK(x, mt_smallerf, mt_smaller)(x, y)
#define mt_clamp(x, y, z) MT_PICK(x, mt_clampf, mt_clamp)(x, y, z)
#endif
