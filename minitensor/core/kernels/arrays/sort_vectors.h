/* Sorting of items by vectors of eight (AVX-512).  Included by sort_items.h.
 *
 * Items differ, so a vector compares, exchanges and parts them without a branch: up to BASE items
 * lie in registers and are sorted by a bitonic network; more are parted at one of them. */

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_MORE UNROLL
#else
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL_MORE _Pragma("GCC unroll 19")
#endif

enum { LANES = 8, VECTORS = 8, BASE = LANES * VECTORS, MANY_SAMPLES = 1024 };
typedef __m512i lanes;

static inline lanes less_of(lanes a, lanes b) { return _mm512_min_epu64(a, b); }
static inline lanes more_of(lanes a, lanes b) { return _mm512_max_epu64(a, b); }
/* Orders each lane and its partner: the lanes in `high` get the greater one. */
#define PARTNERS(v, partner, high) _mm512_mask_max_epu64(less_of(v, partner), high, v, partner)
static inline lanes reversed(lanes v) {
    return _mm512_permutexvar_epi64(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7), v);
}
/* Sorts a vector whose lanes rise and fall. */
static inline lanes sort_bitonic(lanes v) {
    v = PARTNERS(v, _mm512_shuffle_i64x2(v, v, 0x4e), 0xf0);
    v = PARTNERS(v, _mm512_shuffle_i64x2(v, v, 0xb1), 0xcc);
    return PARTNERS(v, _mm512_shuffle_epi32(v, _MM_PERM_BADC), 0xaa);
}
static inline lanes sort_lanes(lanes v) {
    v = PARTNERS(v, _mm512_shuffle_epi32(v, _MM_PERM_BADC), 0xaa);
    v = PARTNERS(v, _mm512_permutex_epi64(v, 0x1b), 0xcc); /* halves of four, reversed */
    v = PARTNERS(v, _mm512_shuffle_epi32(v, _MM_PERM_BADC), 0xaa);
    v = PARTNERS(v, reversed(v), 0xf0);
    v = PARTNERS(v, _mm512_shuffle_i64x2(v, v, 0xb1), 0xcc);
    return PARTNERS(v, _mm512_shuffle_epi32(v, _MM_PERM_BADC), 0xaa);
}

/* Orders two vectors, lane by lane. */
static inline __attribute__((always_inline)) void exchange(lanes *v, int i, int j) {
    lanes low = less_of(v[i], v[j]);
    v[j] = more_of(v[i], v[j]);
    v[i] = low;
}

