/* Random numbers: uniform, normal, integers, bernoulli and permutation.
 *
 * The problem.  A generator with a state that steps from number to number computes on one thread,
 * and its results depend on the order of the steps.
 *
 * The solution.  Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011) computes a block of four words of 32 bits from a key of 64 bits and a
 * counter of 128 bits.  Each element has its own counter, so threads and vector lanes compute any
 * elements in any order.
 *
 * The numbers of a seed are part of the interface: they stay the same between versions, on every
 * machine, for every number of threads.  tests/ops/test_random_numbers.py holds known answers.
 * The definition:
 *
 *   key      of a draw: the low half of the generator's 128 bits
 *   counter  words 0 and 1: the number b of the block, from 0 in each draw; words 2 and 3: the
 *            number of the draw plus the high half of the generator's key, modulo 2^64
 *   words    w0 w1 w2 w3 of block b; x = w0 + 2^32 w1, y = w2 + 2^32 w3
 *   order    128 blocks make a group.  Its elements are first the first ones of its blocks, then
 *            the second ones, and so on.  The elements of an array, in C order, are those of the
 *            groups.
 *
 *   uniform      float32: of each word, the upper 24 bits times 2^-24 (4 elements of a block); with
 *                a parameter, fewer bits.  float64: (w1 >> 5) 2^-27 + (w0 >> 6) 2^-53, and the same
 *                of w3 and w2 (2 elements).  Then u * span + least, in the dtype.
 *   normal       Box-Muller: r = sqrt(-2 log(u)); the cosine and the sine of an angle times r are
 *                two elements.  float32: u = ((w0 >> 1) + 1/2) 2^-31, the angle is of w1; then the
 *                same of w2 and w3 (4 elements, at most 6.6 in size).  float64: 1 - u is the
 *                uniform number of w0 and w1, the angle is of w2 and w3 (2 elements, at most 8.6).
 *                The angle: the upper 2 bits are the quarter of the circle, the others the place in
 *                it, from -45 to 45 degrees about its middle.  Then z * scale + shift.
 *   integers     low + floor(x span / 2^64), and the same of y (2 elements), for spans up to 2^32;
 *                low + floor((x + 2^64 y) span / 2^128) for others (1 element).  Two integers
 *                differ in probability by span / 2^64 of it at most, below 2^-32; for larger spans
 *                by 2^-64 of it.
 *   bernoulli    1 where the uniform number of float64 is below p (2 elements).
 *   permutation  element i, from the front, swaps places with element i + floor(v (n - i) / 2^64),
 *                where v is x or y in the order above (2 elements).
 *
 * Products and sums are not fused here, not even where the machine can: a fused one has other last
 * digits.  So elementary.h is read without MT_FMA. */
#undef MT_FMA
#include "base/threadpool.h"
#include "kernels/isa.h"
#include "kernels/math/elementary.h"

enum {
    BLOCKS = 128,         /* of a group */
    LANES = 16,           /* blocks that vectors compute at once: less are not cheaper */
    DRAW_GRAIN = 1 << 14, /* elements that a thread takes at once, a multiple of those of BLOCKS */
};

typedef struct {
    uint32_t w[4][BLOCKS];
} words;

typedef union {
    float f[4 * BLOCKS];
    double d[2 * BLOCKS];
    int64_t i[2 * BLOCKS];
    uint8_t b[2 * BLOCKS];
} numbers;

/* A draw: its key and counter, how its words become numbers, and where they go. */
typedef struct draw {
    uint32_t key[2], number[2];
    int per_block; /* elements */
    int dtype;     /* of the numbers, before the cast to that of `out` */
    void (*of_words)(const struct draw *draw, const words *from, numbers *to, int n);
    const mt_param *param;
    const mt_array *out;
} draw;

/* Vectors of 64-bit lanes, each a word of a block; the upper half of a lane may hold anything,
 * since a multiplication ignores it.  Compilers make three multiplications of one where they can't
 * know that, so x86 has them by name.  PACK stores the lower halves of the lanes of one or two
 * vectors, 8 words. */
