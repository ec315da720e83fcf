/* Order: sort, topk, median, unique and searchsorted.
 *
 * The problem.  A sort returns positions as well as values, and equal elements keep their order.
 * Comparisons of pairs of a key and a position miss the prediction at every second step, and pairs
 * of a 64-bit key take twice the memory.
 *
 * The solution.  An element becomes an unsigned key with the same order (sort_keys.h).  An item of
 * 64 bits holds the distance of the key from the least one, and below it the position; of a
 * distance that does not fit, or of more bits than tell most of the elements apart, the last bits
 * are left out.  Items are sorted by the digits of the distance, from the last one to the first
 * (sort_items.h): three passes at most.  Neighbours whose distances have lost bits and are equal
 * are then sorted by their whole keys.  Threads share the blocks of each pass.
 *
 * The first k of a row, k being small, are inserted into a list, and most elements are only
 * compared with its last one.  Else the k-th is found by its digits, and all up to it are sorted.
 *
 * The order by key and position is total, so the result does not depend on the number of threads.
 * A descending order inverts the keys. */
#include <stdlib.h>

#include "base/threadpool.h"
#include "kernels/arrays/sort_keys.h"

#include "kernels/arrays/sort_items.h"

enum { SORT, TOPK, MEDIAN };

/* A call: rows of `in`, and what becomes of each: k elements and their positions. */
typedef struct {
    const mt_arrays *call;
    int what, axis;
    int64_t k;
    bool flip;
    atomic_int status;
} ordering;

typedef struct {
    sorted_items order;
    const char *from;
    char *values, *positions;
    int64_t stride, value_stride, position_stride, size;
} writing;

/* Writes elements and positions [begin, end) of a row. */
static void write_row(void *job, int64_t begin, int64_t end) {
    const writing *w = job;
    char *value = w->values + begin * w->value_stride;
    char *position = w->positions + begin * w->position_stride;
#define WRITE(size)                                                                                \
    for (int64_t i = begin; i < end;                                                               \
         i++, value += w->value_stride, position += w->position_stride) {                          \
        int64_t at = place_of(&w->order, i);                                                       \
        memcpy(value, w->from + at * w->stride, size);                                             \
        memcpy(position, &at, sizeof at);                                                          \
    }
    if (w->size == 1) WRITE(1)
    else if (w->size == 2) WRITE(2)
    else if (w->size == 4) WRITE(4)
    else WRITE(8)
#undef WRITE
}

/* Finds the position of the lower median: of the first NaN, if there is one.  Returns a status. */
static int median_place(const sort_row *r, uint64_t *place) {
    uint64_t least, greatest, nan = r->order->nan;
    range_of(r, 0, r->n, &least, &greatest);
    if (nan && greatest == nan) {
        for (*place = 0; key_at(r, (int64_t)*place) != nan;) ++*place;
        return MT_OK;
    }
    chosen found = {0, 0};
    int status = at_rank(r, (r->n - 1) / 2, &found);
    *place = (uint64_t)found.place;
    return status;
}

/* Returns the words that a row takes. */
static size_t room_of_row(const ordering *o, int64_t n) {
    if (o->what == MEDIAN) return 1;
    if (o->what == SORT || 4 * o->k > n) return room_of(n);
    return 2 * (size_t)o->k + room_of(o->k);
}

/* Finds the first k positions of a row in order; x has room_of_row words.  Returns a status. */
static int order_row(const ordering *o, const sort_row *r, uint64_t *x, sorted_items *order) {
    *order = (sorted_items){x, 63, true};
    if (o->what == MEDIAN) return median_place(r, x);
    if (o->what == SORT || 4 * o->k > r->n) return sort_row_of(r, x, order);
    if (o->k > FEW_CHOSEN) return choose_many(r, o->k, x);
    choose_few(r, o->k, x);
    return MT_OK;
}

