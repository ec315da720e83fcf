/* Waiting for marks, for values, and for work to end.  The essay is in executor.c. */
#include <errno.h>

#include "base/threadpool.h"
#include "executor/executor.h"
#include "executor/submit.h"
#include "fusion/fuse.h"

/* Serves the first stream that can be served; false: none can.  The caller holds the lock. */
static bool serve_any(void) {
    for (int i = 1; i < mt_exec.n_streams; i++)
        if (mt_serve(mt_exec.streams[i])) return true;
    return false;
}

bool mt_wait_progress(mt_stream *s, const struct timespec *deadline) {
    if (s ? mt_serve(s) : serve_any()) return mt_now_ms() < mt_in_ms(deadline);
    return pthread_cond_timedwait(&mt_exec.progress, &mt_exec.lock, deadline) != ETIMEDOUT;
}

/* Returns true if the mark is reached; takes the lock. */
static bool reached(const void *mark) {
    pthread_mutex_lock(&mt_exec.lock);
    bool result = mt_reached(*(const mt_mark *)mark);
    pthread_mutex_unlock(&mt_exec.lock);
    return result;
}

/* Returns true if the tasks up to the mark are short: a kernel's may be several, a host task only
 * the one at the mark.  The caller holds the lock. */
static bool short_up_to(const mt_task *task, uint64_t seq) {
    const int64_t SHORT_HOST = (int64_t)1 << 30; /* steps: some 50 ms of a product on one core */
    const double SHORT = 1 << 22;                /* some 400 us */
    if (task && task->kind == MT_TASK_HOST)
        return task->seq == seq && task->cost && task->cost <= SHORT_HOST;
    double effort = 0;
    for (; task && task->seq <= seq && effort <= SHORT; task = task->next) {
        if (task->kind == MT_TASK_HOST) return false;
        effort += mt_effort(task);
    }
    return effort <= SHORT;
}

/* Runs the tasks up to the mark in this thread, if they are short and the worker has begun none of
 * them.  This saves two hand-offs, which take as long as a short op, and leave BLAS threads on a
 * core that is taken.  The worker runs long tasks, since Ctrl-C has to end a wait.  The caller
 * holds the lock; it is released meanwhile. */
static void run_inline(mt_mark mark) {
    mt_stream *s = mt_exec.streams[mark.stream];
    unsigned born = atomic_load(&mt_exec.generation);
    while (!mt_reached(mark) && s->head && !s->busy && !s->waiting && !s->claimed &&
           !mt_exec.gate_closed && !mt_runs_inline() && mt_waits_over(s->head) &&
           short_up_to(s->head, mark.seq)) {
        bool fusible = mt_exec.fusion && mt_fusible(s->head);
        int n = fusible ? mt_fuse(s->head, mt_waits_over) : 1;
        if (fusible) mt_fusion_credit(s, n);
        mt_run_claimed(s, n);
        if (born != atomic_load(&mt_exec.generation)) return; /* a host task forked: the child */
    }
}

/* Returns true if the stream is at a host task, which leaves no pieces to share: a thread that
 * polled would take a core that BLAS or Python code uses.  The caller holds the lock. */
static bool at_host_task(mt_mark mark) {
    const mt_stream *s = mt_exec.streams[mark.stream];
    const mt_task *task = s->running ? s->running : s->head;
    return task && task->kind == MT_TASK_HOST;
}

bool mt_wait_mark(mt_mark mark, const struct timespec *deadline) {
    if (!mt_reached(mark)) run_inline(mark);
    if (mt_reached(mark)) return true;
    bool in_time = true;
    unsigned born = atomic_load(&mt_exec.generation);
    mt_waiter_add(mark);
    if (!at_host_task(mark)) {
        pthread_mutex_unlock(&mt_exec.lock);
        mt_pool_lend(mt_in_ms(deadline), reached, &mark);
        pthread_mutex_lock(&mt_exec.lock);
    }
    while (in_time && !mt_reached(mark))
        in_time = mt_wait_progress(mt_exec.streams[mark.stream], deadline);
    if (born == atomic_load(&mt_exec.generation)) mt_waiter_remove(mark);
    return in_time || mt_reached(mark);
}

/* Waits for the storage's last write, and with `unused` for its last read.  Returns the status of
 * its error, MT_TIMEOUT, or MT_RUNTIME_ERROR if the mark is on the stream whose host task this
 * thread runs.  Takes the lock. */
static int wait_storage(mt_storage *storage, int timeout_ms, bool unused) {
    if (!storage) return MT_OK;
    struct timespec deadline = mt_deadline_in(timeout_ms);
    int status = MT_OK;
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.looks++;
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

int mt_wait(mt_ref tensor, int timeout_ms) {
    return wait_storage(mt_t(tensor)->storage, timeout_ms, false);
}
int mt_wait_unused(mt_ref tensor, int timeout_ms) {
    return wait_storage(mt_t(tensor)->storage, timeout_ms, true);
}

bool mt_read_now(const mt_tensor *t, void *out, size_t n) {
    const mt_storage *s = t->storage;
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.looks++;
    bool there = !s || (mt_reached(s->last_write) && !s->error && s->data);
    if (there) memcpy(out, mt_tensor_data(t), n);
    pthread_mutex_unlock(&mt_exec.lock);
    return there;
}

/* A call that waits for its task is dropped when a signal's handler raises.  No write may follow
 * the exception.  So a task that has not started becomes MT_TASK_NOTHING, and the end of a kernel
 * is awaited.  A host task that has started goes on, since it may take for ever. */
void mt_withdraw(mt_call *call) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[call->stream];
    mt_task *task = s->done < call->seq ? s->head : NULL;
    while (task && task->seq != call->seq) task = task->next;
    if (task) {
        task->kind = MT_TASK_NOTHING;
        atomic_fetch_add(&s->epoch, 1); /* the worker may have counted the task into a pass */
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
    busy &= !mt_runs_inline();
    pthread_mutex_unlock(&mt_exec.lock);
    return busy;
}
