/* Elements by a mask: count_true, compress, nonzero, mask_fill and mask_put.
 *
 * A mask is in C order, and so is what it masks.  What it masks may have more dimensions: each
 * element of the mask then stands for a row.  A thread takes a block of the mask.  Where the place
 * of a block in the packed tensor matters, a first pass counts the elements of each block.
 *
 * Compress and put take a step for each element, whether it is chosen or not, and advance the
 * packed side by the mask's element: a branch would be predicted wrongly for every second element
 * of a random mask.  A step that is not chosen touches the packed element that comes next.  The
 * last ones of a block, whose next element may be another block's, test the mask.
 *
 * The mask of shared memory may change between the count that made the result's length and the
 * kernel, so the kernel never writes past that length, and clears the result if it is not
 * reached. */
#include <stdlib.h>

#include "base/threadpool.h"

enum { MASK_BLOCK = 1 << 14 };

typedef struct {
    const uint8_t *mask;
    const mt_array *shape; /* the mask */
    char *wide, *packed;   /* what the mask's shape has; what has only the chosen elements */
    int64_t n, row, size;  /* elements of the mask; bytes of a row, of an element */
    int64_t room;          /* rows of `packed` */
    int64_t packed_step;   /* nonzero: from one coordinate of a place to the next, in elements */
    int64_t *begins;       /* of each block in `packed`; then the end */
    bool put;
    const char *value;
} masked;

static int64_t count_bytes(const uint8_t *mask, int64_t n) {
    int64_t count = 0;
    for (int64_t j = 0; j < n;) {
        int64_t end = n - j < 255 ? n : j + 255;
        uint8_t part = 0; /* so that the sum is one of bytes */
        for (; j < end; j++) part = (uint8_t)(part + (mask[j] != 0));
        count += part;
    }
    return count;
}

static void count_blocks(void *job, int64_t begin, int64_t end) {
    masked *m = job;
    for (int64_t block = begin; block < end; block++) {
        int64_t from = block * MASK_BLOCK, left = m->n - from;
        m->begins[block] = count_bytes(m->mask + from, left < MASK_BLOCK ? left : MASK_BLOCK);
    }
}

/* Counts each block, and calls `part` over the blocks with their begins. */
static int in_two_passes(masked *m, void (*part)(void *, int64_t, int64_t)) {
    int64_t few[2], blocks = (m->n + MASK_BLOCK - 1) / MASK_BLOCK, sum = 0;
    m->begins = blocks < 2 ? few : malloc((size_t)(blocks + 1) * sizeof *m->begins);
    if (!m->begins) return MT_MEMORY_ERROR;
    mt_parallel(blocks, 4, count_blocks, m);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t count = m->begins[block];
        m->begins[block] = sum;
        sum = sum + count < m->room ? sum + count : m->room;
    }
    m->begins[blocks] = sum;
    if (part) mt_parallel(blocks, 2, part, m);
    if (m->begins != few) free(m->begins);
    return sum == m->room || m->put ? MT_OK : MT_TIMEOUT;
}

/* Takes the steps of a block: `k` packed elements have been passed, up to `end`. */
#define MASK_STEPS(STEP, CHOSEN)                                                                   \
    for (; j + 8 <= n && k + 8 <= end; j += 8) {                                                   \
        uint64_t word;                                                                             \
        memcpy(&word, mask + j, sizeof word);                                                      \
        if (!word) continue;                                                                       \
        for (int i = 0; i < 8; i++) STEP(j + i)                                                    \
    }                                                                                              \
    for (; j < n && k < end; j++)                                                                  \
        if (mask[j]) CHOSEN(j)

