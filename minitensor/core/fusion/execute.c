/* Doing tasks tile by tile: one of any layout, or several that fuse.c has found to belong together.
 *
 * Kernels know contiguous elements of one dtype only (kernels/elementwise.h).  A pass brings
 * operands to that and keeps what it makes in tiles that never leave the nearest cache, so whatever
 * is strided, broadcast, cast or thrown away costs no pass over memory of its own.  What is made
 * for a tile, and in what order, plan.c has written down.
 *
 * The elements are cut into pieces for the threads (threadpool.c), and each goes through its piece
 * a tile at a time.  When no value needs a tile, a piece is as long as the operands lie ready, and
 * a kernel is called once for it.
 *
 * A reduction may be the last of a pass: each tile of what it reduces is folded as soon as it is
 * made.  Results depend on where runs of elements are cut, so they are cut in the same places
 * whatever else is in the pass and however many threads there are: a result is folded in blocks of
 * MT_FOLD_BLOCK elements, a block in tiles, and the blocks are merged in order. */
#include <stdlib.h>

#include "base/threadpool.h"
#include "fusion/pass.h"
#include "fusion/reduction_layout.h"

enum {
    PIECE = 65536,
    LEAST_PIECE = 8192
}; /* elements: what a thread takes at once, of one op; of many ops less */

/* --- for people ------------------------------------------------------------------------------- */

static _Atomic int64_t passes, tasks_in_passes, unwritten, taken_over;

void mt_pass_stats(mt_pass_numbers *out) {
    *out = (mt_pass_numbers){atomic_load(&passes), atomic_load(&tasks_in_passes),
                             atomic_load(&unwritten), atomic_load(&taken_over)};
}

static void count(const mt_pass *p) {
    for (int k = 0; k < p->n; k++) {
        if (!p->seen[k]) atomic_fetch_add_explicit(&unwritten, 1, memory_order_relaxed);
        if (p->reused[k]) atomic_fetch_add_explicit(&taken_over, 1, memory_order_relaxed);
    }
    if (p->n == 1) return;
    atomic_fetch_add_explicit(&passes, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tasks_in_passes, p->n, memory_order_relaxed);
}

/* --- a tile ----------------------------------------------------------------------------------- */

/* What one thread has of a pass. */
typedef struct {
    const mt_pass *pass;
    mt_pass_tile tiles[MT_PASS_TILES] __attribute__((aligned(64)));
    mt_walk loads[MT_PASS_LOADS];
    const char *at[MT_PASS_VALUES]; /* the values of the present tile */
    void (*stream)(void *, const void *, size_t);
    bool streamed;
    int bad;
} worker;

static void begin(worker *w, const mt_pass *p, int64_t element) {
    w->pass = p;
    w->stream = mt_loops_of_machine()->stream;
    w->streamed = false;
    w->bad = 0;
    for (int k = 0; k < p->n_loads; k++) {
        w->loads[k] = p->loads[k];
        mt_walk_seek(&w->loads[k], element);
    }
}

static void end(worker *w, mt_pass *p) {
    if (w->streamed) mt_stream_fence();
    if (w->bad) atomic_store(&p->bad, 1);
}

/* Makes all values of the elements from i on, n of them or as many as lie ready; how many. */
static int64_t make(worker *w, int64_t i, int64_t n) {
    const mt_pass *p = w->pass;
    for (int k = 0; k < p->n_values; k++) {
        const mt_value *v = &p->values[k];
        if (v->kind != MT_LOAD || v->tile != MT_NO_TILE) continue;
        int64_t ready = mt_walk_ready(&w->loads[v->walk]);
        n = ready < n ? ready : n;
    }
    for (int k = 0; k < p->n_values; k++) {
        const mt_value *v = &p->values[k];
        int64_t size = MT_ITEMSIZE[v->dtype];
        char *to = v->tile == MT_NO_TILE ? v->out + i * size : w->tiles[v->tile].bytes;
        switch (v->kind) {
        case MT_CONST: w->at[k] = p->consts[v->walk].bytes; continue;
        case MT_LOAD: w->at[k] = mt_walk_next(&w->loads[v->walk], to, size, n); continue;
        case MT_CAST:
            v->cast(to, size, w->at[v->in[0]], MT_ITEMSIZE[p->values[v->in[0]].dtype], n);
            break;
        case MT_OP:
            w->bad |= v->kernel(to, w->at[v->in[0]], w->at[v->in[1]], w->at[v->in[2]], n);
            break;
        }
        w->at[k] = to;
        if (v->past) w->stream(v->out + i * size, to, (size_t)(n * size));
        w->streamed |= v->past;
    }
    return n;
}

static void run_elements(void *job, int64_t first, int64_t last) {
    mt_pass *p = job;
    worker w;
    begin(&w, p, first);
    for (int64_t i = first; i < last;)
        i += make(&w, i, p->in_tiles && last - i > MT_TILE ? MT_TILE : last - i);
    end(&w, p);
}

