/* What makes results. */
#ifndef MT_CREATE_H
#define MT_CREATE_H
#include "api/arrays.h"
#include "tensor/tensor.h"

/* Returns a tensor whose memory is reserved, and with `commit` committed; its storage may be
 * unbacked, when work is under way that may free some. NULL: no memory. */
mt_tensor *mt_tensor_empty(int device, int dtype, int ndim, const int64_t *shape, bool commit);

/* Returns a new tensor of zeros, or a call that has failed.  Large memory gets zero pages at the
 * call; 0: the memory is not large, or must be waited for.  The device is native. */
mt_ref mt_zero_pages(int device, int dtype, int ndim, const int64_t *shape);

/* Returns a new tensor that an array kernel computes from numbers alone, or a call.  Up to
 * `at_once` bytes the kernel runs in this thread: nobody else knows the memory yet, so it needs no
 * stream.  The device is native. */
mt_ref mt_make(const mt_array_call *call, int device, int dtype, int ndim, const int64_t *shape,
               int64_t at_once);

#endif
