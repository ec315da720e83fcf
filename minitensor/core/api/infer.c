/* From an op and its inputs to a task: what dtype it computes in, what it returns, and whether a
 * kernel can do it.
 *
 * All checks of shapes and dtypes are here, before anything is allocated or queued, so that a
 * user's mistake rises at the call that makes it.  What passes is handed to the executor as a
 * task. */
#include <stdio.h>

#include "api/create.h"
#include "api/launch.h"
#include "executor/pending.h"

static int rank(int dtype) {
    switch (MT_KIND[dtype]) {
    case 'b': return 0;
    case 'i':
    case 'u': return 1;
    case 'f': return 2;
    default: return 3;
    }
}

/* Tensors promote among themselves; a Python scalar changes the outcome only when its kind is a
 * higher one. */
static int promote(int n, mt_tensor **in, bool comparing) {
    int dtype = -1, highest = -1;
    for (int i = 0; i < n; i++) {
        if (in[i]->weak) highest = rank(in[i]->dtype) > highest ? rank(in[i]->dtype) : highest;
        else dtype = dtype < 0 ? in[i]->dtype : MT_PROMOTE[dtype][in[i]->dtype];
    }
    static const int by_rank[] = {MT_DT_bool, MT_DT_int64, MT_DT_float32, MT_DT_complex64};
    if (dtype < 0) return by_rank[highest];
    if (highest > rank(dtype))
        return highest == 3 && dtype == MT_DT_float64 ? MT_DT_complex128 : by_rank[highest];
    if (!comparing || rank(dtype) != 1) return dtype;
    for (int i = 0; i < n; i++) { /* int8 < 300 has an answer, though 300 is no int8 */
        if (!in[i]->weak || in[i]->dtype != MT_DT_int64) continue;
        int64_t value = in[i]->value.i;
        int bits = 8 * MT_ITEMSIZE[dtype];
        bool fits = MT_KIND[dtype] == 'u'
                        ? value >= 0 && (bits == 64 || value >> bits == 0)
                        : bits == 64 || (value >> (bits - 1)) == (value < 0 ? -1 : 0);
        if (!fits) return dtype == MT_DT_uint64 ? MT_DT_float64 : MT_DT_int64;
    }
    return dtype;
}

static bool takes(const char *kinds, int dtype) { return strchr(kinds, MT_KIND[dtype]) != NULL; }

/* A scalar of its own dtype as one operand among kernels: complex numbers have none. */
static bool all_castable(int n, mt_tensor **in, int first, int compute) {
    for (int i = first; i < n; i++)
        if (!mt_cast_supported(in[i]->dtype, compute)) return false;
    return true;
}

static mt_ref broadcast(const char *op, int n, mt_tensor **in, int *ndim, int64_t *shape) {
    *ndim = 0;
    for (int i = 0; i < n; i++) *ndim = in[i]->ndim > *ndim ? in[i]->ndim : *ndim;
    for (int d = 0; d < *ndim; d++) shape[d] = 1;
    for (int i = 0; i < n; i++) {
        int shift = *ndim - in[i]->ndim;
        for (int d = 0; d < in[i]->ndim; d++) {
            int64_t length = in[i]->shape[d];
            if (length == 1) continue;
            if (shape[shift + d] == 1) shape[shift + d] = length;
            else if (shape[shift + d] != length) {
                char shapes[200] = "";
                size_t used = 0;
                for (int k = 0; k < n && used < sizeof shapes - 8; k++) {
                    if (k)
                        used += (size_t)snprintf(shapes + used, sizeof shapes - used,
                                                 k == n - 1 ? " and " : ", ");
                    mt_shape_text(shapes + used, sizeof shapes - used, in[k]->ndim, in[k]->shape);
                    used = strlen(shapes);
                }
                return mt_fail(op, MT_VALUE_ERROR, "shapes %s do not broadcast", shapes);
            }
        }
    }
    return 0;
}

static mt_ref elementwise(int op, int n, mt_tensor **in) {
    const char *name = MT_OP_NAME[op];
    int device, ndim;
    int64_t shape[MT_MAX_NDIM];
    int rule = MT_OP_RULE[op], first = rule == MT_RULE_where ? 1 : 0;
    mt_ref failed = mt_check_device(name, n, in, &device);
    if (failed) return failed;
    int compute = promote(n - first, in + first, rule == MT_RULE_compare);
    if (rule == MT_RULE_float || rule == MT_RULE_test) compute = MT_TO_FLOAT[compute];
    else if (rule == MT_RULE_logical) compute = MT_DT_bool;
    if (!takes(MT_OP_KINDS[op], compute))
        return mt_fail(name, MT_TYPE_ERROR, "not defined for %s", MT_DTYPE_NAME[compute]);
    failed = broadcast(name, n, in, &ndim, shape);
    if (failed) return failed;
    bool to_bool = rule == MT_RULE_compare || rule == MT_RULE_logical || rule == MT_RULE_test;
    int dtype = to_bool ? MT_DT_bool : compute;
    int64_t size = mt_size(ndim, shape);
    mt_tensor *out = size < 0 ? NULL : mt_tensor_empty(device, dtype, ndim, shape, false);
    if (!out) return mt_no_memory(name, device, size < 0 ? INT64_MAX : size * MT_ITEMSIZE[dtype]);
    bool kernel = (mt_devices[device].flags & MT_DEVICE_NATIVE) &&
                  mt_kernel_find(op, mt_kernel_dtype(op, compute)) &&
                  all_castable(n, in, first, compute) &&
                  (!first || mt_cast_supported(in[0]->dtype, MT_DT_bool));
    mt_task task;
    mt_task_init(&task, kernel ? MT_TASK_ELEMENTWISE : MT_TASK_HOST, op, compute);
    return mt_task_launch(&task, n, in, out);
}

