/* Indexing by a mask. */
#include "api/arrays.h"
#include "api/masking.h"
#include "generated/array_codes.h"
#include "kernels/isa.h"

bool mt_masks(const mt_tensor *mask, const mt_tensor *base) {
    return mask->dtype == MT_DT_bool && mask->ndim && mask->ndim <= base->ndim &&
           mask->device == base->device && (mt_devices[mask->device].flags & MT_DEVICE_NATIVE) &&
           memcmp(mask->shape, base->shape, (size_t)mask->ndim * sizeof *mask->shape) == 0 &&
           mt_contiguous(mask) && mt_contiguous(base);
}

static mt_array array_of(const mt_tensor *t) {
    return (mt_array){.data = mt_tensor_data(t),
                      .shape = t->shape,
                      .strides = t->strides,
                      .size = t->size,
                      .ndim = t->ndim,
                      .dtype = t->dtype};
}

int64_t mt_count_true(const mt_tensor *mask) {
    if (!mask->size) return 0;
    int64_t count, one = 1;
    char why[MT_WHY];
    mt_array in = array_of(mask), out = {.data = (char *)&count,
                                         .shape = &one,
                                         .strides = &one,
                                         .size = 1,
                                         .ndim = 1,
                                         .dtype = MT_DT_int64};
    mt_arrays call = {.in = &in, .out = &out, .n_in = 1, .n_out = 1, .why = why};
    int status = mt_loops_of_machine()->arrays[MT_ARRAY_count_true](&call);
    return status == MT_OK ? count : -1;
}

/* Returns true if the value is one row or element for each True element. */
static bool one_for_each(const mt_tensor *v, const mt_tensor *base, const mt_tensor *mask,
                         int64_t count) {
    int rest = base->ndim - mask->ndim;
    return v->ndim == rest + 1 && v->shape[0] == count && v->dtype == base->dtype &&
           mt_contiguous(v) &&
           memcmp(v->shape + 1, base->shape + mask->ndim, (size_t)rest * sizeof *v->shape) == 0;
}

static mt_ref assign(const char *op, mt_tensor *base, mt_tensor *mask, mt_tensor *value,
                     int64_t count) {
    mt_tensor *in[] = {value, mask};
    mt_array_call call = {.op = op, .n_in = 2, .in = in};
    bool one = value->size == 1 && !value->ndim;
    bool castable = mt_cast_supported(value->dtype, base->dtype) &&
                    (MT_KIND[value->dtype] != 'c' || MT_KIND[base->dtype] == 'c');
    if (one ? !castable : !one_for_each(value, base, mask, count)) return 0;
    call.kernel = one ? MT_ARRAY_mask_fill : MT_ARRAY_mask_put;
    return mt_array_op_into(&call, 1, &base);
}

mt_ref mt_mask_op(int what, const char *op, mt_tensor *base, mt_tensor *mask, mt_tensor *value,
                  int64_t count) {
    int64_t shape[MT_MAX_NDIM + 1] = {count};
    if (what == MT_MASK_SET) return assign(op, base, mask, value, count);
    if (what == MT_MASK_GET) {
        mt_tensor *in[] = {base, mask};
        mt_array_call call = {.kernel = MT_ARRAY_compress, .op = op, .n_in = 2, .in = in};
        int rest = base->ndim - mask->ndim;
        for (int d = 0; d < rest; d++) shape[d + 1] = base->shape[mask->ndim + d];
        return mt_array_op(&call, base->device, base->dtype, rest + 1, shape);
    }
    mt_param columns = {.i = what == MT_MASK_COORDINATES};
    mt_array_call call = {.kernel = MT_ARRAY_nonzero,
                          .op = op,
                          .n_in = 1,
                          .n_param = 1,
                          .in = &mask,
                          .param = &columns};
    shape[columns.i] = count, shape[!columns.i] = mask->ndim;
    return mt_array_op(&call, mask->device, MT_DT_int64, 2, shape);
}
