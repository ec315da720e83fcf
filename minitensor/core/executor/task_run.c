/* Running tasks: from their tensors to the kernels' operands.  Uses no stream and takes no lock. */
#include "executor/task_run.h"
#include "fusion/pass.h"
#include "fusion/reduce.h"

/* Runs a task and returns its status; *exception is set if a host task raised. */
static int run_one(mt_task *task, void **exception) {
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
    case MT_TASK_MATMUL: {
        const mt_tensor *a = task->in[0], *b = task->in[1];
        mt_operand left = mt_broadcast(a, 2, a->shape), right = mt_broadcast(b, 2, b->shape);
        mt_run_matmul(task->compute, a->shape[0], a->shape[1], b->shape[1], mt_tensor_data(out),
                      &left, &right);
        break;
    }
    case MT_TASK_HOST:
        *exception = mt_py_host(task->host);
        return *exception ? MT_HOST_RAISED : MT_OK;
    case MT_TASK_ELEMENTWISE:
    case MT_TASK_REDUCE:
    case MT_TASK_EVENT:
    case MT_TASK_NOTHING: break;
    }
    return bad ? MT_OP_ERROR_STATUS[task->op] : MT_OK;
}

int mt_tasks_run(mt_task *first, int n, int *status, void **exception) {
    mt_task *tasks[MT_PASS_TASKS];
    if (n > 1) {
        for (int k = 0; k < n; k++, first = first->next) tasks[k] = first;
        return mt_pass_run(tasks, n, status);
    }
    *status = run_one(first, exception);
    return *status == MT_OK;
}
