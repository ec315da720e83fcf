/* The streams that users hold. */
#include <stdio.h>
#include <stdlib.h>

#include "base/sync.h"
#include "executor/executor.h"
#include "executor/submit.h"
#include "memory/allocator.h"

int mt_stream_new(int device) {
    int id = -1;
    pthread_mutex_lock(&mt_exec.lock);
    /* A released stream is reused, with its worker. */
    for (int i = 1; i < mt_exec.n_streams && id < 0; i++)
        if (mt_exec.streams[i]->released && mt_exec.streams[i]->device == device &&
            mt_idle(mt_exec.streams[i]))
            id = i;
    if (id < 0 && mt_exec.n_streams < MT_MAX_STREAMS) {
        mt_stream *s = calloc(1, sizeof *s);
        if (s) {
            mt_cond_init(&s->work);
            s->device = device;
            mt_exec.streams[s->id = id = mt_exec.n_streams] = s;
            mt_exec.n_streams++;
        }
    } else if (id >= 0) {
        mt_stream *s = mt_exec.streams[id];
        s->released = false;
        s->fusion_credit = 0, s->last_size = 0; /* its earlier user's */
    }
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
    /* Without a worker, a program that only polls would never see the end. */
    while (!mt_idle(s) && mt_serve(s)) continue;
    int over = mt_idle(s);
    pthread_mutex_unlock(&mt_exec.lock);
    return over;
}

int mt_stream_sync(int id, int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    pthread_mutex_lock(&mt_exec.lock);
    int status = MT_OK;
    if (mt_working_on && mt_working_on->id == id) status = MT_RUNTIME_ERROR;
    else if (!mt_wait_mark((mt_mark){id, mt_exec.streams[id]->submitted}, &deadline))
        status = MT_TIMEOUT;
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

int mt_busy(mt_running *out, int n) {
    int count = 0;
    pthread_mutex_lock(&mt_exec.lock);
    for (int i = 1; i < mt_exec.n_streams && count < n; i++) {
        const mt_stream *s = mt_exec.streams[i];
        if (mt_idle(s)) continue;
        const mt_task *task = s->running ? s->running : s->head;
        int running = 0;
        for (const mt_task *one = s->claimed ? NULL : s->running; one; one = one->next) running++;
        out[count] = (mt_running){.stream = i,
                                  .running = s->running != NULL,
                                  .queued = (int32_t)(s->queued - running),
                                  .site = task ? task->site : 0};
        snprintf(out[count].op, sizeof out[count].op, "%s", task ? mt_task_op(task) : "");
        count++;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return count;
}