#define COMPRESS_STEP(J) out[k] = x[J], k += mask[J] != 0;
#define COMPRESS_CHOSEN(J) out[k++] = x[J];
#define PUT_STEP(J) x[J] = mask[J] ? out[k] : x[J], k += mask[J] != 0;
#define PUT_CHOSEN(J) x[J] = out[k++];
#define MASK_MOVES(BITS, T)                                                                        \
    static void compress_##BITS(const uint8_t *restrict mask, void *wide, void *packed, int64_t n, \
                                int64_t k, int64_t end) {                                          \
        T *restrict x = wide, *restrict out = packed;                                              \
        int64_t j = 0;                                                                             \
        MASK_STEPS(COMPRESS_STEP, COMPRESS_CHOSEN)                                                 \
    }                                                                                              \
    static void put_##BITS(const uint8_t *restrict mask, void *wide, void *packed, int64_t n,      \
                           int64_t k, int64_t end) {                                               \
        T *restrict x = wide, *restrict out = packed;                                              \
        int64_t j = 0;                                                                             \
        MASK_STEPS(PUT_STEP, PUT_CHOSEN)                                                           \
    }                                                                                              \
    static void fill_##BITS(const uint8_t *restrict mask, void *wide, const void *value,           \
                            int64_t n) {                                                           \
        T *restrict x = wide, v;                                                                   \
        memcpy(&v, value, sizeof v);                                                               \
        for (int64_t j = 0; j < n; j++) x[j] = mask[j] ? v : x[j];                                 \
    }
/* Elements without the alignment of their type: memory of others may lie anywhere. */
typedef uint16_t __attribute__((aligned(1), may_alias)) mask_u16;
typedef uint32_t __attribute__((aligned(1), may_alias)) mask_u32;
typedef uint64_t __attribute__((aligned(1), may_alias)) mask_u64;
typedef struct {
    mask_u64 low, high;
} mask_u128;
MASK_MOVES(8, uint8_t)
MASK_MOVES(16, mask_u16)
MASK_MOVES(32, mask_u32)
MASK_MOVES(64, mask_u64)
MASK_MOVES(128, mask_u128)

static int log_of_size(int64_t size) {
    int log = 0;
    while ((int64_t)1 << log < size) log++;
    return log;
}

static void move_blocks(void *job, int64_t begin, int64_t end) {
    typedef void (*move)(const uint8_t *, void *, void *, int64_t, int64_t, int64_t);
    static const move COMPRESS[] = {compress_8, compress_16, compress_32, compress_64,
                                    compress_128},
                      PUT[] = {put_8, put_16, put_32, put_64, put_128};
    const masked *m = job;
    for (int64_t block = begin; block < end; block++) {
        int64_t from = block * MASK_BLOCK, left = m->n - from;
        int64_t n = left < MASK_BLOCK ? left : MASK_BLOCK;
        int64_t k = m->begins[block], to = m->begins[block + 1];
        if (m->row == m->size) {
            (m->put ? PUT : COMPRESS)[log_of_size(m->size)](m->mask + from, m->wide + from * m->row,
                                                            m->packed, n, k, to);
            continue;
        }
        for (int64_t j = from; j < from + n && k < to; j++) {
            if (!m->mask[j]) continue;
            char *wide = m->wide + j * m->row, *packed = m->packed + k++ * m->row;
            memcpy(m->put ? wide : packed, m->put ? packed : wide, (size_t)m->row);
        }
    }
}

/* Writes the coordinates of a block's True elements. */
static void nonzero_blocks(void *job, int64_t begin, int64_t end) {
    const masked *m = job;
    int ndim = m->shape->ndim, last = ndim - 1;
    int64_t at[MT_MAX_NDIM], columns = m->shape->shape[last], stride = m->packed_step;
    int64_t place = stride == 1 ? ndim : 1, *out = (int64_t *)(void *)m->packed;
    for (int64_t block = begin; block < end; block++) {
        int64_t from = block * MASK_BLOCK, to = from + MASK_BLOCK < m->n ? from + MASK_BLOCK : m->n;
        int64_t k = m->begins[block], limit = m->begins[block + 1];
        while (from < to && k < limit) {
            int64_t rest = from / columns, column = from % columns;
            int64_t n = columns - column < to - from ? columns - column : to - from, j = 0;
            for (int d = last - 1; d >= 0; d--)
                at[d] = rest % m->shape->shape[d], rest /= m->shape->shape[d];
            const uint8_t *mask = m->mask + from;
#define NONZERO_STEP(J) out[k] = column + (J), k += mask[J] != 0;
#define NONZERO_PLACE(J)                                                                           \
    {                                                                                              \
        int64_t *p = out + k * place;                                                              \
        for (int d = 0; d < last; d++) p[d * stride] = at[d];                                      \
        p[last * stride] = column + (J);                                                           \
        k += mask[J] != 0;                                                                         \
    }
            const int64_t end = limit;
            if (last == 0) {
                MASK_STEPS(NONZERO_STEP, NONZERO_STEP)
            } else {
                MASK_STEPS(NONZERO_PLACE, NONZERO_PLACE)
            }
            from += n;
        }
    }
}

