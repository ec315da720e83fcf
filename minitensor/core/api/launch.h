/* From an op to the executor. */
#ifndef MT_LAUNCH_H
#define MT_LAUNCH_H
#include "tensor/task.h"

/* Fills a task on the stack, without tensors. */
void mt_task_init(mt_task *task, int kind, int op, int compute);

/* Hands a task on the caller's stack to the executor; takes over out, borrows in. */
mt_ref mt_task_launch(mt_task *task, int n, mt_tensor **in, mt_tensor *out);

/* Finds the device of n inputs, numbers aside; 0, or a call that has failed. */
mt_ref mt_check_device(const char *op, int n, mt_tensor **in, int *device);

#endif
