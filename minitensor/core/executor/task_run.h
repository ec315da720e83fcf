/* Running tasks without the lock. */
#ifndef MT_TASK_RUN_H
#define MT_TASK_RUN_H
#include "tensor/task.h"

/* Runs n tasks of a list, several as one pass.  Returns how many were done before one failed, and
 * its status; of a host task that raised, its exception.  Without a lock. */
int mt_tasks_run(mt_task *first, int n, int *status, void **exception);
#endif
