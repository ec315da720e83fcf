/* The executor's doors for the ops above it. */
#ifndef MT_SUBMIT_H
#define MT_SUBMIT_H
#include "tensor/task.h"

/* Runs a task on the caller's stack at once, or returns a call.  The task borrows its tensors;
 * takes over the result. */
mt_ref mt_dispatch(mt_task *task, mt_tensor *result);

/* Returns the stream that this thread's ops on a device go to. */
int mt_stream_current(int device);

/* Returns true if there is work that may free memory, and that this thread may wait for. */
bool mt_work_under_way(void);

#endif
