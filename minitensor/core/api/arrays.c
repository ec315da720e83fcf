/* Ops that are array kernels: from tensors and numbers to a task.  The callers, in Python, know the
 * shape of the result and have checked the arguments. */
#include <stdio.h>

#include "api/arrays.h"
#include "api/create.h"
#include "api/launch.h"
#include "executor/pending.h"
#include "executor/submit.h"
#include "generated/array_codes.h"
#include "kernels/isa.h"

static const char *const KINDS[] = {
#define ARRAY_KERNEL(name, kinds) kinds,
#include "generated/array_kernels_gen.h"
#undef ARRAY_KERNEL
};

int mt_array_kernels(void) { return MT_NUM_ARRAY_KERNELS; }

bool mt_array_kernel_has(int kernel, int device, int dtype) {
    const char *kinds = KINDS[kernel];
    if (!(mt_devices[device].flags & MT_DEVICE_NATIVE)) return false;
    char kind = MT_HAS_KERNELS[dtype] ? MT_KIND[dtype] : MT_COMPUTE[dtype] >= 0 ? 'h' : '*';
    return strchr(kinds, kind) || kinds[0] == '*';
}

static mt_ref launch(const mt_array_call *call, int n_out, mt_tensor **out) {
    mt_task task;
    mt_task_init(&task, MT_TASK_ARRAYS, call->kernel, out[0]->dtype);
    snprintf(task.host_op, sizeof task.host_op, "%s", call->op);
    task.in = call->in, task.n_in = call->n_in;
    task.out = out, task.n_out = n_out;
    task.param = call->param, task.n_param = call->n_param;
    task.borrows = true;
    for (int i = 0; i < n_out; i++) task.bytes += out[i]->size * MT_ITEMSIZE[out[i]->dtype];
    return mt_dispatch(&task, out[0]);
}

mt_ref mt_array_op(const mt_array_call *call, int device, int dtype, int ndim,
                   const int64_t *shape) {
    int of_inputs;
    mt_ref failed = call->n_in ? mt_check_device(call->op, call->n_in, call->in, &of_inputs) : 0;
    if (failed) return failed;
    if (call->n_in) device = of_inputs;
    int64_t size = ndim > MT_MAX_NDIM ? -1 : mt_size(ndim, shape);
    if (ndim > MT_MAX_NDIM)
        return mt_fail(call->op, MT_VALUE_ERROR, "%d dimensions, a tensor has at most %d", ndim,
                       MT_MAX_NDIM);
    mt_tensor *out = size < 0 ? NULL : mt_tensor_empty(device, dtype, ndim, shape, false);
    if (!out)
        return mt_no_memory(call->op, device, size < 0 ? INT64_MAX : size * MT_ITEMSIZE[dtype]);
    return launch(call, 1, &out);
}

mt_ref mt_array_op_into(const mt_array_call *call, int n_out, mt_tensor **out) {
    int device;
    mt_ref failed = mt_check_device(call->op, n_out, out, &device);
    if (!failed && call->n_in) failed = mt_check_device(call->op, call->n_in, call->in, &device);
    if (failed) return failed;
    mt_tensor_retain(out[0]);
    return launch(call, n_out, out);
}

mt_ref mt_make(const mt_array_call *call, int device, int dtype, int ndim, const int64_t *shape,
               int64_t at_once) {
    int64_t size = mt_size(ndim, shape);
    mt_tensor *t = size >= 0 && size * MT_ITEMSIZE[dtype] <= at_once
                       ? mt_tensor_empty(device, dtype, ndim, shape, true)
                       : NULL;
    if (!t || t->storage->unbacked) {
        if (t) mt_tensor_release(t);
        return mt_array_op(call, device, dtype, ndim, shape);
    }
    char why[MT_WHY];
    mt_array out = {.data = t->storage->data,
                    .shape = t->shape,
                    .strides = t->strides,
                    .size = t->size,
                    .ndim = t->ndim,
                    .dtype = t->dtype};
    mt_arrays arrays = {
        .out = &out, .n_out = 1, .param = call->param, .n_param = call->n_param, .why = why};
    mt_loops_of_machine()->arrays[call->kernel](&arrays); /* numbers that Python has checked */
    return mt_ref_of(t);
}
