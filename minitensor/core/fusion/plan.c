/* The plan of a pass: from tasks to the values that are made for each tile.
 *
 *     LOAD    elements of a tensor: in place if they are contiguous, else gathered and cast into a
 *             tile
 *     CONST   one value for all elements: its tile is filled before the pass begins
 *     CAST    another value in another dtype
 *     OP      a kernel's result
 *
 * Of a half type, a kernel computes in float32: its operands are widened by a CAST, and its result
 * is rounded by a CAST, so that the next task of the pass reads what it would read in memory.
 *
 * A value that a task returns is written to the task's output, directly by its kernel where that is
 * possible.  A value whose output is unreachable is only a tile.  A tile is reused after the last
 * value that is made of it, so a few tiles are enough and stay in the cache.
 *
 * Large outputs bypass the cache: a store would first load the line that it overwrites, a third of
 * all traffic.
 *
 * Operands strided against the iteration order, such as transposed matrices, are made contiguous
 * first (mt_materialize).  The transposing copy goes by blocks; copy and pass together take a fifth
 * of the time of collecting each tile from as many lines as it has elements.
 *
 * Memory.  Outputs have reserved theirs and commit it here (allocator.c).  An output may take over
 * the block of an input that ends here, if both have the same size and no later value needs the
 * input. */
#include "fusion/pass.h"
#include "fusion/reduction_layout.h"

enum { WORTH_A_CALL = 256 }; /* a run of this length that lies ready is worth a call of its own */

/* --- values ----------------------------------------------------------------------------------- */

static mt_value *add(mt_pass *p, int kind, int dtype) {
    mt_value *v = &p->values[p->n_values++];
    *v = (mt_value){.kind = kind, .dtype = dtype, .tile = MT_NO_TILE, .last = p->n_values - 1};
    return v;
}

static int add_cast(mt_pass *p, int from, int dtype) {
    p->values[from].last = p->n_values;
    mt_value *v = add(p, MT_CAST, dtype);
    v->in[v->n_in++] = from;
    v->cast = mt_cast_find(p->values[from].dtype, dtype);
    return p->n_values - 1;
}

/* The number of the value that is tensor t in this dtype, for task k; -1: there is no room for
 * it. */
static int value_of(mt_pass *p, int k, const mt_tensor *t, int dtype) {
    int made = -1; /* by an earlier task of the pass */
    for (int other = k - 1; other >= 0 && made < 0; other--)
        if (t->storage && p->tasks[other]->out[0]->storage == t->storage) made = p->result[other];
    if (made >= 0 && p->values[made].dtype == dtype) return made;
    for (int i = 0; i < p->n_values; i++) { /* written down already */
        const mt_value *known = &p->values[i];
        if (known->dtype == dtype &&
            (made >= 0 ? known->kind == MT_CAST && known->in[0] == made
                       : known->source && mt_same_view(known->source, t) && t->storage))
            return i;
    }
    if (made >= 0) return add_cast(p, made, dtype);
    if (t->size == 1) {
        if (p->n_consts == MT_PASS_CONSTS) return -1;
        mt_value *v = add(p, MT_CONST, dtype);
        v->walk = p->n_consts++;
        v->source = t;
        mt_cast_find(t->dtype, dtype)(p->consts[v->walk].bytes, MT_ITEMSIZE[dtype],
                                      mt_tensor_data(t), 0, p->size < MT_TILE ? p->size : MT_TILE);
    } else {
        mt_value *v = add(p, MT_LOAD, dtype);
        v->walk = p->n_loads++;
        v->source = t;
        mt_operand in = mt_broadcast(t, p->ndim, p->shape);
        mt_walk_begin(&p->loads[v->walk], &in, dtype, false, p->ndim, p->order, p->shape);
    }
    return p->n_values - 1;
}

/* The same as value_of, in the dtype `wide` of a kernel that computes in `dtype`: rounded to a half
 * type, then widened. */
