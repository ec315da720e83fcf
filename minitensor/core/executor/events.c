/* Events: marks that the user sets. */
#include <stdio.h>

#include "executor/executor.h"

/* Queues a task without tensors that records an event or waits for one's mark.  Returns MT_TIMEOUT
 * while a fork keeps the gate closed.  Takes the lock. */
static int enqueue_marker(int id, mt_event *record, mt_event *await, int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    int status = MT_OK;
    mt_task *task = mt_task_new(0, 0, 0);
    if (!task) return MT_MEMORY_ERROR;
    task->op = -1;
    task->kind = record ? MT_TASK_EVENT : MT_TASK_NOTHING;
    snprintf(task->host_op, sizeof task->host_op, record ? "Event.record" : "Event.wait");
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[id];
    while (mt_exec.gate_closed && !mt_runs_inline() && status == MT_OK)
        if (!mt_wait_progress(s, &deadline) && mt_exec.gate_closed) status = MT_TIMEOUT;
    bool needed = !(record ? mt_idle(s) : mt_reached(await->mark) || await->mark.stream == id) &&
                  !mt_runs_inline();
    /* Without a worker, a waiter serves the marker. */
    if (status == MT_OK && needed) mt_ensure_worker(s);
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

int mt_event_record(mt_event *event, int stream, int timeout_ms) {
    return enqueue_marker(stream, event, NULL, timeout_ms);
}
int mt_event_wait(mt_event *event, int stream, int timeout_ms) {
    return enqueue_marker(stream, NULL, event, timeout_ms);
}

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
    if (!mt_reached(event->mark) && mt_working_on && mt_working_on->id == event->mark.stream)
        status = MT_RUNTIME_ERROR;
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