mt_ref mt_unary(int op, mt_ref a) {
    mt_tensor *in[] = {mt_t(a)};
    return elementwise(op, 1, in);
}

mt_ref mt_binary(int op, mt_ref a, mt_ref b) {
    mt_tensor *in[] = {mt_t(a), mt_t(b)};
    return elementwise(op, 2, in);
}

/* A number that joins for the length of the call, and lies on the stack as long; a task that is
 * queued takes a copy of it. */
static mt_ref with_number(int op, mt_ref a, mt_tensor *number, int reflected) {
    mt_ref b = mt_ref_of(number);
    return reflected ? mt_binary(op, b, a) : mt_binary(op, a, b);
}

mt_ref mt_binary_int(int op, mt_ref a, int64_t b, int reflected) {
    return with_number(
        op, a,
        &(mt_tensor){
            .size = 1, .dtype = MT_DT_int64, .device = -1, .weak = MT_ON_STACK, .value.i = b},
        reflected);
}

mt_ref mt_binary_float(int op, mt_ref a, double b, int reflected) {
    return with_number(
        op, a,
        &(mt_tensor){
            .size = 1, .dtype = MT_DT_float64, .device = -1, .weak = MT_ON_STACK, .value.f = b},
        reflected);
}

mt_ref mt_ternary(int op, mt_ref a, mt_ref b, mt_ref c) {
    mt_tensor *in[] = {mt_t(a), mt_t(b), mt_t(c)};
    return elementwise(op, 3, in);
}

static int reduce_compute(int op, int input, int dtype) {
    if (dtype >= 0) return MT_OP_RULE[op] == MT_RULE_float ? MT_TO_FLOAT[dtype] : dtype;
    switch (MT_OP_RULE[op]) {
    case MT_RULE_sum:
        return MT_KIND[input] == 'u' ? MT_DT_uint64 : rank(input) < 2 ? MT_DT_int64 : input;
    case MT_RULE_float: return MT_TO_FLOAT[input];
    case MT_RULE_logical: return MT_DT_bool;
    default: return input;
    }
}

mt_ref mt_reduce(int op, mt_ref a, uint64_t axes, int keepdims, int dtype) {
    mt_tensor *in[] = {mt_t(a)}, *t = in[0];
    const char *name = MT_OP_NAME[op];
    int device, ndim = 0;
    int64_t shape[MT_MAX_NDIM];
    mt_ref failed = mt_check_device(name, 1, in, &device);
    if (failed) return failed;
    int compute = reduce_compute(op, t->dtype, dtype);
    if (!takes(MT_OP_KINDS[op], compute))
        return mt_fail(name, MT_TYPE_ERROR, "not defined for %s", MT_DTYPE_NAME[compute]);
    int64_t reduced = 1;
    for (int d = 0; d < t->ndim; d++) {
        bool gone = axes >> d & 1;
        if (gone) reduced *= t->shape[d];
        if (!gone || keepdims) shape[ndim++] = gone ? 1 : t->shape[d];
    }
    if (reduced == 0 &&
        (op == MT_OP_amin || op == MT_OP_amax || op == MT_OP_argmin || op == MT_OP_argmax))
        return mt_fail(name, MT_VALUE_ERROR,
                       "nothing to choose from: the reduced dimensions have no elements");
    int out_dtype = MT_OP_RULE[op] == MT_RULE_index ? MT_DT_int64 : compute;
    mt_tensor *out = mt_tensor_empty(device, out_dtype, ndim, shape, false);
    if (!out) return mt_no_memory(name, device, mt_size(ndim, shape) * MT_ITEMSIZE[out_dtype]);
    /* A walk (walk.h) casts once, so it can't round to a half type and then widen. */
    bool kernel = (mt_devices[device].flags & MT_DEVICE_NATIVE) && MT_COMPUTE[compute] >= 0 &&
                  mt_cast_supported(t->dtype, compute) &&
                  (mt_fold_dtype(op, compute) == compute || t->dtype == compute);
    mt_task task;
    mt_task_init(&task, kernel ? MT_TASK_REDUCE : MT_TASK_HOST, op, compute);
    task.axes = axes;
    return mt_task_launch(&task, 1, in, out);
}