#if defined(MT_X86) && defined(__AVX512F__)
#include <immintrin.h>
typedef __m512i lanes;
enum { VECTORS = 1 }; /* for 8 blocks */
#define TIMES(x, y) _mm512_mul_epu32(x, y)
#define PACK(to, v) _mm256_storeu_si256((__m256i *)(to), _mm512_cvtepi64_epi32(v[0]))
#elif defined(MT_X86) && defined(__AVX2__)
#include <immintrin.h>
typedef __m256i lanes;
enum { VECTORS = 2 };
#define TIMES(x, y) _mm256_mul_epu32(x, y)
#define PACK(to, v)                                                                                \
    _mm256_storeu_si256(                                                                           \
        (__m256i *)(to),                                                                           \
        _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(                            \
                                     _mm256_castsi256_ps(v[0]), _mm256_castsi256_ps(v[1]), 0x88)), \
                                 0xd8))
#endif

#ifdef TIMES
typedef uint64_t vector __attribute__((vector_size(sizeof(lanes))));

INLINE vector times(vector x, uint32_t y) {
    vector all = {0};
    return (vector)TIMES((lanes)x, (lanes)(all + y));
}

/* Computes n blocks from number `first` on, a multiple of BLOCKS; n is a multiple of 8. */
static void philox(const draw *d, uint64_t first, words *to, int n) {
    enum { WIDTH = 8 / VECTORS };
    const vector none = {0};
    vector place = {0};
    for (int k = 0; k < WIDTH; k++) place[k] = first + (uint64_t)k;
    for (int i = 0; i < n; i += 8) {
        vector a[VECTORS], b[VECTORS], c[VECTORS], e[VECTORS];
        for (int v = 0; v < VECTORS; v++, place += WIDTH)
            a[v] = place, b[v] = none + (first >> 32), c[v] = none + d->number[0],
            e[v] = none + d->number[1];
        uint32_t k0 = d->key[0], k1 = d->key[1];
        _Pragma("GCC unroll 10") for (int round = 0; round < 10; round++) {
            for (int v = 0; v < VECTORS; v++) {
                vector p = times(a[v], 0xD2511F53u), q = times(c[v], 0xCD9E8D57u);
                a[v] = (q >> 32) ^ b[v] ^ k0, b[v] = q;
                c[v] = (p >> 32) ^ e[v] ^ k1, e[v] = p;
            }
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        vector *all[4] = {a, b, c, e};
        for (int k = 0; k < 4; k++) {
            lanes packed[2] = {(lanes)all[k][0], (lanes)all[k][VECTORS - 1]};
            PACK(to->w[k] + i, packed);
        }
    }
}
#else
static void philox(const draw *d, uint64_t first, words *to, int n) {
    const uint32_t low = (uint32_t)first, high = (uint32_t)(first >> 32), c0 = d->number[0],
                   e0 = d->number[1], key0 = d->key[0], key1 = d->key[1];
    for (int i = 0; i < n; i++) {
        uint32_t a = low + (uint32_t)i, b = high, c = c0, e = e0, k0 = key0, k1 = key1;
        _Pragma("GCC unroll 10") for (int round = 0; round < 10; round++) {
            uint64_t p = (uint64_t)a * 0xD2511F53u, q = (uint64_t)c * 0xCD9E8D57u;
            a = (uint32_t)(q >> 32) ^ b ^ k0, b = (uint32_t)q;
            c = (uint32_t)(p >> 32) ^ e ^ k1, e = (uint32_t)p;
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        to->w[0][i] = a, to->w[1][i] = b, to->w[2][i] = c, to->w[3][i] = e;
    }
}
#endif

static void draw_part(void *job, int64_t begin, int64_t end) {
    const draw *d = job;
    int64_t size = MT_ITEMSIZE[d->out->dtype], step = (int64_t)BLOCKS * d->per_block;
    bool large = d->out->size * size >= MT_PAST_THE_CACHE;
    mt_cast_fn cast = mt_cast_find(d->dtype, d->out->dtype);
    words from;
    numbers drawn;
    char other[sizeof drawn];
    for (int64_t at = begin; at < end; at += step) {
        int64_t n = end - at < step ? end - at : step;
        int blocks = n < BLOCKS ? (int)(n + LANES - 1) / LANES * LANES : BLOCKS;
        philox(d, (uint64_t)(at / d->per_block), &from, blocks);
        d->of_words(d, &from, &drawn, blocks);
        char *to = d->out->data + at * size;
        const char *ready = (const char *)&drawn;
        if (d->dtype != d->out->dtype)
            cast(other, size, ready, MT_ITEMSIZE[d->dtype], n), ready = other;
        if (large) mt_loops_of_machine()->stream(to, ready, (size_t)(n * size));
        else memcpy(to, ready, (size_t)(n * size));
    }
    if (large) mt_stream_fence();
}

static void begin_draw(draw *d, const mt_arrays *a) {
    uint64_t key = (uint64_t)a->param[0].i,
             number = (uint64_t)a->param[1].i + (uint64_t)a->param[2].i;
    d->key[0] = (uint32_t)key, d->key[1] = (uint32_t)(key >> 32);
    d->number[0] = (uint32_t)number, d->number[1] = (uint32_t)(number >> 32);
    d->param = a->param + 3, d->out = &a->out[0];
}

static int run_draw(draw *d, int per_block, int dtype,
                    void (*of_words)(const draw *, const words *, numbers *, int)) {
    d->per_block = per_block, d->dtype = dtype, d->of_words = of_words;
    mt_parallel(d->out->size, DRAW_GRAIN, draw_part, d);
    return MT_OK;
}

/* --- uniform ---------------------------------------------------------------------------------- */

INLINE double unit(uint32_t low, uint32_t high) {
    return (double)(int32_t)(high >> 5) * 0x1p-27 + (double)(int32_t)(low >> 6) * 0x1p-53;
}

static void uniform_f(const draw *d, const words *from, numbers *to, int n) {
    float span = (float)d->param[0].f, least = (float)d->param[1].f;
    int lost = 32 - (int)d->param[2].i;
    float unit_f = 1.0f / (float)(1 << (32 - lost));
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < n; i++)
            to->f[k * BLOCKS + i] = (float)(int32_t)(from->w[k][i] >> lost) * unit_f * span + least;
}

static void uniform_d(const draw *d, const words *from, numbers *to, int n) {
    double span = d->param[0].f, least = d->param[1].f;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < n; i++)
            to->d[k * BLOCKS + i] = unit(from->w[2 * k][i], from->w[2 * k + 1][i]) * span + least;
}

