/* From an op to the executor. */
#ifndef MT_LAUNCH_H
#define MT_LAUNCH_H
#include "executor/pending.h"
#include "executor/submit.h"
#include "memory/allocator.h"
#include "tensor/task.h"

/* Fills a task on the stack, without tensors. */
static inline void mt_task_init(mt_task *task, int kind, int op, int compute) {
    task->next = NULL;
    task->kind = kind;
    task->op = op;
    task->compute = compute;
    task->axes = 0;
    task->host_op[0] = 0;
    task->host = NULL;
    task->borrows = false;
    task->cost = 0;
    task->event = NULL;
    task->site = 0;
    task->seq = 0;
    task->bytes = 0;
    task->n_in = task->n_out = task->n_wait = task->n_param = 0;
    task->in = task->few;
    task->out = task->few + 3;
    task->wait = task->few_waits;
}

/* Hands a task on the caller's stack to the executor; takes over out, borrows in.
 *
 * The caller of the op gets the result.  The task only borrows its inputs and its output: they are
 * held until the call returns, by the caller and by us, and a task that runs at its call needs no
 * more. */
static inline mt_ref mt_task_launch(mt_task *task, int n, mt_tensor **in, mt_tensor *out) {
    for (int i = 0; i < n; i++) task->in[i] = in[i];
    task->out[0] = out;
    task->borrows = true;
    task->n_in = n;
    task->n_out = 1;
    task->bytes = out->size * MT_ITEMSIZE[out->dtype];
    return mt_dispatch(task, out);
}

/* Finds the device of n inputs, numbers aside; 0, or a call that has failed. */
static inline mt_ref mt_check_device(const char *op, int n, mt_tensor **in, int *device) {
    *device = -1;
    for (int i = 0; i < n; i++) {
        if (in[i]->weak) continue;
        if (*device < 0) *device = in[i]->device;
        else if (in[i]->device != *device)
            return mt_fail(op, MT_RUNTIME_ERROR,
                           "its tensors lie on %s and on %s; bring them together with t.to(...)",
                           mt_devices[*device].name, mt_devices[in[i]->device].name);
    }
    if (*device < 0) *device = 0;
    if (atomic_load_explicit(&mt_devices[*device].lost, memory_order_relaxed))
        return mt_fail(op, MT_DEVICE_LOST, "%s", mt_devices[*device].why_lost);
    return 0;
}

#endif