static int operand_of(mt_pass *p, int k, const mt_tensor *t, int dtype, int wide) {
    int from = value_of(p, k, t, dtype);
    if (from < 0 || dtype == wide || MT_ITEMSIZE[dtype] == MT_ITEMSIZE[wide]) return from;
    for (int i = from + 1; i < p->n_values; i++) {
        const mt_value *known = &p->values[i];
        if (known->dtype == wide && known->kind != MT_OP && known->n_in && known->in[0] == from)
            return i;
    }
    const mt_value *narrow = &p->values[from];
    if (narrow->kind != MT_CONST || p->n_consts == MT_PASS_CONSTS) return add_cast(p, from, wide);
    mt_value *v = add(p, MT_CONST, wide);
    v->in[v->n_in++] = from;
    v->walk = p->n_consts++;
    mt_cast_find(dtype, wide)(p->consts[v->walk].bytes, MT_ITEMSIZE[wide],
                              p->consts[narrow->walk].bytes, MT_ITEMSIZE[dtype],
                              p->size < MT_TILE ? p->size : MT_TILE);
    return p->n_values - 1;
}

static bool write_down(mt_pass *p, int k) {
    const mt_task *task = p->tasks[k];
    if (task == p->reduce) {
        p->result[k] =
            operand_of(p, k, task->in[0], task->compute, mt_fold_dtype(task->op, task->compute));
        if (p->result[k] >= 0) p->values[p->result[k]].last = p->n_values;
        return p->result[k] >= 0;
    }
    if (task->kind == MT_TASK_COPY) {
        int dtype = task->out[0]->dtype, from = value_of(p, k, task->in[0], task->in[0]->dtype);
        if (from < 0) return false;
        /* A copy of what is made here is that very value, if that has no output of its own, and if
         * nothing since has read what it writes over. */
        bool same = (p->values[from].kind == MT_OP || p->values[from].kind == MT_CAST) &&
                    p->values[from].dtype == dtype;
        for (int other = 0; other < k; other++)
            same = same && !(p->result[other] == from && p->seen[other]);
        for (int i = 0; i < p->n_values; i++)
            same = same && !(p->values[i].kind == MT_LOAD &&
                             p->values[i].source->storage == task->out[0]->storage &&
                             p->values[i].last > from);
        p->result[k] = same ? from : add_cast(p, from, dtype);
        return true;
    }
    int in[3] = {0}, compute = task->compute, wide = mt_kernel_dtype(task->op, compute),
        result = task->out[0]->dtype;
    for (int i = 0; i < task->n_in; i++) {
        bool condition = MT_OP_RULE[task->op] == MT_RULE_where && i == 0;
        in[i] = condition ? value_of(p, k, task->in[i], MT_DT_bool)
                          : operand_of(p, k, task->in[i], compute, wide);
        if (in[i] < 0) return false;
    }
    for (int i = 0; i < task->n_in; i++) p->values[in[i]].last = p->n_values;
    bool narrow = result == compute && MT_ITEMSIZE[wide] != MT_ITEMSIZE[compute];
    mt_value *v = add(p, MT_OP, narrow ? wide : result);
    memcpy(v->in, in, sizeof in);
    v->n_in = task->n_in;
    v->kernel = mt_kernel_find(task->op, wide);
    p->result[k] = narrow ? add_cast(p, p->n_values - 1, result) : p->n_values - 1;
    return true;
}

/* --- outputs and tiles ------------------------------------------------------------------------ */

/* Returns true if only the tasks of this pass can read it.  No other reference exists, so none will
 * get one. */
static bool dead(const mt_pass *p, const mt_tensor *t) {
    if (p->tasks[0]->borrows || !t->storage || atomic_load(&t->storage->refs) != 1 ||
        mt_storage_visible(t->storage))
        return false;
    int64_t ours = 0;
    for (int k = 0; k < p->n; k++) {
        for (int i = 0; i < p->tasks[k]->n_in; i++) ours += p->tasks[k]->in[i] == t;
        ours += p->tasks[k]->out[0] == t;
    }
    return atomic_load(&t->refs) == ours;
}

