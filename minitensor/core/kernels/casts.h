/* The loops of casts, and of strided copies.
 *
 * Why each value goes through memcpy.  Memory of NumPy may have any address, and reading a
 * double from an odd address through a `double *` is undefined.  A memcpy of a fixed size is one
 * move instruction, and compilers still vectorise loops over it.  So one set of loops serves
 * aligned and unaligned memory.
 *
 * Why floats are compared before they are converted.  C leaves the conversion of NaN and of
 * values out of range undefined.  Here the result is that of NumPy on x86-64 (the smallest
 * integer, narrowed by dropping bits), on every machine.  One comparison of the size is enough:
 * the smallest integer is also the result of those numbers below the limit that it excludes. */
typedef uint8_t boolean; /* an element of dtype bool: 0 or 1 */

/* Return x as an integer, as NumPy on x86-64 converts it. */
static inline int64_t float_to_i64(double x) { return fabs(x) < 0x1p63 ? (int64_t)x : INT64_MIN; }
static inline int32_t float_to_i32(double x) { return fabs(x) < 0x1p31 ? (int32_t)x : INT32_MIN; }
static inline int32_t float_to_i32f(float x) { return fabsf(x) < 0x1p31f ? (int32_t)x : INT32_MIN; }
static inline uint64_t float_to_u64(double x) {
    if (x >= 0x1p63) return x < 0x1p64 ? (uint64_t)x : 0;
    return (uint64_t)float_to_i64(x);
}

#define TO_I32(x) _Generic((x), float: float_to_i32f, default: float_to_i32)(x)
#define TO_BOOL(x) ((x) != 0)
#define TO_NUMBER(T, x) ((T)(x))
#define FROM_FLOAT_int8(x) ((int8_t)TO_I32(x))
#define FROM_FLOAT_int16(x) ((int16_t)TO_I32(x))
#define FROM_FLOAT_int32(x) TO_I32(x)
#define FROM_FLOAT_int64(x) float_to_i64(x)
#define FROM_FLOAT_uint8(x) ((uint8_t)TO_I32(x))
#define FROM_FLOAT_uint16(x) ((uint16_t)TO_I32(x))
#define FROM_FLOAT_uint32(x) ((uint32_t)float_to_i64(x))
#define FROM_FLOAT_uint64(x) float_to_u64(x)

/* Defines a cast: one loop for contiguous elements, which the compiler vectorises, and one for
 * all others. */
