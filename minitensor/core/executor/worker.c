/* The executor: streams, their workers, and who waits for whom.
 *
 * Its files: executor.c runs tasks, submit.c gets them in, streams.c is for those who wait, process.c for fork and shutdown.
 *
 * The problem.  A call of an op should cost its submitter less than a microsecond and return before the work is done, while values
 * must come out as if each op had run at its call: for many Python threads, many streams, NumPy arrays that share a
 * tensor's memory, and a fork at any moment.
 *
 * The solution.  A stream is a queue of tasks and one worker thread, started on first use.  Tasks of one stream run in
 * order.  Between streams order follows from the data: a storage remembers the last place (mark) at which it is
 * written and read, and a task that needs it on another stream waits for that mark.  Marks always point to work submitted earlier,
 * so waiting can't go in circles; events are marks that a user sets himself.
 *
 * A hand-off to a worker costs some 10 us, more than a small op.  So a small op whose stream has nothing to do and whose inputs are
 * ready runs in its submitter's thread (mt_dispatch, and mt_submit for the library's own host tasks), which claims the stream
 * while it does.  The same way run: everything in synchronous mode; ops on memory that can be seen
 * from outside the streams (by NumPy arrays, or by other processes after share_memory_), because a
 * write has to be there, and a read over, when the caller goes on; ops inside a host task, which must
 * not wait for the stream they run on; everything in the thread that is just forking.  And a thread
 * that waits for a short host task that its worker has not begun runs the task itself (do_instead).
 *
 * The system may refuse a thread (RLIMIT_NPROC, a cgroup's limit).  A stream without a worker is no
 * error: an op whose stream is idle runs in its submitter's thread, what can't run yet stays queued,
 * and every thread that waits for it, by whatever call, runs the queue up to there itself (mt_serve).
 * Each attempt asks for a thread again, so the worker is back when the system allows one.
 *
 * A worker sees its whole queue, not one task.  Neighbours that go over the same elements are done as one pass over memory (gather; fuse.c,
 * plan.c, pass.c), and a large op is cut into pieces that other threads help with (pool.c).  Neither changes a value.
 *
 * Failing.  A task that fails leaves an error in its outputs' storages instead of a value; tasks that read such a storage do not
 * run and hand the error on.  Each error also stands in its stream's account until it has been read
 * or told: the oldest MT_ERRORS_KEPT in a list, the others as a number.  Entering and leaving the
 * account take constant time.
 *
 * Locks.  One lock guards all streams' queues and numbers, the marks and the errors.  It is held for a few instructions and
 * never while a kernel or Python runs.  One condition variable, `progress`, is told of each change that somebody may wait
 * for; each stream's `work` wakes its worker.  Lock order: executor, then allocator.
 *
 * Fork.  mt_fork_drain closes the gate (no submitter passes but workers, whose nested ops run at once, and the forking thread) and
 * waits for the streams to be empty; mt_fork_prepare joins the workers and the helpers of large ops, and keeps the executor's and the
 * allocator's locks.  So the
 * child is a copy of a process in which nothing runs.  The parent unlocks and opens the gate, threads start again with the next
 * task; in the child the locks are made anew (renew_locks), because their owner does not exist there.  The locks are recursive,
 * since other before-fork hooks of the same thread may drop tensors.  What can't be drained (the host task that the forking
 * thread is in, what waits for it, and what was at work when Ctrl-C ended the wait) stays the parent's: in the child those values
 * are errors that say so.  pthread_atfork takes the locks once more, so that they are whole even in a fork that nobody announced. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "executor/executor.h"
#include "fusion/pass.h"

mt_executor mt_exec = {.n_streams = 1, .fusion = true, .inline_limit = 16384, .max_tasks = 4096, .max_bytes = (int64_t)2 << 30};
_Thread_local int mt_current_stream[MT_MAX_DEVICES];
_Thread_local mt_stream *mt_working_on;
atomic_bool mt_python_gone;
_Atomic int64_t mt_errors_alive;                            /* for a test */

void mt_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

double mt_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

