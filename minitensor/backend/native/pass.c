/* Doing elementwise tasks tile by tile: one of any layout, or several that fuse.c has found to belong together.
 *
 * Kernels know contiguous elements of one dtype only (kernels.h).  A pass brings operands to that and keeps what it makes in tiles that
 * never leave the nearest cache, so whatever is strided, broadcast, cast or thrown away costs no pass over memory of its own.
 *
 * A pass is first written down as a list of values, each made once for each tile, in order:
 *
 *     LOAD    elements of a tensor: where they lie, if they lie ready, else gathered and cast into a tile
 *     CONST   one value for all elements: its tile is filled before the pass begins
 *     CAST    another value in another dtype
 *     OP      a kernel's result
 *
 * A value that a task returns is written to the task's output, straight by its kernel where it can be; if nobody can ask for that output any
 * more, it is only a tile.  Tiles are used again after the last value that is made of them, so few are enough to stay in the cache.
 *
 * Then the elements are cut into pieces for the threads (pool.c), and each goes through its piece a tile at a time.  When no value needs a
 * tile, a piece is as long as the operands lie ready, and a kernel is called once for it.
 *
 * Large outputs go past the cache: a store would first load the line that it overwrites, a third of all traffic.
 *
 * Memory.  Outputs were promised theirs and take it here (alloc.c).  One may take over the block of an input that ends here, when both have
 * the same size and the input is not needed after the output is written. */
#include "pass.h"

#include "isa.h"

enum { VALUES = 5 * MT_PASS_TASKS, LOADS = 3 * MT_PASS_TASKS, TILES = 12, CONSTS = 6, NO_TILE = -1 };
enum { WORTH_A_CALL = 256 };                 /* a run of this length that lies ready is worth a call of its own */
enum { PIECE = 65536, LEAST_PIECE = 8192 };  /* elements: what a thread takes at once, of one op; of many ops less */
enum { PAST_THE_CACHE = 4 << 20 };           /* bytes of an output, from which on the stores that bypass the cache measured faster */

typedef union { char bytes[MT_TILE * 8]; double aligned; } tile;

typedef struct {
    enum { LOAD, CONST, CAST, OP } kind;
    int dtype, in[3], n_in;                  /* of an OP and of a CAST: values */
    int tile;                                /* that it is made in; NO_TILE: it is where it lies, or in its output */
    int last;                                /* the last value made of it */
    int walk;                                /* LOAD: its walk; CONST: its tile */
    const mt_tensor *source;                 /* LOAD and CONST: its tensor */
    bool stored, past;                       /* it goes to an output, and that past the cache */
    char *out;
    mt_kernel kernel;
    mt_cast_fn cast;
} value;

typedef struct {
    mt_task *const *tasks;
    int n, n_values, n_loads, n_consts;
    const mt_tensor *shape;                  /* any tensor of the pass's shape */
    int result[MT_PASS_TASKS];               /* the value that each task returns */
    bool seen[MT_PASS_TASKS];                /* somebody can ask for it */
    mt_storage *donors[MT_PASS_TASKS];       /* whose memory its output takes over */
    bool in_tiles;                           /* some value is in a tile, so the elements are taken by tiles */
    value values[VALUES];
    mt_walk loads[LOADS];
    tile consts[CONSTS];
    atomic_int bad;
} pass;

static _Atomic int64_t passes, tasks_in_passes, unwritten, taken_over;      /* for people */

void mt_pass_stats(mt_pass_numbers *out) {
    *out = (mt_pass_numbers){atomic_load(&passes), atomic_load(&tasks_in_passes), atomic_load(&unwritten), atomic_load(&taken_over)};
}

static void count(const pass *p) {
    for (int k = 0; k < p->n; k++) {
        if (!p->seen[k]) atomic_fetch_add_explicit(&unwritten, 1, memory_order_relaxed);
        if (p->donors[k]) atomic_fetch_add_explicit(&taken_over, 1, memory_order_relaxed);
    }
    if (p->n == 1) return;
    atomic_fetch_add_explicit(&passes, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tasks_in_passes, p->n, memory_order_relaxed);
}

/* --- writing it down ------------------------------------------------------------------------------------------------------------------ */

static value *add(pass *p, int kind, int dtype) {
    value *v = &p->values[p->n_values++];
    *v = (value){.kind = kind, .dtype = dtype, .tile = NO_TILE, .last = p->n_values - 1};
    return v;
}

