/* Whole quotients and remainders: floor_divide, remainder and fmod; a part of elementary.h.
 *
 * The problem.  floor(a / b) is wrong where a / b rounds to a whole number, and a - floor(a / b) b
 * rounds.  fmod of libm is exact, and takes one element at a time; so does the division of
 * integers.
 *
 * The solution.  w is a / b rounded to the nearest whole number.  For small quotients a - w b is
 * exact in one fused multiply-add, or where the product is computed in two numbers: it is a
 * multiple of the last digits of a and b, and no larger than b.  It is the remainder of a division
 * rounded up or down, and its sign tells which: then w is one too large, or not.  Integers are
 * computed as floats in which they and their products with w are exact: those of 64 bits up to
 * 2^51.  The others, and quotients too large for w, are rare arguments (elementwise.h).
 *
 * No float is converted to an integer by the processor: the lowest bits of w + 1.5 * 2^52 hold w
 * modulo 2^52.  So a division by zero is computed without undefined behaviour, and then replaced
 * by FAIL. */
#ifndef MT_DIVISION_H
#define MT_DIVISION_H

/* --- floats ----------------------------------------------------------------------------------- */
/* The division of NumPy (and Python), of any operands: the remainder has the sign of the divisor,
 * and quotient * b + remainder is a. */
#define ANY_DIVISION(T, suffix)                                                                    \
    static inline T mt_any_quotient##suffix(T a, T b) {                                            \
        if (b == 0 || a - a != 0)                                                                  \
            return a / b; /* an infinity stays one, as the array API standard has it */            \
        T mod = fmod(a, b);                                                                        \
        T div = (a - mod) / b;                                                                     \
        if (mod != 0 && (b < 0) != (mod < 0)) div -= 1;                                            \
        if (div == 0) return copysign((T)0, a / b);                                                \
        T whole = floor(div);                                                                      \
        return div - whole > (T)0.5 ? whole + 1 : whole;                                           \
    }                                                                                              \
    static inline T mt_any_remainder##suffix(T a, T b) {                                           \
        T mod = fmod(a, b);                                                                        \
        if (b == 0 || mod != mod) return mod;                                                      \
        if (mod == 0) return copysign((T)0, b);                                                    \
        return (b < 0) != (mod < 0) ? mod + b : mod;                                               \
    }
ANY_DIVISION(float, _f)
ANY_DIVISION(double, )

/* a - w b, where that is a float. */
#ifdef MT_FMA
#define MT_DIVISOR_MAX INFINITY
INLINE float mt_rest_f(float a, float w, float b) { return __builtin_fmaf(-w, b, a); }
INLINE double mt_rest(double a, double w, double b) { return __builtin_fma(-w, b, a); }
#else
#define MT_DIVISOR_MAX 0x1p990 /* mt_two_product overflows */
INLINE float mt_rest_f(float a, float w, float b) {
    return (float)((double)a - (double)w * (double)b);
}
INLINE double mt_rest(double a, double w, double b) {
    mt_two p = mt_two_product(w, b);
    return (a - p.h) - p.l;
}
#endif
/* The first is rare where the quotient is large or NaN, and where b is infinite. */
#define FLOAT_DIVISION(T, UT, suffix, ROUND, LARGE, INFINITE, yes)                                 \
    INLINE UT mt_division_rarity##suffix(T a, T b) {                                               \
        return yes(!(fabs(a / b) < LARGE)) | yes(!(fabs(b) < INFINITE));                           \
    }                                                                                              \
    INLINE T mt_floor_quotient##suffix(T a, T b) {                                                 \
        T q = a / b, w = (q + ROUND) - ROUND, r = mt_rest##suffix(a, w, b), less = w - 1;          \
        return copysign((b < 0 ? r > 0 : r < 0) ? less : w, q);                                    \
    }                                                                                              \
    INLINE T mt_floor_rest##suffix(T a, T b) {                                                     \
        T w = (a / b + ROUND) - ROUND, r = mt_rest##suffix(a, w, b), more = r + b,                 \
          zero = copysign((T)0, b);                                                                \
        r = (b < 0 ? r > 0 : r < 0) ? more : r;                                                    \
        return r == 0 ? zero : r;                                                                  \
    }                                                                                              \
    INLINE T mt_trunc_rest##suffix(T a, T b) {                                                     \
        T w = (a / b + ROUND) - ROUND, r = mt_rest##suffix(a, w, b), size = fabs(b),               \
          more = fabs(r) - size;                                                                   \
        return copysign((a < 0 ? r > 0 : r < 0) ? more : r, a);                                    \
    }
FLOAT_DIVISION(float, uint32_t, _f, ROUND_F, 0x1p21f, INFINITY, mt_yes_f)
FLOAT_DIVISION(double, uint64_t, , ROUND, 0x1p50, MT_DIVISOR_MAX, mt_yes)

