/* Pending calls: errors not yet raised, and tasks not yet queued.
 *
 * They are objects, not thread-local state, because a signal handler or a finalizer may call an op
 * after a call has returned to Python and before Python reads its status. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "executor/executor.h"
#include "executor/pending.h"

/* The call that is returned when there is no memory for a call. */
static mt_call out_of_memory = {
    .status = MT_MEMORY_ERROR, .op = "call", .message = "no memory left, not even for the error"};

mt_ref mt_call_new(mt_call **call) {
    *call = calloc(1, sizeof **call);
    if (!*call) *call = &out_of_memory;
    return -(mt_ref)(intptr_t)*call;
}

mt_ref mt_fail(const char *op, int status, const char *format, ...) {
    mt_call *call;
    mt_ref ref = mt_call_new(&call);
    if (call == &out_of_memory) return ref;
    call->status = status;
    snprintf(call->op, sizeof call->op, "%s", op);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->message, sizeof call->message, format, arguments);
    va_end(arguments);
    return ref;
}

void mt_no_memory_text(char *text, size_t n, int device, int64_t nbytes) {
    if (device < 0) device = 0;
    mt_memory_stats stats;
    mt_device_stats(device, &stats);
    char limit[64] = "";
    if (stats.capacity) snprintf(limit, sizeof limit, " of its %lld", (long long)stats.capacity);
    snprintf(
        text, n,
        "no memory for %lld bytes on %s, which holds %lld bytes%s in tensors and %lld in its cache",
        (long long)nbytes, mt_devices[device].name, (long long)stats.allocated, limit,
        (long long)(stats.reserved - stats.allocated));
}

mt_ref mt_no_memory(const char *op, int device, int64_t nbytes) {
    char text[sizeof((mt_call *)0)->message];
    mt_no_memory_text(text, sizeof text, device, nbytes);
    return mt_fail(op, MT_MEMORY_ERROR, "%s", text);
}

mt_ref mt_call_for_memory(const char *op, mt_tensor *result) {
    mt_call *call;
    mt_ref ref = mt_call_new(&call);
    if (call == &out_of_memory) {
        mt_tensor_release(result);
        return ref;
    }
    call->status = MT_QUEUE;
    call->result = result;
    snprintf(call->op, sizeof call->op, "%s", op);
    return ref;
}

int mt_call_status(mt_ref call) { return mt_c(call)->status; }
const char *mt_call_message(mt_ref call) { return mt_c(call)->message; }
const char *mt_call_op(mt_ref call) {
    return mt_c(call)->task ? mt_task_op(mt_c(call)->task) : mt_c(call)->op;
}
mt_ref mt_call_output(mt_ref call) {
    return mt_c(call)->result ? mt_ref_of(mt_c(call)->result) : 0;
}
int mt_call_compute_dtype(mt_ref call) { return mt_c(call)->task->compute; }

void mt_call_host(mt_ref call, void *handle, int64_t cost) {
    mt_c(call)->task->host = handle;
    mt_c(call)->task->cost = cost;
}

int mt_call_inputs(mt_ref call, mt_ref *inputs) {
    mt_task *task = mt_c(call)->task;
    for (int i = 0; i < task->n_in; i++) inputs[i] = mt_ref_of(task->in[i]);
    return task->n_in;
}

/* Frees a call with its counts.  May call Python, so no lock is held. */
static void call_free(mt_call *call) {
    if (call->task) mt_task_free(call->task);
    if (call->result) mt_tensor_release(call->result);
    if (call->failed) mt_error_release(call->failed);
    free(call);
}

mt_ref mt_call_end(mt_ref ref) {
    mt_tensor *result = mt_c(ref)->result;
    mt_c(ref)->result = NULL;
    call_free(mt_c(ref));
    return mt_ref_of(result);
}

void mt_call_drop(mt_ref ref) {
    mt_call *call = mt_c(ref);
    if (call == &out_of_memory) return;
    if (call->queued) mt_withdraw(call);
    call_free(call);
}
