/* Casts between dtypes, and strided copies: the loops are in casts.h. */
#include "isa.h"

mt_cast_fn mt_cast_find(int from, int to) {
    if (from < 0 || from >= MT_NUM_DTYPES || to < 0 || to >= MT_NUM_DTYPES) return NULL;
    const mt_loops *loops = mt_loops_of_machine();
    return from == to ? loops->copies[MT_ITEMSIZE[from]] : loops->casts[from][to];
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