/* --- integers --------------------------------------------------------------------------------- */
/* Returns an integer of less than 2^51 as a double. */
INLINE double mt_double_of(int64_t x) { return from_bits(bits(ROUND) + (uint64_t)x) - ROUND; }
#define WIDE_TO_F(x) mt_double_of((int64_t)(x))
#define SMALL_IS_RARE(a, b) ((b) == 0)
/* 2^51 is added to a signed number first.  b is compared as a double, for which SSE2 has a mask. */
#define WIDE_IS_RARE(a, b, add, most)                                                              \
    (((((uint64_t)(a) + (add)) | ((uint64_t)(b) + (add))) >> (most)) | mt_yes(WIDE_TO_F(b) == 0))
#define SIGNED_IS_RARE(a, b) WIDE_IS_RARE(a, b, (uint64_t)1 << 51, 52)
#define UNSIGNED_IS_RARE(a, b) WIDE_IS_RARE(a, b, 0, 51)
/* The product of r and y is below 0 where their signs differ. */
#define INTEGER_DIVISION(T, UT, suffix, F, TO_F, ROUND, bits, IS_RARE)                             \
    INLINE UT mt_division_rarity##suffix(T a, T b) {                                               \
        (void)a;                                                                                   \
        return (UT)IS_RARE(a, b);                                                                  \
    }                                                                                              \
    INLINE T mt_floor_quotient##suffix(T a, T b) {                                                 \
        F x = TO_F(a), y = TO_F(b), w = (x / y + ROUND) - ROUND, r = x - w * y, less = w - 1;      \
        return (T)bits((r * y < 0 ? less : w) + ROUND);                                            \
    }                                                                                              \
    INLINE T mt_floor_rest##suffix(T a, T b) {                                                     \
        F x = TO_F(a), y = TO_F(b), w = (x / y + ROUND) - ROUND, r = x - w * y, more = r + y;      \
        return (T)bits((r * y < 0 ? more : r) + ROUND);                                            \
    }                                                                                              \
    INLINE T mt_trunc_rest##suffix(T a, T b) {                                                     \
        F x = TO_F(a), y = TO_F(b), w = (x / y + ROUND) - ROUND, r = x - w * y, size = fabs(y),    \
          more = r < 0 ? r + size : r - size;                                                      \
        return (T)bits((r * x < 0 ? more : r) + ROUND);                                            \
    }
#define SMALL(T, UT, suffix)                                                                       \
    INTEGER_DIVISION(T, UT, suffix, float, (float), ROUND_F, bits_f, SMALL_IS_RARE)
#define MIDDLE(T, UT, suffix)                                                                      \
    INTEGER_DIVISION(T, UT, suffix, double, (double), ROUND, bits, SMALL_IS_RARE)
#define WIDE_BITS(z) (bits(z) - bits(ROUND))
#define WIDE(T, UT, suffix, IS_RARE)                                                               \
    INTEGER_DIVISION(T, UT, suffix, double, WIDE_TO_F, ROUND, WIDE_BITS, IS_RARE)
SMALL(int8_t, uint8_t, _i8)
SMALL(int16_t, uint16_t, _i16)
SMALL(uint8_t, uint8_t, _u8)
SMALL(uint16_t, uint16_t, _u16)
MIDDLE(int32_t, uint32_t, _i32)
MIDDLE(uint32_t, uint32_t, _u32)
WIDE(int64_t, uint64_t, _i64, SIGNED_IS_RARE)
WIDE(uint64_t, uint64_t, _u64, UNSIGNED_IS_RARE)

/* --- what the rows of the op table call ------------------------------------------------------- */
#define BY_TYPE(x, f)                                                                              \
    _Generic((x),                                                                                  \
        float: f##_f,                                                                              \
        double: f,                                                                                 \
        int8_t: f##_i8,                                                                            \
        int16_t: f##_i16,                                                                          \
        int32_t: f##_i32,                                                                          \
        int64_t: f##_i64,                                                                          \
        uint8_t: f##_u8,                                                                           \
        uint16_t: f##_u16,                                                                         \
        uint32_t: f##_u32,                                                                         \
        uint64_t: f##_u64)
#define floor_quotient(a, b) BY_TYPE(a, mt_floor_quotient)(a, b)
#define floor_rest(a, b) BY_TYPE(a, mt_floor_rest)(a, b)
#define trunc_rest(a, b) BY_TYPE(a, mt_trunc_rest)(a, b)
#define any_quotient(a, b) MT_PICK(a, mt_any_quotient_f, mt_any_quotient)(a, b)
#define any_remainder(a, b) MT_PICK(a, mt_any_remainder_f, mt_any_remainder)(a, b)
#define division_RARITY(a, b) BY_TYPE(a, mt_division_rarity)(a, b)
#define division_FROM(a) MT_PICK(a, 1u, 1u)
#define division_UNIFORM(o, x, y, n) false
#endif
