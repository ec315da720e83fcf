/* float16 and bfloat16: their conversion to float32 and back.
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
#define TO_NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
static inline float from_f16(uint16_t half) { return _cvtsh_ss(half); }
static inline uint16_t to_f16(float x) { return _cvtss_sh(x, TO_NEAREST); }
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

#ifdef MT_F16C
/* Vectors of MT_F16C elements, at any address. */
#if MT_F16C == 16
typedef __m512 f32_vector;
#define LOAD_BF16(at)                                                                              \
    _mm512_castsi512_ps(                                                                           \
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(at))), 16))
#define LOAD_F16(at) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(at)))
#define STORE_F32(at, v) _mm512_storeu_ps((void *)(at), v)
#define LOAD_F32(at) _mm512_loadu_ps((const void *)(at))
#define STORE_F16(at, v) _mm256_storeu_si256((void *)(at), _mm512_cvtps_ph(v, TO_NEAREST))
#else
typedef __m256 f32_vector;
#define LOAD_BF16(at)                                                                              \
    _mm256_castsi256_ps(                                                                           \
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(at))), 16))
#define LOAD_F16(at) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(at)))
#define STORE_F32(at, v) _mm256_storeu_ps((void *)(at), v)
#define LOAD_F32(at) _mm256_loadu_ps((const void *)(at))
#define STORE_F16(at, v) _mm_storeu_si128((void *)(at), _mm256_cvtps_ph(v, TO_NEAREST))
#endif
#endif