static int add_cast(pass *p, int from, int dtype) {
    p->values[from].last = p->n_values;
    value *v = add(p, CAST, dtype);
    v->in[v->n_in++] = from;
    v->cast = mt_cast_find(p->values[from].dtype, dtype);
    return p->n_values - 1;
}

/* The tensor as it looks when broadcast to the pass's shape. */
static mt_operand operand(const pass *p, const mt_tensor *t) {
    int ndim = p->shape->ndim, shift = ndim - t->ndim;
    mt_operand result = {.data = mt_tensor_data(t), .dtype = t->dtype};
    for (int d = 0; d < ndim; d++)
        result.strides[d] = d < shift || (t->shape[d - shift] == 1 && p->shape->shape[d] != 1) ? 0 : t->strides[d - shift];
    return result;
}

/* The number of the value that is tensor t in this dtype, for task k; -1: there is no room for it. */
static int value_of(pass *p, int k, const mt_tensor *t, int dtype) {
    int made = -1;                           /* by an earlier task of the pass */
    for (int other = k - 1; other >= 0 && made < 0; other--)
        if (t->storage && p->tasks[other]->out[0]->storage == t->storage) made = p->result[other];
    if (made >= 0 && p->values[made].dtype == dtype) return made;
    for (int i = 0; i < p->n_values; i++) {  /* written down already */
        const value *known = &p->values[i];
        if (known->dtype == dtype && (made >= 0 ? known->kind == CAST && known->in[0] == made : known->source && mt_same_view(known->source, t) && t->storage)) return i;
    }
    if (made >= 0) return add_cast(p, made, dtype);
    if (t->size == 1) {
        if (p->n_consts == CONSTS) return -1;
        value *v = add(p, CONST, dtype);
        v->walk = p->n_consts++;
        v->source = t;
        mt_cast_find(t->dtype, dtype)(p->consts[v->walk].bytes, MT_ITEMSIZE[dtype], mt_tensor_data(t), 0, p->shape->size < MT_TILE ? p->shape->size : MT_TILE);
    } else {
        value *v = add(p, LOAD, dtype);
        v->walk = p->n_loads++;
        v->source = t;
        mt_operand in = operand(p, t);
        int order[MT_MAX_NDIM];
        for (int d = 0; d < p->shape->ndim; d++) order[d] = d;
        mt_walk_begin(&p->loads[v->walk], &in, dtype, false, p->shape->ndim, order, p->shape->shape);
    }
    return p->n_values - 1;
}

static bool write_down(pass *p, int k) {
    const mt_task *task = p->tasks[k];
    if (task->kind == MT_TASK_COPY) {
        int dtype = task->out[0]->dtype, from = value_of(p, k, task->in[0], task->in[0]->dtype);
        if (from < 0) return false;
        /* A copy of what is made here is that very value, if that has no output of its own, and if nothing since has read what it writes over. */
        bool same = p->values[from].kind == OP && p->values[from].dtype == dtype;
        for (int other = 0; other < k; other++) same = same && !(p->result[other] == from && p->seen[other]);
        for (int i = 0; i < p->n_values; i++) same = same && !(p->values[i].kind == LOAD && p->values[i].source->storage == task->out[0]->storage && p->values[i].last > from);
        p->result[k] = same ? from : add_cast(p, from, dtype);
        return true;
    }
    int in[3] = {0};
    for (int i = 0; i < task->n_in; i++)
        if ((in[i] = value_of(p, k, task->in[i], MT_OP_RULE[task->op] == MT_RULE_where && i == 0 ? MT_DT_bool : task->compute)) < 0) return false;
    for (int i = 0; i < task->n_in; i++) p->values[in[i]].last = p->n_values;
    value *v = add(p, OP, task->out[0]->dtype);
    memcpy(v->in, in, sizeof in);
    v->n_in = task->n_in;
    v->kernel = mt_kernel_find(task->op, task->compute);
    p->result[k] = p->n_values - 1;
    return true;
}

/* --- outputs and tiles ------------------------------------------------------------------------------------------------------------------ */

