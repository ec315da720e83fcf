/* Calls that are not over: what a negative mt_ref points to. */
#ifndef MT_PENDING_H
#define MT_PENDING_H
#include "tensor/task.h"

/* A call that is not over: what a negative mt_ref points to. */
typedef struct mt_call {
    int status;
    bool queued; /* mt_submit has queued it and now waits for its end */
    uint64_t seq;
    int stream;
    uint64_t ended;  /* while it waits for memory: how many tasks had ended, */
    double patience; /* and until when another one has to */
    char op[32];
    char message[256];
    mt_error *failed; /* it ran at once and failed: the error lacks its site */
    mt_tensor *result;
    mt_task *task;
} mt_call;

static inline mt_call *mt_c(mt_ref ref) { return (mt_call *)(intptr_t)-ref; }

/* Returns a call, with its reference; without memory one that says so. */
mt_ref mt_call_new(mt_call **call);

/* Returns a call that has failed, with a message as printf makes it. */
mt_ref mt_fail(const char *op, int status, const char *format, ...);

/* Returns a call that has failed for want of so many bytes on a device. */
mt_ref mt_no_memory(const char *op, int device, int64_t nbytes);

/* Writes the message of such a call. */
void mt_no_memory_text(char *text, size_t n, int device, int64_t nbytes);

/* Returns a call that has nothing to do but to wait for memory; takes over the result. */
mt_ref mt_call_for_memory(const char *op, mt_tensor *result);

#endif