struct timespec mt_deadline_in(int timeout_ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

/* --- to be called with the lock held --------------------------------------------------------------------------------------------- */


static void *work(void *argument);
static void do_instead(mt_mark mark);

bool mt_ensure_worker(mt_stream *s) {
    if (s->started || mt_exec.shut_down) return s->started;
    char name[16];
    snprintf(name, sizeof name, "minitensor:%d", s->id);
    return s->started = mt_thread_start(&s->thread, work, s, name);
}

static double in_ms(const struct timespec *t) { return (double)t->tv_sec * 1e3 + (double)t->tv_nsec * 1e-6; }

static bool serve_any(void) {
    for (int i = 1; i < mt_exec.n_streams; i++)
        if (mt_serve(mt_exec.streams[i])) return true;
    return false;
}

bool mt_wait_progress(mt_stream *s, const struct timespec *deadline) {
    if (s ? mt_serve(s) : serve_any()) return mt_now_ms() < in_ms(deadline);
    return pthread_cond_timedwait(&mt_exec.progress, &mt_exec.lock, deadline) != ETIMEDOUT;
}

void mt_await(mt_mark mark, int by) {
    mt_exec.streams[mark.stream]->awaited += by;
    atomic_fetch_add(&mt_exec.streams[mark.stream]->news, 1);
}

static bool reached(const void *mark) {
    pthread_mutex_lock(&mt_exec.lock);
    bool result = mt_reached(*(const mt_mark *)mark);
    pthread_mutex_unlock(&mt_exec.lock);
    return result;
}

bool mt_wait_mark(mt_mark mark, const struct timespec *deadline) {
    if (!mt_reached(mark)) do_instead(mark);
    if (mt_reached(mark)) return true;
    bool in_time = true;
    unsigned born = atomic_load(&mt_exec.generation);
    mt_await(mark, 1);
    pthread_mutex_unlock(&mt_exec.lock);
    mt_pool_lend(in_ms(deadline), reached, &mark);
    pthread_mutex_lock(&mt_exec.lock);
    while (in_time && !mt_reached(mark)) in_time = mt_wait_progress(mt_exec.streams[mark.stream], deadline);
    if (born == atomic_load(&mt_exec.generation)) mt_await(mark, -1);
    return in_time || mt_reached(mark);
}

static void wait_for(mt_task *task, const mt_stream *s, mt_mark mark) {
    if (mark.stream != s->id && !mt_reached(mark)) task->wait[task->n_wait++] = mark;
}

bool mt_waits_over(const mt_task *task) {
    for (int i = 0; i < task->n_wait; i++)
        if (!mt_reached(task->wait[i])) return false;
    return true;
}

/* Is everything over that a task run right now would have to wait for?  *blocking: the first that is not. */
bool mt_ready(const mt_task *task, mt_mark *blocking) {
    for (int i = 0; i < task->n_in; i++) {
        mt_storage *storage = task->in[i]->storage;
        if (storage && !mt_reached(*blocking = storage->last_write)) return false;
    }
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        if (!mt_reached(*blocking = storage->last_write) || !mt_reached(*blocking = storage->last_read)) return false;
    }
    return true;
}

bool mt_visible(const mt_task *task) {
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage && mt_storage_visible(task->in[i]->storage)) return true;
    for (int i = 0; i < task->n_out; i++)
        if (mt_storage_visible(task->out[i]->storage)) return true;
    return false;
}

void mt_enqueue(mt_stream *s, mt_task *task) {
    task->seq = ++s->submitted;
    mt_mark here = {s->id, task->seq};
    for (int i = 0; i < task->n_in; i++) {
        mt_storage *storage = task->in[i]->storage;
        if (!storage) continue;
        wait_for(task, s, storage->last_write);
        wait_for(task, s, storage->last_read);              /* one mark stands for all readers: they come in order */
        storage->last_read = here;
    }
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        wait_for(task, s, storage->last_write);
        wait_for(task, s, storage->last_read);
        storage->last_write = here;
    }
    task->next = NULL;
    if (s->head) s->tail->next = task;
    else s->head = task;
    s->tail = task;
    s->queued++;
    s->queued_bytes += task->bytes;
    atomic_fetch_add(&s->news, 1);
    pthread_cond_signal(&s->work);
}

