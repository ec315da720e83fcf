/* Tasks, as data. */
#ifndef MT_TASK_H
#define MT_TASK_H
#include "tensor/tensor.h"

/* One unit of work of a stream.  Data, not code: the worker sees what it is before it runs it. */
typedef struct mt_task {
    struct mt_task *next;
    enum {
        MT_TASK_ELEMENTWISE,
        MT_TASK_COPY,
        MT_TASK_REDUCE,
        MT_TASK_MATMUL,
        MT_TASK_HOST,
        MT_TASK_EVENT,
        MT_TASK_NOTHING
    } kind;
    int op, compute;  /* the op's code; the dtype it computes in */
    uint64_t axes;    /* of a reduction */
    char host_op[32]; /* a host task's name */
    void *host;       /* its handle, until it has run */
    bool
        borrows; /* it lies on the stack of a call that is under way, and so do the counts of its tensors */
    int64_t
        cost; /* a host task's size, if it waits for nobody: a small one may run in its submitter's thread, like a kernel, and
                 a short one in that of somebody who waits for it; 0: neither */
    mt_event *event;
    uint32_t site; /* the user's line; Python keeps the table */
    uint64_t seq;
    int64_t bytes; /* of its outputs, for the bound on queued work */
    int n_in, n_out, n_wait;
    mt_tensor **in,
        **out;     /* counted references, unless it borrows; on the stack they point into `few` */
    mt_mark *wait; /* other streams' work that has to be over first */
    mt_tensor *few[4];
    mt_mark few_waits[8];
} mt_task;

#endif