/* Computes rows [begin, end). */
static void order_rows(void *job, int64_t begin, int64_t end) {
    ordering *o = job;
    const mt_array *in = &o->call->in[0], *values = &o->call->out[0], *places = &o->call->out[1];
    int64_t n = in->shape[o->axis];
    uint64_t few[2 * (FEW_ITEMS + LANES)], *x = few;
    size_t room = room_of_row(o, n);
    int status = MT_OK;
    if (room > sizeof few / sizeof *few) x = malloc(room * sizeof *x);
    if (!x) status = MT_MEMORY_ERROR;
    for (int64_t row = begin; row < end && status == MT_OK; row++) {
        int64_t from = 0, to = 0, at = 0, rest = row;
        for (int d = in->ndim - 1; d >= 0; d--) {
            if (d == o->axis) continue;
            int64_t i = rest % in->shape[d];
            rest /= in->shape[d];
            from += i * in->strides[d], to += i * values->strides[d], at += i * places->strides[d];
        }
        sort_row r = {in->data + from, n, in->strides[o->axis], &ORDERS[in->dtype], o->flip};
        writing w = {.from = r.data,
                     .values = values->data + to,
                     .positions = places->data + at,
                     .stride = r.stride,
                     .value_stride = values->strides[o->axis],
                     .position_stride = places->strides[o->axis],
                     .size = MT_ITEMSIZE[in->dtype]};
        status = order_row(o, &r, x, &w.order);
        if (status == MT_OK) mt_parallel(o->k, BLOCK, write_row, &w);
    }
    if (status != MT_OK) atomic_store(&o->status, status);
    if (x != few) free(x);
}

/* Runs the rows of a call; threads share many short rows, or the elements of a long one. */
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

/* in: a vector of n elements, fewer than 2^32; out, with n + 1 elements each: the elements that
 * differ, in order; of int64 for each element the position of its equal, if param says so, and as
 * the last one how many there are. */
MT_ARRAY_KERNEL(unique) {
    const mt_array *in = &a->in[0];
    int64_t n = in->size, found = 0, size = MT_ITEMSIZE[in->dtype];
    int64_t *inverse = (int64_t *)a->out[1].data;
    uint64_t *x = n ? malloc(room_of(n) * sizeof *x) : NULL;
    sort_row r = {in->data, n, in->strides[0], &ORDERS[in->dtype], false};
    sorted_items order;
    if (n && !x) return MT_MEMORY_ERROR;
    int status = n ? sort_row_of(&r, x, &order) : MT_OK;
    for (int64_t i = 0, last = 0; i < n && status == MT_OK; i++) {
        int64_t at = place_of(&order, i);
        bool equal = i && order.items[i] >> order.bits == order.items[i - 1] >> order.bits &&
                     (order.exact || key_at(&r, at) == key_at(&r, last));
        if (!equal) memcpy(a->out[0].data + size * found++, r.data + at * r.stride, (size_t)size);
        last = at;
        if (a->param[0].i) inverse[at] = found - 1;
    }
    inverse[n] = found;
    free(x);
    return status;
}

/* Returns true if the elements lie in C order, without gaps. */
static bool is_flat(const mt_array *x) {
    int64_t step = MT_ITEMSIZE[x->dtype];
    for (int d = x->ndim - 1; d >= 0; step *= x->shape[d--])
        if (x->shape[d] != 1 && x->strides[d] != step) return false;
    return true;
}

/* Finds the positions of values [begin, end). */
static void search_values(void *job, int64_t begin, int64_t end) {
    const mt_arrays *a = job;
    const mt_array *x = &a->in[0], *values = &a->in[1];
    const sort_order *order = &ORDERS[x->dtype];
    int64_t *out = (int64_t *)a->out[0].data, found[SEARCHES], size = MT_ITEMSIZE[x->dtype];
    uint64_t keys[SEARCHES] = {0};
    bool flat = is_flat(values);
    for (int64_t i = begin, n; i < end; i += n) {
        n = end - i < SEARCHES ? end - i : SEARCHES;
        if (flat) order->keys(keys, values->data + i * size, size, n);
        for (int64_t j = 0; j < n && !flat; j++) {
            const char *value = values->data;
            int64_t rest = i + j;
            for (int d = values->ndim - 1; d >= 0; d--) {
                value += rest % values->shape[d] * values->strides[d];
                rest /= values->shape[d];
            }
            order->keys(&keys[j], value, size, 1);
        }
        order->search(x->data, x->strides[0], x->shape[0], keys, a->param[0].i != 0, found);
        memcpy(out + i, found, (size_t)n * sizeof *out);
    }
}

/* in: a vector in order, and values of its dtype; out: their positions, of int64, in C order;
 * param: whether after equal elements. */
MT_ARRAY_KERNEL(searchsorted) {
    mt_arrays call = *a;
    mt_parallel(a->out[0].size, 1 << 10, search_values, &call);
    return MT_OK;
}
