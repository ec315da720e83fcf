/* Reductions: the essay is in reduce.c. */
#ifndef MT_REDUCE_H
#define MT_REDUCE_H
#include "tensor/task.h"

/* Gives the output of a reduction memory and its values; a status. */
int mt_run_reduce(mt_task *task);

/* Returns true if the task is any or all, and the first elements of its input, which is ready,
 * decide. */
bool mt_reduces_early(const mt_task *task);
#endif