static mt_error *inherited_error(const mt_task *task) {
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage && task->in[i]->storage->error) return task->in[i]->storage->error;
    return NULL;
}

void mt_poison(const mt_task *task, mt_error *error) {
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        if (storage->error) continue;                       /* the first error is the cause */
        atomic_fetch_add(&error->refs, 1);
        storage->error = error;
    }
}

mt_error *mt_error_new(const mt_task *task, int status, const char *message, void *exception) {
    mt_error *error = calloc(1, sizeof *error);
    if (!error) {                                           /* an error must not get lost for want of memory */
        static mt_error none = {.refs = 1, .status = MT_MEMORY_ERROR, .op = "task",
                                .message = "failed, and no memory was left to say why"};
        atomic_fetch_add(&none.refs, 1);                    /* its first count is for good */
        return &none;
    }
    atomic_init(&error->refs, 1);
    atomic_fetch_add_explicit(&mt_errors_alive, 1, memory_order_relaxed);
    error->status = status;
    error->site = task->site;
    error->exception = exception;
    snprintf(error->op, sizeof error->op, "%s", mt_task_op(task));
    snprintf(error->message, sizeof error->message, "%s", message);
    return error;
}

/* Enters an error into its stream's account. */
static void report_later(mt_stream *s, mt_error *error) {
    if (error->kept) return;                                /* the one error of all tasks for which there was no memory */
    error->stream = s->id;
    error->batch = s->batch;
    if (s->n_errors == MT_ERRORS_KEPT) {
        s->more_errors++;
        return;
    }
    atomic_fetch_add(&error->refs, 1);
    error->kept = true;
    error->previous = s->last_error;
    *(s->last_error ? &s->last_error->next : &s->first_error) = error;
    s->last_error = error;
    s->n_errors++;
}

/* Tasks begin or end to work on their storages: these stay where they are as long. */
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

/* Runs a task, or several as one pass, giving up the lock meanwhile.  How many were done, before one failed; with its error (a new
 * count), which only a task that runs alone has: of a pass that fails for want of memory the rest is to be run one by one. */
static int run(mt_stream *s, mt_task *task, int n, mt_error **error) {
    *error = NULL;
    if (task->kind == MT_TASK_NOTHING) return 1;            /* its tensors, if any, are of a task that was withdrawn */
    mt_error *inherited = n == 1 ? inherited_error(task) : NULL;
    if (inherited) {
        mt_poison(task, inherited);
        return 1;                                           /* told of once, by the stream that it came from */
    }
    use(task, n, 1);
    mt_stream *outer = mt_working_on;
    unsigned born = atomic_load(&mt_exec.generation);
    if (task->kind == MT_TASK_HOST) mt_working_on = s;
    void *exception = NULL;
    int status;
    pthread_mutex_unlock(&mt_exec.lock);
    mt_point(MT_POINT_TAKEN);
    int done = mt_tasks_run(task, n, &status, &exception);
    pthread_mutex_lock(&mt_exec.lock);
    use(task, n, -1);
    if (born == atomic_load(&mt_exec.generation)) mt_working_on = outer;
    if (task->event) task->event->time_ms = mt_now_ms();
    if (status == MT_OK || n > 1) return done;
    *error = mt_error_new(task, status, status == MT_MEMORY_ERROR ? "no memory for the result"
                                        : status == MT_HOST_RAISED ? "" : MT_OP_ERROR_TEXT[task->op], exception);
    mt_poison(task, *error);
    report_later(s, *error);
    return 1;
}

/* Runs a task in the thread that submits it.  With `claim`, as the stream's next one; without, beside the streams. */
mt_error *mt_run_here(mt_stream *s, mt_task *task, bool claim) {
    uint64_t seq = 0;
    unsigned born = atomic_load(&mt_exec.generation);
    if (claim) {
        s->claimed = true;
        seq = ++s->submitted;
        s->running = task;
    }
    mt_error *error;
    run(s, task, 1, &error);
    if (claim && born == atomic_load(&mt_exec.generation)) {
        s->claimed = false;
        s->running = NULL;
        s->done = seq;
        if (s->head && !mt_exec.gate_closed) mt_ensure_worker(s);
        if (s->head) pthread_cond_signal(&s->work);
        pthread_cond_broadcast(&mt_exec.progress);
    }
    return error;
}

