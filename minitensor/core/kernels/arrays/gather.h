/* Elements by position: gather, scatter and scatter_add.
 *
 * One layout describes every op that indexes by integers.  Its elements are those of the result of
 * t[index], or of the value that t[index] = value assigns.  Each of its dimensions has a stride in
 * `base`, the indexed tensor, and one in each index; a broadcast or replaced dimension has stride
 * 0.  The place of an element in `base` is the sum over its dimensions, and over the indices: each
 * index, counted from the front, times the stride of the dimension that it replaces.
 *
 * param: the number of dimensions, the shape, the strides in base; for each index the length and
 * the stride of its dimension of base, and its own strides.
 *
 * Units are independent: one row of a gather, or all rows of a scatter that indices may send to
 * one place, cut into blocks of columns.  So a scatter writes in the order of its elements, and the
 * last write wins, for any number of threads. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/threadpool.h"

enum { GATHER_CHUNK = 512, GATHER_BLOCK = 1 << 14, GATHER_COLUMNS = 1 << 10 };

typedef struct {
    const char *data;
    int64_t length, step, strides[MT_MAX_NDIM];
    int dtype;
} place_index;

typedef struct {
    enum { PLACES_READ, PLACES_WRITE, PLACES_ADD } what;
    int ndim, n_index, dtype;
    int64_t size;               /* bytes of an element */
    int64_t shape[MT_MAX_NDIM]; /* of the layout */
    int64_t base[MT_MAX_NDIM];  /* strides of the indexed tensor */
    int64_t other[MT_MAX_NDIM]; /* strides of the result or the value */
    char *base_data, *other_data;
    place_index index[MT_MAX_NDIM];
    bool in_rows;                  /* no index varies along the last dimension */
    int64_t rows, columns, blocks; /* of a unit: rows, columns; blocks of columns in a row */
    _Atomic bool out_of_bounds;
} places;

/* A thread's place in the layout. */
typedef struct {
    const places *p;
    int64_t row, at[MT_MAX_NDIM];
    char *base, *other;
    const char *index[MT_MAX_NDIM];
} places_row;

#define LOAD_INDEX(DTYPE, T)                                                                       \
    case DTYPE:                                                                                    \
        for (int64_t j = 0; j < n; j++) {                                                          \
            T value;                                                                               \
            memcpy(&value, from + j * stride, sizeof value);                                       \
            out[j] = (int64_t)value;                                                               \
        }                                                                                          \
        break;

/* Loads n indices as int64; a greater uint64 becomes INT64_MAX, which is out of bounds too. */
static void load_indices(int64_t *restrict out, int dtype, const char *restrict from,
                         int64_t stride, int64_t n) {
    switch (dtype) {
    case MT_DT_int64:
        if (stride == sizeof *out) memcpy(out, from, (size_t)n * sizeof *out);
        else
            for (int64_t j = 0; j < n; j++) memcpy(&out[j], from + j * stride, sizeof *out);
        break;
        LOAD_INDEX(MT_DT_int32, int32_t)
        LOAD_INDEX(MT_DT_int16, int16_t)
        LOAD_INDEX(MT_DT_int8, int8_t)
        LOAD_INDEX(MT_DT_uint32, uint32_t)
        LOAD_INDEX(MT_DT_uint16, uint16_t)
        LOAD_INDEX(MT_DT_uint8, uint8_t)
    default:
        for (int64_t j = 0; j < n; j++) {
            uint64_t value;
            memcpy(&value, from + j * stride, sizeof value);
            out[j] = value > INT64_MAX ? INT64_MAX : (int64_t)value;
        }
    }
}

/* Stores the offsets in base of n elements of a row from a column on.  Returns false if an index
 * is out of bounds. */
static bool place_offsets(const places_row *r, int64_t column, int64_t n,
                          int64_t *restrict offsets) {
    const places *p = r->p;
    int last = p->ndim - 1;
    int64_t step = p->base[last], loaded[GATHER_CHUNK];
    for (int64_t j = 0; j < n; j++) offsets[j] = (column + j) * step;
    uint64_t bad = 0;
    for (int k = 0; k < p->n_index; k++) {
        const place_index *x = &p->index[k];
        load_indices(loaded, x->dtype, r->index[k] + column * x->strides[last], x->strides[last],
                     n);
        int64_t length = x->length, of_one = x->step;
        for (int64_t j = 0; j < n; j++) {
            int64_t i = loaded[j] + (loaded[j] < 0 ? length : 0);
            bad |= (uint64_t)((uint64_t)i >= (uint64_t)length);
            offsets[j] += (int64_t)((uint64_t)i * (uint64_t)of_one);
        }
    }
    return !bad;
}