static void fill_blocks(void *job, int64_t begin, int64_t end) {
    typedef void (*fill)(const uint8_t *, void *, const void *, int64_t);
    static const fill FILL[] = {fill_8, fill_16, fill_32, fill_64, fill_128};
    const masked *m = job;
    if (m->row == m->size) {
        FILL[log_of_size(m->size)](m->mask + begin, m->wide + begin * m->row, m->value,
                                   end - begin);
        return;
    }
    mt_cast_fn copy = mt_cast_find(m->shape[1].dtype, m->shape[1].dtype);
    for (int64_t j = begin; j < end; j++)
        if (m->mask[j]) copy(m->wide + j * m->row, m->size, m->value, 0, m->row / m->size);
}

static masked masked_of(const mt_array *mask, const mt_array *wide, const mt_array *packed) {
    int64_t size = MT_ITEMSIZE[wide->dtype];
    masked m = {.mask = (const uint8_t *)mask->data,
                .shape = mask,
                .n = mask->size,
                .wide = wide->data,
                .size = size,
                .row = mask->size ? wide->size / mask->size * size : 0};
    if (packed) m.packed = packed->data, m.room = packed->ndim ? packed->shape[0] : 1;
    return m;
}

/* in: mask; out: one int64. */
MT_ARRAY_KERNEL(count_true) {
    masked m = masked_of(&a->in[0], &a->in[0], NULL);
    int64_t count = 0;
    m.room = INT64_MAX, m.put = true;
    if (m.n <= MASK_BLOCK) count = count_bytes(m.mask, m.n);
    else {
        int64_t blocks = (m.n + MASK_BLOCK - 1) / MASK_BLOCK;
        m.begins = malloc((size_t)blocks * sizeof *m.begins);
        if (!m.begins) return MT_MEMORY_ERROR;
        mt_parallel(blocks, 4, count_blocks, &m);
        for (int64_t block = 0; block < blocks; block++) count += m.begins[block];
        free(m.begins);
    }
    memcpy(a->out[0].data, &count, sizeof count);
    return MT_OK;
}

/* in: what is masked, mask; out: the chosen elements or rows. */
MT_ARRAY_KERNEL(compress) {
    masked m = masked_of(&a->in[1], &a->in[0], &a->out[0]);
    int status = in_two_passes(&m, move_blocks);
    if (status != MT_TIMEOUT) return status;
    memset(m.packed, 0, (size_t)(a->out[0].size * m.size));
    return MT_OK;
}

/* in: mask; out: (count, ndim), or with a param that is not 0 (ndim, count). */
MT_ARRAY_KERNEL(nonzero) {
    masked m = masked_of(&a->in[0], &a->in[0], &a->out[0]);
    if (a->param[0].i) m.room = a->out[0].shape[1];
    m.packed_step = a->param[0].i ? m.room : 1;
    int status = in_two_passes(&m, nonzero_blocks);
    if (status != MT_TIMEOUT) return status;
    memset(m.packed, 0, (size_t)a->out[0].size * sizeof(int64_t));
    return MT_OK;
}

/* in: the value, of one element and any dtype that can be cast; mask.  out: what is masked. */
MT_ARRAY_KERNEL(mask_fill) {
    mask_u128 one;
    mt_array arrays[2] = {a->in[1], a->out[0]};
    masked m = masked_of(&arrays[0], &arrays[1], NULL);
    mt_cast_find(a->in[0].dtype, a->out[0].dtype)((char *)&one, 0, a->in[0].data, 0, 1);
    m.value = (const char *)&one;
    int64_t grain = m.row ? MASK_BLOCK * 4 / m.row : 1;
    if (m.row)
        mt_parallel(m.n, m.row == m.size ? MASK_BLOCK : grain > 0 ? grain : 1, fill_blocks, &m);
    return MT_OK;
}

/* in: as many values or rows as the mask has True elements, in C order; mask.  out: what is
 * masked. */
MT_ARRAY_KERNEL(mask_put) {
    masked m = masked_of(&a->in[1], &a->out[0], &a->in[0]);
    m.put = true;
    return in_two_passes(&m, move_blocks);
}