/* Can nobody ask for it but the tasks of this pass?  Nobody else has a reference, so nobody will get one. */
static bool dead(const pass *p, const mt_tensor *t) {
    if (!t->storage || atomic_load(&t->storage->refs) != 1 || atomic_load(&t->storage->exports)) return false;
    int64_t ours = 0;
    for (int k = 0; k < p->n; k++) {
        for (int i = 0; i < p->tasks[k]->n_in; i++) ours += p->tasks[k]->in[i] == t;
        ours += p->tasks[k]->out[0] == t;
    }
    return atomic_load(&t->refs) == ours;
}

/* Can somebody ask for what task k returns?  Not so when a later task of the pass writes over it. */
static bool seen(const pass *p, int k) {
    for (int later = k + 1; later < p->n; later++)
        if (mt_same_view(p->tasks[later]->out[0], p->tasks[k]->out[0])) return false;
    return !dead(p, p->tasks[k]->out[0]);
}

/* An input that ends here and can give its memory to the output of task k; NULL: none. */
static mt_storage *donor(const pass *p, int k) {
    const mt_storage *out = p->tasks[k]->out[0]->storage;
    int made = p->result[k], size = MT_ITEMSIZE[p->values[made].dtype];
    for (int i = 0; i < made; i++) {
        const value *v = &p->values[i];
        if (v->kind != LOAD || !mt_contiguous(v->source) || !mt_same_shape(v->source, p->shape) || MT_ITEMSIZE[v->source->dtype] != size) continue;
        mt_storage *s = v->source->storage;
        bool fits = s->data && s->nbytes == out->nbytes && s->nbytes == p->shape->size * size && s->device == out->device;
        if (!fits || s->block || s->external || !dead(p, v->source)) continue;
        for (int j = 0; j < p->n_values && fits; j++) fits = !(p->values[j].kind == LOAD && p->values[j].source->storage == s && p->values[j].last > made);
        for (int other = 0; other < p->n && fits; other++) fits = p->donors[other] != s && p->tasks[other]->out[0]->storage != s;
        if (fits) return s;
    }
    return NULL;
}

static bool lies_ready(const mt_walk *w) { return mt_walk_ready(w) >= WORTH_A_CALL || (w->ndim == 1 && mt_walk_ready(w)); }

/* A tile for each value that needs one; false: there are not enough. */
static bool give_tiles(pass *p) {
    int owner[TILES];
    for (int k = 0; k < p->n; k++) {
        value *v = &p->values[p->result[k]];
        v->stored |= p->seen[k];
        v->past = v->stored && p->shape->size * MT_ITEMSIZE[v->dtype] >= PAST_THE_CACHE;
    }
    for (int t = 0; t < TILES; t++) owner[t] = -1;
    for (int i = 0; i < p->n_values; i++) {
        value *v = &p->values[i];
        p->in_tiles |= v->kind == CONST;
        if (v->kind == CONST || (v->kind == LOAD && lies_ready(&p->loads[v->walk])) || (v->stored && !v->past)) continue;
        for (int t = 0; t < TILES && v->tile == NO_TILE; t++)
            if (owner[t] < 0 || p->values[owner[t]].last < i) v->tile = t, owner[t] = i;
        if (v->tile == NO_TILE) return false;
        p->in_tiles = true;
    }
    return true;
}

/* Memory for all outputs that somebody can see; false: there is none, and no value has changed. */
static bool give_memory(pass *p) {
    for (int k = 0; k < p->n; k++) {
        mt_storage *storage = p->tasks[k]->out[0]->storage;
        if (!p->seen[k]) continue;
        p->donors[k] = storage->data ? NULL : donor(p, k);
        if (!p->donors[k] && mt_storage_own(storage) != MT_OK) return false;
    }
    for (int k = 0; k < p->n; k++) {
        if (!p->seen[k]) continue;
        if (p->donors[k]) {                  /* the walks know where it is */
            p->tasks[k]->out[0]->storage->data = p->donors[k]->data;
            p->donors[k]->data = NULL;
        }
        p->values[p->result[k]].out = mt_tensor_data(p->tasks[k]->out[0]);
    }
    return true;
}

/* --- doing it --------------------------------------------------------------------------------------------------------------------------- */

