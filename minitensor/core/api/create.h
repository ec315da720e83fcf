/* What makes results. */
#ifndef MT_CREATE_H
#define MT_CREATE_H
#include "tensor/tensor.h"

/* Returns a tensor whose memory is promised, or with `take` taken; its storage may be bare, when work is under way that may free some.
 * NULL: no memory. */
mt_tensor *mt_tensor_empty(int device, int dtype, int ndim, const int64_t *shape, bool take);
#endif
