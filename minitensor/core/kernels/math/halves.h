/* float16 and bfloat16: their conversion to float32 and back, an element at a time and a vector
 * at a time.
 *
 * Kernels compute a half type in float32, and the result is rounded once, to the nearest number,
 * of two equally near ones to the even one.  The bits of a result, NaN included, are the same on
 * every instruction set: a NaN stays one, becomes quiet and keeps its upper bits.
 *
 * A bfloat16 is the upper half of a float32.  Shifts convert it, and compilers make vector loops
 * of them.  For float16 the processors of AVX2 have instructions (F16C), which compilers do not
 * find by themselves; MT_F16C is the number of elements that one of them converts.  Elsewhere
 * the portable functions become vector loops: they select among results and do not branch. */
static inline uint32_t bits_of_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float f32_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float from_bf16(uint16_t half) { return f32_of_bits((uint32_t)half << 16); }
static inline uint16_t to_bf16(float x) {
    uint32_t bits = bits_of_f32(x);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}

#ifdef MT_F16C
static inline float from_f16(uint16_t half) { return _cvtsh_ss(half); }
static inline uint16_t to_f16(float x) {
    return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#else
/* The exponent of a float16 is biased by 15 and that of a float32 by 127; the fractions have 10
 * and 23 bits.  The product with 2^112 moves the exponent, and makes a subnormal number a normal
 * one. */
static inline float from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    uint32_t number = bits_of_f32(f32_of_bits(rest) * 0x1p112f);
    uint32_t special = rest | 0x7f800000 | (rest > 0x0f800000 ? 0x400000 : 0);
    return f32_of_bits(sign | (rest >= 0x0f800000 ? special : number));
}
static inline uint16_t to_f16(float x) {
    uint32_t bits = bits_of_f32(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    /* A subnormal result is a multiple of 2^-24: the addition of 0.5 rounds to one. */
    uint32_t small = bits_of_f32(f32_of_bits(rest) + 0.5f) - 0x3f000000;
    /* A carry out of the fraction raises the exponent; from 65520 on, to that of infinity. */
    uint32_t normal = (rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13;
    uint32_t special = rest > 0x7f800000 ? 0x7e00 | (rest >> 13 & 0x3ff) : 0x7c00;
    uint32_t result = rest < 0x38800000 ? small : normal;
    return (uint16_t)(sign | (rest >= 0x47800000 ? special : result));
}
#endif

/* Returns x as a float32 that rounds to the same float16: what float32 can't hold stands in its
 * last bit.  (The nearest float32 might lie in the middle of two float16, where x does not.) */
static inline float sticky_f32(double x) {
    const uint64_t lost = (UINT64_C(1) << 29) - 1; /* 52 bits of fraction; 23 */
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & ~lost) | ((bits & lost) != 0 ? lost + 1 : 0);
    memcpy(&x, &bits, sizeof x);
    return (float)x;
}

CAST(bf16_to_f32, uint16_t, float, from_bf16(x))
CAST(f32_to_bf16, float, uint16_t, to_bf16(x))
CAST(f64_to_sticky, double, float, sticky_f32(x))
#ifdef MT_F16C
#if MT_F16C == 16
#define LOAD_F16(at) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(at)))
#define STORE_F32(at, v) _mm512_storeu_ps((void *)(at), v)
#define LOAD_F32(at) _mm512_loadu_ps((const void *)(at))
#define STORE_F16(at, v) _mm256_storeu_si256((void *)(at), _mm512_cvtps_ph(v, TO_NEAREST))
#else
#define LOAD_F16(at) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(at)))
#define STORE_F32(at, v) _mm256_storeu_ps((void *)(at), v)
#define LOAD_F32(at) _mm256_loadu_ps((const void *)(at))
#define STORE_F16(at, v) _mm_storeu_si128((void *)(at), _mm256_cvtps_ph(v, TO_NEAREST))
#endif
#define TO_NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
/* Defines a cast that converts contiguous elements by vectors, and others by `rest`. */
#define CAST_F16(name, from, to, rest, STEP)                                                       \
    static void name(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {              \
        if (ss == (from) && ds == (to))                                                            \
            for (; n >= MT_F16C; n -= MT_F16C, src += MT_F16C * (from), dst += MT_F16C * (to))     \
                STEP;                                                                              \
        rest(dst, ds, src, ss, n);                                                                 \
    }
CAST(f16_to_f32_rest, uint16_t, float, from_f16(x))
CAST(f32_to_f16_rest, float, uint16_t, to_f16(x))
CAST_F16(f16_to_f32, 2, 4, f16_to_f32_rest, STORE_F32(dst, LOAD_F16(src)))
CAST_F16(f32_to_f16, 4, 2, f32_to_f16_rest, STORE_F16(dst, LOAD_F32(src)))
#else
CAST(f16_to_f32, uint16_t, float, from_f16(x))
CAST(f32_to_f16, float, uint16_t, to_f16(x))
#endif

/* Defines a cast as two, by way of float32 in tiles. */
#define CAST_BY_F32(name, first, second)                                                           \
    static void name(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {              \
        float tile[MT_TILE];                                                                       \
        for (int64_t m; n > 0; n -= m, src += m * ss, dst += m * ds) {                             \
            m = n < MT_TILE ? n : MT_TILE;                                                         \
            first((char *)tile, sizeof(float), src, ss, m);                                        \
            second(dst, ds, (const char *)tile, sizeof(float), m);                                 \
        }                                                                                          \
    }
#define CASTS_FROM_HALF(from)                                                                      \
    CAST_BY_F32(from##_to_b8, from##_to_f32, f32_to_b8)                                            \
    CAST_BY_F32(from##_to_i8, from##_to_f32, f32_to_i8)                                            \
    CAST_BY_F32(from##_to_i16, from##_to_f32, f32_to_i16)                                          \
    CAST_BY_F32(from##_to_i32, from##_to_f32, f32_to_i32)                                          \
    CAST_BY_F32(from##_to_i64, from##_to_f32, f32_to_i64)                                          \
    CAST_BY_F32(from##_to_u8, from##_to_f32, f32_to_u8)                                            \
    CAST_BY_F32(from##_to_u16, from##_to_f32, f32_to_u16)                                          \
    CAST_BY_F32(from##_to_u32, from##_to_f32, f32_to_u32)                                          \
    CAST_BY_F32(from##_to_u64, from##_to_f32, f32_to_u64)                                          \
    CAST_BY_F32(from##_to_f64, from##_to_f32, f32_to_f64)
/* Integers that float32 can't hold exceed every float16; of a bfloat16 ml_dtypes makes the same
 * two roundings. */
#define CASTS_TO_HALF(to)                                                                          \
    CAST_BY_F32(i8_to_##to, i8_to_f32, f32_to_##to)                                                \
    CAST_BY_F32(i16_to_##to, i16_to_f32, f32_to_##to)                                              \
    CAST_BY_F32(i32_to_##to, i32_to_f32, f32_to_##to)                                              \
    CAST_BY_F32(i64_to_##to, i64_to_f32, f32_to_##to)                                              \
    CAST_BY_F32(u8_to_##to, u8_to_f32, f32_to_##to)                                                \
    CAST_BY_F32(u16_to_##to, u16_to_f32, f32_to_##to)                                              \
    CAST_BY_F32(u32_to_##to, u32_to_f32, f32_to_##to)                                              \
    CAST_BY_F32(u64_to_##to, u64_to_f32, f32_to_##to)
CASTS_FROM_HALF(f16)
CASTS_FROM_HALF(bf16)
CASTS_TO_HALF(f16)
CASTS_TO_HALF(bf16)
CAST_BY_F32(f64_to_f16, f64_to_sticky, f32_to_f16)
CAST_BY_F32(f64_to_bf16, f64_to_f32, f32_to_bf16)
CAST_BY_F32(f16_to_bf16, f16_to_f32, f32_to_bf16)
CAST_BY_F32(bf16_to_f16, bf16_to_f32, f32_to_f16)
#define f16_to_f16 copy_16
#define bf16_to_bf16 copy_16
