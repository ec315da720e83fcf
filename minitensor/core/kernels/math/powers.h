/* pow: a part of elementary.h, which defines its tools.
 *
 * a^b = 2^(b log2 a).  The logarithm is multiplied by b, up to a thousand, so a float64 needs it to
 * 65 bits: each value on the way to it is two numbers, `h` and the rest `l`.  For float32,
 * double is enough.
 *
 * The exponents 2, 3, 1, 0, -1, 0.5 and -0.5 are multiplications, divisions and roots, in every
 * kernel and beside any other exponent: mt_pow_simple.  A block of elements with one such exponent
 * needs no logarithm at all. */
#ifndef MT_POWERS_H
#define MT_POWERS_H

typedef struct {
    double h, l;
} mt_two;
/* a + b, for |a| >= |b| or a = 0 */
INLINE mt_two mt_two_sum(double a, double b) {
    double h = a + b;
    return (mt_two){h, b - (h - a)};
}
#ifdef MT_FMA
INLINE mt_two mt_two_product(double a, double b) {
    double h = a * b;
    return (mt_two){h, __builtin_fma(a, b, -h)};
}
#else
/* Returns x in two numbers of 26 bits, whose products are exact. */
INLINE mt_two mt_halves(double x) {
    double c = x * 0x1.0000002p27, h = c - (c - x);
    return (mt_two){h, x - h};
}
INLINE mt_two mt_two_product(double a, double b) {
    double h = a * b;
    mt_two p = mt_halves(a), q = mt_halves(b);
    return (mt_two){h, ((p.h * q.h - h) + p.h * q.l + p.l * q.h) + p.l * q.l};
}
#endif

/* log2(2^k (1 + f)): with s = f / (2 + f) and z = s², log(1 + f) = 2 (s + s z (1/3 + z R(z))). */
INLINE mt_two mt_log2_two(mt_split v) {
    double d = 2 + v.f, inverse = 1 / d, s = v.f * inverse;
    mt_two p = mt_two_product(s, d);
    double low = (((v.f - p.h) - p.l) - s * (v.f - (d - 2))) * inverse;
    mt_two z = mt_two_product(s, s);
    z.l += 2 * s * low;
    mt_two r = mt_two_sum(MT_THIRD_0, z.h * POLY(z.h, MT_POLY_POW));
    r.l += MT_THIRD_1;
    mt_two t = mt_two_product(z.h, r.h);
    t.l += z.h * r.l + z.l * r.h;
    mt_two u = mt_two_product(s, t.h);
    u.l += s * t.l + low * t.h;
    mt_two log = mt_two_sum(s, u.h);
    log.l += low + u.l;
    mt_two y = mt_two_product(log.h, 2 * MT_INV_LN2D_0);
    y.l += log.h * (2 * MT_INV_LN2D_1) + log.l * (2 * MT_INV_LN2D_0);
    mt_two sum = mt_two_sum(v.k, y.h);
    sum.l += y.l;
    return sum;
}
/* 2^t */
INLINE mt_power mt_power_two(mt_two t) {
    double z = t.h + ROUND;
    mt_two r = mt_two_sum(t.h - (z - ROUND), t.l), e = mt_two_product(r.h, MT_LN2D_0);
    e.l += r.h * MT_LN2D_1 + r.l * MT_LN2D_0;
    return (mt_power){1 + (e.h + MADD(e.h * e.h, POLY(e.h, MT_POLY_EXP), e.l)), z};
}

/* Returns a^b for the simple exponents b, `other` for all others.  pow of -0 and of -infinity is
 * positive for an exponent that is no whole number, unlike sqrt. */
#define MT_POW_SIMPLE(T, suffix)                                                                   \
    INLINE T mt_root##suffix(T a) {                                                                \
        return a == (T) - INFINITY ? (T)INFINITY : sqrt##suffix(a + 0);                            \
    }                                                                                              \
    INLINE T mt_pow_simple##suffix(T a, T b, T other) {                                            \
        T root = mt_root##suffix(a), y = other;                                                    \
        y = b == 0 ? 1 : y;                                                                        \
        y = b == 1 ? a : y;                                                                        \
        y = b == 2 ? a * a : y;                                                                    \
        y = b == 3 ? a * a * a : y;                                                                \
        y = b == -1 ? 1 / a : y;                                                                   \
        y = b == (T)0.5 ? root : y;                                                                \
        return b == (T) - 0.5 ? 1 / root : y;                                                      \
    }                                                                                              \
    /* Computes n powers if they have one exponent and that is simple; else returns false. */      \
    static inline bool mt_pow_uniform##suffix(T *o, const T *x, const T *y, int n) {               \
        const T b = y[0];                                                                          \
        int others = 0;                                                                            \
        if (!(b == 0 || b == 1 || b == 2 || b == 3 || b == -1 || b == (T)0.5 || b == (T) - 0.5))   \
            return false;                                                                          \
        for (int i = 0; i < n; i++) others |= y[i] != b;                                           \
        if (others) return false;                                                                  \
        if (b == 2) MT_EACH_POWER(T, suffix, 2)                                                    \
        else if (b == 3) MT_EACH_POWER(T, suffix, 3)                                               \
        else if (b == (T)0.5) MT_EACH_POWER(T, suffix, (T)0.5)                                     \
        else if (b == (T) - 0.5) MT_EACH_POWER(T, suffix, (T) - 0.5)                               \
        else if (b == -1) MT_EACH_POWER(T, suffix, -1)                                             \
        else if (b == 1) MT_EACH_POWER(T, suffix, 1)                                               \
        else MT_EACH_POWER(T, suffix, 0)                                                           \
        return true;                                                                               \
    }
