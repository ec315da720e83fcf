/* Order: sort, topk, median and searchsorted.
 *
 * An element becomes an unsigned key with the same order (NaN is the greatest, -0 equals 0), and a
 * key with its position an item.  Runs of items that fit into a cache are sorted by their digits,
 * from the last one to the first; a digit that is the same in all items costs nothing.  Then pairs
 * of runs are merged.  Threads share the runs, and the pieces of a merge.  The order of items is
 * total, so the result does not depend on the number of threads.  A descending order inverts the
 * keys. */
#include <stdlib.h>

#include "base/threadpool.h"

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, BLOCKS = 16, FEW_ITEMS = 48 };
enum { RUN = 1 << 15 };    /* items of a run */
enum { SHARED = 1 << 16 }; /* items from which threads share a row */

/* Writes the keys of n elements. */
typedef void (*key_fn)(void *keys, const char *x, int64_t stride, int64_t n, bool flip);

/* One row: n elements along the axis. */
typedef struct {
    const char *data;
    int64_t n, stride;
    key_fn keys;
    bool flip;
} sort_row;

static inline uint32_t key_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = x == 0 ? 0 : bits;
    bits ^= (uint32_t)-(int32_t)(bits >> 31) | UINT32_C(1) << 31;
    return x != x ? UINT32_MAX : bits;
}
static inline uint64_t key_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = x == 0 ? 0 : bits;
    bits ^= (uint64_t)-(int64_t)(bits >> 63) | UINT64_C(1) << 63;
    return x != x ? UINT64_MAX : bits;
}

/* Defines keys_NAME, and search_NAME: how many of n elements in order are before x, or with `right`
 * not after it. */
#define KEYS(NAME, T, KEY, expression)                                                             \
    static inline KEY key_##NAME##_of(T x) { return (KEY)(expression); }                           \
    static void keys_##NAME(void *keys, const char *x, int64_t stride, int64_t n, bool flip) {     \
        KEY *out = keys, mask = flip ? (KEY) - 1 : 0;                                              \
        T one;                                                                                     \
        if (stride == sizeof(T))                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                memcpy(&one, x + i * (int64_t)sizeof(T), sizeof one);                              \
                out[i] = key_##NAME##_of(one) ^ mask;                                              \
            }                                                                                      \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++, x += stride) {                                         \
                memcpy(&one, x, sizeof one);                                                       \
                out[i] = key_##NAME##_of(one) ^ mask;                                              \
            }                                                                                      \
    }                                                                                              \
    static int64_t search_##NAME(const char *x, int64_t stride, int64_t n, const char *value,      \
                                 bool right) {                                                     \
        T one;                                                                                     \
        memcpy(&one, value, sizeof one);                                                           \
        KEY key = key_##NAME##_of(one);                                                            \
        int64_t found = 0;                                                                         \
        while (n > 0) {                                                                            \
            int64_t half = (n + 1) / 2;                                                            \
            memcpy(&one, x + (found + half - 1) * stride, sizeof one);                             \
            KEY other = key_##NAME##_of(one);                                                      \
            found += (right ? other <= key : other < key) ? half : 0;                              \
            n -= half;                                                                             \
        }                                                                                          \
        return found;                                                                              \
    }
KEYS(bool, uint8_t, uint32_t, x != 0)
KEYS(int8, int8_t, uint32_t, x + 128)
KEYS(int16, int16_t, uint32_t, x + 32768)
KEYS(int32, int32_t, uint32_t, (uint32_t)x ^ UINT32_C(1) << 31)
KEYS(int64, int64_t, uint64_t, (uint64_t)x ^ UINT64_C(1) << 63)
KEYS(uint8, uint8_t, uint32_t, x)
KEYS(uint16, uint16_t, uint32_t, x)
KEYS(uint32, uint32_t, uint32_t, x)
KEYS(uint64, uint64_t, uint64_t, x)
KEYS(float32, float, uint32_t, key_f32(x))
KEYS(float64, double, uint64_t, key_f64(x))

static const struct {
    key_fn keys;
    int64_t (*search)(const char *x, int64_t stride, int64_t n, const char *value, bool right);
    bool wide;
} ORDERS[MT_NUM_DTYPES] = {
#define ORDER(name, wide) [MT_DT_##name] = {keys_##name, search_##name, wide},
    ORDER(bool, false) ORDER(int8, false) ORDER(int16, false) ORDER(int32, false) ORDER(int64, true)
        ORDER(uint8, false) ORDER(uint16, false) ORDER(uint32, false) ORDER(uint64, true)
            ORDER(float32, false) ORDER(float64, true)
#undef ORDER
};

