/* Casts between dtypes, and strided copies.
 *
 * Why every value goes through memcpy.  Memory that NumPy lends us may lie at any address, and reading a double from an odd
 * one through a `double *` is undefined.  A memcpy of a fixed size is one move instruction, and loops over it still become
 * vector code, so one set of loops serves aligned and unaligned memory.
 *
 * Why floats are compared before they are converted.  C leaves the conversion of NaN and of what is out of range undefined;
 * here it is what NumPy gives on x86-64 (the smallest integer, narrowed by dropping bits), on every machine. */
#include "loops.h"

typedef uint8_t boolean; /* bool's storage: 0 or 1 */

static inline int64_t float_to_i64(double x) { return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN; }
static inline int32_t float_to_i32(double x) { return x > -0x1p31 - 1 && x < 0x1p31 ? (int32_t)x : INT32_MIN; }
static inline uint64_t float_to_u64(double x) {
    if (x >= 0x1p63) return x < 0x1p64 ? (uint64_t)x : 0;
    return (uint64_t)float_to_i64(x);
}

#define TO_BOOL(x) ((x) != 0)
#define TO_NUMBER(T, x) ((T)(x))
#define FROM_FLOAT_int8(x) ((int8_t)float_to_i32(x))
#define FROM_FLOAT_int16(x) ((int16_t)float_to_i32(x))
#define FROM_FLOAT_int32(x) float_to_i32(x)
#define FROM_FLOAT_int64(x) float_to_i64(x)
#define FROM_FLOAT_uint8(x) ((uint8_t)float_to_i32(x))
#define FROM_FLOAT_uint16(x) ((uint16_t)float_to_i32(x))
#define FROM_FLOAT_uint32(x) ((uint32_t)float_to_i64(x))
#define FROM_FLOAT_uint64(x) float_to_u64(x)