#define MT_EACH_POWER(T, suffix, b)                                                                \
    IVDEP for (int i = 0; i < n; i++) o[i] = mt_pow_simple##suffix(x[i], b, 0);
MT_POW_SIMPLE(float, f)
MT_POW_SIMPLE(double, )

/* Returns the powers of zeros and infinities and of numbers below 0; p is |a|^b of all others. */
INLINE double mt_pow_at_ends(double a, double b, double p) {
    double x = fabs(a), size = fabs(b), half = size * 0.5,
           whole = size < 0x1p52 ? (size + 0x1p52) - 0x1p52 : size,
           even = half < 0x1p52 ? (half + 0x1p52) - 0x1p52 : half;
    double at_zero = b > 0 ? 0 : INFINITY, at_infinity = b > 0 ? INFINITY : 0,
           limit = x > 1 ? at_infinity : at_zero;
    p = x == 0 ? at_zero : p;
    p = x == INFINITY ? at_infinity : p;
    p = size == INFINITY ? limit : p;
    p = x == 1 ? 1 : p;
    double of_negative = whole == size   ? p
                         : x == INFINITY ? p
                                         : NAN,
           sign = even == half    ? 1.0
                  : whole == size ? a
                                  : 1.0; /* that of a, if b is odd */
    p = with_sign(a < 0 ? of_negative : p, sign);
    p = a != a ? a : p;
    p = b != b ? b : p;
    p = a == 1 ? 1 : p;
    return b == 0 ? 1 : p;
}

/* --- float64 ---------------------------------------------------------------------------------- */
INLINE double mt_pow(double a, double b) {
    mt_two l = mt_log2_two(mt_split_log(a, 0)), t = mt_two_product(b, l.h);
    t.l += b * l.l;
    return mt_normal(mt_power_two(t));
}
INLINE double mt_pow_special(double a, double b) {
    double x = fabs(a);
    double times = x < 0x1p-1022 ? 0x1p54 : 1, more = x < 0x1p-1022 ? -54.0 : 0;
    mt_two l = mt_log2_two(mt_split_log(x * times, more)), t = mt_two_product(b, l.h);
    double low = t.l + b * l.l;
    t.l = fabs(t.h) < 1200 ? low : 0;
    t.h = fabs(t.h) < 1200 ? t.h : with_sign(1200, t.h);
    mt_power v = mt_power_two(t);
    return mt_pow_simple(a, b, mt_pow_at_ends(a, b, mt_scale(v.p, v.z - ROUND)));
}
/* Special: a is not a positive normal number, a result may not be one, or b is simple: twice b is
 * whole, as it is for some others. */
INLINE uint64_t mt_pow_is_special(double a, double b) {
    double far = fabs(b) * (fabs(mt_split_log(a, 0).k) + 1), twice = fabs(b) <= 3 ? b + b : 0.25;
    return mt_log_is_special(a) | mt_yes(!(far < 1021)) | mt_yes((twice + ROUND) - ROUND == twice);
}

/* --- float32 ---------------------------------------------------------------------------------- */
INLINE double mt_pow_exponent_fd(double x, double y) {
    mt_split v = mt_split_log(x, 0);
    double s = v.f / (2 + v.f), z = s * s;
    return y * (v.k + MADD(s * z, POLY(z, MT_POLY_LOG_FD), 2 * s) * MT_LOG2E);
}
INLINE double mt_exp2_fd(double t) {
    double z = t + ROUND, r = (t - (z - ROUND)) * MT_LN2_FULL;
    return mt_normal((mt_power){1 + MADD(r * r, POLY(r, MT_POLY_EXP_FD), r), z});
}
INLINE float mt_powf(float a, float b) {
    return (float)mt_exp2_fd(mt_pow_exponent_fd((double)a, (double)b));
}
INLINE float mt_pow_specialf(float a, float b) {
    double t = mt_pow_exponent_fd(fabs((double)a), (double)b);
    t = t < -160 ? -160 : t > 140 ? 140 : t;
    return mt_pow_simplef(a, b, (float)mt_pow_at_ends((double)a, (double)b, mt_exp2_fd(t)));
}
INLINE uint32_t mt_yes_f(int yes) { return bits_f(yes ? 1.0f : 0.0f); }
INLINE uint32_t mt_pow_is_special_f(float a, float b) {
    float k = (float)((int32_t)(bits_f(a) >> 23) - 127), far = fabsf(b) * (fabsf(k) + 1),
          twice = fabsf(b) <= 3 ? b + b : 0.25f;
    return mt_yes_f(!(a - a + a >= 0x1p-126f)) | mt_yes_f(!(far < 125)) |
           mt_yes_f((twice + ROUND_F) - ROUND_F == twice);
}
#endif
