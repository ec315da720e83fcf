/* How much work a task is, and in which thread it runs.
 *
 * The problem.  A hand-off to a worker costs some 5 to 10 us.  An op of less work than some 20 us
 * is done sooner in its submitter's thread, but the number of its elements tells little: a row of a
 * large matrix is copied in a microsecond, and what an addition does in 20 us takes a sort
 * milliseconds.  A long op must go to the worker, or its submitter would stand still.  And ops that
 * run at their call, one by one, are no chain that a worker could fuse.
 *
 * The solution.  The effort of a task is an estimate in additions of float32, some 0.1 ns each:
 * elements that it reads or makes, by the cost of its op in the op table.  Up to inline_limit, a
 * task runs at its call.  Among those, a task that could be fused and is worth it (above a 16th
 * of the limit) is queued if the stream's recent tasks came as a chain: the one before went over as
 * many elements, and no thread has looked at a value since.  So the first op of a first chain runs
 * at its call, and the others are fused.  fusion_credit (worker.c) remembers the chain for the next
 * ones, until some tasks in a row were fused with no other.
 *
 * A thread that waits for queued work which no thread has begun runs it itself (wait.c), so a
 * wrong guess costs a queued task a few microseconds. */
#include "executor/executor.h"
#include "fusion/fuse.h"
#include "fusion/reduce.h"
#include "generated/array_codes.h"

/* The limit of small tasks is this part of inline_limit; an element of a host task counts as so
 * many additions. */
enum { SMALL = 16 };

static double elements(int n, mt_tensor *const *tensors) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)tensors[i]->size;
    return sum;
}

/* Returns how many words of four bytes an element of a dtype takes, at least 1. */
static double words(int dtype) { return MT_ITEMSIZE[dtype] > 4 ? MT_ITEMSIZE[dtype] / 4 : 1; }

static double of_arrays(const mt_task *task) {
    const uint8_t *cost = MT_ARRAY_COST[task->op];
    double reads = elements(task->n_in, task->in), makes = elements(task->n_out, task->out);
    double effort = cost[0] * reads + cost[1] * makes;
    if (task->op == MT_ARRAY_matmul) { /* a step for each element of a row, for each result */
        const mt_tensor *a = task->in[0];
        effort += makes * (double)a->shape[a->ndim - 1] / 4;
    }
    return effort * words(task->out[0]->dtype);
}

/* Returns true for an exponent whose powers are multiplications, divisions or roots (powers.h). */
static bool simple_exponent(mt_tensor *exponent) {
    mt_cast_fn cast = exponent->storage ? NULL : mt_cast_find(exponent->dtype, MT_DT_float64);
    double e = 0.25;
    if (cast) cast((char *)&e, 0, mt_tensor_data(exponent), 0, 1);
    return e == -1 || e == -0.5 || e == 0 || e == 0.5 || e == 1 || e == 2 || e == 3;
}

double mt_effort(const mt_task *task) {
    switch (task->kind) {
    case MT_TASK_ELEMENTWISE:
        if (task->op == MT_OP_pow && simple_exponent(task->in[1]))
            return words(task->compute) * (double)task->out[0]->size;
        return MT_OP_COST[task->op] * words(task->compute) * (double)task->out[0]->size;
    case MT_TASK_REDUCE:
        return MT_OP_COST[task->op] * words(task->in[0]->dtype) * (double)task->in[0]->size;
    case MT_TASK_COPY: {
        double in = words(task->in[0]->dtype), out = words(task->out[0]->dtype);
        return (in > out ? in : out) * (double)task->out[0]->size;
    }
    case MT_TASK_ARRAYS: return of_arrays(task);
    case MT_TASK_HOST: { /* what Python and NumPy do is not known, so a bound of its own */
        double in = elements(task->n_in, task->in), out = elements(task->n_out, task->out);
        return SMALL * (in > out ? in : out);
    }
    case MT_TASK_EVENT:
    case MT_TASK_NOTHING: break;
    }
    return 0;
}

/* Returns true if a task is worth queueing because others are likely to be fused with it.  Notes
 * it as the last one of its stream. */
static bool in_chain(mt_stream *s, const mt_task *task) {
    bool reduces = task->kind == MT_TASK_REDUCE, fusible = mt_fusible(task);
    int64_t size = reduces ? task->in[0]->size : fusible ? task->out[0]->size : 0;
    if (size && s->last_size == size && s->last_look == mt_exec.looks)
        s->fusion_credit = MT_FUSION_CREDIT;
    s->last_size = size;
    s->last_look = mt_exec.looks;
    return fusible && s->fusion_credit > 0; /* a reduction ends a pass: it begins none */
}

bool mt_inline_now(mt_stream *s, const mt_task *task) {
    if (mt_exec.gate_closed || !mt_idle(s)) return false;
    double effort = mt_effort(task), limit = (double)mt_exec.inline_limit;
    if (mt_exec.synchronous || effort <= limit / SMALL || mt_visible(task)) return true;
    if (effort <= limit) return !mt_exec.fusion || !in_chain(s, task);
    return mt_reduces_early(task);
}
