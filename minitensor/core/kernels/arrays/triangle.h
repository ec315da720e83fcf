/* The triangles of matrices: tril and triu. */
#include "base/threadpool.h"

typedef struct {
    const mt_arrays *a;
    int64_t rows, columns, diagonal;
    bool upper;
} triangle;

/* Writes the rows [begin, end) of all matrices, counted through. */
static void triangle_rows(void *job, int64_t begin, int64_t end) {
    const triangle *t = job;
    const mt_array *in = &t->a->in[0], *out = &t->a->out[0];
    int64_t size = MT_ITEMSIZE[in->dtype], step = in->strides[in->ndim - 1];
    mt_cast_fn copy = mt_cast_find(in->dtype, in->dtype);
    for (int64_t row = begin; row < end; row++) {
        const char *from = in->data;
        int64_t rest = row;
        for (int d = in->ndim - 2; d >= 0; d--) {
            from += rest % in->shape[d] * in->strides[d];
            rest /= in->shape[d];
        }
        char *to = out->data + row * t->columns * size;
        int64_t cut = row % t->rows + t->diagonal + !t->upper; /* the first column past the side */
        cut = cut < 0 ? 0 : cut > t->columns ? t->columns : cut;
        int64_t first = t->upper ? cut : 0, last = t->upper ? t->columns : cut;
        memset(to, 0, (size_t)(first * size));
        copy(to + first * size, size, from + first * step, step, last - first);
        memset(to + last * size, 0, (size_t)((t->columns - last) * size));
    }
}

/* in: of at least two dimensions; out: in C order; param: the diagonal, whether upper. */
MT_ARRAY_KERNEL(tri) {
    const mt_array *in = &a->in[0];
    triangle t = {a, in->shape[in->ndim - 2], in->shape[in->ndim - 1], a->param[0].i,
                  a->param[1].i != 0};
    if (in->size == 0) return MT_OK;
    int64_t grain = (1 << 16) / t.columns;
    mt_parallel(in->size / t.columns, grain > 0 ? grain : 1, triangle_rows, &t);
    return MT_OK;
}