/* out: in C order; param: the generator's key in two halves, the number of the draw, span, least,
 * the number of bits of a float32. */
MT_ARRAY_KERNEL(uniform) {
    draw d;
    begin_draw(&d, a);
    bool wide = d.out->dtype == MT_DT_float64;
    return run_draw(&d, wide ? 2 : 4, wide ? MT_DT_float64 : MT_DT_float32,
                    wide ? uniform_d : uniform_f);
}

/* --- normal ----------------------------------------------------------------------------------- */

static void normal_f(const draw *d, const words *from, numbers *to, int n) {
    float scale = (float)d->param[0].f, shift = (float)d->param[1].f;
    for (int k = 0; k < 4; k += 2)
        for (int i = 0; i < n; i++) {
            uint32_t w = from->w[k][i], angle = from->w[k + 1][i], quarter = angle >> 30;
            float u = ((float)(int32_t)(w >> 1) + 0.5f) * 0x1p-31f;
            float r = sqrtf(-2 * mt_log_of_f(mt_split_log_f(u, 0)));
            float x = (float)(int32_t)(angle << 2) * (float)(MT_PI_0 / 4 * 0x1p-31);
            uint32_t s = bits_f(mt_sin_f(x)), c = bits_f(mt_cos_f(x)), odd = -(quarter & 1);
            uint32_t cosine = (odd & s) | (~odd & c), sine = (odd & c) | (~odd & s);
            cosine ^= ((quarter + 1) & 2) << 30, sine ^= (quarter & 2) << 30;
            to->f[k * BLOCKS + i] = r * from_bits_f(cosine) * scale + shift;
            to->f[(k + 1) * BLOCKS + i] = r * from_bits_f(sine) * scale + shift;
        }
}

static void normal_d(const draw *d, const words *from, numbers *to, int n) {
    double scale = d->param[0].f, shift = d->param[1].f;
    for (int i = 0; i < n; i++) {
        uint32_t angle = from->w[3][i];
        double u = 1 - unit(from->w[0][i], from->w[1][i]);
        double log_u = mt_log_of(mt_split_log(u, 0));
        double r = sqrt(-2 * (log_u < 0 ? log_u : 0));
        double x =
            ((double)(int32_t)(angle << 2) + (double)(int32_t)(from->w[2][i] >> 1) * 0x1p-31) *
            (MT_PI_0 / 4 * 0x1p-31);
        uint64_t quarter = angle >> 30, odd = -(quarter & 1);
        uint64_t s = bits(mt_sin_of(x, 0)), c = bits(mt_cos_of(x, 0));
        uint64_t cosine = (odd & s) | (~odd & c), sine = (odd & c) | (~odd & s);
        cosine ^= ((quarter + 1) & 2) << 62, sine ^= (quarter & 2) << 62;
        to->d[i] = r * from_bits(cosine) * scale + shift;
        to->d[BLOCKS + i] = r * from_bits(sine) * scale + shift;
    }
}

