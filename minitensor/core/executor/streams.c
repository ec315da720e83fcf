/* Waiting for values, and the streams and events that users hold. */
#include <stdio.h>
#include <stdlib.h>

#include "executor/executor.h"

/* --- waiting and errors ------------------------------------------------------------------------------------------------------------ */

static int wait_storage(mt_storage *storage, int timeout_ms, bool unused) {
    if (!storage) return MT_OK;
    struct timespec deadline = mt_deadline_in(timeout_ms);
    int status = MT_OK;
    pthread_mutex_lock(&mt_exec.lock);
    mt_mark marks[2] = {storage->last_write, unused ? storage->last_read : (mt_mark){0, 0}};
    for (int i = 0; i < 2 && status == MT_OK; i++) {
        if (mt_reached(marks[i])) continue;
        if (mt_working_on && marks[i].stream == mt_working_on->id) status = MT_RUNTIME_ERROR;
        else if (!mt_wait_mark(marks[i], &deadline)) status = MT_TIMEOUT;
    }
    if (status == MT_OK && storage->error) status = storage->error->status;
    pthread_mutex_unlock(&mt_exec.lock);
    return status;
}

int mt_wait(mt_ref tensor, int timeout_ms) { return wait_storage(mt_t(tensor)->storage, timeout_ms, false); }
int mt_wait_unused(mt_ref tensor, int timeout_ms) { return wait_storage(mt_t(tensor)->storage, timeout_ms, true); }

/* An error leaves its stream's account.  True: it was in the list, whose count the caller has now. */
static bool strike_off(mt_error *error) {
    mt_stream *s = mt_exec.streams[error->stream];
    bool kept = error->kept;
    if (kept) {
        *(error->previous ? &error->previous->next : &s->first_error) = error->next;
        *(error->next ? &error->next->previous : &s->last_error) = error->previous;
        error->previous = error->next = NULL;
        error->kept = false;
        s->n_errors--;
    } else if (error->stream && error->batch == s->batch) s->more_errors--;
    error->stream = 0;
    return kept;
}

mt_error *mt_error_of(mt_ref tensor) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_error *error = mt_t(tensor)->storage ? mt_t(tensor)->storage->error : NULL;
    if (error && !strike_off(error)) atomic_fetch_add(&error->refs, 1);
    pthread_mutex_unlock(&mt_exec.lock);
    return error;
}

void mt_error_release(mt_error *error) {
    if (atomic_fetch_sub_explicit(&error->refs, 1, memory_order_acq_rel) != 1) return;
    if (error->exception && !atomic_load(&mt_python_gone)) mt_py_release(error->exception);
    free(error);
    atomic_fetch_sub_explicit(&mt_errors_alive, 1, memory_order_relaxed);
}

mt_error *mt_stream_take_error(int id) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[id];
    mt_error *error = s->first_error;
    if (error) strike_off(error);
    else if (s->more_errors) {
        char text[sizeof error->message];
        snprintf(text, sizeof text,
                 "%lld more ops of this stream have failed; of errors that are not read the first %d are kept",
                 (long long)s->more_errors, MT_ERRORS_KEPT);
        const mt_task none = {.op = -1, .host_op = "synchronize"};
        error = mt_error_new(&none, MT_RUNTIME_ERROR, text, NULL);
        s->more_errors = 0;
        s->batch++;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return error;
}

int64_t mt_error_count(void) { return atomic_load(&mt_errors_alive); }

/* A call that waits for its task is dropped when a signal's handler raises.  No write may follow what
 * rose there, so a task that has not begun becomes nothing, and the end of a kernel is waited for.  A
 * host task that has begun goes on: it may take for ever. */
