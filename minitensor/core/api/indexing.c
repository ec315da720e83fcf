/* Indexing by tensors of integers: from the operands to the layout of gather.h. */
#include "api/arrays.h"
#include "api/indexing.h"
#include "generated/array_codes.h"

/* A layout that is being made: params of the kernel, by parts. */
typedef struct {
    int ndim;
    int64_t shape[MT_MAX_NDIM], base[MT_MAX_NDIM];
    int64_t index[MT_MAX_NDIM][MT_MAX_NDIM];
} layout;

/* Broadcasts the shapes of the indices; returns the number of dimensions, or -1. */
static int broadcast(const mt_index_call *c, int64_t *shape) {
    int ndim = 0;
    for (int k = 0; k < c->n; k++) ndim = c->index[k]->ndim > ndim ? c->index[k]->ndim : ndim;
    for (int d = 0; d < ndim; d++) {
        shape[d] = 1;
        for (int k = 0; k < c->n; k++) {
            int own = d - (ndim - c->index[k]->ndim);
            int64_t length = own < 0 ? 1 : c->index[k]->shape[own];
            if (length == 1) continue;
            if (shape[d] != 1 && shape[d] != length) return -1;
            shape[d] = length;
        }
    }
    return ndim;
}

/* Appends a dimension that no index replaces. */
static void keep(layout *l, const mt_index_call *c, int dim) {
    l->shape[l->ndim] = c->base->shape[dim], l->base[l->ndim] = c->base->strides[dim];
    for (int k = 0; k < c->n; k++) l->index[k][l->ndim] = 0;
    l->ndim++;
}

static bool lay_out(layout *l, const mt_index_call *c) {
    int64_t together[MT_MAX_NDIM];
    int ndim = broadcast(c, together), kept = 0, k = 0;
    if (ndim < 0 || ndim + c->base->ndim - c->n > MT_MAX_NDIM) return false;
    l->ndim = 0;
    for (int dim = 0; dim <= c->base->ndim; dim++) {
        bool replaced = k < c->n && c->dims[k] == dim;
        if (kept == c->ahead) {
            for (int d = 0; d < ndim; d++, l->ndim++) {
                l->shape[l->ndim] = together[d], l->base[l->ndim] = 0;
                for (int i = 0; i < c->n; i++) {
                    int own = d - (ndim - c->index[i]->ndim);
                    l->index[i][l->ndim] =
                        own < 0 || c->index[i]->shape[own] == 1 ? 0 : c->index[i]->strides[own];
                }
            }
            kept++; /* so that they come once */
        }
        if (dim == c->base->ndim) break;
        if (replaced) k++;
        else keep(l, c, dim), kept++;
    }
    return true;
}

static bool lay_along(layout *l, const mt_index_call *c) {
    const mt_tensor *index = c->index[0];
    if (index->ndim != c->base->ndim) return false;
    l->ndim = index->ndim;
    for (int d = 0; d < l->ndim; d++) {
        if (d != c->dims[0] && index->shape[d] > c->base->shape[d]) return false;
        l->shape[d] = index->shape[d];
        l->base[d] = d == c->dims[0] ? 0 : c->base->strides[d];
        l->index[0][d] = index->strides[d];
    }
    return true;
}

/* Returns true if the kernels can read the operands. */
static bool usable(const mt_index_call *c) {
    const mt_tensor *base = c->base, *v = c->value;
    if (!mt_array_kernel_has(c->kernel, base->device, base->dtype)) return false;
    for (int k = 0; k < c->n; k++) {
        char kind = MT_KIND[c->index[k]->dtype];
        if ((kind != 'i' && kind != 'u') || c->index[k]->device != base->device) return false;
        if (c->dims[k] < 0 || c->dims[k] >= base->ndim || (k && c->dims[k] <= c->dims[k - 1]))
            return false;
    }
    if (!v) return true;
    for (int d = 0; d < base->ndim; d++)
        if (base->size && base->strides[d] == 0 && base->shape[d] > 1) return false;
    if (MT_KIND[v->dtype] == 'c' && MT_KIND[base->dtype] != 'c') return false;
    if (!v->weak && v->device != base->device) return false;
    return v->dtype == base->dtype || (v->size == 1 && mt_cast_supported(v->dtype, base->dtype));
}

/* Returns true if the value broadcasts to the layout.  A value of gather_elements' kind may be
 * longer; its first elements count. */
static bool fits(const layout *l, const mt_tensor *v, bool along) {
    int shift = l->ndim - v->ndim;
    if (shift < 0 || (along && v->ndim && shift)) return false;
    for (int d = 0; d < v->ndim; d++)
        if (along ? v->shape[d] < l->shape[d + shift]
                  : v->shape[d] != 1 && v->shape[d] != l->shape[d + shift])
            return false;
    return true;
}

mt_ref mt_index_op(const mt_index_call *c) {
    layout l;
    mt_param params[1 + 2 * MT_MAX_NDIM + MT_MAX_NDIM * (2 + MT_MAX_NDIM)], *p = params;
    mt_tensor *in[1 + MT_MAX_NDIM];
    bool along = c->ahead < 0;
    if (c->n < 1 || c->n > MT_MAX_NDIM || !usable(c)) return 0;
    if (!(along ? lay_along(&l, c) : lay_out(&l, c))) return 0;
    if (c->value && !fits(&l, c->value, along)) return 0;
    (p++)->i = l.ndim;
    for (int d = 0; d < l.ndim; d++) (p++)->i = l.shape[d];
    for (int d = 0; d < l.ndim; d++) (p++)->i = l.base[d];
    for (int k = 0; k < c->n; k++) {
        (p++)->i = c->base->shape[c->dims[k]], (p++)->i = c->base->strides[c->dims[k]];
        for (int d = 0; d < l.ndim; d++) (p++)->i = l.index[k][d];
        in[k + 1] = c->index[k];
    }
    in[0] = c->value ? c->value : c->base;
    mt_array_call call = {.kernel = c->kernel,
                          .op = c->op,
                          .n_in = c->n + 1,
                          .n_param = (int)(p - params),
                          .in = in,
                          .param = params};
    mt_tensor *base = c->base;
    return c->value ? mt_array_op_into(&call, 1, &base)
                    : mt_array_op(&call, base->device, base->dtype, l.ndim, l.shape);
}
