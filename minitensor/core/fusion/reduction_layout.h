/* How a reduction's output lies beside its input. */
#ifndef MT_REDUCTION_LAYOUT_H
#define MT_REDUCTION_LAYOUT_H
#include "tensor/task.h"

enum { MT_FOLD_RUN = 8 * MT_TILE }; /* elements that are folded at once */

/* Returns the output as an operand of the input's dimensions, with stride 0 where it reduces. */
mt_operand mt_reduced_operand(const mt_tensor *out, const mt_tensor *in, uint64_t axes);

/* Returns the dtype in which the fold returns its results. */
int mt_fold_result(const mt_task *task);

/* Returns how many dimensions of the input stay. */
int mt_dims_kept(const mt_task *task);

/* Orders the input's dimensions: those that stay, then those that go, each the widest stride
 * first. */
void mt_reduction_order(const mt_task *task, int *order);

/* What a sum over `count` elements is divided by: 1 for a sum itself. */
double mt_divisor(const mt_task *task, int64_t count);

#endif
