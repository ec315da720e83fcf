/* Ops that are not in the table: casts, copies, small matrix products, and work that the host
 * does. */
#include <stdio.h>

#include "api/create.h"
#include "api/launch.h"
#include "executor/pending.h"
#include "executor/submit.h"
#include "executor/task.h"

static bool copyable(int device, int from, int to) {
    return (mt_devices[device].flags & MT_DEVICE_NATIVE) && mt_cast_supported(from, to);
}

static mt_ref copy_into(const char *name, mt_tensor *target, mt_tensor *source) {
    mt_task task;
    mt_task_init(
        &task, copyable(target->device, source->dtype, target->dtype) ? MT_TASK_COPY : MT_TASK_HOST,
        -1, target->dtype);
    snprintf(task.host_op, sizeof task.host_op, "%s", name);
    return mt_task_launch(&task, 1, &source, target);
}

mt_ref mt_cast(mt_ref a, int dtype) {
    mt_tensor *in[] = {mt_t(a)};
    int device;
    mt_ref failed = mt_check_device("cast", 1, in, &device);
    if (failed) return failed;
    if (MT_KIND[in[0]->dtype] == 'c' && MT_KIND[dtype] != 'c' && MT_KIND[dtype] != 'b')
        return mt_fail(
            "cast", MT_TYPE_ERROR,
            "%s to %s would lose the imaginary part; take ops.real(t) or ops.abs(t) first",
            MT_DTYPE_NAME[in[0]->dtype], MT_DTYPE_NAME[dtype]);
    mt_tensor *out = mt_tensor_empty(device, dtype, in[0]->ndim, in[0]->shape, false);
    if (!out) return mt_no_memory("cast", device, in[0]->size * MT_ITEMSIZE[dtype]);
    return copy_into("cast", out, in[0]);
}

mt_ref mt_copy(mt_ref target_ref, mt_ref source_ref) {
    mt_tensor *target = mt_t(target_ref), *source = mt_t(source_ref), *in[] = {target, source};
    int device;
    mt_ref failed = mt_check_device("copy", 2, in, &device);
    if (failed) return failed;
    int shift = target->ndim - source->ndim;
    bool fits = true;
    for (int d = 0; d < source->ndim; d++)
        fits &= source->shape[d] == 1 ||
                (d + shift >= 0 && source->shape[d] == target->shape[d + shift]);
    if (!fits) {
        char from[100], to[100];
        mt_shape_text(from, sizeof from, source->ndim, source->shape);
        mt_shape_text(to, sizeof to, target->ndim, target->shape);
        return mt_fail("copy", MT_VALUE_ERROR, "a value of shape %s does not fit into %s", from,
                       to);
    }
    for (int d = 0; d < target->ndim; d++)
        if (target->size && target->strides[d] == 0 && target->shape[d] > 1)
            return mt_fail(
                "copy", MT_VALUE_ERROR,
                "the target is a broadcast view, whose elements share memory; write to t.copy()");
    if (MT_KIND[source->dtype] == 'c' && MT_KIND[target->dtype] != 'c')
        return mt_fail("copy", MT_TYPE_ERROR, "a complex value does not fit into %s",
                       MT_DTYPE_NAME[target->dtype]);
    if (source->weak) mt_forget_swap(target);
    mt_tensor_retain(target);
    return copy_into("copy", target, source);
}

mt_ref mt_host(const char *op, int device, int n_inputs, const mt_ref *inputs, int n_outputs,
               const mt_ref *outputs) {
    mt_call *call;
    mt_ref ref = mt_call_new(&call);
    mt_task *task = call->status == MT_MEMORY_ERROR ? NULL : mt_task_new(n_inputs, n_outputs, 0);
    if (!task) {
        mt_call_drop(ref);
        return mt_no_memory(op, device, (int64_t)sizeof(mt_task));
    }
    task->kind = MT_TASK_HOST;
    task->op = -1;
    snprintf(task->host_op, sizeof task->host_op, "%s", op);
    for (int i = 0; i < n_inputs; i++) mt_tensor_retain(task->in[i] = mt_t(inputs[i]));
    for (int i = 0; i < n_outputs; i++) {
        mt_tensor_retain(task->out[i] = mt_t(outputs[i]));
        task->bytes += task->out[i]->size * MT_ITEMSIZE[task->out[i]->dtype];
    }
    call->status = MT_HOST;
    call->task = task;
    call->stream = mt_stream_current(device);
    call->result = mt_t(n_outputs ? outputs[0] : mt_weak_int(0, 1));
    if (n_outputs) mt_tensor_retain(call->result);
    int ignored;
    mt_ref failed = mt_check_device(op, n_inputs, task->in, &ignored);
    if (!failed) return ref;
    mt_call_drop(ref);
    return failed;
}