/* Returns true if the result of task k is reachable.  It is not when a later task of the pass
 * writes over it. */
static bool seen(const mt_pass *p, int k) {
    for (int later = k + 1; later < p->n; later++)
        if (mt_same_view(p->tasks[later]->out[0], p->tasks[k]->out[0])) return false;
    return !dead(p, p->tasks[k]->out[0]);
}

/* An input that ends here and can give its memory to the output of task k; NULL: none. */
static mt_storage *reusable_input(const mt_pass *p, int k) {
    const mt_storage *out = p->tasks[k]->out[0]->storage;
    int made = p->result[k], size = MT_ITEMSIZE[p->values[made].dtype];
    for (int i = 0; i < made; i++) {
        const mt_value *v = &p->values[i];
        if (v->kind != MT_LOAD || !mt_contiguous(v->source) || v->source->size != p->size ||
            MT_ITEMSIZE[v->source->dtype] != size)
            continue;
        mt_storage *s = v->source->storage;
        bool fits = s->data && s->nbytes == out->nbytes && s->nbytes == p->size * size &&
                    s->device == out->device;
        if (!fits || s->block || s->external || !dead(p, v->source)) continue;
        for (int j = 0; j < p->n_values && fits; j++)
            fits = !(p->values[j].kind == MT_LOAD && p->values[j].source->storage == s &&
                     p->values[j].last > made);
        for (int other = 0; other < p->n && fits; other++)
            fits = p->reused[other] != s && p->tasks[other]->out[0]->storage != s;
        if (fits) return s;
    }
    return NULL;
}

/* Return whether the pass reads the elements in place.  A reduction folds whole tiles, so no row
 * may end inside one. */
static bool lies_ready(const mt_pass *p, const mt_walk *w) {
    return mt_walk_ready(w) && (w->ndim == 1 || (!p->reduce && mt_walk_ready(w) >= WORTH_A_CALL));
}

/* Returns true if task k overwrites lines that it has just read: they are in the cache. */
static bool in_place(const mt_pass *p, int k) {
    const mt_task *task = p->tasks[k];
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage == task->out[0]->storage) return true;
    return false;
}

/* A tile for each value that needs one; false: there are not enough. */
static bool give_tiles(mt_pass *p) {
    int owner[MT_PASS_TILES];
    for (int k = 0; k < p->n; k++) {
        if (p->tasks[k] == p->reduce) continue;
        mt_value *v = &p->values[p->result[k]];
        v->stored |= p->seen[k];
        v->past =
            v->stored && p->size * MT_ITEMSIZE[v->dtype] >= MT_PAST_THE_CACHE && !in_place(p, k);
    }
    for (int t = 0; t < MT_PASS_TILES; t++) owner[t] = -1;
    for (int i = 0; i < p->n_values; i++) {
        mt_value *v = &p->values[i];
        p->in_tiles |= v->kind == MT_CONST;
        if (v->kind == MT_CONST || (v->kind == MT_LOAD && lies_ready(p, &p->loads[v->walk])) ||
            (v->stored && !v->past))
            continue;
        for (int t = 0; t < MT_PASS_TILES && v->tile == MT_NO_TILE; t++)
            if (owner[t] < 0 || p->values[owner[t]].last < i) v->tile = t, owner[t] = i;
        if (v->tile == MT_NO_TILE) return false;
        p->in_tiles = true;
    }
    return true;
}

