/* Running tasks without the lock. */
#ifndef MT_TASK_RUN_H
#define MT_TASK_RUN_H
#include "tensor/task.h"

/* How tasks ended. */
typedef struct {
    int status;      /* MT_OK, or the status of the task that failed */
    void *exception; /* of a host task that raised; else NULL */
    char why[128];   /* an array kernel's sentence about its error; "": the status's own */
} mt_outcome;

/* Runs n tasks of a list, several as one pass.  Returns how many were done before one failed.  The
 * caller does not hold the lock. */
int mt_tasks_run(mt_task *first, int n, mt_outcome *outcome);
#endif