/* --- reductions ------------------------------------------------------------------------------- */

enum { RUN = MT_FOLD_RUN };
typedef union {
    char bytes[RUN * 8];
    double aligned;
} whole_run;
typedef union {
    char bytes[16];
    double aligned;
} running; /* a running value and its like */

static void finish(const mt_pass *p, const void *acc, const void *aux, char *result) {
    p->fold->finish(acc, aux, result, 1, p->count, mt_divisor(p->reduce, p->count));
}

/* The next n elements of what is reduced, in one piece: where they lie, or put together from tiles
 * in `whole`.  Runs are folded by such pieces because each call of a fold ends with putting its
 * lanes together. */
static const char *next_run(worker *w, int64_t element, int64_t n, char *whole) {
    const mt_pass *p = w->pass;
    int k = p->result[p->n - 1];
    const mt_value *v = &p->values[k];
    int size = MT_ITEMSIZE[v->dtype];
    int64_t m = make(w, element,
                     p->n_values == 1 && v->tile == MT_NO_TILE ? n
                     : n < MT_TILE                             ? n
                                                               : MT_TILE);
    const char *run = w->at[k];
    if (m == n) return run;
    if (v->tile != MT_NO_TILE) run = memcpy(whole, run, (size_t)(m * size));
    for (int64_t i = m; i < n; i += m) {
        m = make(w, element + i, n - i < MT_TILE ? n - i : MT_TILE);
        if (v->tile != MT_NO_TILE) memcpy(whole + i * size, w->at[k], (size_t)(m * size));
    }
    return run;
}

static void fold_runs(worker *w, int64_t element, int64_t n, void *acc, void *aux, char *whole) {
    for (int64_t i = 0, m; i < n; i += m) {
        m = n - i < RUN ? n - i : RUN;
        w->pass->fold->accumulate_run(acc, aux, next_run(w, element + i, m, whole), m, i);
    }
}

/* Results whose elements are in one block: several for each run when they are short. */
static void run_results(void *job, int64_t first, int64_t last) {
    mt_pass *p = job;
    worker w;
    running acc, aux;
    whole_run whole;
    mt_pass_tile done;
    int size = MT_ITEMSIZE[p->values[p->result[p->n - 1]].dtype],
        result = MT_ITEMSIZE[mt_fold_result(p->reduce)];
    bool ready = p->n_values == 1 && p->values[0].tile == MT_NO_TILE;
    int64_t some = (ready ? RUN : MT_TILE) / p->count, per_run = some > MT_TILE ? MT_TILE
                                                                 : some > 0     ? some
                                                                                : 1;
    mt_walk out = p->results;
    mt_walk_seek(&out, first);
    begin(&w, p, first * p->count);
    for (int64_t r = first, n; r < last; r += n) {
        n = per_run < last - r ? per_run : last - r;
        const char *x =
            p->count <= RUN ? next_run(&w, r * p->count, n * p->count, whole.bytes) : NULL;
        for (int64_t k = 0; k < n; k++) {
            p->fold->start(&acc, &aux, 1);
            if (x) p->fold->accumulate_run(&acc, &aux, x + k * p->count * size, p->count, 0);
            else fold_runs(&w, r * p->count, p->count, &acc, &aux, whole.bytes);
            finish(p, &acc, &aux, done.bytes + k * result);
        }
        mt_walk_move(&out, done.bytes, result, n, true);
    }
    end(&w, p);
}

static void run_blocks(void *job, int64_t first, int64_t last) {
    mt_pass *p = job;
    worker w;
    whole_run whole;
    for (int64_t b = first; b < last; b++) {
        int64_t from = b % p->blocks * MT_FOLD_BLOCK,
                n = p->count - from < MT_FOLD_BLOCK ? p->count - from : MT_FOLD_BLOCK;
        int64_t element = b / p->blocks * p->count + from;
        begin(&w, p, element);
        p->fold->start(p->acc + 8 * b, p->aux + 8 * b, 1);
        fold_runs(&w, element, n, p->acc + 8 * b, p->aux + 8 * b, whole.bytes);
        end(&w, p);
    }
}

static void merge_blocks(mt_pass *p, int64_t results) {
    mt_pass_tile done;
    for (int64_t r = 0; r < results; r++) {
        char *acc = p->acc + 8 * r * p->blocks, *aux = p->aux + 8 * r * p->blocks;
        for (int64_t b = 1, from = MT_FOLD_BLOCK; b < p->blocks; b++, from += MT_FOLD_BLOCK)
            p->fold->merge(acc, aux, acc + 8 * b, aux + 8 * b, 1, from,
                           p->count - from < MT_FOLD_BLOCK ? p->count - from : MT_FOLD_BLOCK);
        finish(p, acc, aux, done.bytes);
        mt_walk_move(&p->results, done.bytes, MT_ITEMSIZE[mt_fold_result(p->reduce)], 1, true);
    }
}

