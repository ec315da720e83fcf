/* Reductions over any set of axes.
 *
 * Two shapes of loop cover all layouts.  Along: the elements of one result follow each other, and a
 * run of them folds into one value: that is a pass (execute.c), whose last value is folded.
 * Across: neighbouring elements belong to neighbouring results, and whole rows fold into a tile of
 * running values: that is here.  Which is faster depends on strides and lengths only, so the
 * cheaper is chosen by an estimate, and either takes any layout through a walk (walk.h).  The folds
 * themselves: folds.h.
 *
 * Across, the work is cut in two ways: columns that fit a tile of running values, and blocks of
 * rows.  Where rows are cut depends on the shape only, and blocks are merged in order, so the
 * number of threads changes no result. */
#include <stdlib.h>

#include "base/threadpool.h"
#include "fusion/pass.h"
#include "fusion/reduce.h"
#include "fusion/reduction_layout.h"

enum { WIDTH = 4 * MT_TILE }; /* columns at once: many, so that rows are read in long pieces */

/* A rough price of one element, in loads from the cache. */
static double price(const mt_walk *w) {
    int64_t stride = w->strides[0] < 0 ? -w->strides[0] : w->strides[0];
    int64_t run = w->left < MT_TILE ? w->left : MT_TILE;
    return (stride <= w->itemsize ? 1 : stride < 64 ? 4 : 8) + 30.0 / (double)run;
}

typedef struct {
    const mt_task *task;
    const mt_fold *fold;
    int itemsize, result; /* of the compute dtype; of the result's */
    int64_t count, n_out; /* elements of one result; results */
    int64_t width, tiles; /* columns of a tile; tiles */
    int64_t rows, blocks; /* rows of a block; blocks */
    char *acc, *aux;      /* by block and result, when there are several blocks */
    mt_walk kept, reduced,
        out; /* the first element of each result; the elements of the first result; the results */
} job;

static void deliver(const job *b, mt_walk *out, const void *acc, const void *aux, int64_t n) {
    char results[WIDTH * 8] __attribute__((aligned(8)));
    b->fold->finish(acc, aux, results, n, b->count, b->task->op == MT_OP_mean);
    mt_walk_move(out, results, b->result, n, true);
}

/* One tile of columns and one block of rows. */
static void fold_rows(const job *b, const mt_walk *kept, int64_t n, int64_t first, int64_t rows,
                      char *acc, char *aux) {
    char tile[WIDTH * 8] __attribute__((aligned(64)));
    mt_walk along = b->reduced;
    mt_walk_seek(&along, first);
    bool one_piece = kept->left >= n, ready = mt_walk_ready(kept) >= n;
    b->fold->start(acc, aux, n);
    for (int64_t index = 0, m; index < rows; index += m) {
        const char *at = kept->at + (along.at - b->reduced.at);
        m = ready ? (along.left < rows - index ? along.left : rows - index) : 1;
        if (ready) b->fold->accumulate_rows(acc, aux, at, along.strides[0], m, n, index);
        else {
            if (one_piece)
                kept->cast(tile, b->itemsize, at, kept->strides[0], n); /* no need to walk */
            else {
                mt_walk next = *kept;
                next.at += along.at - b->reduced.at;
                mt_walk_move(&next, tile, b->itemsize, n, false);
            }
            b->fold->accumulate_rows(acc, aux, tile, 0, 1, n, index);
        }
        mt_walk_skip(&along, m);
    }
}

static void run_units(void *argument, int64_t begin, int64_t end) {
    const job *b = argument;
    char acc[WIDTH * 8] __attribute__((aligned(64))), aux[WIDTH * 8] __attribute__((aligned(64)));
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t block = unit / b->tiles, column = unit % b->tiles * b->width,
                first = block * b->rows;
        int64_t n = b->n_out - column < b->width ? b->n_out - column : b->width,
                rows = b->count - first < b->rows ? b->count - first : b->rows;
        mt_walk kept = b->kept, out = b->out;
        mt_walk_seek(&kept, column);
        int64_t at = 8 * (block * b->n_out + column);
        fold_rows(b, &kept, n, first, rows, b->acc ? b->acc + at : acc, b->acc ? b->aux + at : aux);
        if (b->acc) continue;
        mt_walk_seek(&out, column);
        deliver(b, &out, acc, aux, n);
    }
}

