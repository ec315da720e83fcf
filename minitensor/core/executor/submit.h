/* The executor's functions for the ops above it. */
#ifndef MT_SUBMIT_H
#define MT_SUBMIT_H
#include "tensor/task.h"

/* Runs a task on the caller's stack inline and returns its result, or returns a call.  The task
 * borrows its tensors; mt_dispatch owns `result`. */
mt_ref mt_dispatch(mt_task *task, mt_tensor *result);

/* A host task that its submitter's thread runs itself, with the GIL, in place of mt_dispatch. */
typedef struct {
    struct mt_stream *stream, *outer;
    unsigned born;
    uint64_t seq; /* 0: it runs beside the streams */
} mt_host_run;

/* Begins such a task, which is on the caller's stack and borrows its tensors; false: it has to go
 * the way of mt_submit. */
bool mt_host_begin(mt_task *task, mt_host_run *h);

/* Ends it.  exception: what mt_py_host would have returned; NULL: it did not fail. */
void mt_host_end(mt_task *task, const mt_host_run *h, void *exception);

/* Returns the stream that this thread's ops on a device go to. */
int mt_stream_current(int device);

/* Exports the private memory of a tensor that has its value and that no task uses, as mt_export
 * does; false: it is not such a tensor. */
bool mt_export_idle(const mt_tensor *tensor, mt_memory *out);

/* Copies the first n bytes of a tensor if it has its value and no error; else returns false. */
bool mt_read_now(const mt_tensor *t, void *out, size_t n);

/* Returns true if work is queued or running that may free memory and that this thread may await. */
bool mt_work_under_way(void);

#endif