void mt_withdraw(mt_call *call) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[call->stream];
    mt_task *task = s->done < call->seq ? s->head : NULL;
    while (task && task->seq != call->seq) task = task->next;
    if (task) {
        task->kind = MT_TASK_NOTHING;
        atomic_fetch_add(&s->news, 1);                      /* a worker may have counted it into a pass */
    }
    for (task = s->running; task && task->seq != call->seq;) task = task->next;
    bool ends = task && task->kind != MT_TASK_HOST;
    while (ends && s->done < call->seq) {
        struct timespec deadline = mt_deadline_in(MT_SLICE_MS);
        mt_wait_progress(s, &deadline);
    }
    pthread_mutex_unlock(&mt_exec.lock);
}

uint64_t mt_tasks_ended(bool *busy) {
    uint64_t ended = 0;
    *busy = false;
    for (int i = 1; i < mt_exec.n_streams; i++) {
        ended += mt_exec.streams[i]->done;
        *busy |= !mt_idle(mt_exec.streams[i]);
    }
    return ended;
}

bool mt_work_under_way(void) {
    bool busy;
    pthread_mutex_lock(&mt_exec.lock);
    mt_tasks_ended(&busy);
    busy &= !mt_alone();
    pthread_mutex_unlock(&mt_exec.lock);
    return busy;
}

/* --- streams and events ---------------------------------------------------------------------------------------------------------- */

int mt_stream_new(int device) {
    int id = -1;
    pthread_mutex_lock(&mt_exec.lock);
    for (int i = 1; i < mt_exec.n_streams && id < 0; i++)           /* a stream given back, with its worker, serves again */
        if (mt_exec.streams[i]->released && mt_exec.streams[i]->device == device && mt_idle(mt_exec.streams[i])) id = i;
    if (id < 0 && mt_exec.n_streams < MT_MAX_STREAMS) {
        mt_stream *s = calloc(1, sizeof *s);
        if (s) {
            mt_cond_init(&s->work);
            s->device = device;
            mt_exec.streams[s->id = id = mt_exec.n_streams] = s;
            mt_exec.n_streams++;
        }
    } else if (id >= 0) mt_exec.streams[id]->released = false;
    pthread_mutex_unlock(&mt_exec.lock);
    return id;
}

void mt_stream_release(int id) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.streams[id]->released = true;
    pthread_mutex_unlock(&mt_exec.lock);
}

int mt_stream_current(int device) {
    pthread_mutex_lock(&mt_exec.lock);
    int id = mt_stream_of_thread(device)->id;
    pthread_mutex_unlock(&mt_exec.lock);
    return id;
}

void mt_stream_set_current(int device, int id) { mt_current_stream[device] = id; }
int mt_stream_default(int device) { return mt_devices[device].default_stream; }
int mt_stream_device(int id) { return mt_exec.streams[id]->device; }

int mt_stream_count(void) {
    pthread_mutex_lock(&mt_exec.lock);
    int count = mt_exec.n_streams - 1;
    pthread_mutex_unlock(&mt_exec.lock);
    return count;
}

int mt_stream_query(int id) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[id];
    while (!mt_idle(s) && mt_serve(s)) continue;            /* else a program that only asks sees no end */
    int over = mt_idle(s);
    pthread_mutex_unlock(&mt_exec.lock);
    return over;
}

int mt_stream_sync(int id, int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    pthread_mutex_lock(&mt_exec.lock);
    int status = MT_OK;
    if (mt_working_on && mt_working_on->id == id) status = MT_RUNTIME_ERROR;
    else if (!mt_wait_mark((mt_mark){id, mt_exec.streams[id]->submitted}, &deadline)) status = MT_TIMEOUT;
    pthread_mutex_unlock(&mt_exec.lock);
    return status;
}

int mt_device_sync(int device, int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    int status = MT_OK;
    bool failed = false;
    pthread_mutex_lock(&mt_exec.lock);
    for (int i = 1; i < mt_exec.n_streams && status == MT_OK; i++) {
        mt_stream *s = mt_exec.streams[i];
        if (s->device != device) continue;
        if (s == mt_working_on) status = MT_RUNTIME_ERROR;
        else if (!mt_wait_mark((mt_mark){i, s->submitted}, &deadline)) status = MT_TIMEOUT;
        failed |= s->first_error || s->more_errors;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return status == MT_OK && failed ? MT_HOST_RAISED : status;
}

mt_event *mt_event_new(void) {
    mt_event *event = calloc(1, sizeof *event);
    if (!event) return NULL;
    atomic_init(&event->refs, 1);
    event->time_ms = -1;
    return event;
}

void mt_event_release(mt_event *event) {
    if (atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel) == 1) free(event);
}

