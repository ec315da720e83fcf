/* The casts of float16 and bfloat16.  Included by casts.h, after its macros.
 *
 * Those to and from float32 are vector code.  The others go by way of float32. */
#include "kernels/math/halves.h"

CAST(bf16_to_f32, uint16_t, float, from_bf16(x))
CAST(f32_to_bf16, float, uint16_t, to_bf16(x))
CAST(f64_to_sticky, double, float, sticky_f32(x))
#ifdef MT_F16C
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
