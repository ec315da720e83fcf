/* Reductions over any set of axes.
 *
 * Two shapes of loop cover all layouts.  Along: the elements of one result follow each other, and a run of them folds into
 * one value.  Across: neighbouring elements belong to neighbouring results, and whole rows fold into a tile of running
 * values.  Which is faster depends on strides and lengths only, so the cheaper is chosen by an estimate, and either takes
 * any layout through a walk (loops.h).  The folds themselves: folds.h. */
#include "isa.h"

static const mt_fold *find(int op, int dtype) {
    int family = op == MT_OP_sum || op == MT_OP_mean ? MT_SUM : op == MT_OP_prod ? MT_PROD
               : op == MT_OP_amin || op == MT_OP_all ? MT_MIN : op == MT_OP_amax || op == MT_OP_any ? MT_MAX
               : op == MT_OP_argmin ? MT_ARGMIN : op == MT_OP_argmax ? MT_ARGMAX : MT_FAMILIES;
    if (family == MT_FAMILIES || dtype < 0 || dtype >= MT_NUM_DTYPES || !MT_HAS_KERNELS[dtype]) return NULL;
    return &mt_loops_of_machine()->folds[dtype][family];
}

/* A rough price of one element, in loads from the cache. */
static double price(const mt_walk *w) {
    int64_t stride = w->strides[0] < 0 ? -w->strides[0] : w->strides[0];
    int64_t run = w->left < MT_TILE ? w->left : MT_TILE;
    return (stride <= w->itemsize ? 1 : stride < 64 ? 4 : 8) + 30.0 / (double)run;
}

typedef struct {
    const mt_fold *fold;
    int op, itemsize, result;        /* of the compute dtype; the result's dtype */
    int64_t count;                   /* elements of one result */
    int64_t n_out;
    mt_walk out;
} job;

static void deliver(job *b, const void *acc, const void *aux, char *tile, int64_t n) {
    b->fold->finish(acc, aux, tile, n, b->count, b->op == MT_OP_mean);
    mt_walk_move(&b->out, tile, MT_ITEMSIZE[b->result], n, true);
}

/* `in` walks all elements, those of one result one after the other. */
static void run_along(job *b, mt_walk *in) {
    mt_tile gathered, results;
    char acc[16] __attribute__((aligned(16))), aux[16] __attribute__((aligned(16)));
    int size = MT_ITEMSIZE[b->result];
    int64_t held = 0, batch = b->count < MT_TILE ? MT_TILE / (b->count > 0 ? b->count : 1) : 1;
    for (int64_t done = 0; done < b->n_out;) {
        if (batch > b->n_out - done) batch = b->n_out - done;
        const char *x = NULL;
        if (b->count <= MT_TILE && b->count > 0) x = mt_walk_next(in, gathered.bytes, b->itemsize, batch * b->count);
        for (int64_t k = 0; k < batch; k++) {
            b->fold->start(acc, aux, 1);
            if (x) {
                b->fold->along(acc, aux, x + k * b->count * b->itemsize, b->count, 0);
            } else {
                for (int64_t index = 0; index < b->count;) {
                    int64_t n = mt_walk_ready(in), rest = b->count - index;
                    if (n < MT_TILE) n = MT_TILE;
                    if (n > rest) n = rest;
                    b->fold->along(acc, aux, mt_walk_next(in, gathered.bytes, b->itemsize, n), n, index);
                    index += n;
                }
            }
            b->fold->finish(acc, aux, results.bytes + held * size, 1, b->count, b->op == MT_OP_mean);
            if (++held == MT_TILE || done + k + 1 == b->n_out) {
                mt_walk_move(&b->out, results.bytes, size, held, true);
                held = 0;
            }
        }
        done += batch;
    }
}

/* `kept` walks the first element of each result, `reduced` the elements of the first result. */
static void run_across(job *b, mt_walk *kept, const mt_walk *reduced) {
    enum { WIDTH = 4 * MT_TILE };                         /* wide, so that rows are read in long pieces */
    union { double d[WIDTH]; int64_t i[WIDTH]; char bytes[WIDTH * 8]; } __attribute__((aligned(64))) acc, aux, tile;
    for (int64_t done = 0; done < b->n_out;) {
        int64_t n = b->n_out - done < WIDTH ? b->n_out - done : WIDTH;
        if (kept->left < n && kept->left >= MT_TILE / 4) n = kept->left;
        mt_walk next = *kept, along = *reduced;
        bool one_piece = kept->left >= n, ready = mt_walk_ready(kept) >= n;
        b->fold->start(&acc, &aux, n);
        for (int64_t index = 0, rows; index < b->count; index += rows) {
            char *at = kept->at + (along.at - reduced->at);
            rows = ready ? along.left : 1;
            if (ready) {
                b->fold->across(&acc, &aux, at, along.strides[0], rows, n, index);
            } else if (one_piece) {                       /* no need to walk */
                kept->cast(tile.bytes, b->itemsize, at, kept->strides[0], n);
                b->fold->across(&acc, &aux, tile.bytes, 0, 1, n, index);
            } else {
                next = *kept;
                next.at = at;
                mt_walk_move(&next, tile.bytes, b->itemsize, n, false);
                b->fold->across(&acc, &aux, tile.bytes, 0, 1, n, index);
            }
            mt_walk_skip(&along, rows);
        }
        for (int64_t rest = n, m; rest > 0; rest -= m) mt_walk_skip(kept, m = kept->left < rest ? kept->left : rest);
        deliver(b, &acc, &aux, tile.bytes, n);
        done += n;
    }
}

int mt_run_reduce(int op, int compute, int ndim, const int64_t *shape, uint64_t axes, const mt_operand *out,
                  const mt_operand *in) {
    bool index = op == MT_OP_argmin || op == MT_OP_argmax;
    job b = {find(op, compute), op, 0, index ? MT_DT_int64 : compute, 1, 1, {0}};
    int order[MT_MAX_NDIM], kept = 0, reduced = 0, r[MT_MAX_NDIM];
    for (int d = 0; d < ndim; d++) {
        if (axes >> d & 1) b.count *= shape[d], r[reduced++] = d;
        else b.n_out *= shape[d], order[kept++] = d;
    }
    if (!b.fold || !mt_cast_supported(in->dtype, compute) || !mt_cast_supported(b.result, out->dtype)) return 1;
    if (b.n_out == 0) return 0;
    b.itemsize = MT_ITEMSIZE[compute];
    mt_sort_dims(kept, order, in->strides);
    if (!index) mt_sort_dims(reduced, r, in->strides);   /* positions count in C order, so argmax keeps it */
    memcpy(order + kept, r, (size_t)reduced * sizeof *r);

    mt_walk results, elements, all;
    mt_walk_begin(&b.out, out, b.result, true, kept, order, shape);
    if (b.count > 0) {
        mt_walk_begin(&results, in, compute, false, kept, order, shape);
        mt_walk_begin(&elements, in, compute, false, reduced, order + kept, shape);
        if (b.n_out > 1 && price(&results) < price(&elements)) {
            /* Each walk has looked at the strides of its own dimensions only. */
            results.ready = results.ready && elements.ready;
            run_across(&b, &results, &elements);
            return 0;
        }
    }
    mt_walk_begin(&all, in, compute, false, b.count ? ndim : 0, order, shape);
    run_along(&b, &all);
    return 0;
}