bool mt_plan(mt_pass *p, mt_task *const *tasks, int n) {
    const mt_task *last = tasks[n - 1];
    const mt_tensor *all = last->kind == MT_TASK_REDUCE ? last->in[0] : last->out[0];
    p->tasks = tasks, p->n = n, p->ndim = all->ndim, p->shape = all->shape, p->size = all->size;
    p->reduce = last->kind == MT_TASK_REDUCE ? last : NULL;
    p->n_values = p->n_loads = p->n_consts = p->n_materialized = 0;
    p->in_tiles = p->reduce != NULL;
    if (p->reduce && n == 1) mt_reduction_order(last, p->order);
    else
        for (int d = 0; d < p->ndim; d++) p->order[d] = d;
    for (int k = 0; k < n; k++)
        p->seen[k] = tasks[k] == p->reduce || seen(p, k), p->reused[k] = NULL;
    for (int k = 0; k < n; k++)
        if (!write_down(p, k)) return false;
    return give_tiles(p);
}

/* --- operands strided against the pass -------------------------------------------------------- */

/* Return whether a tile of this operand, in the pass's order, takes one cache line for each
 * element, while another order has rows.  A transposed matrix is the usual case. */
static bool strided_against(const mt_pass *p, const mt_tensor *t) {
    enum { LARGE = 1 << 15, A_ROW = 16 }; /* elements: what is smaller stays in the cache */
    int64_t size = MT_ITEMSIZE[t->dtype];
    if (p->reduce || t->size != p->size || t->size < LARGE || t->ndim != p->ndim) return false;
    bool rows = false;
    int last = t->ndim - 1;
    while (last > 0 && t->shape[last] == 1) last--;
    for (int d = 0; d < last; d++) rows |= t->strides[d] == size && t->shape[d] >= A_ROW;
    return rows && t->strides[last] != size;
}

void mt_materialize(mt_pass *p) {
    for (int i = 0; i < p->n_values; i++) {
        const mt_value *v = &p->values[i];
        if (v->kind != MT_LOAD || !strided_against(p, v->source)) continue;
        const mt_tensor *t = v->source;
        mt_materialized *s = &p->materialized[p->n_materialized];
        *s = (mt_materialized){.device = t->storage->device,
                               .nbytes = t->size * MT_ITEMSIZE[t->dtype]};
        if (!mt_block_reserve(s->device, s->nbytes, NULL)) return;
        p->n_materialized++;
        if (!(s->data = mt_block_commit(s->device, s->nbytes))) return;
        mt_operand in = mt_broadcast(t, p->ndim, p->shape),
                   straight = {.data = s->data, .dtype = t->dtype};
        int64_t step = MT_ITEMSIZE[t->dtype];
        for (int d = p->ndim - 1; d >= 0; step *= p->shape[d--]) straight.strides[d] = step;
        if (mt_run_copy(p->ndim, p->shape, &straight, &in) == 0)
            mt_walk_begin(&p->loads[v->walk], &straight, v->dtype, false, p->ndim, p->order,
                          p->shape);
    }
}

void mt_free_materialized(mt_pass *p) {
    for (int i = 0; i < p->n_materialized; i++)
        mt_block_free(p->materialized[i].device, p->materialized[i].data,
                      p->materialized[i].nbytes);
}

/* --- memory ----------------------------------------------------------------------------------- */

bool mt_give_memory(mt_pass *p) {
    for (int k = 0; k < p->n; k++) {
        mt_storage *storage = p->tasks[k]->out[0]->storage;
        if (!p->seen[k]) continue;
        p->reused[k] = storage->data || p->tasks[k] == p->reduce ? NULL : reusable_input(p, k);
        if (!p->reused[k] && mt_storage_own(storage) != MT_OK) return false;
    }
    for (int k = 0; k < p->n; k++) {
        if (!p->seen[k]) continue;
        if (p->reused[k]) { /* the walks know where it is */
            p->tasks[k]->out[0]->storage->data = p->reused[k]->data;
            p->reused[k]->data = NULL;
        }
        if (p->tasks[k] != p->reduce)
            p->values[p->result[k]].out = mt_tensor_data(p->tasks[k]->out[0]);
    }
    return true;
}
