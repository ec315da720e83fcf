/* The product of two small matrices: kernels/matmul.c. */
#include <stdio.h>

#include "api/create.h"
#include "api/launch.h"
#include "executor/pending.h"

enum { SMALL = 32 * 32 * 32 }; /* multiplications */

mt_ref mt_matmul(mt_ref a_ref, mt_ref b_ref) {
    mt_tensor *a = mt_t(a_ref), *b = mt_t(b_ref);
    if (a->ndim != 2 || b->ndim != 2 || a->dtype != b->dtype || MT_KIND[a->dtype] != 'f') return 0;
    if (a->device != b->device || !(mt_devices[a->device].flags & MT_DEVICE_NATIVE) ||
        a->shape[1] != b->shape[0])
        return 0;
    int64_t shape[] = {a->shape[0], b->shape[1]}, inner = a->shape[1];
    if (!a->size || !b->size || a->size > SMALL || b->size > SMALL ||
        shape[0] * inner * shape[1] > SMALL)
        return 0;
    if (atomic_load_explicit(&mt_devices[a->device].lost, memory_order_relaxed)) return 0;
    mt_tensor *out = mt_tensor_empty(a->device, a->dtype, 2, shape, false);
    if (!out) return mt_no_memory("matmul", a->device, shape[0] * shape[1] * MT_ITEMSIZE[a->dtype]);
    mt_task task;
    mt_task_init(&task, MT_TASK_MATMUL, -1, a->dtype);
    snprintf(task.host_op, sizeof task.host_op, "matmul");
    return mt_task_launch(&task, 2, (mt_tensor *[]){a, b}, out);
}
