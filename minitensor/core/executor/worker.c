/* Running tasks: workers, and threads in their place.  The essay is in executor.c. */
#include <sched.h>
#include <stdio.h>

#include "base/error.h"
#include "base/testpoints.h"
#include "base/thread.h"
#include "executor/executor.h"
#include "executor/submit.h"
#include "executor/task_run.h"
#include "fusion/fuse.h"
#include "fusion/pass.h"

/* --- with the lock held ------------------------------------------------------------------- */

static void *work(void *argument);

bool mt_ensure_worker(mt_stream *s) {
    if (s->started || mt_exec.shut_down) return s->started;
    char name[16];
    snprintf(name, sizeof name, "minitensor:%d", s->id);
    return s->started = mt_thread_start(&s->thread, work, s, name);
}

/* Returns the error of the first input that has one, without a count; NULL: none has. */
static mt_error *inherited_error(const mt_task *task) {
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage && task->in[i]->storage->error) return task->in[i]->storage->error;
    return NULL;
}

/* Counts n tasks in (by = 1) or out (by = -1) as users of their storages, and increments the
 * outputs' `writes`.  A storage in use does not move.  The caller holds the lock. */
static void use(const mt_task *task, int n, int by) {
    for (int k = 0; k < n; k++, task = task->next) {
        for (int i = 0; i < task->n_in; i++)
            if (task->in[i]->storage) task->in[i]->storage->busy += by;
        for (int i = 0; i < task->n_out; i++) {
            task->out[i]->storage->busy += by;
            task->out[i]->storage->writes++;
        }
    }
}

/* Runs a task, or n tasks as one pass; releases the lock meanwhile.  Returns how many tasks were
 * done before one failed.  *error is the error of a task that ran alone, with a count of the
 * caller's, or NULL.  When a pass fails for want of memory, the caller runs the remaining tasks
 * one by one. */
static int run(mt_stream *s, mt_task *task, int n, mt_error **error) {
    *error = NULL;
    if (task->kind == MT_TASK_NOTHING) return 1; /* a marker, or a task that was withdrawn */
    mt_error *inherited = n == 1 ? inherited_error(task) : NULL;
    if (inherited) {
        mt_poison(task, inherited);
        return 1; /* the stream where it arose reports it, once */
    }
    use(task, n, 1);
    mt_stream *outer = mt_working_on;
    unsigned born = atomic_load(&mt_exec.generation);
    if (task->kind == MT_TASK_HOST) mt_working_on = s;
    mt_outcome outcome;
    pthread_mutex_unlock(&mt_exec.lock);
    mt_point(MT_POINT_TAKEN);
    int done = mt_tasks_run(task, n, &outcome);
    pthread_mutex_lock(&mt_exec.lock);
    use(task, n, -1);
    if (born == atomic_load(&mt_exec.generation)) mt_working_on = outer;
    if (task->event) task->event->time_ms = mt_now_ms();
    if (outcome.status == MT_OK || n > 1) return done;
    *error = mt_error_new(mt_task_op(task), task->site, outcome.status,
                          outcome.status == MT_MEMORY_ERROR  ? "no memory for the result"
                          : outcome.status == MT_HOST_RAISED ? ""
                          : task->kind == MT_TASK_ARRAYS     ? outcome.why
                                                             : MT_OP_ERROR_TEXT[task->op],
                          outcome.exception);
    mt_poison(task, *error);
    mt_error_report(s, *error);
    return 1;
}

/* Makes a task of its submitter's thread the stream's next one; returns its number. */
static uint64_t claim_stream(mt_stream *s, mt_task *task) {
    s->claimed = true;
    s->running = task;
    return ++s->submitted;
}

/* Ends the task that claimed the stream. */
static void unclaim_stream(mt_stream *s, uint64_t seq) {
    s->claimed = false;
    s->running = NULL;
    s->done = seq;
    if (s->head && !mt_exec.gate_closed) mt_ensure_worker(s);
    if (s->head) pthread_cond_signal(&s->work);
    pthread_cond_broadcast(&mt_exec.progress);
}

/* Runs a task in its submitter's thread: with `claim` as the stream's next task, without it beside
 * the streams. */