/* Moves n elements; `there` has the offsets of each, or NULL: they lie `step` bytes apart. */
#define MOVE_PLACES(NAME, T, STATEMENT)                                                            \
    static void NAME(char *restrict base, const int64_t *restrict there, int64_t step,             \
                     char *restrict other, int64_t stride, int64_t n) {                            \
        T x, y;                                                                                    \
        if (there && stride == sizeof(T))                                                          \
            for (int64_t j = 0; j < n; j++) {                                                      \
                char *b = base + there[j], *o = other + j * (int64_t)sizeof(T);                    \
                STATEMENT                                                                          \
            }                                                                                      \
        else if (there)                                                                            \
            for (int64_t j = 0; j < n; j++) {                                                      \
                char *b = base + there[j], *o = other + j * stride;                                \
                STATEMENT                                                                          \
            }                                                                                      \
        else if (step == sizeof(T) && stride == sizeof(T))                                         \
            for (int64_t j = 0; j < n; j++) {                                                      \
                char *b = base + j * (int64_t)sizeof(T), *o = other + j * (int64_t)sizeof(T);      \
                STATEMENT                                                                          \
            }                                                                                      \
        else                                                                                       \
            for (int64_t j = 0; j < n; j++) {                                                      \
                char *b = base + j * step, *o = other + j * stride;                                \
                STATEMENT                                                                          \
            }                                                                                      \
        (void)x, (void)y;                                                                          \
    }
#define READ_PLACE memcpy(&x, b, sizeof x), memcpy(o, &x, sizeof x), y = x;
#define WRITE_PLACE memcpy(&x, o, sizeof x), memcpy(b, &x, sizeof x), y = x;
#define ADD_PLACE(T)                                                                               \
    memcpy(&x, b, sizeof x), memcpy(&y, o, sizeof y), x = (T)(x + y), memcpy(b, &x, sizeof x);

