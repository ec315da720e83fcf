/* Running tasks: from their tensors to the kernels' operands.  Uses no stream and takes no lock. */
#include <stdlib.h>

#include "executor/task_run.h"
#include "fusion/pass.h"
#include "fusion/reduce.h"
#include "kernels/isa.h"

/* Runs an array kernel and returns its status. */
static int run_arrays(const mt_task *task, char *why) {
    enum { FEW = 8 };
    int n = task->n_in + task->n_out;
    mt_array few[FEW], *arrays = n <= FEW ? few : malloc((size_t)n * sizeof *arrays);
    if (!arrays) return MT_MEMORY_ERROR;
    for (int i = 0; i < n; i++) {
        const mt_tensor *t = i < task->n_in ? task->in[i] : task->out[i - task->n_in];
        arrays[i] = (mt_array){.data = mt_tensor_data(t),
                               .shape = t->shape,
                               .strides = t->strides,
                               .size = t->size,
                               .ndim = t->ndim,
                               .dtype = t->dtype};
    }
    mt_arrays call = {.in = arrays,
                      .out = arrays + task->n_in,
                      .param = task->param,
                      .n_in = task->n_in,
                      .n_out = task->n_out,
                      .n_param = task->n_param,
                      .why = why};
    int status = mt_loops_of_machine()->arrays[task->op](&call);
    if (arrays != few) free(arrays);
    return status;
}

/* Runs a task and returns its status; fills in the rest of the outcome. */
static int run_one(mt_task *task, mt_outcome *outcome) {
    mt_tensor *out = task->n_out ? task->out[0] : NULL;
    int status = MT_OK;
    if (task->kind == MT_TASK_ELEMENTWISE && out->size) {
        mt_pass_run(&task, 1, &status);
        return status;
    }
    if (task->kind == MT_TASK_REDUCE) return mt_run_reduce(task);
    for (int i = 0; i < task->n_out && status == MT_OK; i++)
        status = mt_storage_own(task->out[i]->storage);
    if (status != MT_OK) return status;
    int bad = 0;
    switch (task->kind) {
    case MT_TASK_COPY: {
        mt_operand in = mt_broadcast(task->in[0], out->ndim, out->shape),
                   target = mt_broadcast(out, out->ndim, out->shape);
        bad = mt_run_copy(out->ndim, out->shape, &target, &in);
        break;
    }
    case MT_TASK_ARRAYS: return run_arrays(task, outcome->why);
    case MT_TASK_HOST:
        outcome->exception = mt_py_host(task->host);
        return outcome->exception ? MT_HOST_RAISED : MT_OK;
    case MT_TASK_ELEMENTWISE:
    case MT_TASK_REDUCE:
    case MT_TASK_EVENT:
    case MT_TASK_NOTHING: break;
    }
    return bad ? MT_OP_ERROR_STATUS[task->op] : MT_OK;
}

int mt_tasks_run(mt_task *first, int n, mt_outcome *outcome) {
    mt_task *tasks[MT_PASS_TASKS];
    outcome->status = MT_OK, outcome->exception = NULL, outcome->why[0] = 0;
    if (n > 1) {
        for (int k = 0; k < n; k++, first = first->next) tasks[k] = first;
        return mt_pass_run(tasks, n, &outcome->status);
    }
    outcome->status = run_one(first, outcome);
    return outcome->status == MT_OK;
}