/* Sorts the columns of eight vectors, then makes them the rows: each vector is in order. */
static inline __attribute__((always_inline)) void sort_columns(lanes *v) {
    static const uint8_t pairs[][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6},
                                       {3, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}, {2, 4}, {3, 5},
                                       {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
    lanes a[VECTORS], b[VECTORS];
    UNROLL_MORE for (int i = 0; i < 19; i++) exchange(v, pairs[i][0], pairs[i][1]);
    UNROLL for (int i = 0; i < VECTORS; i += 2) {
        a[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
    }
    UNROLL for (int i = 0; i < VECTORS; i += 4) for (int j = 0; j < 2; j++) {
        b[i + j] = _mm512_shuffle_i64x2(a[i + j], a[i + j + 2], 0x88);
        b[i + j + 2] = _mm512_shuffle_i64x2(a[i + j], a[i + j + 2], 0xdd);
    }
    UNROLL for (int j = 0; j < 4; j++) {
        v[j] = _mm512_shuffle_i64x2(b[j], b[j + 4], 0x88);
        v[j + 4] = _mm512_shuffle_i64x2(b[j], b[j + 4], 0xdd);
    }
}

/* Merges two sequences in order, each of half of m vectors. */
static inline __attribute__((always_inline)) void merge_vectors(lanes *v, int m) {
    lanes other[VECTORS / 2];
    UNROLL for (int i = 0; i < m / 2; i++) other[i] = reversed(v[m - 1 - i]);
    UNROLL for (int i = 0; i < m / 2; i++) {
        v[m / 2 + i] = more_of(v[i], other[i]);
        v[i] = less_of(v[i], other[i]);
    }
    UNROLL for (int step = m / 4; step > 0; step /= 2)
        UNROLL for (int i = 0; i < m; i++) if (!(i & step)) exchange(v, i, i + step);
    UNROLL for (int i = 0; i < m; i++) v[i] = sort_bitonic(v[i]);
}

/* Sorts up to LANES * m items; m is a power of two. */
static inline __attribute__((always_inline)) void sort_base(uint64_t *x, int64_t n, int m) {
    lanes v[VECTORS];
    __mmask8 mask[VECTORS];
    UNROLL for (int i = 0; i < m; i++) {
        int64_t rest = n - i * LANES;
        mask[i] = (__mmask8)(rest >= LANES ? 255 : rest > 0 ? (1 << rest) - 1 : 0);
        v[i] = _mm512_mask_loadu_epi64(_mm512_set1_epi64(-1), mask[i], x + i * LANES);
        if (m < VECTORS) v[i] = sort_lanes(v[i]);
    }
    if (m == VECTORS) sort_columns(v);
    UNROLL for (int width = 2; width <= m; width *= 2) UNROLL for (int i = 0; i < m; i += width)
        merge_vectors(v + i, width);
    UNROLL for (int i = 0; i < m; i++) _mm512_mask_storeu_epi64(x + i * LANES, mask[i], v[i]);
}

/* Moves the items below `pivot` to the front; y has room for n + LANES.  Returns how many. */
static int64_t part_items(uint64_t *x, uint64_t *y, int64_t n, uint64_t pivot) {
    int64_t low = 0, high = 0, i = 0;
    lanes limit = _mm512_set1_epi64((long long)pivot);
    for (; i + LANES <= n; i += LANES) { /* what is written over has been read: low is at most i */
        lanes v = _mm512_loadu_si512(x + i);
        __mmask8 is_low = _mm512_cmplt_epu64_mask(v, limit);
        int count = __builtin_popcount(is_low);
        _mm512_storeu_si512(x + low, _mm512_maskz_compress_epi64(is_low, v));
        _mm512_storeu_si512(y + high, _mm512_maskz_compress_epi64((__mmask8)~is_low, v));
        low += count, high += LANES - count;
    }
    for (; i < n; i++) {
        uint64_t one = x[i];
        x[low] = one, y[high] = one;
        low += one < pivot, high += one >= pivot;
    }
    memcpy(x + low, y, (size_t)high * sizeof *x);
    return low;
}

/* Returns an item near the middle, with at least three below it. */
static uint64_t pivot_of(const uint64_t *x, int64_t n) {
    uint64_t some[BASE];
    int64_t count = n < MANY_SAMPLES ? LANES : BASE;
    for (int64_t i = 0; i < count; i++) some[i] = x[n / count * i + n / count / 2];
    if (count == LANES) sort_base(some, LANES, 1);
    else sort_base(some, BASE, VECTORS);
    return some[count / 2];
}

/* Sorts in a time that no order makes long. */
static void sort_heap(uint64_t *x, int64_t n) {
    for (int64_t end = n, start = n / 2; end > 1;) {
        uint64_t one;
        if (start > 0) one = x[--start];
        else one = x[--end], x[end] = x[0];
        int64_t at = start;
        for (int64_t child; (child = 2 * at + 1) < end; at = child) {
            child += child + 1 < end && x[child] < x[child + 1];
            if (x[child] <= one) break;
            x[at] = x[child];
        }
        x[at] = one;
    }
}

/* Sorts n items, with room for n + LANES in y; `depth`: how often they may be parted. */
static void sort_vectors(uint64_t *x, uint64_t *y, int64_t n, int depth) {
    for (; n > BASE && depth > 0; depth--) {
        int64_t low = part_items(x, y, n, pivot_of(x, n));
        sort_vectors(x, y, low, depth - 1);
        x += low, n -= low;
    }
    if (n > BASE) sort_heap(x, n);
    else if (n > BASE / 2) sort_base(x, n, VECTORS);
    else if (n > BASE / 4) sort_base(x, n, VECTORS / 2);
    else if (n > 1) sort_base(x, n, VECTORS / 4);
}
