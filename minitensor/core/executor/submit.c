/* Submission: an op's task runs inline, or becomes a call that Python queues with mt_submit.
 *
 * Queueing is a separate step for two reasons.  Finding the line of the user's program costs as
 * much as a small op, so only a queued task gets it.  And queueing may have to wait: for room in
 * the queue, for memory, or for the end of a fork.  Python waits in slices, and handles signals
 * between them.  A signal's handler may raise after any slice, the last one included.  So Python
 * ends or drops the call, whatever mt_submit has returned. */
#include <stdio.h>

#include "base/testpoints.h"
#include "executor/executor.h"
#include "executor/pending.h"
#include "executor/submit.h"

/* Returns a copy of the task on the heap, with counts of its own; NULL: no memory. */
static mt_task *task_to_heap(const mt_task *task) {
    mt_task *copy = mt_task_new(task->n_in, task->n_out, task->n_param);
    if (!copy) return NULL;
    mt_tensor **in = copy->in, **out = copy->out;
    mt_mark *wait = copy->wait;
    mt_param *param = copy->param;
    *copy = *task;
    copy->in = in, copy->out = out, copy->wait = wait, copy->param = param, copy->borrows = false;
    for (int i = 0; i < task->n_param; i++) param[i] = task->param[i];
    for (int i = 0; i < task->n_out; i++) mt_tensor_retain(out[i] = task->out[i]);
    for (copy->n_in = 0; copy->n_in < task->n_in; copy->n_in++) {
        mt_tensor *t = task->in[copy->n_in];
        if (t->weak == MT_ON_STACK) t = mt_tensor_weak_copy(t);
        else mt_tensor_retain(t);
        if (!t) {
            mt_task_free(copy);
            return NULL;
        }
        in[copy->n_in] = t;
    }
    return copy;
}

/* Returns a call that holds a copy of the stack's task and waits for mt_submit.  A task that has
 * already failed is not copied: its call waits only for its site.  Owns `result` and `failed`. */
static mt_ref defer(mt_task *task, mt_tensor *result, int stream, mt_error *failed) {
    mt_call *call;
    mt_ref ref = mt_call_new(&call);
    mt_task *copy = call->status == MT_MEMORY_ERROR || failed ? NULL : task_to_heap(task);
    if (call->status == MT_MEMORY_ERROR || (!failed && !copy)) {
        mt_call_drop(ref);
        mt_tensor_release(result);
        if (failed) mt_error_release(failed);
        return mt_no_memory(mt_task_op(task), 0, (int64_t)sizeof *task);
    }
    call->status = !failed && task->kind == MT_TASK_HOST ? MT_HOST : MT_QUEUE;
    call->stream = stream;
    call->result = result;
    call->failed = failed;
    call->task = copy;
    return ref;
}

mt_ref mt_dispatch(mt_task *task, mt_tensor *result) {
    mt_mark blocking;
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_stream_of_thread(result->device);
    bool beside = mt_runs_inline();
    bool now = task->kind != MT_TASK_HOST && !result->storage->unbacked &&
               mt_ready(task, &blocking) && (beside || mt_inline_now(s, task));
    mt_error *error = now ? mt_run_here(s, task, !beside) : NULL;
    pthread_mutex_unlock(&mt_exec.lock);
    return now && !error ? mt_ref_of(result) : defer(task, result, s->id, error);
}

/* Leaves a status and a message in the call; returns the status. */
static int refuse(mt_call *call, int status, const char *why) {
    snprintf(call->op, sizeof call->op, "%s", mt_task_op(call->task));
    snprintf(call->message, sizeof call->message, "%s", why);
    return call->status = status;
}

/* If no task ends for this time, the wait for memory fails. */
enum { MEMORY_PATIENCE_MS = 10000 };

/* Reserves memory for a result that found none at its call: running work frees some as it ends.
 * Returns MT_OK, MT_TIMEOUT, or MT_MEMORY_ERROR, also left in the call.  Takes the lock. */
