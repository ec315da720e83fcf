/* Tasks on the heap, and the events that they record. */
#ifndef MT_EXECUTOR_TASK_H
#define MT_EXECUTOR_TASK_H
#include "tensor/task.h"

/* Returns the name of a task's op. */
const char *mt_task_op(const mt_task *task);

/* Returns a task with room for n_in inputs, n_out outputs and n_param numbers; NULL: no memory. */
mt_task *mt_task_new(int n_in, int n_out, int n_param);

/* Frees a task with its counts.  May call Python, so no lock is held. */
void mt_task_free(mt_task *task);

#endif