mt_stream *mt_stream_of_thread(int device) {
    int id = mt_current_stream[device];
    return mt_exec.streams[id && !mt_exec.streams[id]->released ? id : mt_devices[device].default_stream];
}

/* --- tasks --------------------------------------------------------------------------------------------------------------------- */

const char *mt_task_op(const mt_task *task) { return task->op >= 0 ? MT_OP_NAME[task->op] : task->host_op; }

mt_task *mt_task_new(int n_in, int n_out) {
    size_t pointers = (size_t)(n_in + n_out) * sizeof(mt_tensor *), marks = 2 * (size_t)(n_in + n_out + 1) * sizeof(mt_mark);
    mt_task *task = calloc(1, sizeof *task + pointers + marks);
    if (!task) return NULL;
    task->n_in = n_in;
    task->n_out = n_out;
    task->wait = (mt_mark *)(task + 1);
    task->in = (mt_tensor **)((char *)(task + 1) + marks);
    task->out = task->in + n_in;
    return task;
}

void mt_release_references(mt_task *task) {
    for (int i = 0; i < task->n_in; i++) mt_tensor_release(task->in[i]);
    for (int i = 0; i < task->n_out; i++) mt_tensor_release(task->out[i]);
    if (task->event) mt_event_release(task->event);
    if (task->host && !atomic_load(&mt_python_gone)) mt_py_release(task->host);
}

void mt_task_free(mt_task *task) {
    mt_release_references(task);
    free(task);
}

/* How many tasks from the head of the queue are to be done as one pass.  A chain is queued op by op, some microseconds apart, and its
 * temporaries are let go of only when the next op has been queued; a worker that is fast would always see one op.  So it waits for more to
 * come, for some 20 us after the last and a few hundredths of the op's own time, unless somebody waits for what is there already, or waiting was
 * in vain of late.  It looks without the lock: a submitter that meets it there sleeps, and is back when it is too late. */
static int gather(mt_stream *s) {
    enum { PATIENT = 8, NOW_AND_THEN = 64 };
    if (!mt_exec.fusion) return 1;
    int n = mt_fuse(s->head);
    if (n == 1 && !mt_fusible(s->head)) return 1;
    if (n > 1) s->luck = PATIENT;                           /* they came while it was not looking */
    if (s->luck <= 0 && s->luck-- > -NOW_AND_THEN) return n;
    double patience_ms = 0.02 + (double)s->head->in[0]->size * 1e-8, until = mt_now_ms() + patience_ms;
    for (const mt_task *tail = s->tail; n < MT_PASS_TASKS && tail->kind != MT_TASK_REDUCE && n == s->queued && !s->awaited && !s->stop && !mt_exec.gate_closed;) {
        unsigned seen = atomic_load(&s->news);
        double now;
        pthread_mutex_unlock(&mt_exec.lock);
        do {
            sched_yield();                                  /* on one core the submitter has to get it */
            now = mt_now_ms();
        } while (atomic_load(&s->news) == seen && now < until);
        pthread_mutex_lock(&mt_exec.lock);
        if (atomic_load(&s->news) != seen) n = mt_fuse(s->head), tail = s->tail, until = now + patience_ms;
        else if (now >= until) break;
    }
    s->luck = n > 1 ? PATIENT : s->luck > 0 ? s->luck - 1 : 0;
    return n;
}

