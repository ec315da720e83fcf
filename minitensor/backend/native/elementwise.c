/* Elementwise ops over operands of any layout.
 *
 * Kernels know contiguous elements of one dtype only (kernels.h).  Here the operands are brought to that: what lies ready is
 * used where it lies, in pieces as long as all operands allow, which is the whole tensor in the common case; the rest is
 * gathered and cast into tiles on the stack that never leave the first-level cache, so a mixed or strided op costs one
 * pass over memory and no temporary. */
#include "loops.h"

/* A piece this long is worth a call of the kernel of its own, so that it need not be copied into a tile. */
enum { WORTH_A_CALL = 256 };

int mt_run_elementwise(int op, int compute, int ndim, const int64_t *shape, const mt_operand *out, int n_in,
                       const mt_operand *in) {
    mt_kernel kernel = mt_kernel_find(op, compute);
    if (!kernel || n_in < 1 || n_in > 3) return 1;
    int order[MT_MAX_NDIM], rule = MT_OP_RULE[op], bad = 0;
    int64_t total = 1;
    for (int d = 0; d < ndim; d++) order[d] = d, total *= shape[d];
    if (total == 0) return 0;
    mt_sort_dims(ndim, order, out->strides);

    bool truth = rule == MT_RULE_compare || rule == MT_RULE_test || rule == MT_RULE_logical;
    int result = truth ? MT_DT_bool : compute;
    mt_walk walk[3], target;
    mt_tile tiles[4];
    int64_t itemsize[3], filled[3] = {0};
    const void *x[3] = {NULL, NULL, NULL};
    for (int k = 0; k < n_in; k++) {
        int dtype = rule == MT_RULE_where && k == 0 ? MT_DT_bool : compute;
        itemsize[k] = MT_ITEMSIZE[dtype];
        mt_walk_begin(&walk[k], &in[k], dtype, false, ndim, order, shape);
        if (!walk[k].cast) return 1;
        if (walk[k].ndim == 1 && walk[k].strides[0] == 0) {    /* one value for all: its tile is filled once */
            filled[k] = total < MT_TILE ? total : MT_TILE;
            walk[k].cast(tiles[k].bytes, itemsize[k], in[k].data, 0, filled[k]);
            x[k] = tiles[k].bytes;
        }
    }
    mt_walk_begin(&target, out, result, true, ndim, order, shape);
    if (!target.cast) return 1;

    while (total > 0) {
        int64_t n = total, cap = total;
        for (int k = 0; k <= n_in; k++) {
            int64_t ready = k < n_in ? mt_walk_ready(&walk[k]) : mt_walk_ready(&target);
            if (k < n_in && filled[k]) ready = 0;
            if (ready >= WORTH_A_CALL || ready == total) n = ready < n ? ready : n;
            else cap = MT_TILE;
        }
        if (n > cap) n = cap;
        for (int k = 0; k < n_in; k++)
            if (!filled[k]) x[k] = mt_walk_next(&walk[k], &tiles[k], itemsize[k], n);
        if (mt_walk_ready(&target) >= n) {
            bad |= kernel(target.at, x[0], x[1], x[2], n);
            mt_walk_skip(&target, n);
        } else {
            bad |= kernel(tiles[3].bytes, x[0], x[1], x[2], n);
            mt_walk_move(&target, tiles[3].bytes, MT_ITEMSIZE[result], n, true);
        }
        total -= n;
    }
    return bad;
}
