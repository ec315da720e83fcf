/* Ops that choose by a mask. */
#ifndef MT_API_MASKING_H
#define MT_API_MASKING_H
#include "tensor/tensor.h"

/* What mt_mask_op computes. */
enum mt_mask_what { MT_MASK_GET, MT_MASK_SET, MT_MASK_PLACES, MT_MASK_COORDINATES };

/* Returns true if the kernels can read the mask, and `base`, which it masks: both in C order, and
 * the mask's shape begins that of base. */
bool mt_masks(const mt_tensor *mask, const mt_tensor *base);

/* Returns how many elements of a mask are True; -1: no memory.  The caller has waited for it. */
int64_t mt_count_true(const mt_tensor *mask);

/* Returns base[mask]; for MT_MASK_SET base, with a new count, after base[mask] = value; for the
 * others the places of True, (count, ndim) or (ndim, count).  0: the value does not fit. */
mt_ref mt_mask_op(int what, const char *op, mt_tensor *base, mt_tensor *mask, mt_tensor *value,
                  int64_t count);
#endif