/* A task without tensors: an event to record, or a mark to wait for. */
static int enqueue_marker(int id, mt_event *record, mt_event *await, int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    int status = MT_OK;
    mt_task *task = mt_task_new(0, 0);
    if (!task) return MT_MEMORY_ERROR;
    task->op = -1;
    task->kind = record ? MT_TASK_EVENT : MT_TASK_NOTHING;
    snprintf(task->host_op, sizeof task->host_op, record ? "Event.record" : "Event.wait");
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[id];
    while (mt_exec.gate_closed && !mt_alone() && status == MT_OK)
        if (!mt_wait_progress(s, &deadline) && mt_exec.gate_closed) status = MT_TIMEOUT;
    bool needed = !(record ? mt_idle(s) : mt_reached(await->mark) || await->mark.stream == id) && !mt_alone();
    if (status == MT_OK && needed) mt_ensure_worker(s);     /* without one a waiter serves the marker */
    if (record && status == MT_OK) {
        record->mark = (mt_mark){id, s->submitted + (needed ? 1 : 0)};
        record->time_ms = needed ? -1 : mt_now_ms();
        if (needed) {
            atomic_fetch_add(&record->refs, 1);
            task->event = record;
        }
    }
    if (needed && status == MT_OK) {
        if (await) task->wait[task->n_wait++] = await->mark;
        mt_enqueue(s, task);
        task = NULL;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    if (task) mt_task_free(task);
    return status;
}

int mt_event_record(mt_event *event, int stream, int timeout_ms) { return enqueue_marker(stream, event, NULL, timeout_ms); }
int mt_event_wait(mt_event *event, int stream, int timeout_ms) { return enqueue_marker(stream, NULL, event, timeout_ms); }

int mt_event_query(mt_event *event) {
    pthread_mutex_lock(&mt_exec.lock);
    while (!mt_reached(event->mark) && mt_serve(mt_exec.streams[event->mark.stream])) continue;
    int over = mt_reached(event->mark);
    pthread_mutex_unlock(&mt_exec.lock);
    return over;
}

int mt_event_sync(mt_event *event, int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    pthread_mutex_lock(&mt_exec.lock);
    int status = MT_OK;
    if (!mt_reached(event->mark) && mt_working_on && mt_working_on->id == event->mark.stream) status = MT_RUNTIME_ERROR;
    else if (!mt_wait_mark(event->mark, &deadline)) status = MT_TIMEOUT;
    pthread_mutex_unlock(&mt_exec.lock);
    return status;
}

double mt_event_time_ms(mt_event *event) {
    pthread_mutex_lock(&mt_exec.lock);
    double time = event->time_ms;
    pthread_mutex_unlock(&mt_exec.lock);
    return time;
}

int mt_busy(mt_running *out, int n) {
    int count = 0;
    pthread_mutex_lock(&mt_exec.lock);
    for (int i = 1; i < mt_exec.n_streams && count < n; i++) {
        const mt_stream *s = mt_exec.streams[i];
        if (mt_idle(s)) continue;
        const mt_task *task = s->running ? s->running : s->head;
        int running = 0;
        for (const mt_task *one = s->claimed ? NULL : s->running; one; one = one->next) running++;
        out[count] = (mt_running){.stream = i, .running = s->running != NULL, .queued = (int32_t)(s->queued - running),
                                  .site = task ? task->site : 0};
        snprintf(out[count].op, sizeof out[count].op, "%s", task ? mt_task_op(task) : "");
        count++;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return count;
}
