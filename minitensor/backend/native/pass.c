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

#include "executor.h"
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
    int load;                                /* LOAD: which walk; CONST: which tile of those */
    const mt_tensor *source;                 /* LOAD and CONST: its tensor */
    char *out;                               /* the task's output; NULL: none, or nobody can ask for it */
    bool past;                               /* the output goes past the cache */
    mt_kernel kernel;
    mt_cast_fn cast;
} value;

typedef struct {
    mt_task *const *tasks;
    int n, n_values, n_loads, n_consts;
    const mt_tensor *shape;                  /* any tensor of the pass's shape */
    int result[MT_PASS_TASKS];               /* the value that each task returns */
    bool in_tiles, past;
    value values[VALUES];
    mt_walk loads[LOADS];
    tile consts[CONSTS];
    atomic_int bad;
} pass;

/* --- writing it down ------------------------------------------------------------------------------------------------------------------ */

static value *add(pass *p, int kind, int dtype) {
    value *v = &p->values[p->n_values++];
    *v = (value){.kind = kind, .dtype = dtype, .tile = NO_TILE, .last = -1};
    return v;
}

/* The tensor as it looks when broadcast to the pass's shape. */
static mt_operand operand(const pass *p, const mt_tensor *t) {
    int ndim = p->shape->ndim, shift = ndim - t->ndim;
    mt_operand result = {.data = mt_tensor_data(t), .dtype = t->dtype};
    for (int d = 0; d < ndim; d++)
        result.strides[d] = d < shift || (t->shape[d - shift] == 1 && p->shape->shape[d] != 1) ? 0 : t->strides[d - shift];
    return result;
}

/* The number of the value that is tensor t in this dtype; -1: there is no room for it, or no cast. */
static int value_of(pass *p, int task, const mt_tensor *t, int dtype) {
    int made = -1;                           /* by a task of this pass */
    for (int k = task - 1; k >= 0 && made < 0; k--)
        if (t->storage && p->tasks[k]->out[0]->storage == t->storage) made = p->result[k];
    if (made >= 0 && p->values[made].dtype == dtype) return made;
    for (int v = 0; v < p->n_values; v++) {  /* made for another task already */
        const value *known = &p->values[v];
        if (known->dtype != dtype) continue;
        if (made >= 0 ? known->kind == CAST && known->in[0] == made : known->source && known->source != NULL && mt_same_view(known->source, t)) return v;
    }
    value *v;
    if (made >= 0) {
        v = add(p, CAST, dtype);
        v->in[v->n_in++] = made;
        v->cast = mt_cast_find(p->values[made].dtype, dtype);
        if (!v->cast) return -1;
    } else if (t->size == 1) {
        if (p->n_consts == CONSTS) return -1;
        v = add(p, CONST, dtype);
        v->load = p->n_consts++;
        int64_t n = p->shape->size < MT_TILE ? p->shape->size : MT_TILE;
        mt_cast_fn fill = mt_cast_find(t->dtype, dtype);
        if (!fill) return -1;
        fill(p->consts[v->load].bytes, MT_ITEMSIZE[dtype], mt_tensor_data(t), 0, n);
    } else {
        v = add(p, LOAD, dtype);
        v->load = p->n_loads++;
        mt_operand in = operand(p, t);
        int order[MT_MAX_NDIM];
        for (int d = 0; d < p->shape->ndim; d++) order[d] = d;
        mt_walk_begin(&p->loads[v->load], &in, dtype, false, p->shape->ndim, order, p->shape->shape);
        if (!p->loads[v->load].cast) return -1;
    }
    if (v->kind != CAST) v->source = t;
    return (int)(v - p->values);
}

