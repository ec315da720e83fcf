/* Ops that move elements: concat and stack, roll and pad, repeat_interleave.  mt_run_copy copies
 * blocks of any strides, in parallel and past the caches; these kernels only find the blocks. */
#include "base/threadpool.h"
#include "kernels/isa.h"

enum { A_PIECE = 1 << 16 }; /* bytes that are worth a thread */

/* Returns an array as an operand that begins at `data`. */
static mt_operand operand_at(const mt_array *array, char *data) {
    mt_operand result = {.data = data, .dtype = array->dtype};
    memcpy(result.strides, array->strides, (size_t)array->ndim * sizeof *array->strides);
    return result;
}

/* --- join ------------------------------------------------------------------------------------- */

typedef struct {
    const mt_arrays *a;
    int axis;
    bool stacked; /* the axis is new: the inputs lack it */
} joined;

/* Copies the inputs [begin, end) to their places. */
static void join_inputs(void *job, int64_t begin, int64_t end) {
    const joined *j = job;
    const mt_array *out = &j->a->out[0];
    char *to = out->data;
    for (int64_t i = 0; i < end; i++) {
        const mt_array *in = &j->a->in[i];
        if (i >= begin) {
            mt_operand source = operand_at(in, in->data), target = operand_at(out, to);
            for (int d = j->axis; j->stacked && d < in->ndim; d++)
                target.strides[d] = out->strides[d + 1];
            mt_run_copy(in->ndim, in->shape, &target, &source);
        }
        to += (j->stacked ? 1 : in->shape[j->axis]) * out->strides[j->axis];
    }
}

/* in: of the dtype of out, in their order; param: the axis of out, whether it is new. */
MT_ARRAY_KERNEL(join) {
    joined j = {a, (int)a->param[0].i, a->param[1].i != 0};
    int64_t each = a->out[0].size * MT_ITEMSIZE[a->out[0].dtype] / a->n_in;
    if (a->out[0].size == 0) return MT_OK;
    if (each >= A_PIECE) join_inputs(&j, 0, a->n_in); /* each copy is shared between threads */
    else mt_parallel(a->n_in, A_PIECE / (each + 1) + 1, join_inputs, &j);
    return MT_OK;
}

/* --- move ------------------------------------------------------------------------------------- */

/* Where a run of a dimension of the output comes from: elements of the input from `start` on, in
 * steps of 1, -1 or 0; or FILL, the value. */
typedef struct {
    mt_param length, start, step;
} segment;
enum { FILL = 2 };

typedef struct {
    const mt_array *in, *out;
    char *value; /* one element */
    int ndim;
    const mt_param *segments[MT_MAX_NDIM]; /* of each dimension: their number, and then they */
    int64_t shape[MT_MAX_NDIM];            /* of the present block */
    mt_operand source;
} moved;

static void move_blocks(moved *m, int d, char *to, char *from) {
    if (d == m->ndim) {
        mt_operand target = operand_at(m->out, to);
        m->source.data = from;
        mt_run_copy(m->ndim, m->shape, &target, &m->source);
        return;
    }
    const segment *s = (const segment *)(m->segments[d] + 1);
    for (int64_t k = 0; k < m->segments[d]->i; k++, s++) {
        m->shape[d] = s->length.i;
        if (s->length.i > 0 && s->step.i == FILL) {
            mt_operand target = operand_at(m->out, to),
                       source = {.data = m->value, .dtype = m->in->dtype};
            memcpy(m->shape + d + 1, m->out->shape + d + 1,
                   (size_t)(m->ndim - d - 1) * sizeof *m->shape);
            mt_run_copy(m->ndim, m->shape, &target, &source);
        } else if (s->length.i > 0) {
            m->source.strides[d] = s->step.i * m->in->strides[d];
            move_blocks(m, d + 1, to, from + s->start.i * m->in->strides[d]);
        }
        to += s->length.i * m->out->strides[d];
    }
}

/* in: the source, and the value that fills, without which it is 0; out: in C order; param: for each
 * dimension the number
 * of its segments, and their lengths, starts and steps.  With the segments of one dimension, arrays
 * in C order count as vectors. */
