/* Trigonometric functions and their inverses: a part of elementary.h, which defines their tools. */
#ifndef MT_ANGLES_H
#define MT_ANGLES_H
/* --- angles -----------------------------------------------------------------------------------
 * n of the quarter turn next to |x|, and the rest in two numbers.  Each product with n is exact:
 * n is below 2^20, and the pieces have 33 bits. */
typedef struct {
    uint64_t n;
    double r, low;
} mt_angle;
INLINE mt_angle mt_reduce_angle(double a) {
    double z = MADD(a, MT_TWO_OVER_PI, ROUND), n = z - ROUND;
    double t = a - n * MT_PIO2_0, v = n * MT_PIO2_1, r = t - v, b = t - r;
    double lost = (t - (r + b)) + (b - v);
    double w = n * MT_PIO2_2, q = r - w, c = r - q;
    lost += (r - (q + c)) + (c - w);
    lost -= n * MT_PIO2_3;
    double sum = q + lost;
    return (mt_angle){bits(z), sum, (q - sum) + lost};
}
INLINE double mt_sin_of(double r, double low) {
    double z = r * r;
    return r + (z * r * POLY(z, MT_POLY_SIN) + low * (1 - 0.5 * z));
}
INLINE double mt_cos_of(double r, double low) {
    double z = r * r, half = 0.5 * z, w = 1 - half;
    return w + (((1 - w) - half) + (z * z * POLY(z, MT_POLY_COS) - r * low));
}
INLINE double mt_sin(double x) {
    mt_angle t = mt_reduce_angle(fabs(x));
    double y = (t.n & 1) ? mt_cos_of(t.r, t.low) : mt_sin_of(t.r, t.low);
    return from_bits(bits(y) ^ ((t.n & 2) << 62) ^ (bits(x) & SIGN));
}
INLINE double mt_cos(double x) {
    mt_angle t = mt_reduce_angle(fabs(x));
    double y = (t.n & 1) ? mt_sin_of(t.r, t.low) : mt_cos_of(t.r, t.low);
    return from_bits(bits(y) ^ (((t.n + 1) & 2) << 62));
}
INLINE mt_angle mt_reduce_angle_fd(double a) {
    double z = MADD(a, MT_TWO_OVER_PI, ROUND), n = z - ROUND;
    return (mt_angle){bits(z), (a - n * MT_PIO2_0) - n * (MT_PIO2_1 + MT_PIO2_2), 0};
}
INLINE double mt_sin_fd(double r) {
    double z = r * r;
    return r + r * z * POLY(z, MT_POLY_SIN_FD);
}
INLINE double mt_cos_fd(double r) {
    double z = r * r;
    return 1 - 0.5 * z + z * z * POLY(z, MT_POLY_COS_FD);
}
/* Float32, except for the reduction. */
typedef struct {
    uint32_t n;
    float r;
} mt_angle_f;
INLINE mt_angle_f mt_reduce_angle_f(float a) {
    float z = MADD(a, (float)MT_TWO_OVER_PI, ROUND_F), n = z - ROUND_F;
    return (mt_angle_f){bits_f(z), (float)MADD((double)n, -(MT_PIO2_1 + MT_PIO2_2),
                                               MADD((double)n, -MT_PIO2_0, (double)a))};
}
INLINE float mt_sin_f(float r) {
    float z = r * r;
    return MADD(r * z, POLY_F(z, MT_POLY_SIN_F), r);
}
INLINE float mt_cos_f(float r) {
    float z = r * r;
    return MADD(z * z, POLY_F(z, MT_POLY_COS_F), MADD(z, -0.5f, 1.0f));
}
INLINE float mt_sinf(float x) {
    mt_angle_f t = mt_reduce_angle_f(fabsf(x));
    float y = (t.n & 1) ? mt_cos_f(t.r) : mt_sin_f(t.r);
    return from_bits_f(bits_f(y) ^ ((t.n & 2) << 30) ^ (bits_f(x) & 0x80000000u));
}
INLINE float mt_cosf(float x) {
    mt_angle_f t = mt_reduce_angle_f(fabsf(x));
    float y = (t.n & 1) ? mt_sin_f(t.r) : mt_cos_f(t.r);
    return from_bits_f(bits_f(y) ^ (((t.n + 1) & 2) << 30));
}
INLINE float mt_tanf(float x) {
    mt_angle t = mt_reduce_angle_fd(fabsf(x));
    double s = mt_sin_fd(t.r), c = mt_cos_fd(t.r), y = (t.n & 1) ? -c / s : s / c;
    return (float)from_bits(bits(y) ^ (bits((double)x) & SIGN));
}

/* asin(a) for a up to 1/2; beyond, pi/2 - 2 asin(sqrt((1 - a) / 2)). */
#define MT_ARC(T, suffix, poly)                                                                    \
    INLINE T mt_asin##suffix(T x) {                                                                \
        double a = fabs((double)x);                                                                \
        bool far = a > 0.5;                                                                        \
        double z = far ? (1 - a) * 0.5 : a * a, s = far ? sqrt(z) : a, p = s * z * POLY(z, poly);  \
        double y = far ? MT_PI_0 / 2 - (2 * s + (2 * p - MT_PI_1 / 2)) : s + p;                    \
        return (T)with_sign(y, (double)x);                                                         \
    }                                                                                              \
    INLINE T mt_acos##suffix(T x) {                                                                \
        double a = fabs((double)x), v = x;                                                         \
        bool far = a > 0.5;                                                                        \
        double z = far ? (1 - a) * 0.5 : a * a, s = far ? sqrt(z) : v, p = s * z * POLY(z, poly);  \
        double near = MT_PI_0 / 2 - (s - (MT_PI_1 / 2 - p)),                                       \
               wide = MT_PI_0 - (2 * s + (2 * p - MT_PI_1));                                       \
        return (T)(far ? v < 0 ? wide : 2 * (s + p) : near);                                       \
    }
MT_ARC(float, f, MT_POLY_ASIN_FD)
MT_ARC(double, , MT_POLY_ASIN)
/* atan(a) for a up to 1; beyond, pi/2 - atan(1/a). */
#define MT_ATAN(T, suffix, poly)                                                                   \
    INLINE T mt_atan##suffix(T x) {                                                                \
        double a = fabs((double)x);                                                                \
        bool far = a > 1;                                                                          \
        double t = far ? 1 / a : a, z = t * t, p = t * z * HORNER(z, poly);                        \
        return (T)with_sign(far ? MT_PI_0 / 2 - (t + (p - MT_PI_1 / 2)) : t + p, (double)x);       \
    }
MT_ATAN(float, f, MT_POLY_ATAN_FD)
MT_ATAN(double, , MT_POLY_ATAN)
#endif
