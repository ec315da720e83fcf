/* Ops that are array kernels. */
#ifndef MT_API_ARRAYS_H
#define MT_API_ARRAYS_H
#include "kernels/kernels.h"

/* A call of an array kernel: MT_ARRAY_<kernel>, by the op that its errors name. */
typedef struct {
    int kernel;
    const char *op;
    int n_in, n_param;
    mt_tensor **in;
    mt_param *param;
} mt_array_call;

/* Returns how many array kernels there are; their codes count from 0. */
int mt_array_kernels(void);

/* Returns true if the device has array kernels, and this one computes in the dtype. */
bool mt_array_kernel_has(int kernel, int device, int dtype);

/* Computes one new tensor; without inputs on `device`, else where they are. */
mt_ref mt_array_op(const mt_array_call *call, int device, int dtype, int ndim,
                   const int64_t *shape);

/* Computes into existing tensors, which share no memory with the inputs.  Returns the first with a
 * new count. */
mt_ref mt_array_op_into(const mt_array_call *call, int n_out, mt_tensor **out);

/* Returns a new tensor that an array kernel computes from numbers alone, or a call.  Up to
 * `at_once` bytes the kernel runs in this thread: nobody else knows the memory yet, so it needs no
 * stream.  The device is native. */
mt_ref mt_make(const mt_array_call *call, int device, int dtype, int ndim, const int64_t *shape,
               int64_t at_once);

#endif