MT_ARRAY_KERNEL(move) {
    int64_t size = a->in[0].size, step = MT_ITEMSIZE[a->in[0].dtype];
    mt_array in = a->in[0], out = a->out[0];
    char zero[16] = {0};
    moved m = {.in = &in, .out = &out, .value = a->n_in > 1 ? a->in[1].data : zero};
    if (out.size == 0) return MT_OK;
    for (const mt_param *p = a->param; p < a->param + a->n_param; p += 1 + 3 * p->i)
        m.segments[m.ndim++] = p;
    if (m.ndim == 1 && in.ndim != 1)
        in.ndim = out.ndim = 1, in.shape = out.shape = &size, in.strides = out.strides = &step;
    m.source = operand_at(&in, in.data);
    move_blocks(&m, 0, out.data, in.data);
    return MT_OK;
}

/* --- tile ------------------------------------------------------------------------------------- */

/* in: of at most half of MT_MAX_NDIM dimensions; out: in C order; param: how often, for each
 * dimension of out. */
MT_ARRAY_KERNEL(tile) {
    const mt_array *in = &a->in[0], *out = &a->out[0];
    int64_t shape[MT_MAX_NDIM];
    mt_operand source = {.data = in->data, .dtype = in->dtype},
               target = {.data = out->data, .dtype = out->dtype};
    for (int d = 0; d < out->ndim; d++) {
        int k = d - (out->ndim - in->ndim);
        int64_t length = k < 0 ? 1 : in->shape[k];
        shape[2 * d] = a->param[d].i, target.strides[2 * d] = length * out->strides[d];
        shape[2 * d + 1] = length, target.strides[2 * d + 1] = out->strides[d];
        source.strides[2 * d] = 0, source.strides[2 * d + 1] = k < 0 ? 0 : in->strides[k];
    }
    mt_run_copy(2 * out->ndim, shape, &target, &source);
    return MT_OK;
}

/* --- repeat ----------------------------------------------------------------------------------- */

typedef struct {
    const mt_arrays *a;
    const mt_param *counts;
    int64_t n, block; /* elements of the axis; bytes of each */
    int64_t row;      /* bytes of the output for one pass over the axis */
    bool one;         /* one count holds for all */
} repeated;

/* Stores x `times` times; returns the place behind. */
static inline char *store(char *to, const char *x, int64_t times, int64_t size) {
    for (; times > 0; times--, to += size) memcpy(to, x, (size_t)size);
    return to;
}

/* Repeats the source elements [begin, end), counted through. */
static void repeat_elements(void *job, int64_t begin, int64_t end) {
    const repeated *r = job;
    const char *from = r->a->in[0].data + begin * r->block;
    char *to = r->a->out[0].data + begin / r->n * r->row;
    int64_t k = begin % r->n;
    for (int64_t i = 0; i < k && !r->one; i++) to += r->counts[i].i * r->block;
    if (r->one) to += k * r->counts->i * r->block;
    for (int64_t i = begin; i < end; i++, from += r->block, k = k + 1 < r->n ? k + 1 : 0) {
        int64_t times = r->counts[r->one ? 0 : k].i;
        switch (r->block) {
        case 1: to = store(to, from, times, 1); break;
        case 2: to = store(to, from, times, 2); break;
        case 4: to = store(to, from, times, 4); break;
        case 8: to = store(to, from, times, 8); break;
        case 16: to = store(to, from, times, 16); break;
        default: to = store(to, from, times, r->block);
        }
    }
}

/* in, out: in C order; param: the length of the axis, the elements of out for one pass over it, and
 * one count or one for each element. */
MT_ARRAY_KERNEL(repeat) {
    int64_t size = MT_ITEMSIZE[a->in[0].dtype], n = a->param[0].i;
    if (a->out[0].size == 0) return MT_OK;
    int64_t passes = a->out[0].size / a->param[1].i;
    repeated r = {.a = a, .counts = a->param + 2, .n = n, .one = a->n_param == 3};
    r.block = a->in[0].size / (passes * n) * size, r.row = a->param[1].i * size;
    int64_t grain = A_PIECE / (a->out[0].size * size / (passes * n) + 1);
    mt_parallel(passes * n, grain + 1, repeat_elements, &r);
    return MT_OK;
}