/* One loop for contiguous elements, which the compiler vectorises, one for the rest. */
#define CAST(name, F, T, CONVERT)                                                                                          \
    static void name(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {                                      \
        F x;                                                                                                               \
        T y;                                                                                                               \
        if (ss == (int64_t)sizeof(F) && ds == (int64_t)sizeof(T)) {                                                        \
            for (int64_t i = 0; i < n; i++) {                                                                              \
                memcpy(&x, src + i * (int64_t)sizeof(F), sizeof x);                                                        \
                y = CONVERT;                                                                                               \
                memcpy(dst + i * (int64_t)sizeof(T), &y, sizeof y);                                                        \
            }                                                                                                              \
            return;                                                                                                        \
        }                                                                                                                  \
        for (int64_t i = 0; i < n; i++, src += ss, dst += ds) {                                                            \
            memcpy(&x, src, sizeof x);                                                                                     \
            y = CONVERT;                                                                                                   \
            memcpy(dst, &y, sizeof y);                                                                                     \
        }                                                                                                                  \
    }

#define FROM_INTEGER(from, F)                                                                                              \
    CAST(from##_to_b8, F, boolean, TO_BOOL(x))                                                                             \
    CAST(from##_to_i8, F, int8_t, TO_NUMBER(int8_t, x))                                                                    \
    CAST(from##_to_i16, F, int16_t, TO_NUMBER(int16_t, x))                                                                 \
    CAST(from##_to_i32, F, int32_t, TO_NUMBER(int32_t, x))                                                                 \
    CAST(from##_to_i64, F, int64_t, TO_NUMBER(int64_t, x))                                                                 \
    CAST(from##_to_f32, F, float, TO_NUMBER(float, x))                                                                     \
    CAST(from##_to_f64, F, double, TO_NUMBER(double, x))
#define FROM_FLOAT(from, F)                                                                                                \
    CAST(from##_to_b8, F, boolean, TO_BOOL(x))                                                                             \
    CAST(from##_to_i8, F, int8_t, FROM_FLOAT_int8(x))                                                                      \
    CAST(from##_to_i16, F, int16_t, FROM_FLOAT_int16(x))                                                                   \
    CAST(from##_to_i32, F, int32_t, FROM_FLOAT_int32(x))                                                                   \
    CAST(from##_to_i64, F, int64_t, FROM_FLOAT_int64(x))                                                                   \
    CAST(from##_to_u8, F, uint8_t, FROM_FLOAT_uint8(x))                                                                    \
    CAST(from##_to_u16, F, uint16_t, FROM_FLOAT_uint16(x))                                                                 \
    CAST(from##_to_u32, F, uint32_t, FROM_FLOAT_uint32(x))                                                                 \
    CAST(from##_to_u64, F, uint64_t, FROM_FLOAT_uint64(x))                                                                 \
    CAST(from##_to_f32, F, float, TO_NUMBER(float, x))                                                                     \
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

typedef struct { uint64_t half[2]; } two_words;
#define COPY(bits, T)                                                                                                      \
    static void copy_##bits(char *dst, int64_t ds, const char *src, int64_t ss, int64_t n) {                               \
        T x;                                                                                                               \
        if (ss == (int64_t)sizeof x && ds == (int64_t)sizeof x) {                                                          \
            if (n > 0) memcpy(dst, src, (size_t)n * sizeof x);                                                             \
            return;                                                                                                        \
        }                                                                                                                  \
        if (ss == 0 && ds == (int64_t)sizeof x) {                                                                          \
            memcpy(&x, src, sizeof x);                                                                                     \
            for (int64_t i = 0; i < n; i++) memcpy(dst + i * (int64_t)sizeof x, &x, sizeof x);                             \
            return;                                                                                                        \
        }                                                                                                                  \
        for (int64_t i = 0; i < n; i++, src += ss, dst += ds) {                                                            \
            memcpy(&x, src, sizeof x);                                                                                     \
            memcpy(dst, &x, sizeof x);                                                                                     \
        }                                                                                                                  \
    }
COPY(8, uint8_t)
COPY(16, uint16_t)
COPY(32, uint32_t)
COPY(64, uint64_t)
COPY(128, two_words)

mt_cast_fn mt_cast_find(int from, int to) {
    /* Integers of one width differ in nothing but the name: unsigned targets share the signed ones' loops. */
#define ROW_INTEGER(f)                                                                                                     \
    {[MT_DT_bool] = f##_to_b8,   [MT_DT_int8] = f##_to_i8,     [MT_DT_int16] = f##_to_i16, [MT_DT_int32] = f##_to_i32,     \
     [MT_DT_int64] = f##_to_i64, [MT_DT_uint8] = f##_to_i8,    [MT_DT_uint16] = f##_to_i16, [MT_DT_uint32] = f##_to_i32,   \
     [MT_DT_uint64] = f##_to_i64, [MT_DT_float32] = f##_to_f32, [MT_DT_float64] = f##_to_f64}
#define ROW_FLOAT(f)                                                                                                       \
    {[MT_DT_bool] = f##_to_b8,   [MT_DT_int8] = f##_to_i8,     [MT_DT_int16] = f##_to_i16, [MT_DT_int32] = f##_to_i32,     \
     [MT_DT_int64] = f##_to_i64, [MT_DT_uint8] = f##_to_u8,    [MT_DT_uint16] = f##_to_u16, [MT_DT_uint32] = f##_to_u32,   \
     [MT_DT_uint64] = f##_to_u64, [MT_DT_float32] = f##_to_f32, [MT_DT_float64] = f##_to_f64}
    static const mt_cast_fn table[MT_NUM_DTYPES][MT_NUM_DTYPES] = {
        [MT_DT_bool] = ROW_INTEGER(u8),    [MT_DT_int8] = ROW_INTEGER(i8),    [MT_DT_int16] = ROW_INTEGER(i16),
        [MT_DT_int32] = ROW_INTEGER(i32),  [MT_DT_int64] = ROW_INTEGER(i64),  [MT_DT_uint8] = ROW_INTEGER(u8),
        [MT_DT_uint16] = ROW_INTEGER(u16), [MT_DT_uint32] = ROW_INTEGER(u32), [MT_DT_uint64] = ROW_INTEGER(u64),
        [MT_DT_float32] = ROW_FLOAT(f32),  [MT_DT_float64] = ROW_FLOAT(f64),
    };
    if (from < 0 || from >= MT_NUM_DTYPES || to < 0 || to >= MT_NUM_DTYPES) return NULL;
    if (from != to) return table[from][to];
    switch (MT_ITEMSIZE[from]) {
        case 1: return copy_8;
        case 2: return copy_16;
        case 4: return copy_32;
        case 8: return copy_64;
        default: return copy_128;
    }
}

bool mt_cast_supported(int from, int to) { return mt_cast_find(from, to) != NULL; }

/* The two innermost dimensions as blocks of BLOCK x BLOCK: when the output runs along one and the input along the other
 * (a transpose), the lines of both that a block touches stay in the first-level cache. */
enum { BLOCK = 32 };
static void copy_plane(mt_cast_fn cast, char *dst, const char *src, const int64_t *shape, const int64_t *to,
                       const int64_t *from) {
    for (int64_t i = 0; i < shape[1]; i += BLOCK)
        for (int64_t j = 0; j < shape[0]; j += BLOCK) {
            int64_t rows = shape[1] - i < BLOCK ? shape[1] - i : BLOCK;
            int64_t columns = shape[0] - j < BLOCK ? shape[0] - j : BLOCK;
            for (int64_t k = i; k < i + rows; k++)
                cast(dst + k * to[1] + j * to[0], to[0], src + k * from[1] + j * from[0], from[0], columns);
        }
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

int mt_run_copy(int ndim, const int64_t *shape, const mt_operand *out, const mt_operand *in) {
    mt_cast_fn cast = mt_cast_find(in->dtype, out->dtype);
    int order[MT_MAX_NDIM], n = 0;
    int64_t length[MT_MAX_NDIM], to[MT_MAX_NDIM], from[MT_MAX_NDIM], index[MT_MAX_NDIM] = {0};   /* [0] is the innermost */
    if (!cast) return 1;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] == 0) return 0;
        order[d] = d;
    }
    mt_sort_dims(ndim, order, out->strides);
    for (int k = ndim - 1; k >= 0; k--) {
        int d = order[k];
        if (shape[d] == 1) continue;
        if (n > 0 && out->strides[d] == to[n - 1] * length[n - 1] && in->strides[d] == from[n - 1] * length[n - 1]) {
            length[n - 1] *= shape[d];
        } else {
            length[n] = shape[d], to[n] = out->strides[d], from[n] = in->strides[d];
            n++;
        }
    }
    if (n == 0) length[0] = 1, to[0] = MT_ITEMSIZE[out->dtype], from[0] = MT_ITEMSIZE[in->dtype], n = 1;
    /* The second dimension of the plane is the one along which the input is densest, if that isn't the first already. */
    int dense = 0;
    for (int d = 1; d < n; d++)
        if (from[d] != 0 && length[d] >= 8 && (from[dense] == 0 || magnitude(from[d]) < magnitude(from[dense]))) dense = d;
    bool plane = dense > 0 && from[0] != 0;
    if (plane && dense > 1) {
        int64_t l = length[dense], t = to[dense], f = from[dense];
        for (int d = dense; d > 1; d--) length[d] = length[d - 1], to[d] = to[d - 1], from[d] = from[d - 1];
        length[1] = l, to[1] = t, from[1] = f;
    }
    char *dst = out->data;
    const char *src = in->data;
    for (;;) {
        if (plane) copy_plane(cast, dst, src, length, to, from);
        else cast(dst, to[0], src, from[0], length[0]);
        int d = plane ? 2 : 1;
        for (; d < n; d++) {
            dst += to[d], src += from[d];
            if (++index[d] < length[d]) break;
            dst -= to[d] * length[d], src -= from[d] * length[d], index[d] = 0;
        }
        if (d >= n) return 0;
    }
}