#define N(name) narrow_##name
#define KEY uint32_t
#define ITEM uint64_t
#define item(key, index) ((uint64_t)(key) << 32 | (uint64_t)(index))
#define key_of(item) ((uint32_t)((item) >> 32))
#define index_of(item) ((int64_t)(uint32_t)(item))
#define before(a, b) ((a) < (b))
#define chosen(first, a, b) ((b) ^ (((a) ^ (b)) & -(uint64_t)(first)))
#include "kernels/arrays/sort_items.h"
#undef N
#undef KEY
#undef ITEM
#undef item
#undef key_of
#undef before
#undef chosen

typedef struct {
    uint64_t key;
    int64_t index;
} wide_item;
#define N(name) wide_##name
#define KEY uint64_t
#define ITEM wide_item
#define item(key, index) ((wide_item){key, index})
#define key_of(item) ((item).key)
#define before(a, b) (((a).key < (b).key) | (((a).key == (b).key) & ((a).index < (b).index)))
#define chosen(first, a, b)                                                                        \
    (wide_item) {                                                                                  \
        (b).key ^ (((a).key ^ (b).key) & -(uint64_t)(first)),                                      \
            (b).index ^ (((a).index ^ (b).index) & -(int64_t)(first))                              \
    }
#include "kernels/arrays/sort_items.h"
#undef N
#undef KEY
#undef ITEM
#undef item
#undef key_of
#undef before
#undef chosen

enum { SORT, TOPK, MEDIAN };

/* A call: rows of `in`, and what becomes of each: k elements and their positions. */
typedef struct {
    const mt_arrays *call;
    int what, axis;
    int64_t k;
    bool flip;
    atomic_int status;
} ordering;

/* Returns an item's position. */
static int64_t position(const void *items, bool wide, int64_t i) {
    return wide ? ((const wide_item *)items)[i].index : index_of(((const uint64_t *)items)[i]);
}

typedef struct {
    const void *items;
    bool wide;
    const char *from;
    char *values, *positions;
    int64_t stride, value_stride, position_stride, size;
} writing;

/* Writes elements and positions [begin, end) of a row. */
static void write_row(void *job, int64_t begin, int64_t end) {
    const writing *w = job;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = position(w->items, w->wide, i);
        const char *from = w->from + at * w->stride;
        char *to = w->values + i * w->value_stride;
        if (w->size == 4) memcpy(to, from, 4);
        else if (w->size == 8) memcpy(to, from, 8);
        else memcpy(to, from, (size_t)w->size);
        memcpy(w->positions + i * w->position_stride, &at, sizeof at);
    }
}

/* Computes the median's item: of the first NaN, if there is one.  x has room for 2 n items. */
static void median_item(const sort_row *r, int64_t rank, bool wide, void *x) {
    bool nan = false;
    uint64_t keys[MT_TILE];
    for (int64_t i = 0; i < r->n && !nan; i += MT_TILE) { /* the greatest key is a NaN's */
        int64_t n = i + MT_TILE < r->n ? MT_TILE : r->n - i, j = 0;
        r->keys(keys, r->data + i * r->stride, r->stride, n, false);
        if (wide)
            while (j < n && keys[j] != UINT64_MAX) j++;
        else
            while (j < n && ((uint32_t *)keys)[j] != UINT32_MAX) j++;
        nan = j < n;
        if (nan && wide) ((wide_item *)x)[0] = (wide_item){UINT64_MAX, i + j};
        else if (nan) ((uint64_t *)x)[0] = (uint64_t)UINT32_MAX << 32 | (uint64_t)(i + j);
    }
    if (nan) return;
    if (wide) ((wide_item *)x)[0] = wide_at_rank(r, rank, x);
    else ((uint64_t *)x)[0] = narrow_at_rank(r, rank, x);
}