static bool write_down(pass *p, int k) {
    const mt_task *task = p->tasks[k];
    int rule = task->kind == MT_TASK_COPY ? MT_RULE_same : MT_OP_RULE[task->op], in[3];
    if (task->kind == MT_TASK_COPY) {
        in[0] = value_of(p, k, task->in[0], task->out[0]->dtype);
        p->result[k] = in[0];
        if (in[0] < 0) return false;
        if (p->values[in[0]].kind == OP || p->values[in[0]].kind == CAST) {
            /* a copy of what is made here is that very value, unless that goes to an output of its own already */
            bool taken = false;
            for (int other = 0; other < k; other++) taken |= p->result[other] == in[0];
            if (!taken) return true;
        }
        value *v = add(p, CAST, task->out[0]->dtype);
        v->in[v->n_in++] = in[0];
        v->cast = mt_cast_find(v->dtype, v->dtype);
        p->result[k] = (int)(v - p->values);
        return true;
    }
    for (int i = 0; i < task->n_in; i++) {
        in[i] = value_of(p, k, task->in[i], rule == MT_RULE_where && i == 0 ? MT_DT_bool : task->compute);
        if (in[i] < 0) return false;
    }
    value *v = add(p, OP, task->out[0]->dtype);
    memcpy(v->in, in, sizeof in);
    v->n_in = task->n_in;
    v->kernel = mt_kernel_find(task->op, task->compute);
    p->result[k] = (int)(v - p->values);
    return v->kernel != NULL;
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

/* Is what task k returns asked for by nobody, or written over by a later task of the pass? */
static bool unseen(const pass *p, int k) {
    for (int later = k + 1; later < p->n; later++)
        if (mt_same_view(p->tasks[later]->out[0], p->tasks[k]->out[0])) return true;
    return dead(p, p->tasks[k]->out[0]);
}

/* An input that ends here and can give its memory to the output whose value is `made`; NULL: none. */
static mt_storage *heir(const pass *p, int made, const mt_storage *out) {
    for (int v = 0; v < made; v++) {
        const value *in = &p->values[v];
        if (in->kind != LOAD || in->last > made || !mt_walk_ready(&p->loads[in->load]) || MT_ITEMSIZE[in->dtype] != MT_ITEMSIZE[p->values[made].dtype]) continue;
        const mt_tensor *t = in->source;
        mt_storage *s = t->storage;
        if (s->nbytes == out->nbytes && s->device == out->device && s->data && !s->block && !s->external && t->offset == 0 &&
            mt_same_shape(t, p->shape) && mt_contiguous(t) && t->size * MT_ITEMSIZE[t->dtype] == s->nbytes && dead(p, t))
            return s;
    }
    return NULL;
}

/* Memory for all outputs that somebody can see; false: there is none, and nothing has been done. */
static int give_memory(pass *p) {
    for (int k = 0; k < p->n; k++) {
        if (unseen(p, k)) continue;
        mt_storage *storage = p->tasks[k]->out[0]->storage;
        mt_storage *old = storage->data ? NULL : heir(p, p->result[k], storage);
        if (old) {
            storage->data = old->data;
            old->data = NULL;                /* the walks have its address */
        } else if (mt_storage_own(storage) != MT_OK) return MT_MEMORY_ERROR;
        value *v = &p->values[p->result[k]];
        v->out = mt_tensor_data(p->tasks[k]->out[0]);
        v->past = p->shape->size * MT_ITEMSIZE[v->dtype] >= PAST_THE_CACHE;
    }
    return MT_OK;
}

static bool give_tiles(pass *p) {
    int owner[TILES];
    for (int i = 0; i < TILES; i++) owner[i] = -1;
    for (int i = 0; i < p->n_values; i++) {
        value *v = &p->values[i];
        p->past |= v->past;
        p->in_tiles |= v->kind == CONST;
        bool lies = v->kind == CONST || (v->kind == LOAD && p->loads[v->load].ready && p->loads[v->load].strides[0] == p->loads[v->load].itemsize &&
                                         p->loads[v->load].shape[0] >= WORTH_A_CALL);
        bool written = v->out && !v->past;
        if (lies || written) continue;
        for (int t = 0; t < TILES && v->tile == NO_TILE; t++)
            if (owner[t] < 0 || p->values[owner[t]].last < i) v->tile = t, owner[t] = i;
        if (v->tile == NO_TILE) return false;
        p->in_tiles = true;
    }
    return true;
}

/* --- doing it --------------------------------------------------------------------------------------------------------------------------- */

static void run_piece(void *job, int64_t begin, int64_t end) {
    pass *p = job;
    tile tiles[TILES] __attribute__((aligned(64)));
    mt_walk loads[LOADS];
    const char *at[VALUES];
    int bad = 0;
    for (int k = 0; k < p->n_loads; k++) {
        mt_walk_copy(&loads[k], &p->loads[k]);
        mt_walk_skip(&loads[k], begin);
    }
    for (int64_t i = begin, n; i < end; i += n) {
        n = p->in_tiles && end - i > MT_TILE ? MT_TILE : end - i;
        for (int k = 0; k < p->n_loads; k++) {
            int64_t ready = mt_walk_ready(&loads[k]);
            if (ready >= WORTH_A_CALL && ready < n) n = ready;
        }
        for (int k = 0; k < p->n_values; k++) {
            const value *v = &p->values[k];
            int64_t itemsize = MT_ITEMSIZE[v->dtype];
            char *to = v->tile == NO_TILE ? v->out + i * itemsize : tiles[v->tile].bytes;
            switch (v->kind) {
            case CONST: at[k] = p->consts[v->load].bytes; continue;
            case LOAD:  at[k] = mt_walk_next(&loads[v->load], to, itemsize, n); continue;
            case CAST:  v->cast(to, itemsize, at[v->in[0]], MT_ITEMSIZE[p->values[v->in[0]].dtype], n); break;
            case OP:    bad |= v->kernel(to, at[v->in[0]], v->n_in > 1 ? at[v->in[1]] : NULL, v->n_in > 2 ? at[v->in[2]] : NULL, n); break;
            }
            at[k] = to;
            if (v->past) mt_stream(v->out + i * itemsize, to, (size_t)(n * itemsize));
        }
    }
    if (p->past) mt_stream_fence();
    if (bad) atomic_store(&p->bad, 1);
}