mt_error *mt_run_here(mt_stream *s, mt_task *task, bool claim) {
    unsigned born = atomic_load(&mt_exec.generation);
    uint64_t seq = claim ? claim_stream(s, task) : 0;
    mt_error *error;
    run(s, task, 1, &error);
    if (claim && born == atomic_load(&mt_exec.generation)) unclaim_stream(s, seq);
    return error;
}

bool mt_host_begin(mt_task *task, mt_host_run *h) {
    mt_mark blocking;
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_stream_of_thread(task->out[0]->device);
    bool beside = mt_runs_inline(), now = (beside || mt_inline_now(s, task)) &&
                                          mt_ready(task, &blocking) && !inherited_error(task);
    if (now) {
        *h = (mt_host_run){s, mt_working_on, atomic_load(&mt_exec.generation), 0};
        if (!beside) h->seq = claim_stream(s, task);
        use(task, 1, 1);
        mt_working_on = s;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return now;
}

void mt_host_end(mt_task *task, const mt_host_run *h, void *exception) {
    mt_error *error = NULL;
    pthread_mutex_lock(&mt_exec.lock);
    use(task, 1, -1);
    bool same = h->born == atomic_load(&mt_exec.generation); /* else this is a child of a fork */
    if (same) mt_working_on = h->outer;
    if (exception) {
        error = mt_error_new(mt_task_op(task), task->site, MT_HOST_RAISED, "", exception);
        mt_poison(task, error);
        mt_error_report(h->stream, error);
    }
    if (same && h->seq) unclaim_stream(h->stream, h->seq);
    pthread_mutex_unlock(&mt_exec.lock);
    if (error) mt_error_release(error);
}

void mt_fusion_credit(mt_stream *s, int n) {
    s->fusion_credit = n > 1 ? MT_FUSION_CREDIT : s->fusion_credit > 0 ? s->fusion_credit - 1 : 0;
}

/* Returns how many tasks from the head of the queue run as one pass; may release the lock
 * meanwhile.
 *
 * A submitter queues a chain op by op, some microseconds apart, and drops its temporaries only
 * when the next op has been queued.  A fast worker would always see one op.  So the worker waits
 * for more tasks: some 20 us after the last one, plus a few hundredths of the op's own time.  It
 * does not wait if a thread or stream waits for a queued task, or if recent waits were in vain.
 * It polls without the lock: a submitter that found the lock taken would sleep, and return too
 * late.  Returns 0 if a waiting thread has taken over the queue meanwhile. */
static int collect_batch(mt_stream *s) {
    enum { NOW_AND_THEN = 64 };
    if (!mt_exec.fusion) return 1;
    const mt_task *head = s->head;
    int n = mt_fuse(head, mt_waits_over);
    if (n == 1 && !mt_fusible(s->head)) return 1;
    if (n > 1) s->fusion_credit = MT_FUSION_CREDIT; /* queued while the worker was busy */
    if (s->fusion_credit <= 0 && s->fusion_credit-- > -NOW_AND_THEN) return n;
    double patience_ms = 0.02 + (double)s->head->in[0]->size * 1e-8,
           until = mt_now_ms() + patience_ms;
    for (const mt_task *tail = s->tail; n < MT_PASS_TASKS && tail->kind != MT_TASK_REDUCE &&
                                        n == s->queued && !s->awaited && !s->stop &&
                                        !mt_exec.gate_closed;) {
        unsigned seen = atomic_load(&s->epoch);
        double now;
        pthread_mutex_unlock(&mt_exec.lock);
        do {
            sched_yield(); /* on a single core the submitter needs it */
            now = mt_now_ms();
        } while (atomic_load(&s->epoch) == seen && now < until);
        pthread_mutex_lock(&mt_exec.lock);
        if (s->claimed || s->head != head) return 0;
        if (atomic_load(&s->epoch) != seen)
            n = mt_fuse(s->head, mt_waits_over), tail = s->tail, until = now + patience_ms;
        else if (now >= until) break;
    }
    mt_fusion_credit(s, n);
    return n;
}

/* Runs the first n tasks of a queue, several as one pass; releases the lock meanwhile.  Returns
 * false if a host task forked and this is the child: the caller then owns no stream. */
static bool run_queued(mt_stream *s, int n) {
    unsigned born = atomic_load(&mt_exec.generation);
    mt_task *task = s->head, *last = task, *one = task;
    for (int k = 1; k < n; k++) last = last->next;
    s->head = last->next;
    last->next = NULL;
    s->running = task;
    s->busy = true;
    mt_error *errors[MT_PASS_TASKS] = {NULL};
    int done = n > 1 ? run(s, task, n, &errors[0]) : 0;
    for (int k = 0; k < n; k++, one = one->next) {
        if (k >= done) run(s, one, 1, &errors[k]);
        if (born != atomic_load(&mt_exec.generation)) return false;
    }
    s->running = NULL;
    uint64_t seq = last->seq;
    int64_t bytes = 0;
    for (one = task; one; one = one->next) bytes += one->bytes;
    pthread_mutex_unlock(&mt_exec.lock);
    mt_point(MT_POINT_RUN);
    /* Freeing a task may call Python, so the lock is released.  It precedes the update of `done`,
     * so that a thread that waits for the task finds its memory free. */
    while (task) {
        mt_task *next = task->next;
        mt_task_free(task);
        task = next;
    }
    for (int k = 0; k < n; k++)
        if (errors[k]) mt_error_release(errors[k]);
    pthread_mutex_lock(&mt_exec.lock);
    s->busy = false;
    s->done = seq;
    s->queued -= n;
    s->queued_bytes -= bytes;
    pthread_cond_broadcast(&mt_exec.progress);
    return true;
}

/* Runs the first n tasks of a queue in a thread that is not the stream's worker. */
void mt_run_claimed(mt_stream *s, int n) {
    s->claimed = true;
    atomic_fetch_add(&s->epoch, 1); /* the worker may poll */
    if (!run_queued(s, n)) return;
    s->claimed = false;
    if (s->head) pthread_cond_signal(&s->work);
}

/* A waiter runs a stream that has no worker, one step at a time.  The next task may wait for
 * another such stream.  Marks point to work submitted earlier, so the recursion ends.  During a
 * fork only the forking thread serves. */
bool mt_serve(mt_stream *s) {
    const mt_task *task = s->head;
    if (!task || s->claimed || s->busy || (mt_exec.gate_closed && !mt_forking()) ||
        mt_ensure_worker(s))
        return false;
    for (int i = 0; i < task->n_wait; i++)
        if (!mt_reached(task->wait[i])) return mt_serve(mt_exec.streams[task->wait[i].stream]);
    mt_run_claimed(s, mt_exec.fusion ? mt_fuse(task, mt_waits_over) : 1);
    return true;
}

/* Serves a stream that the task waits for; false: a worker or another thread runs it. */
static bool serve_waits(const mt_task *task) {
    for (int i = 0; i < task->n_wait; i++)
        if (!mt_reached(task->wait[i]) && mt_serve(mt_exec.streams[task->wait[i].stream]))
            return true;
    return false;
}

/* The worker's thread: runs the stream's tasks until `stop`.  Takes the lock. */
static void *work(void *argument) {
    mt_stream *s = argument;
    pthread_mutex_lock(&mt_exec.lock);
    for (;;) {
        while (!s->stop && (!s->head || s->claimed)) pthread_cond_wait(&s->work, &mt_exec.lock);
        if (s->stop) break; /* queued tasks stay queued */
        mt_task *task = s->head;
        if (!mt_waits_over(task)) {
            s->waiting = true;
            for (int i = 0; i < task->n_wait; i++) mt_waiter_add(task->wait[i]);
            unsigned born = atomic_load(&mt_exec.generation);
            while (!mt_waits_over(task) && !s->stop) {
                s->serving = true;
                bool served = serve_waits(task);
                s->serving = false;
                if (!served) pthread_cond_wait(&mt_exec.progress, &mt_exec.lock);
                if (born != atomic_load(&mt_exec.generation)) break;
            }
            /* A served task forked, and this is the child. */
            if (born != atomic_load(&mt_exec.generation)) break;
            for (int i = 0; i < task->n_wait; i++) mt_waiter_remove(task->wait[i]);
            s->waiting = false;
        }
        if (s->stop) break;
        int n = collect_batch(s);
        if (s->stop) break;
        if (!n) continue;
        if (!run_queued(s, n)) {
            pthread_mutex_unlock(&mt_exec.lock);
            return NULL;
        }
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return NULL;
}
