/* Pending calls: the target of a negative mt_ref. */
#ifndef MT_PENDING_H
#define MT_PENDING_H
#include "tensor/task.h"

/* A pending call: the target of a negative mt_ref. */
typedef struct mt_call {
    int status;
    bool queued; /* mt_submit has queued it and now waits for its end */
    uint64_t seq;
    int stream;
    uint64_t ended;  /* during a wait for memory: how many tasks had ended */
    double patience; /* and the time by which another one must end */
    char op[32];
    char message[256];
    mt_error *failed; /* the error of a task that failed inline; it lacks its site */
    mt_tensor *result;
    mt_task *task;
} mt_call;

static inline mt_call *mt_c(mt_ref ref) { return (mt_call *)(intptr_t)-ref; }

/* Returns a reference to a new call; without memory, to the static call that says so. */
mt_ref mt_call_new(mt_call **call);

/* Returns a call that has failed, with a message formatted as by printf. */
mt_ref mt_fail(const char *op, int status, const char *format, ...);

/* Returns a call that has failed for want of so many bytes on a device. */
mt_ref mt_no_memory(const char *op, int device, int64_t nbytes);

/* Writes the message of such a call. */
void mt_no_memory_text(char *text, size_t n, int device, int64_t nbytes);

/* Returns a call that only waits for memory; owns the result. */
mt_ref mt_call_for_memory(const char *op, mt_tensor *result);

#endif