static void merge_tiles(void *argument, int64_t begin, int64_t end) {
    const job *b = argument;
    mt_walk out = b->out;
    mt_walk_seek(&out, begin * b->width);
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t column = tile * b->width,
                n = b->n_out - column < b->width ? b->n_out - column : b->width;
        char *acc = b->acc + 8 * column, *aux = b->aux + 8 * column;
        for (int64_t block = 1; block < b->blocks; block++)
            b->fold->merge(acc, aux, acc + 8 * block * b->n_out, aux + 8 * block * b->n_out, n,
                           block * b->rows);
        deliver(b, &out, acc, aux, n);
    }
}

static int run_across(job *b) {
    b->width = b->n_out < WIDTH ? b->n_out : WIDTH;
    b->tiles = (b->n_out + b->width - 1) / b->width;
    b->rows = 8 * MT_FOLD_BLOCK / b->width;
    b->blocks = (b->count + b->rows - 1) / b->rows;
    b->acc = b->aux = NULL;
    if (b->blocks > 1) {
        b->acc = malloc((size_t)(b->blocks * b->n_out) * 16);
        if (!b->acc) return MT_MEMORY_ERROR;
        b->aux = b->acc + 8 * b->blocks * b->n_out;
    }
    int64_t work = b->width * (b->count < b->rows ? b->count : b->rows),
            grain = MT_FOLD_BLOCK / (work > 0 ? work : 1);
    mt_parallel(b->tiles * b->blocks, grain > 0 ? grain : 1, run_units, b);
    if (b->acc) mt_parallel(b->tiles, b->tiles, merge_tiles, b);
    free(b->acc);
    return MT_OK;
}

int mt_run_reduce(mt_task *task) {
    const mt_tensor *in = task->in[0], *out = task->out[0];
    int order[MT_MAX_NDIM], kept = mt_dims_kept(task),
                            status = mt_storage_own(task->out[0]->storage);
    if (status != MT_OK || out->size == 0) return status;
    mt_operand source = {.data = mt_tensor_data(in), .dtype = in->dtype},
               target = mt_reduced_operand(out, in, task->axes);
    memcpy(source.strides, in->strides, (size_t)in->ndim * sizeof *in->strides);
    mt_reduction_order(task, order);
    int compute = mt_fold_dtype(task->op, task->compute), result = mt_fold_result(task);
    job b = {.task = task,
             .fold = mt_fold_find(task->op, compute),
             .itemsize = MT_ITEMSIZE[compute],
             .result = MT_ITEMSIZE[result],
             .count = in->size / out->size,
             .n_out = out->size};
    mt_walk_begin(&b.out, &target, result, true, kept, order, in->shape);
    if (b.count == 0) { /* results of no elements */
        b.width = b.n_out < WIDTH ? b.n_out : WIDTH, b.rows = 1, b.blocks = 0,
        b.tiles = (b.n_out + b.width - 1) / b.width;
        char acc[WIDTH * 8] __attribute__((aligned(64))),
            aux[WIDTH * 8] __attribute__((aligned(64)));
        b.fold->start(acc, aux, b.width);
        for (int64_t column = 0; column < b.n_out; column += b.width)
            deliver(&b, &b.out, acc, aux, b.n_out - column < b.width ? b.n_out - column : b.width);
        return MT_OK;
    }
    mt_walk_begin(&b.kept, &source, compute, false, kept, order, in->shape);
    mt_walk_begin(&b.reduced, &source, compute, false, in->ndim - kept, order + kept, in->shape);
    if (b.n_out > 1 && price(&b.kept) < price(&b.reduced)) {
        b.kept.ready =
            b.kept.ready &&
            b.reduced.ready; /* each walk has looked at the strides of its own dimensions only */
        return run_across(&b);
    }
    mt_pass_run(&task, 1, &status);
    return status;
}
