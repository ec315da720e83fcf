/* What makes results. */
#ifndef MT_CREATE_H
#define MT_CREATE_H
#include "tensor/tensor.h"

/* Returns a tensor whose memory is reserved, and with `commit` committed; its storage may be
 * unbacked, when work is under way that may free some. NULL: no memory. */
mt_tensor *mt_tensor_empty(int device, int dtype, int ndim, const int64_t *shape, bool commit);

/* Returns a new tensor of zeros, or a call that has failed.  Large memory gets zero pages at the
 * call; 0: the memory is not large, or must be waited for.  The device is native. */
mt_ref mt_zero_pages(int device, int dtype, int ndim, const int64_t *shape);

/* Returns the only element if its value is there: mt_item without a wait. */
mt_number mt_item_now(mt_ref ref);

#endif