/* Runs the first n tasks of a queue, several as one pass.  False: a host task forked and this is the child: no stream is ours any more. */
static bool run_queued(mt_stream *s, int n) {
    unsigned born = atomic_load(&mt_exec.generation);
    mt_task *task = s->head, *last = task, *one = task;
    for (int k = 1; k < n; k++) last = last->next;
    s->head = last->next;
    last->next = NULL;
    s->running = task;
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
    while (task) {                                          /* may call Python, so not under the lock; and before the task counts as */
        mt_task *next = task->next;                         /* done, so that who waits for it finds its memory free */
        mt_task_free(task);
        task = next;
    }
    for (int k = 0; k < n; k++)
        if (errors[k]) mt_error_release(errors[k]);
    pthread_mutex_lock(&mt_exec.lock);
    s->done = seq;
    s->queued -= n;
    s->queued_bytes -= bytes;
    pthread_cond_broadcast(&mt_exec.progress);
    return true;
}

/* Runs the first n tasks of a queue in a thread that is not the stream's worker. */
static void run_claimed(mt_stream *s, int n) {
    s->claimed = true;
    if (!run_queued(s, n)) return;
    s->claimed = false;
    if (s->head) pthread_cond_signal(&s->work);
}

/* A thread waits for the next host task of a stream, and its worker has not come to it.  If it is short, the thread does it itself: two
 * hand-offs are spared, and each leaves threads of BLAS on a core that is taken.  A long one is the worker's, since Ctrl-C has to end a wait. */
static void do_instead(mt_mark mark) {
    const int64_t SHORT = (int64_t)1 << 30;                 /* steps: some 50 ms of a matrix product on one core */
    mt_stream *s = mt_exec.streams[mark.stream];
    const mt_task *task = s->head;
    if (!task || task->seq != mark.seq || task->kind != MT_TASK_HOST || !task->steps || task->steps > SHORT) return;
    if (s->running || s->waiting || s->claimed || !mt_waits_over(task) || mt_exec.gate_closed || mt_alone()) return;
    run_claimed(s, 1);
}

/* A waiter runs a stream that has no worker, a step at a time.  What the next task waits for may be
 * on another such stream; marks point to work submitted earlier, so the steps down come to an end.
 * While a fork is under way only the forking thread serves. */
bool mt_serve(mt_stream *s) {
    const mt_task *task = s->head;
    if (!task || s->claimed || s->running || (mt_exec.gate_closed && !mt_forking()) || mt_ensure_worker(s)) return false;
    for (int i = 0; i < task->n_wait; i++)
        if (!mt_reached(task->wait[i])) return mt_serve(mt_exec.streams[task->wait[i].stream]);
    run_claimed(s, mt_exec.fusion ? mt_fuse(task) : 1);
    return true;
}

/* Serves what a task waits for; false: a worker or another thread is at it. */
static bool serve_waits(const mt_task *task) {
    for (int i = 0; i < task->n_wait; i++)
        if (!mt_reached(task->wait[i]) && mt_serve(mt_exec.streams[task->wait[i].stream])) return true;
    return false;
}

static void *work(void *argument) {
    mt_stream *s = argument;
    pthread_mutex_lock(&mt_exec.lock);
    for (;;) {
        while (!s->stop && (!s->head || s->claimed)) pthread_cond_wait(&s->work, &mt_exec.lock);
        if (s->stop) break;                                 /* what is queued stays queued */
        mt_task *task = s->head;
        if (!mt_waits_over(task)) {
            s->waiting = true;
            for (int i = 0; i < task->n_wait; i++) mt_await(task->wait[i], 1);
            unsigned born = atomic_load(&mt_exec.generation);
            while (!mt_waits_over(task) && !s->stop) {
                s->serving = true;
                bool served = serve_waits(task);
                s->serving = false;
                if (!served) pthread_cond_wait(&mt_exec.progress, &mt_exec.lock);
                if (born != atomic_load(&mt_exec.generation)) break;
            }
            if (born != atomic_load(&mt_exec.generation)) break;    /* in a served task's child */
            for (int i = 0; i < task->n_wait; i++) mt_await(task->wait[i], -1);
            s->waiting = false;
        }
        if (s->stop) break;
        int n = gather(s);
        if (s->stop) break;
        if (!run_queued(s, n)) {
            pthread_mutex_unlock(&mt_exec.lock);
            return NULL;
        }
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return NULL;
}
