/* New arrays of numbers that follow from their places: fill, arange, linspace and eye.
 *
 * Large outputs are written past the caches, a tile at a time. */
#include "base/threadpool.h"
#include "kernels/isa.h"

enum {
    FILL_TILE = 4096,     /* bytes, a multiple of each element's size */
    FILL_GRAIN = 1 << 20, /* bytes that a thread takes at once */
    FILL_PATTERN = 16     /* bytes of an element, at most */
};

/* Repeats an element from `to` on, up to n bytes. */
static void repeat(char *to, const void *item, int64_t size, int64_t n) {
    if (n < size) return;
    memcpy(to, item, (size_t)size);
    for (int64_t done = size; done < n; done *= 2)
        memcpy(to + done, to, (size_t)(done < n - done ? done : n - done));
}

typedef struct {
    char *to;
    char tile[FILL_TILE];
    bool large;
} fill_job;

static void fill_part(void *job, int64_t begin, int64_t end) {
    fill_job *f = job;
    for (int64_t at = begin; at < end; at += FILL_TILE) {
        size_t n = (size_t)(end - at < FILL_TILE ? end - at : FILL_TILE);
        if (f->large) mt_loops_of_machine()->stream(f->to + at, f->tile, n);
        else memcpy(f->to + at, f->tile, n);
    }
    if (f->large) mt_stream_fence();
}

/* Returns the bytes of the element that two numbers of a call hold. */
static void read_pattern(char *item, const mt_param *param) { memcpy(item, param, FILL_PATTERN); }

/* out: in C order; param: the element, in the first bytes of two integers. */
MT_ARRAY_KERNEL(fill) {
    const mt_array *out = &a->out[0];
    int64_t size = MT_ITEMSIZE[out->dtype], nbytes = out->size * size;
    char item[FILL_PATTERN];
    read_pattern(item, a->param);
    if (nbytes <= FILL_TILE) {
        repeat(out->data, item, size, nbytes);
        return MT_OK;
    }
    fill_job job;
    job.to = out->data, job.large = nbytes >= MT_PAST_THE_CACHE;
    repeat(job.tile, item, size, FILL_TILE);
    mt_parallel(nbytes, FILL_GRAIN, fill_part, &job);
    return MT_OK;
}

/* --- ranges ----------------------------------------------------------------------------------- */

typedef struct {
    const mt_array *out;
    bool of_ints;
    uint64_t first_int, step_int; /* int64 that wraps around */
    double first, second, step, last;
    bool ends; /* in `last` */
} range_job;

enum { RANGE_TILE = 512 };

static void range_part(void *job, int64_t begin, int64_t end) {
    const range_job *r = job;
    int64_t size = MT_ITEMSIZE[r->out->dtype];
    bool large = r->out->size * size >= MT_PAST_THE_CACHE;
    mt_cast_fn cast = mt_cast_find(r->of_ints ? MT_DT_int64 : MT_DT_float64, r->out->dtype);
    bool same = r->out->dtype == (r->of_ints ? MT_DT_int64 : MT_DT_float64);
    int64_t ints[RANGE_TILE];
    uint64_t steps[RANGE_TILE];
    for (int i = 0; i < RANGE_TILE; i++) steps[i] = (uint64_t)i * r->step_int;
    double floats[RANGE_TILE];
    char tile[RANGE_TILE * 8];
    for (int64_t at = begin; at < end; at += RANGE_TILE) {
        int64_t n = end - at < RANGE_TILE ? end - at : RANGE_TILE;
        char *to = r->out->data + at * size;
        if (r->of_ints) {
            uint64_t base = r->first_int + (uint64_t)at * r->step_int;
            for (int i = 0; i < n; i++) ints[i] = (int64_t)(base + steps[i]);
        } else {
            double base = (double)at; /* exact, and so is the sum */
            for (int i = 0; i < n; i++) floats[i] = (base + i) * r->step + r->first;
            if (at == 0 && n > 1) floats[1] = r->second;
            if (r->ends && at + n == r->out->size) floats[n - 1] = r->last;
        }
        const char *from = r->of_ints ? (char *)ints : (char *)floats;
        if (large && !same) cast(tile, size, from, 8, n), from = tile;
        if (large) mt_loops_of_machine()->stream(to, from, (size_t)(n * size));
        else cast(to, size, from, 8, n);
    }
    if (large) mt_stream_fence();
}

/* out: in C order; param: first and step, as integers or as floats, and whether as integers; for
 * floats the last element, whether it is given, and the second one, which rounds for itself. */
MT_ARRAY_KERNEL(range) {
    range_job job = {.out = &a->out[0], .of_ints = a->param[2].i != 0};
    if (job.of_ints)
        job.first_int = (uint64_t)a->param[0].i, job.step_int = (uint64_t)a->param[1].i;
    else {
        job.first = a->param[0].f, job.step = a->param[1].f;
        job.last = a->param[3].f, job.ends = a->param[4].i != 0;
        job.second = a->param[5].f;
    }
    mt_parallel(job.out->size, 256 * RANGE_TILE, range_part, &job);
    return MT_OK;
}

/* --- eye -------------------------------------------------------------------------------------- */

typedef struct {
    const mt_array *out;
    char item[FILL_PATTERN];
} eye_job;

static void eye_rows(void *job, int64_t begin, int64_t end) {
    const eye_job *e = job;
    int64_t columns = e->out->shape[1], size = MT_ITEMSIZE[e->out->dtype];
    int64_t from = begin * columns * size, to = end * columns * size;
    if (e->out->size * size >= MT_PAST_THE_CACHE) {
        static const char zeros[FILL_TILE];
        for (; from < to; from += FILL_TILE)
            mt_loops_of_machine()->stream(e->out->data + from, zeros,
                                          (size_t)(to - from < FILL_TILE ? to - from : FILL_TILE));
        mt_stream_fence();
    } else memset(e->out->data + from, 0, (size_t)(to - from));
    for (int64_t row = begin; row < end && row < columns; row++)
        memcpy(e->out->data + (row * columns + row) * size, e->item, (size_t)size);
}

/* out: a matrix in C order; param: the element of the diagonal, as for fill. */
MT_ARRAY_KERNEL(eye) {
    eye_job job = {.out = &a->out[0]};
    read_pattern(job.item, a->param);
    if (job.out->size == 0) return MT_OK;
    int64_t grain = FILL_GRAIN / (job.out->shape[1] * MT_ITEMSIZE[job.out->dtype]);
    mt_parallel(job.out->shape[0], grain > 0 ? grain : 1, eye_rows, &job);
    return MT_OK;
}