/* Computes rows [begin, end). */
static void order_rows(void *job, int64_t begin, int64_t end) {
    ordering *o = job;
    const mt_array *in = &o->call->in[0], *values = &o->call->out[0], *places = &o->call->out[1];
    bool wide = ORDERS[in->dtype].wide, is_float = MT_KIND[in->dtype] == 'f';
    int64_t n = in->shape[o->axis];
    for (int64_t row = begin; row < end; row++) {
        int64_t from = 0, to = 0, at = 0, rest = row;
        for (int d = in->ndim - 1; d >= 0; d--) {
            if (d == o->axis) continue;
            int64_t i = rest % in->shape[d];
            rest /= in->shape[d];
            from += i * in->strides[d], to += i * values->strides[d], at += i * places->strides[d];
        }
        sort_row r = {in->data + from, n, in->strides[o->axis], ORDERS[in->dtype].keys, o->flip};
        wide_item few[2 * FEW_ITEMS];
        void *memory = NULL, *items = few;
        size_t bytes = (size_t)(2 * n) * (wide ? sizeof(wide_item) : sizeof(uint64_t));
        if (o->what == TOPK && n > FEW_ITEMS) {
            items = wide ? (void *)wide_choose(&r, o->k, &memory)
                         : (void *)narrow_choose(&r, o->k, &memory);
        } else if (n > FEW_ITEMS) items = memory = malloc(bytes);
        if (!items) {
            atomic_store(&o->status, MT_MEMORY_ERROR);
            return;
        }
        if (o->what == MEDIAN && is_float) median_item(&r, (n - 1) / 2, wide, items);
        else if (o->what == MEDIAN && wide)
            ((wide_item *)items)[0] = wide_at_rank(&r, (n - 1) / 2, items);
        else if (o->what == MEDIAN) ((uint64_t *)items)[0] = narrow_at_rank(&r, (n - 1) / 2, items);
        else if (o->what == SORT || n <= FEW_ITEMS)
            items = wide ? (void *)wide_sort_row(&r, items) : (void *)narrow_sort_row(&r, items);
        writing w = {items,
                     wide,
                     r.data,
                     values->data + to,
                     places->data + at,
                     r.stride,
                     values->strides[o->axis],
                     places->strides[o->axis],
                     MT_ITEMSIZE[in->dtype]};
        mt_parallel(o->k, SHARED, write_row, &w);
        free(memory);
    }
}

/* Runs the rows of a call; threads share many short rows, or the items of a long one. */
static int run_order(const mt_arrays *a, int what, int64_t k, bool flip) {
    ordering o = {.call = a, .what = what, .axis = (int)a->param[0].i, .k = k, .flip = flip};
    atomic_init(&o.status, MT_OK);
    int64_t n = a->in[0].shape[o.axis], rows = n ? a->in[0].size / n : 0;
    if (a->out[0].size == 0) return MT_OK;
    int64_t grain = (1 << 13) / n;
    if (n >= SHARED) order_rows(&o, 0, rows);
    else mt_parallel(rows, grain > 0 ? grain : 1, order_rows, &o);
    return atomic_load(&o.status);
}

/* in: fewer than 2^32 elements along the axis; out: the elements in order, and their positions, of
 * int64; param: the axis, whether descending. */
MT_ARRAY_KERNEL(sort) {
    return run_order(a, SORT, a->in[0].shape[a->param[0].i], a->param[1].i != 0);
}

/* The same, of the first k in that order. */
MT_ARRAY_KERNEL(topk) {
    return run_order(a, TOPK, a->out[0].shape[a->param[0].i], a->param[1].i != 0);
}

/* out: the lower median and its position, with length 1 along the axis; of the first NaN. */
MT_ARRAY_KERNEL(median) { return run_order(a, MEDIAN, 1, false); }

/* Finds the positions of values [begin, end). */
static void search_values(void *job, int64_t begin, int64_t end) {
    const mt_arrays *a = job;
    const mt_array *x = &a->in[0], *values = &a->in[1];
    int64_t *out = (int64_t *)a->out[0].data;
    for (int64_t i = begin; i < end; i++) {
        const char *value = values->data;
        int64_t rest = i;
        for (int d = values->ndim - 1; d >= 0; d--) {
            value += rest % values->shape[d] * values->strides[d];
            rest /= values->shape[d];
        }
        out[i] =
            ORDERS[x->dtype].search(x->data, x->strides[0], x->shape[0], value, a->param[0].i != 0);
    }
}

/* in: a vector in order, and values of its dtype; out: their positions, of int64, in C order;
 * param: whether after equal elements. */
MT_ARRAY_KERNEL(searchsorted) {
    mt_arrays call = *a;
    mt_parallel(a->out[0].size, 1 << 12, search_values, &call);
    return MT_OK;
}
