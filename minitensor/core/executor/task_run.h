/* Running tasks without the lock. */
#ifndef MT_TASK_RUN_H
#define MT_TASK_RUN_H
#include "tensor/task.h"

/* Runs n tasks of a list, several as one pass.  Returns how many were done before one failed.
 * *status is the status of the one that failed; *exception is the exception of a host task that
 * raised.  The caller does not hold the lock. */
int mt_tasks_run(mt_task *first, int n, int *status, void **exception);
#endif