#define CAST(name, F, T, CONVERT)                                                                  \
    static void name(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {              \
        F x;                                                                                       \
        T y;                                                                                       \
        if (ss == (int64_t)sizeof(F) && ds == (int64_t)sizeof(T)) {                                \
            for (int64_t i = 0; i < n; i++) {                                                      \
                memcpy(&x, src + i * (int64_t)sizeof(F), sizeof x);                                \
                y = CONVERT;                                                                       \
                memcpy(dst + i * (int64_t)sizeof(T), &y, sizeof y);                                \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++, src += ss, dst += ds) {                                    \
            memcpy(&x, src, sizeof x);                                                             \
            y = CONVERT;                                                                           \
            memcpy(dst, &y, sizeof y);                                                             \
        }                                                                                          \
    }

#define FROM_INTEGER(from, F)                                                                      \
    CAST(from##_to_b8, F, boolean, TO_BOOL(x))                                                     \
    CAST(from##_to_i8, F, int8_t, TO_NUMBER(int8_t, x))                                            \
    CAST(from##_to_i16, F, int16_t, TO_NUMBER(int16_t, x))                                         \
    CAST(from##_to_i32, F, int32_t, TO_NUMBER(int32_t, x))                                         \
    CAST(from##_to_i64, F, int64_t, TO_NUMBER(int64_t, x))                                         \
    CAST(from##_to_f32, F, float, TO_NUMBER(float, x))                                             \
    CAST(from##_to_f64, F, double, TO_NUMBER(double, x))
#define FROM_FLOAT(from, F)                                                                        \
    CAST(from##_to_b8, F, boolean, TO_BOOL(x))                                                     \
    CAST(from##_to_i8, F, int8_t, FROM_FLOAT_int8(x))                                              \
    CAST(from##_to_i16, F, int16_t, FROM_FLOAT_int16(x))                                           \
    CAST(from##_to_i32, F, int32_t, FROM_FLOAT_int32(x))                                           \
    CAST(from##_to_i64, F, int64_t, FROM_FLOAT_int64(x))                                           \
    CAST(from##_to_u8, F, uint8_t, FROM_FLOAT_uint8(x))                                            \
    CAST(from##_to_u16, F, uint16_t, FROM_FLOAT_uint16(x))                                         \
    CAST(from##_to_u32, F, uint32_t, FROM_FLOAT_uint32(x))                                         \
    CAST(from##_to_u64, F, uint64_t, FROM_FLOAT_uint64(x))                                         \
    CAST(from##_to_f32, F, float, TO_NUMBER(float, x))                                             \
    CAST(from##_to_f64, F, double, TO_NUMBER(double, x))
FROM_INTEGER(i8, int8_t)
FROM_INTEGER(i16, int16_t)
FROM_INTEGER(i32, int32_t)
FROM_INTEGER(i64, int64_t)
FROM_INTEGER(u8, uint8_t)
FROM_INTEGER(u16, uint16_t)
FROM_INTEGER(u32, uint32_t)
FROM_INTEGER(u64, uint64_t)
FROM_FLOAT(f32, float)
FROM_FLOAT(f64, double)
#include "kernels/half_casts.h"

typedef struct {
    uint64_t half[2];
} two_words;
/* Defines a copy of elements of one size, with an extra loop for a broadcast element. */
#define COPY(bits, T)                                                                              \
    static void copy_##bits(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {       \
        T x;                                                                                       \
        if (ss == (int64_t)sizeof x && ds == (int64_t)sizeof x) {                                  \
            if (n > 0) memcpy(dst, src, (size_t)n * sizeof x);                                     \
            return;                                                                                \
        }                                                                                          \
        if (ss == 0 && ds == (int64_t)sizeof x) {                                                  \
            memcpy(&x, src, sizeof x);                                                             \
            for (int64_t i = 0; i < n; i++) memcpy(dst + i * (int64_t)sizeof x, &x, sizeof x);     \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++, src += ss, dst += ds) {                                    \
            memcpy(&x, src, sizeof x);                                                             \
            memcpy(dst, &x, sizeof x);                                                             \
        }                                                                                          \
    }
COPY(8, uint8_t)
COPY(16, uint16_t)
COPY(32, uint32_t)
COPY(64, uint64_t)
COPY(128, two_words)

/* Signed and unsigned integers of one width have the same bits, so unsigned targets use the
 * loops of the signed ones. */
#define ROW_INTEGER(f)                                                                             \
    {[MT_DT_bool] = f##_to_b8,      [MT_DT_int8] = f##_to_i8,     [MT_DT_int16] = f##_to_i16,      \
     [MT_DT_int32] = f##_to_i32,    [MT_DT_int64] = f##_to_i64,   [MT_DT_uint8] = f##_to_i8,       \
     [MT_DT_uint16] = f##_to_i16,   [MT_DT_uint32] = f##_to_i32,  [MT_DT_uint64] = f##_to_i64,     \
     [MT_DT_float32] = f##_to_f32,  [MT_DT_float64] = f##_to_f64, [MT_DT_float16] = f##_to_f16,    \
     [MT_DT_bfloat16] = f##_to_bf16}
#define ROW_FLOAT(f)                                                                               \
    {[MT_DT_bool] = f##_to_b8,      [MT_DT_int8] = f##_to_i8,     [MT_DT_int16] = f##_to_i16,      \
     [MT_DT_int32] = f##_to_i32,    [MT_DT_int64] = f##_to_i64,   [MT_DT_uint8] = f##_to_u8,       \
     [MT_DT_uint16] = f##_to_u16,   [MT_DT_uint32] = f##_to_u32,  [MT_DT_uint64] = f##_to_u64,     \
     [MT_DT_float32] = f##_to_f32,  [MT_DT_float64] = f##_to_f64, [MT_DT_float16] = f##_to_f16,    \
     [MT_DT_bfloat16] = f##_to_bf16}
#define MT_CAST_TABLE                                                                              \
    {                                                                                              \
        [MT_DT_bool] = ROW_INTEGER(u8),     [MT_DT_int8] = ROW_INTEGER(i8),                        \
        [MT_DT_int16] = ROW_INTEGER(i16),   [MT_DT_int32] = ROW_INTEGER(i32),                      \
        [MT_DT_int64] = ROW_INTEGER(i64),   [MT_DT_uint8] = ROW_INTEGER(u8),                       \
        [MT_DT_uint16] = ROW_INTEGER(u16),  [MT_DT_uint32] = ROW_INTEGER(u32),                     \
        [MT_DT_uint64] = ROW_INTEGER(u64),  [MT_DT_float32] = ROW_FLOAT(f32),                      \
        [MT_DT_float64] = ROW_FLOAT(f64),   [MT_DT_float16] = ROW_FLOAT(f16),                      \
        [MT_DT_bfloat16] = ROW_FLOAT(bf16),                                                        \
    }
#define MT_COPIES {[1] = copy_8, [2] = copy_16, [4] = copy_32, [8] = copy_64, [16] = copy_128}
