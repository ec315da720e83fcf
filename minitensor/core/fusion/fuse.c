/* Which tasks of a queue can be done as one pass.
 *
 * The problem.  y = log(exp(x) + x) is three tasks, each of which reads its operands from memory
 * and writes its result there: for large tensors the processor waits for memory most of the time,
 * and two of the results are thrown away.
 *
 * The solution.  A stream's worker sees its queue.  Tasks that follow each other and go over the
 * same elements in the same order are done together, tile by tile (execute.c): a tile of each
 * result is still in the nearest cache when the next task reads it, and a result that is
 * unreachable is never written at all.
 *
 * What must not change is any value.  Element i of each task is computed by the same kernel from
 * the same operands as if the tasks ran one after the other; only the order between elements
 * differs.  So it is enough that no task of the group reads or writes, for its element i, what
 * another one writes for its element j.  Hence the rule for a storage that is written in the group:
 * all tasks of the group that touch it do so by one and the same view, whose shape is the group's.
 * Storages that are only read may be looked at in any way.
 *
 * Left alone are tasks that may fail (integer division), so that an error still keeps its
 * dependents from running; those whose memory others look at without our knowing (NumPy,
 * share_memory_), because two storages may be the same memory there; and those whose inputs are
 * errors. */
#include "fusion/fuse.h"
#include "fusion/pass.h"

static bool fusable_storage(const mt_storage *s) { return !s->error && !mt_storage_visible(s); }

static bool may_fail(const mt_task *task) {
    return MT_OP_ERROR_TEXT[task->op][0] && MT_KIND[task->compute] != 'f';
}

bool mt_fusible(const mt_task *task) {
    if (task->kind == MT_TASK_COPY) {
        const mt_tensor *in = task->in[0], *out = task->out[0];
        if (MT_COMPUTE[in->dtype] < 0 || MT_COMPUTE[out->dtype] < 0 || !mt_contiguous(out))
            return false;
        if (in->size != 1 && !(mt_same_shape(in, out) && mt_contiguous(in)))
            return false; /* copy.c has better ways to transpose */
    } else if (task->kind != MT_TASK_ELEMENTWISE || may_fail(task)) return false;
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage && !fusable_storage(task->in[i]->storage)) return false;
    return fusable_storage(task->out[0]->storage) && task->out[0]->size > 0;
}

/* What the group does with a storage so far. */
typedef struct {
    const mt_storage *storage;
    const mt_tensor *view; /* by which it is touched */
    bool written, several; /* there are more views than this one */
} touched;

static touched *find(touched *seen, int n, const mt_storage *storage) {
    for (int i = 0; i < n; i++)
        if (seen[i].storage == storage) return &seen[i];
    return NULL;
}

static bool agrees(touched *seen, int n, const mt_task *task) {
    for (int i = 0; i < task->n_in; i++) {
        const touched *t = find(seen, n, task->in[i]->storage);
        if (t && t->written && !mt_same_view(t->view, task->in[i])) return false;
        if (task->in[i]->storage == task->out[0]->storage &&
            !mt_same_view(task->in[i], task->out[0]))
            return false;
    }
    const touched *t = find(seen, n, task->out[0]->storage);
    return !t || (!t->several && mt_same_view(t->view, task->out[0]));
}

static int note(touched *seen, int n, const mt_tensor *view, bool written) {
    if (!view->storage) return n; /* a number, which no other task has */
    touched *t = find(seen, n, view->storage);
    if (!t) {
        seen[n] = (touched){view->storage, view, written, false};
        return n + 1;
    }
    t->written |= written;
    t->several |= !mt_same_view(t->view, view);
    return n;
}

/* Return whether a reduction can end the pass: the pass makes its operand, and the elements of each
 * result follow each other. */
static bool folds(const mt_task *first, int n, const mt_task *task,
                  bool (*ready)(const mt_task *)) {
    const mt_tensor *in = task->in[0];
    int kept = 0;
    while (kept < in->ndim && !(task->axes >> kept & 1)) kept++;
    bool trailing = task->axes == (((uint64_t)1 << in->ndim) - 1) >> kept << kept, made = false;
    for (const mt_task *one = first; n > 0; one = one->next, n--)
        if (one->out[0]->storage == in->storage) made = mt_same_view(one->out[0], in);
    return trailing && made && fusable_storage(task->out[0]->storage) && in->size > 0 &&
           ready(task);
}

int mt_fuse(const mt_task *first, bool (*ready)(const mt_task *)) {
    touched seen[4 * MT_PASS_TASKS];
    int n = 0, known = 0;
    for (const mt_task *task = first; task && n < MT_PASS_TASKS; task = task->next, n++) {
        if (task->kind == MT_TASK_REDUCE)
            return n > 0 && folds(first, n, task, ready) ? n + 1 : n > 0 ? n : 1;
        if (!mt_fusible(task) || !mt_same_shape(task->out[0], first->out[0]) ||
            !agrees(seen, known, task) || !ready(task))
            break;
        for (int i = 0; i < task->n_in; i++) known = note(seen, known, task->in[i], false);
        known = note(seen, known, task->out[0], true);
    }
    return n > 0 ? n : 1;
}