static int prepare_reduction(mt_pass *p) {
    const mt_tensor *in = p->reduce->in[0], *out = p->reduce->out[0];
    p->fold = mt_fold_find(p->reduce->op, mt_fold_dtype(p->reduce->op, p->reduce->compute));
    p->count = in->size / out->size;
    p->blocks = (p->count + MT_FOLD_BLOCK - 1) / MT_FOLD_BLOCK;
    p->acc = NULL;
    if (p->blocks == 1) return MT_OK;
    p->acc = malloc((size_t)(out->size * p->blocks) * 16);
    p->aux = p->acc + out->size * p->blocks * 8;
    return p->acc ? MT_OK : MT_MEMORY_ERROR;
}

static void reduce(mt_pass *p) {
    const mt_tensor *in = p->reduce->in[0], *out = p->reduce->out[0];
    mt_operand target = mt_reduced_operand(out, in, p->reduce->axes);
    int kept = 0;
    for (int d = 0; d < in->ndim; d++) kept += !(p->reduce->axes >> d & 1);
    mt_walk_begin(&p->results, &target, mt_fold_result(p->reduce), true, kept, p->order, in->shape);
    int64_t grain = PIECE / p->count;
    if (p->blocks == 1) mt_parallel(out->size, grain > 0 ? grain : 1, run_results, p);
    else {
        mt_parallel(out->size * p->blocks, 1, run_blocks, p);
        merge_blocks(p, out->size);
    }
}

/* --- all of it -------------------------------------------------------------------------------- */

/* The common small case: one op, whose operands lie ready or are numbers, in one call of its
 * kernel. */
static bool run_plain(const mt_task *task, int *status) {
    enum { FEW = 128 };
    const mt_tensor *out = task->out[0];
    const void *x[3] = {NULL, NULL, NULL};
    char numbers[3][FEW * 8] __attribute__((aligned(8)));
    if (task->kind != MT_TASK_ELEMENTWISE || out->size > PIECE ||
        MT_COMPUTE[task->compute] != task->compute)
        return false;
    for (int i = 0; i < task->n_in; i++) {
        const mt_tensor *t = task->in[i];
        int dtype = MT_OP_RULE[task->op] == MT_RULE_where && i == 0 ? MT_DT_bool : task->compute;
        x[i] = mt_tensor_data(t);
        if (t->dtype == dtype && t->size == out->size && mt_same_shape(t, out) &&
            mt_contiguous(t) && (uintptr_t)x[i] % MT_ITEMSIZE[dtype] == 0)
            continue;
        if (t->size != 1 || out->size > FEW) return false;
        mt_cast_find(t->dtype, dtype)(numbers[i], MT_ITEMSIZE[dtype], x[i], 0, out->size);
        x[i] = numbers[i];
    }
    *status = mt_storage_own(out->storage);
    if (*status == MT_OK &&
        mt_kernel_find(task->op, task->compute)(mt_tensor_data(out), x[0], x[1], x[2], out->size))
        *status = MT_OP_ERROR_STATUS[task->op];
    return true;
}

/* Copies shared blocks that tasks write to, before a walk keeps the address of an input: the memory
 * of an op in place is both. */
static int own_targets(mt_task *const *tasks, int n) {
    int status = MT_OK;
    for (int k = 0; k < n && status == MT_OK; k++) {
        mt_storage *storage = tasks[k]->out[0]->storage;
        if (storage->block) status = mt_storage_own(storage);
    }
    return status;
}

int mt_pass_run(mt_task *const *tasks, int n, int *status) {
    if ((*status = own_targets(tasks, n)) != MT_OK) return 0;
    if (n == 1 && run_plain(tasks[0], status)) return 1;
    mt_pass p;
    if (!mt_plan(&p, tasks, n)) { /* too much for one pass */
        int done = mt_pass_run(tasks, n / 2, status);
        return *status == MT_OK ? done + mt_pass_run(tasks + n / 2, n - n / 2, status) : done;
    }
    *status = p.reduce ? prepare_reduction(&p) : MT_OK;
    if (*status == MT_OK && !mt_give_memory(&p)) *status = MT_MEMORY_ERROR;
    if (*status != MT_OK) {
        if (p.reduce) free(p.acc);
        return 0;
    }
    count(&p);
    atomic_init(&p.bad, 0);
    mt_materialize(&p);
    int ops = p.n_values - p.n_loads - p.n_consts;
    int64_t piece = PIECE / (ops > 0 ? ops : 1) / MT_TILE * MT_TILE;
    if (p.reduce) {
        reduce(&p);
        free(p.acc);
    } else mt_parallel(p.size, piece > LEAST_PIECE ? piece : LEAST_PIECE, run_elements, &p);
    mt_free_materialized(&p);
    if (atomic_load(&p.bad)) *status = MT_OP_ERROR_STATUS[tasks[0]->op];
    return n;
}
