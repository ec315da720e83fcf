/* Tasks: one op each in the queue of a stream. */
#ifndef MT_TASK_H
#define MT_TASK_H
#include "tensor/tensor.h"

/* One op in a queue.  A task is data, so the worker can inspect it before it runs it. */
typedef struct mt_task {
    struct mt_task *next;
    enum {
        MT_TASK_ELEMENTWISE,
        MT_TASK_COPY,
        MT_TASK_REDUCE,
        MT_TASK_ARRAYS,
        MT_TASK_HOST,
        MT_TASK_EVENT,
        MT_TASK_NOTHING
    } kind;
    int op, compute;  /* code of the op, or of the array kernel; dtype of the computation */
    uint64_t axes;    /* of a reduction */
    char host_op[32]; /* name of a task that is no row of the op table */
    void *host;       /* handle of its Python function, until it has run */
    /* The task and the counts of its tensors are on the stack of a call that has not returned. */
    bool borrows;
    /* The size of a host task that waits for nothing else; 0 for others.  A small one may run
     * inline in the thread of its submitter, like a kernel, and a short one in a thread that
     * waits for it. */
    int64_t cost;
    mt_event *event;
    uint32_t site; /* the line of the program; Python keeps the table */
    uint64_t seq;
    /* Bytes of its outputs, for the bound on queued work. */
    int64_t bytes;
    int n_in, n_out, n_wait, n_param;
    /* Counted references, unless the task borrows; on the stack they point into `few`. */
    mt_tensor **in, **out;
    mt_param *param; /* numbers of the call of an array kernel */
    /* Marks of other streams that the task waits for. */
    mt_mark *wait;
    mt_tensor *few[4];
    mt_mark few_waits[8];
} mt_task;

#endif