typedef struct {
    uint64_t low, high;
} places_16;
#define MOVES_OF(BITS, T)                                                                          \
    MOVE_PLACES(read_##BITS, T, READ_PLACE)                                                        \
    MOVE_PLACES(write_##BITS, T, WRITE_PLACE)
MOVES_OF(8, uint8_t)
MOVES_OF(16, uint16_t)
MOVES_OF(32, uint32_t)
MOVES_OF(64, uint64_t)
MOVES_OF(128, places_16)
MOVE_PLACES(add_8, uint8_t, ADD_PLACE(uint8_t))
MOVE_PLACES(add_16, uint16_t, ADD_PLACE(uint16_t))
MOVE_PLACES(add_32, uint32_t, ADD_PLACE(uint32_t))
MOVE_PLACES(add_64, uint64_t, ADD_PLACE(uint64_t))
MOVE_PLACES(add_float, float, ADD_PLACE(float))
MOVE_PLACES(add_double, double, ADD_PLACE(double))

static void move_places(const places *p, char *base, const int64_t *there, int64_t step,
                        char *other, int64_t stride, int64_t n) {
    typedef void (*move)(char *, const int64_t *, int64_t, char *, int64_t, int64_t);
    static const move READS[] = {read_8, read_16, read_32, read_64, read_128},
                      WRITES[] = {write_8, write_16, write_32, write_64, write_128},
                      ADDS[] = {add_8, add_16, add_32, add_64};
    int i = p->size == 1 ? 0 : p->size == 2 ? 1 : p->size == 4 ? 2 : p->size == 8 ? 3 : 4;
    move m = p->what == PLACES_READ      ? READS[i]
             : p->what == PLACES_WRITE   ? WRITES[i]
             : p->dtype == MT_DT_float32 ? add_float
             : p->dtype == MT_DT_float64 ? add_double
                                         : ADDS[i];
    m(base, there, step, other, stride, n);
}

/* Goes to a row of the layout, counted through. */
static void seek_row(places_row *r, int64_t row) {
    const places *p = r->p;
    if (row == r->row + 1) {
        for (int d = p->ndim - 2; d >= 0 && ++r->at[d] == p->shape[d] && d > 0; d--) r->at[d] = 0;
    } else {
        int64_t rest = row;
        for (int d = p->ndim - 2; d > 0; d--) r->at[d] = rest % p->shape[d], rest /= p->shape[d];
        r->at[0] = p->ndim > 1 ? rest : 0;
    }
    r->row = row, r->base = p->base_data, r->other = p->other_data;
    for (int k = 0; k < p->n_index; k++) r->index[k] = p->index[k].data;
    for (int d = 0; d < p->ndim - 1; d++) {
        r->base += r->at[d] * p->base[d], r->other += r->at[d] * p->other[d];
        for (int k = 0; k < p->n_index; k++) r->index[k] += r->at[d] * p->index[k].strides[d];
    }
}

static bool place_row(const places_row *r, int64_t begin, int64_t end) {
    const places *p = r->p;
    int last = p->ndim - 1;
    int64_t offsets[GATHER_CHUNK], step = p->base[last], stride = p->other[last];
    if (p->in_rows) {
        if (!place_offsets(r, 0, 1, offsets)) return false;
        char *base = r->base + offsets[0] + begin * step, *other = r->other + begin * stride;
        bool solid = step == p->size && stride == p->size;
        if (solid && p->what == PLACES_READ) memcpy(other, base, (size_t)((end - begin) * p->size));
        else move_places(p, base, NULL, step, other, stride, end - begin);
        return true;
    }
    for (int64_t j = begin; j < end; j += GATHER_CHUNK) {
        int64_t n = end - j < GATHER_CHUNK ? end - j : GATHER_CHUNK;
        if (!place_offsets(r, j, n, offsets)) return false;
        move_places(p, r->base, offsets, 0, r->other + j * stride, stride, n);
    }
    return true;
}

/* Computes the units [begin, end). */
static void place_units(void *job, int64_t begin, int64_t end) {
    places *p = job;
    places_row r = {.p = p, .row = -2};
    int64_t columns = p->shape[p->ndim - 1];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t first = unit / p->blocks * p->rows, column = unit % p->blocks * p->columns;
        int64_t to = column + p->columns < columns ? column + p->columns : columns;
        for (int64_t row = first; row < first + p->rows; row++) {
            if (row != r.row) seek_row(&r, row);
            if (!place_row(&r, column, to))
                atomic_store_explicit(&p->out_of_bounds, true, memory_order_relaxed);
        }
    }
}

/* Writes why: the first index that is out of bounds.  Returns MT_OK if none is. */
static int place_error(const places *p, const mt_arrays *a, const mt_array *index) {
    for (int k = 0; k < p->n_index; k++)
        for (int64_t i = 0; i < index[k].size; i++) {
            const char *from = index[k].data;
            int64_t rest = i, value;
            for (int d = index[k].ndim - 1; d >= 0; d--) {
                from += rest % index[k].shape[d] * index[k].strides[d];
                rest /= index[k].shape[d];
            }
            load_indices(&value, index[k].dtype, from, 0, 1);
            int64_t length = p->index[k].length;
            if (value >= -length && value < length) continue;
            snprintf(a->why, MT_WHY, "index %lld is out of bounds for dimension with size %lld",
                     (long long)value, (long long)length);
            return MT_INDEX_ERROR;
        }
    return MT_OK;
}

static bool merges(const places *p, int d) {
    int64_t n = p->shape[d + 1];
    bool same = p->base[d] == p->base[d + 1] * n && p->other[d] == p->other[d + 1] * n;
    for (int k = 0; k < p->n_index && same; k++)
        same = p->index[k].strides[d] == p->index[k].strides[d + 1] * n;
    return same;
}

/* Copies the strides of dimension `from` to `to`. */
static void place_dim(places *p, int to, int from, int64_t length) {
    p->shape[to] = length, p->base[to] = p->base[from], p->other[to] = p->other[from];
    for (int k = 0; k < p->n_index; k++) p->index[k].strides[to] = p->index[k].strides[from];
}

/* Merges dimensions where all strides allow it, and drops those of length 1. */
static void simplify_places(places *p) {
    int n = 0;
    for (int d = 0; d < p->ndim; d++) {
        if (p->shape[d] == 1 && (n || d < p->ndim - 1)) continue;
        place_dim(p, n, d, p->shape[d]);
        if (n && merges(p, n - 1)) {
            place_dim(p, n - 1, n, p->shape[n - 1] * p->shape[n]);
        } else n++;
    }
    p->ndim = n;
}

static void read_layout(places *p, const mt_arrays *a, const mt_array *base, const mt_array *other,
                        const mt_array *index) {
    const mt_param *param = a->param;
    int ndim = p->ndim = (int)(param++)->i, shift = ndim - other->ndim;
    p->dtype = base->dtype, p->size = MT_ITEMSIZE[base->dtype];
    p->base_data = base->data, p->other_data = other->data;
    for (int d = 0; d < ndim; d++) p->shape[d] = (param++)->i;
    for (int d = 0; d < ndim; d++) p->base[d] = (param++)->i;
    for (int d = 0; d < ndim; d++)
        p->other[d] = d < shift || (other->shape[d - shift] == 1 && p->shape[d] != 1)
                          ? 0
                          : other->strides[d - shift];
    for (int k = 0; k < p->n_index; k++) {
        place_index *x = &p->index[k];
        x->data = index[k].data, x->dtype = index[k].dtype;
        x->length = (param++)->i, x->step = (param++)->i;
        for (int d = 0; d < ndim; d++) x->strides[d] = (param++)->i;
    }
    if (!ndim) {
        p->ndim = 1;
        p->shape[0] = 1, p->base[0] = p->other[0] = 0;
        for (int k = 0; k < p->n_index; k++) p->index[k].strides[0] = 0;
    }
}

static int run_places(places *p, const mt_arrays *a, const mt_array *index) {
    int64_t size = 1, groups = 1;
    for (int d = 0; d < p->ndim; d++) size *= p->shape[d];
    bool indices = true;
    for (int k = 0; k < p->n_index; k++) indices &= index[k].size > 0;
    if (!size) return indices ? place_error(p, a, index) : MT_OK;
    simplify_places(p);
    int last = p->ndim - 1;
    int64_t columns = p->shape[last], rows = size / columns;
    p->in_rows = true;
    for (int k = 0; k < p->n_index; k++) p->in_rows &= p->index[k].strides[last] == 0;
    for (int d = 0, kept = 1; d < last && kept; d++) {
        for (int k = 0; k < p->n_index; k++) kept &= p->index[k].strides[d] == 0;
        if (kept || p->what == PLACES_READ) kept = 1, groups *= p->shape[d];
    }
    p->rows = rows / groups;
    int64_t block = p->what == PLACES_READ ? GATHER_BLOCK : p->in_rows ? GATHER_COLUMNS : columns;
    p->columns = columns < block ? columns : block;
    p->blocks = (columns + p->columns - 1) / p->columns;
    int64_t grain = GATHER_BLOCK / (p->rows * p->columns);
    mt_parallel(groups * p->blocks, grain > 0 ? grain : 1, place_units, p);
    return p->out_of_bounds ? place_error(p, a, index) : MT_OK;
}

/* in: base, indices; out: in C order. */
MT_ARRAY_KERNEL(gather) {
    places p = {.what = PLACES_READ, .n_index = a->n_in - 1};
    read_layout(&p, a, &a->in[0], &a->out[0], a->in + 1);
    return run_places(&p, a, a->in + 1);
}

/* in: the value, of base's dtype or one element; then indices.  out: base. */
static int write_places(const mt_arrays *a, int what) {
    places p = {.what = what, .n_index = a->n_in - 1};
    mt_array value = a->in[0];
    places_16 one;
    if (value.dtype != a->out[0].dtype) {
        mt_cast_find(value.dtype, a->out[0].dtype)((char *)&one, 0, value.data, 0, 1);
        value.data = (char *)&one;
    }
    read_layout(&p, a, &a->out[0], &value, a->in + 1);
    return run_places(&p, a, a->in + 1);
}

MT_ARRAY_KERNEL(scatter) { return write_places(a, PLACES_WRITE); }

MT_ARRAY_KERNEL(scatter_add) { return write_places(a, PLACES_ADD); }
