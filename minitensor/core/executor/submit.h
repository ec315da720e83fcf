/* The executor's functions for the ops above it. */
#ifndef MT_SUBMIT_H
#define MT_SUBMIT_H
#include "tensor/task.h"

/* Runs a task on the caller's stack inline and returns its result, or returns a call.  The task
 * borrows its tensors; mt_dispatch owns `result`. */
mt_ref mt_dispatch(mt_task *task, mt_tensor *result);

/* Returns the stream that this thread's ops on a device go to. */
int mt_stream_current(int device);

/* Returns true if work is queued or running that may free memory and that this thread may await. */
bool mt_work_under_way(void);

#endif