static void run_piece(void *job, int64_t begin, int64_t end) {
    pass *p = job;
    tile tiles[TILES] __attribute__((aligned(64)));
    mt_walk loads[LOADS];
    const char *at[VALUES];
    void (*stream)(void *, const void *, size_t) = mt_loops_of_machine()->stream;
    int bad = 0;
    bool streamed = false;
    for (int k = 0; k < p->n_loads; k++) {
        loads[k] = p->loads[k];
        mt_walk_seek(&loads[k], begin);
    }
    for (int64_t i = begin, n; i < end; i += n) {
        n = p->in_tiles && end - i > MT_TILE ? MT_TILE : end - i;
        for (int k = 0; k < p->n_values; k++) {
            const value *v = &p->values[k];
            if (v->kind == LOAD && v->tile == NO_TILE && mt_walk_ready(&loads[v->walk]) < n) n = mt_walk_ready(&loads[v->walk]);
        }
        for (int k = 0; k < p->n_values; k++) {
            const value *v = &p->values[k];
            int64_t size = MT_ITEMSIZE[v->dtype];
            char *to = v->tile == NO_TILE ? v->out + i * size : tiles[v->tile].bytes;
            switch (v->kind) {
            case CONST: at[k] = p->consts[v->walk].bytes; continue;
            case LOAD: at[k] = mt_walk_next(&loads[v->walk], to, size, n); continue;
            case CAST: v->cast(to, size, at[v->in[0]], MT_ITEMSIZE[p->values[v->in[0]].dtype], n); break;
            case OP: bad |= v->kernel(to, at[v->in[0]], at[v->in[1]], at[v->in[2]], n); break;
            }
            at[k] = to;
            if (v->past) stream(v->out + i * size, to, (size_t)(n * size));
            streamed |= v->past;
        }
    }
    if (streamed) mt_stream_fence();
    if (bad) atomic_store(&p->bad, 1);
}

/* The common small case: one op, whose operands lie ready or are numbers, in one call of its kernel. */
static bool run_plain(const mt_task *task, int *status) {
    enum { FEW = 128 };
    const mt_tensor *out = task->out[0];
    const void *x[3] = {NULL, NULL, NULL};
    char numbers[3][FEW * 8] __attribute__((aligned(8)));
    if (task->kind != MT_TASK_ELEMENTWISE || out->size > LEAST_PIECE) return false;
    for (int i = 0; i < task->n_in; i++) {
        const mt_tensor *t = task->in[i];
        int dtype = MT_OP_RULE[task->op] == MT_RULE_where && i == 0 ? MT_DT_bool : task->compute;
        x[i] = mt_tensor_data(t);
        if (t->dtype == dtype && t->size == out->size && mt_same_shape(t, out) && mt_contiguous(t) && (uintptr_t)x[i] % MT_ITEMSIZE[dtype] == 0) continue;
        if (t->size != 1 || out->size > FEW) return false;
        mt_cast_find(t->dtype, dtype)(numbers[i], MT_ITEMSIZE[dtype], x[i], 0, out->size);
        x[i] = numbers[i];
    }
    *status = mt_storage_own(out->storage);
    if (*status == MT_OK && mt_kernel_find(task->op, task->compute)(mt_tensor_data(out), x[0], x[1], x[2], out->size))
        *status = MT_OP_ERROR_STATUS[task->op];
    return true;
}

int mt_pass_run(mt_task *const *tasks, int n, int *status) {
    if (n == 1 && run_plain(tasks[0], status)) return 1;
    pass p;
    p.tasks = tasks, p.n = n, p.shape = tasks[0]->out[0];
    p.n_values = p.n_loads = p.n_consts = 0;
    p.in_tiles = false;
    atomic_init(&p.bad, 0);
    for (int k = 0; k < n; k++) p.seen[k] = seen(&p, k), p.donors[k] = NULL;
    bool written = true;
    for (int k = 0; k < n && written; k++) written = write_down(&p, k);
    if (!written || !give_tiles(&p)) {       /* too much for one pass */
        int done = mt_pass_run(tasks, n / 2, status);
        return *status == MT_OK ? done + mt_pass_run(tasks + n / 2, n - n / 2, status) : done;
    }
    *status = give_memory(&p) ? MT_OK : MT_MEMORY_ERROR;
    if (*status != MT_OK) return 0;
    count(&p);
    int ops = p.n_values - p.n_loads - p.n_consts;
    int64_t piece = PIECE / (ops > 0 ? ops : 1) / MT_TILE * MT_TILE;
    mt_parallel(p.shape->size, piece > LEAST_PIECE ? piece : LEAST_PIECE, run_piece, &p);
    if (atomic_load(&p.bad)) *status = MT_OP_ERROR_STATUS[tasks[0]->op];
    return n;
}