static int await_memory(mt_call *call, const struct timespec *deadline) {
    mt_storage *s = call->result->storage;
    bool busy = true, time_left = true;
    pthread_mutex_lock(&mt_exec.lock);
    while (s->unbacked && busy && time_left) {
        /* Read before the attempt: a task that ends later justifies another one. */
        uint64_t ended = mt_tasks_ended(&busy);
        pthread_mutex_unlock(&mt_exec.lock);
        s->unbacked = !mt_storage_reserve(s, !call->task);
        pthread_mutex_lock(&mt_exec.lock);
        if (!call->patience || ended != call->ended)
            call->patience = mt_now_ms() + MEMORY_PATIENCE_MS;
        call->ended = ended;
        busy &= !mt_runs_inline() && mt_now_ms() < call->patience;
        while (s->unbacked && busy && time_left && mt_tasks_ended(&busy) == ended)
            time_left = mt_wait_progress(NULL, deadline);
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (!s->unbacked) return MT_OK;
    if (busy) return MT_TIMEOUT;
    if (call->task) snprintf(call->op, sizeof call->op, "%s", mt_task_op(call->task));
    mt_no_memory_text(call->message, sizeof call->message, call->result->device, s->nbytes);
    return call->status = MT_MEMORY_ERROR;
}

/* Runs the call's task in this thread, beside the streams, once it is ready.  The caller
 * holds the lock; it is released meanwhile. */
static int submit_beside(mt_call *call, mt_stream *s, const struct timespec *deadline) {
    mt_mark blocking;
    while (!mt_ready(call->task, &blocking)) {
        if (mt_working_on && blocking.stream == mt_working_on->id)
            return refuse(
                call, MT_RUNTIME_ERROR,
                "inside a host task, waits for a value that its own stream has not come to yet");
        if (!mt_wait_mark(blocking, deadline)) return MT_TIMEOUT;
    }
    call->failed = mt_run_here(s, call->task, false);
    return MT_OK;
}

int mt_submit(mt_ref ref, uint32_t site, int timeout_ms) {
    mt_call *call = mt_c(ref);
    struct timespec deadline = mt_deadline_in(timeout_ms);
    mt_mark blocking;
    int status = MT_OK;
    if (call->failed) { /* the task ran inline, before its site was known */
        pthread_mutex_lock(&mt_exec.lock);
        call->failed->site = site;
        pthread_mutex_unlock(&mt_exec.lock);
        return MT_OK;
    }
    if (!call->queued && call->result->storage && call->result->storage->unbacked)
        status = await_memory(call, &deadline);
    if (status != MT_OK || (!call->task && !call->queued)) return status;
    mt_task *task = call->task;
    mt_stream *s = mt_exec.streams[call->stream];
    mt_point(MT_POINT_SUBMIT);
    pthread_mutex_lock(&mt_exec.lock);
    bool wait = call->queued, finished = false;
    if (!call->queued) {
        task->site = site;
        if (mt_runs_inline()) {
            status = submit_beside(call, s, &deadline);
            pthread_mutex_unlock(&mt_exec.lock);
            return status;
        }
        while (mt_exec.gate_closed ||
               (s->queued && (s->queued >= mt_exec.max_tasks ||
                              s->queued_bytes + task->bytes > mt_exec.max_bytes))) {
            if (mt_wait_progress(s, &deadline)) continue;
            pthread_mutex_unlock(&mt_exec.lock);
            return MT_TIMEOUT;
        }
        wait = mt_exec.synchronous || mt_visible(task);
        bool here = wait || (task->cost && mt_effort(task) <= (double)mt_exec.inline_limit);
        here = here || (!mt_ensure_worker(s) && (task->kind != MT_TASK_HOST || task->cost));
        if (here && mt_idle(s) && mt_ready(task, &blocking)) {
            call->failed = mt_run_here(s, task, true);
            finished = true;
        } else {
            mt_ensure_worker(s);
            mt_enqueue(s, task);
            call->seq = task->seq;
            call->task = NULL; /* the stream owns it */
            call->queued = true;
        }
    }
    if (wait && !finished && !mt_wait_mark((mt_mark){s->id, call->seq}, &deadline))
        status = MT_TIMEOUT;
    pthread_mutex_unlock(&mt_exec.lock);
    return status;
}
