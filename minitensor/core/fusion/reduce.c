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
    b->fold->finish(acc, aux, results, n, b->count, mt_divisor(b->task, b->count));
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
        for (int64_t block = 1, row = b->rows; block < b->blocks; block++, row += b->rows)
            b->fold->merge(acc, aux, acc + 8 * block * b->n_out, aux + 8 * block * b->n_out, n, row,
                           b->count - row < b->rows ? b->count - row : b->rows);
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

/* --- any and all ------------------------------------------------------------------------------ */

/* Elements that any and all read before other threads join, and between two looks at what those
 * have found. */
enum { FIRST = 1 << 14 };

/* The search for an element that decides, in one piece of memory. */
typedef struct {
    const char *data;
    int dtype;
    bool wanted; /* what decides: true for any, false for all */
    atomic_bool found;
} search;

static bool decides(int dtype, bool wanted, const char *data, int64_t n) {
    return mt_loops_of_machine()->find_truth(data, n, dtype, wanted);
}

static void search_pieces(void *argument, int64_t begin, int64_t end) {
    search *s = argument;
    for (int64_t i = begin; i < end; i += FIRST) {
        if (atomic_load_explicit(&s->found, memory_order_relaxed)) return;
        if (decides(s->dtype, s->wanted, s->data + i * MT_ITEMSIZE[s->dtype],
                    end - i < FIRST ? end - i : FIRST))
            atomic_store_explicit(&s->found, true, memory_order_relaxed);
    }
}

/* Returns true if the task is any or all of a whole tensor without gaps. */
static bool searches(const mt_task *task) {
    const mt_tensor *in = task->in[0];
    return (task->op == MT_OP_any || task->op == MT_OP_all) && task->out[0]->size == 1 &&
           MT_ITEMSIZE[in->dtype] <= 8 && mt_contiguous(in) &&
           (uintptr_t)mt_tensor_data(in) % MT_ITEMSIZE[in->dtype] == 0;
}

static void run_search(const mt_task *task) {
    const mt_tensor *in = task->in[0];
    search s = {.data = mt_tensor_data(in), .dtype = in->dtype, .wanted = task->op == MT_OP_any};
    int64_t first = in->size < FIRST ? in->size : FIRST;
    atomic_init(&s.found, false);
    search_pieces(&s, 0, first);
    s.data += first * MT_ITEMSIZE[in->dtype];
    if (!s.found) mt_parallel(in->size - first, 8 * FIRST, search_pieces, &s);
    *(bool *)mt_tensor_data(task->out[0]) = s.found == s.wanted;
}

bool mt_reduces_early(const mt_task *task) {
    if (task->kind != MT_TASK_REDUCE) return false;
    const mt_tensor *in = task->in[0];
    const mt_storage *s = in->storage; /* of an error, it may have no memory */
    return in->size > FIRST && s && s->data && !s->error && searches(task) &&
           decides(in->dtype, task->op == MT_OP_any, mt_tensor_data(in), FIRST);
}

/* --- one result of few elements --------------------------------------------------------------- */

/* Folds at once what is one run of memory; returns false if the task is something else.  A pass
 * cuts runs of this length nowhere, so the result is the same. */
static bool run_plain(const mt_task *task) {
    const mt_tensor *in = task->in[0], *out = task->out[0];
    union {
        char bytes[MT_TILE * 8];
        double aligned;
    } tile;
    double acc, aux;
    int size = MT_ITEMSIZE[in->dtype], compute = mt_fold_dtype(task->op, task->compute);
    const char *data = mt_tensor_data(in);
    if (out->size != 1 || in->size == 0 || in->size > MT_FOLD_RUN || !mt_contiguous(in) ||
        mt_fold_result(task) != out->dtype)
        return false;
    if (in->dtype != compute || (uintptr_t)data % (size_t)size) {
        if (in->size > MT_TILE) return false;
        mt_cast_find(in->dtype, compute)(tile.bytes, MT_ITEMSIZE[compute], data, size, in->size);
        data = tile.bytes;
    }
    const mt_fold *fold = mt_fold_find(task->op, compute);
    fold->start(&acc, &aux, 1);
    fold->accumulate_run(&acc, &aux, data, in->size, 0);
    fold->finish(&acc, &aux, mt_tensor_data(out), 1, in->size, mt_divisor(task, in->size));
    return true;
}

int mt_run_reduce(mt_task *task) {
    const mt_tensor *in = task->in[0], *out = task->out[0];
    int order[MT_MAX_NDIM], kept = mt_dims_kept(task),
                            status = mt_storage_own(task->out[0]->storage);
    if (status != MT_OK || out->size == 0) return status;
    if (searches(task)) {
        run_search(task);
        return MT_OK;
    }
    if (run_plain(task)) return MT_OK;
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