/* out: in C order; param: key, number, scale, shift. */
MT_ARRAY_KERNEL(normal) {
    draw d;
    begin_draw(&d, a);
    bool wide = d.out->dtype == MT_DT_float64;
    return run_draw(&d, wide ? 2 : 4, wide ? MT_DT_float64 : MT_DT_float32,
                    wide ? normal_d : normal_f);
}

/* --- integers --------------------------------------------------------------------------------- */

static void integers(const draw *d, const words *from, numbers *to, int n) {
    uint64_t low = (uint64_t)d->param[0].i;
    uint32_t most = (uint32_t)((uint64_t)d->param[1].i - 1); /* span - 1 has 32 bits */
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < n; i++) {
            /* x span = x (span - 1) + x, in two halves of 32 bits */
            uint32_t x0 = from->w[2 * k][i], x1 = from->w[2 * k + 1][i];
            uint64_t first = (uint64_t)x0 * most, second = (uint64_t)x1 * most;
            uint64_t carry = ((first + x0) >> 32) + x1;
            uint64_t sum = (uint64_t)(uint32_t)second + carry;
            to->i[k * BLOCKS + i] = (int64_t)(low + (second >> 32) + (sum >> 32));
        }
}

static void wide_integers(const draw *d, const words *from, numbers *to, int n) {
    uint64_t low = (uint64_t)d->param[0].i, span = (uint64_t)d->param[1].i; /* 0: 2^64 */
    for (int i = 0; i < n; i++) {
        uint64_t x = from->w[0][i] | (uint64_t)from->w[1][i] << 32,
                 y = from->w[2][i] | (uint64_t)from->w[3][i] << 32;
        unsigned __int128 product = (unsigned __int128)y * span;
        product += (uint64_t)(((unsigned __int128)x * span) >> 64);
        to->i[i] = (int64_t)(low + (span ? (uint64_t)(product >> 64) : y));
    }
}

/* out: in C order; param: key, number, low, span (0: 2^64). */
MT_ARRAY_KERNEL(integers) {
    draw d;
    begin_draw(&d, a);
    bool wide = (uint64_t)d.param[1].i - 1 > UINT32_MAX;
    return run_draw(&d, wide ? 1 : 2, MT_DT_int64, wide ? wide_integers : integers);
}

/* --- bernoulli -------------------------------------------------------------------------------- */

static void bernoulli(const draw *d, const words *from, numbers *to, int n) {
    double p = d->param[0].f;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < n; i++)
            to->b[k * BLOCKS + i] = unit(from->w[2 * k][i], from->w[2 * k + 1][i]) < p;
}

/* out: in C order; param: key, number, p. */
MT_ARRAY_KERNEL(bernoulli) {
    draw d;
    begin_draw(&d, a);
    return run_draw(&d, 2, MT_DT_bool, bernoulli);
}

/* --- permutation ------------------------------------------------------------------------------ */

/* out: int64, in C order; param: key, number.  One thread swaps; it asks for the memory of a
 * tile's swaps in advance. */
MT_ARRAY_KERNEL(permutation) {
    draw d;
    begin_draw(&d, a);
    int64_t *out = (int64_t *)d.out->data, n = d.out->size, other[2 * BLOCKS];
    words from;
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t begin = 0; begin < n; begin += 2 * BLOCKS) {
        int64_t count = n - begin < 2 * BLOCKS ? n - begin : 2 * BLOCKS;
        philox(&d, (uint64_t)begin / 2, &from, BLOCKS);
        for (int k = 0; k < count; k++) {
            int block = k % BLOCKS, w = k / BLOCKS * 2;
            uint64_t v = from.w[w][block] | (uint64_t)from.w[w + 1][block] << 32;
            unsigned __int128 product = (unsigned __int128)v * (uint64_t)(n - begin - k);
            other[k] = begin + k + (int64_t)(product >> 64);
            __builtin_prefetch(out + other[k], 1);
        }
        for (int k = 0; k < count; k++) {
            int64_t one = out[begin + k];
            out[begin + k] = out[other[k]];
            out[other[k]] = one;
        }
    }
    return MT_OK;
}
