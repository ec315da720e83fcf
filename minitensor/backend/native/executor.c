/* The executor: streams, their workers, and who waits for whom.
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
 * A hand-off to a worker costs some 10 us, more than a small op.  So an op whose stream has nothing to do and whose inputs are
 * ready runs in its submitter's thread (mt_dispatch), which claims the stream while it does.  The same way run: everything in
 * synchronous mode; ops on memory that NumPy arrays can see, because their owner may change it right after the call; ops inside a
 * host task, which must not wait for the stream they run on; everything in the thread that is just forking.
 *
 * Failing.  A task that fails leaves an error in its outputs' storages instead of a value; tasks that read such a storage do not
 * run and hand the error on.  Each error is also in its stream's list until somebody has been told.
 *
 * Locks.  One lock guards all streams' queues and numbers, the marks and the errors.  It is held for a few instructions and
 * never while a kernel or Python runs.  One condition variable, `progress`, is told of each change that somebody may wait
 * for; each stream's `work` wakes its worker.  Lock order: executor, then allocator.
 *
 * Fork.  mt_fork_drain closes the gate (no submitter passes but workers, whose nested ops run at once, and the forking thread) and
 * waits for the streams to be empty; mt_fork_prepare joins the workers and keeps the executor's and the allocator's locks.  So the
 * child is a copy of a process in which nothing runs.  The parent unlocks and opens the gate, threads start again with the next task; in the
 * child the locks are made anew (renew_locks), because their owner does not exist there.  The locks are recursive, since other before-fork hooks of the same
 * thread may drop tensors.  When the forking thread is itself a worker in the middle of a host task, that task and what waits
 * for it can't be drained: the parent keeps the queue, in the child those values are errors that say so. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h"

typedef struct stream {
    int id, device;
    bool released;               /* nobody has its id; mt_stream_new may hand it out again */
    bool started, stop;          /* the worker: there is one; it has to end */
    bool claimed;                /* a submitter's thread runs a task of it */
    bool waiting;                /* its worker waits for other streams */
    uint64_t submitted, done;    /* numbers of tasks; idle when equal */
    int64_t queued, queued_bytes;
    mt_task *head, *tail, *running;
    mt_error *errors;            /* nobody was told of these, the first first */
    pthread_t thread;
    pthread_cond_t work;
} stream;

struct mt_event {
    _Atomic int64_t refs;
    mt_mark mark;                /* guarded by the lock, as is the time */
    double time_ms;
};

enum { MAX_STREAMS = 1024 };

static pthread_mutex_t lock;
static pthread_cond_t progress;
static stream *streams[MAX_STREAMS];
static int n_streams = 1;                    /* id 0 is no stream: a zeroed mark is reached */
static bool gate_closed, shut_down, synchronous;
static int fork_depth;                       /* a signal handler may fork inside a before-fork hook */
static pthread_t gate_owner;
static atomic_uint generation;               /* of forks: a worker that wakes in a child sees that it is no worker there */
static int64_t inline_limit = 16384, max_tasks = 4096, max_bytes = (int64_t)2 << 30;
atomic_bool mt_python_gone;

static _Thread_local int current_stream[MT_MAX_DEVICES];        /* 0: the device's default */
static _Thread_local stream *working_on;                        /* inside a host task of this stream */

static void cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* In a forked child, before anything else there: a lock that the forking thread holds is held by nobody now.  Hooks that Python runs
 * before ours may use tensors already; their ops run at once, since the gate is still closed. */
static void renew_locks(void) {
    if (fork_depth == 0) return;                            /* a fork that we were not told of: subprocess, say, about to exec */
    mt_mutex_init(&lock);
    cond_init(&progress);
    mt_alloc_reset_locks();
}

__attribute__((constructor)) static void init(void) {
    mt_mutex_init(&lock);
    cond_init(&progress);
    pthread_atfork(NULL, NULL, renew_locks);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static struct timespec deadline_in(int timeout_ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

/* --- everything from here to the next line of dashes is called with the lock held ------------------------------------------ */

static bool idle(const stream *s) { return s->submitted == s->done; }
static bool reached(mt_mark mark) { return mark.stream == 0 || streams[mark.stream]->done >= mark.seq; }
static bool forking(void) { return gate_closed && pthread_equal(gate_owner, pthread_self()); }
static bool alone(void) { return working_on || forking() || shut_down; }

static void *work(void *argument);

static bool ensure_worker(stream *s) {
    if (s->started) return true;
    sigset_t all, old;
    sigfillset(&all);                                       /* signals are for the threads that Python knows */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    s->started = pthread_create(&s->thread, NULL, work, s) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return s->started;
}

static bool wait_progress(const struct timespec *deadline) {
    return pthread_cond_timedwait(&progress, &lock, deadline) != ETIMEDOUT;
}

static bool wait_mark(mt_mark mark, const struct timespec *deadline) {
    while (!reached(mark)) {
        stream *s = streams[mark.stream];
        if (s->head && !gate_closed) ensure_worker(s);      /* it may have been refused a thread before */
        if (!wait_progress(deadline)) return reached(mark);
    }
    return true;
}

static void wait_for(mt_task *task, const stream *s, mt_mark mark) {
    if (mark.stream != s->id && !reached(mark)) task->wait[task->n_wait++] = mark;
}

static bool waits_over(const mt_task *task) {
    for (int i = 0; i < task->n_wait; i++)
        if (!reached(task->wait[i])) return false;
    return true;
}

/* Is everything over that a task run right now would have to wait for?  *blocking: the first that is not. */
static bool ready(const mt_task *task, mt_mark *blocking) {
    for (int i = 0; i < task->n_in; i++) {
        mt_storage *storage = task->in[i]->storage;
        if (storage && !reached(*blocking = storage->last_write)) return false;
    }
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        if (!reached(*blocking = storage->last_write) || !reached(*blocking = storage->last_read)) return false;
    }
    return true;
}

static bool exported(const mt_task *task) {
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage && atomic_load_explicit(&task->in[i]->storage->exports, memory_order_relaxed)) return true;
    for (int i = 0; i < task->n_out; i++)
        if (atomic_load_explicit(&task->out[i]->storage->exports, memory_order_relaxed)) return true;
    return false;
}

static void enqueue(stream *s, mt_task *task) {
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
    pthread_cond_signal(&s->work);
}

static mt_error *inherited_error(const mt_task *task) {
    for (int i = 0; i < task->n_in; i++)
        if (task->in[i]->storage && task->in[i]->storage->error) return task->in[i]->storage->error;
    return NULL;
}

static void poison(const mt_task *task, mt_error *error) {
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        if (storage->error) continue;                       /* the first error is the cause */
        atomic_fetch_add(&error->refs, 1);
        storage->error = error;
    }
}

static mt_error *error_new(const mt_task *task, int status, const char *message, void *exception) {
    mt_error *error = calloc(1, sizeof *error);
    if (!error) {                                           /* an error must not get lost for want of memory */
        static mt_error none = {.status = MT_MEMORY_ERROR, .op = "task", .message = "failed, and no memory was left to say why"};
        atomic_fetch_add(&none.refs, 2);
        return &none;
    }
    atomic_init(&error->refs, 1);
    error->status = status;
    error->site = task->site;
    error->exception = exception;
    snprintf(error->op, sizeof error->op, "%s", mt_task_op(task));
    snprintf(error->message, sizeof error->message, "%s", message);
    return error;
}

static void report_later(stream *s, mt_error *error) {
    mt_error **end = &s->errors;
    while (*end) end = &(*end)->next;
    atomic_fetch_add(&error->refs, 1);
    *end = error;
}

/* Runs a task, giving up the lock meanwhile; returns its error (a new count) or NULL. */
static mt_error *run(stream *s, mt_task *task) {
    mt_error *error = inherited_error(task);
    if (error) {
        poison(task, error);
        return NULL;                                        /* told of once, by the stream that it came from */
    }
    stream *outer = working_on;
    unsigned born = atomic_load(&generation);
    if (task->kind == MT_TASK_HOST) working_on = s;
    void *exception = NULL;
    pthread_mutex_unlock(&lock);
    int status = mt_task_run(task, &exception);
    pthread_mutex_lock(&lock);
    if (born == atomic_load(&generation)) working_on = outer;
    if (task->event) {
        task->event->time_ms = now_ms();
    }
    if (status == MT_OK) return NULL;
    error = error_new(task, status, status == MT_HOST_RAISED ? "" : MT_OP_ERROR_TEXT[task->op], exception);
    poison(task, error);
    report_later(s, error);
    return error;
}

/* Runs a task in the thread that submits it.  With `claim`, as the stream's next one; without, beside the streams. */
static mt_error *run_here(stream *s, mt_task *task, bool claim) {
    uint64_t seq = 0;
    unsigned born = atomic_load(&generation);
    if (claim) {
        s->claimed = true;
        seq = ++s->submitted;
        s->running = task;
    }
    mt_error *error = run(s, task);
    if (claim && born == atomic_load(&generation)) {
        s->claimed = false;
        s->running = NULL;
        s->done = seq;
        if (s->head && !gate_closed) ensure_worker(s);
        if (s->head) pthread_cond_signal(&s->work);
        pthread_cond_broadcast(&progress);
    }
    return error;
}

static stream *stream_of_thread(int device) {
    int id = current_stream[device];
    return streams[id && !streams[id]->released ? id : mt_devices[device].default_stream];
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

static void release_references(mt_task *task) {
    for (int i = 0; i < task->n_in; i++) mt_tensor_release(task->in[i]);
    for (int i = 0; i < task->n_out; i++) mt_tensor_release(task->out[i]);
    if (task->event) mt_event_release(task->event);
    if (task->host && !atomic_load(&mt_python_gone)) mt_py_release(task->host);
}

void mt_task_free(mt_task *task) {
    release_references(task);
    free(task);
}

static int64_t effort(const mt_task *task) {
    int64_t size = 0;
    for (int i = 0; i < task->n_in; i++) size = task->in[i]->size > size ? task->in[i]->size : size;
    for (int i = 0; i < task->n_out; i++) size = task->out[i]->size > size ? task->out[i]->size : size;
    return size;
}

static void *work(void *argument) {
    stream *s = argument;
    unsigned born = atomic_load(&generation);
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!s->stop && (!s->head || s->claimed)) pthread_cond_wait(&s->work, &lock);
        if (s->stop) break;                                 /* what is queued stays queued */
        mt_task *task = s->head;
        s->waiting = true;
        while (!waits_over(task) && !s->stop) pthread_cond_wait(&progress, &lock);
        s->waiting = false;
        if (s->stop) break;
        s->head = task->next;
        s->running = task;
        mt_error *error = run(s, task);
        if (born != atomic_load(&generation)) {             /* a host task forked and this is the child: no stream is ours any more */
            pthread_mutex_unlock(&lock);
            return NULL;
        }
        s->running = NULL;
        uint64_t seq = task->seq;
        int64_t bytes = task->bytes;
        pthread_mutex_unlock(&lock);
        mt_task_free(task);                                 /* may call Python, so not under the lock; and before the task counts as */
        if (error) mt_error_release(error);                 /* done, so that who waits for it finds its memory free */
        pthread_mutex_lock(&lock);
        s->done = seq;
        s->queued--;
        s->queued_bytes -= bytes;
        pthread_cond_broadcast(&progress);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* A stack task becomes a call that waits for mt_submit. */
static mt_ref postpone(mt_task *task, mt_tensor *result, int stream, mt_error *failed) {
    mt_call *call;
    mt_ref ref = mt_call_new(&call);
    mt_task *copy = call->status == MT_MEMORY_ERROR || failed ? NULL : mt_task_new(task->n_in, task->n_out);
    if (call->status == MT_MEMORY_ERROR || (!failed && !copy)) {
        mt_call_drop(ref);
        release_references(task);
        mt_tensor_release(result);
        if (failed) mt_error_release(failed);
        return mt_no_memory(mt_task_op(task), 0, (int64_t)sizeof *task);
    }
    call->status = task->kind == MT_TASK_HOST ? MT_HOST : MT_QUEUE;
    call->stream = stream;
    call->result = result;
    call->failed = failed;
    if (failed) {
        call->status = MT_QUEUE;
        release_references(task);
        return ref;
    }
    mt_tensor **in = copy->in, **out = copy->out;
    mt_mark *wait = copy->wait;
    *copy = *task;
    copy->in = memcpy(in, task->in, (size_t)task->n_in * sizeof *in);
    copy->out = memcpy(out, task->out, (size_t)task->n_out * sizeof *out);
    copy->wait = wait;
    call->task = copy;
    return ref;
}

mt_ref mt_dispatch(mt_task *task, mt_tensor *result) {
    mt_mark blocking;
    pthread_mutex_lock(&lock);
    stream *s = stream_of_thread(result->device);
    bool beside = alone();
    bool now = task->kind != MT_TASK_HOST && ready(task, &blocking) &&
               (beside || (!gate_closed && idle(s) && (effort(task) <= inline_limit || synchronous || exported(task))));
    mt_error *error = now ? run_here(s, task, !beside) : NULL;
    pthread_mutex_unlock(&lock);
    if (!now || error) return postpone(task, result, s->id, error);
    release_references(task);
    return mt_ref_of(result);
}

/* The call is over: what is left of it. */
static mt_ref conclude(mt_call *call) {
    mt_tensor *result = call->result;
    call->result = NULL;
    mt_call_drop(-(mt_ref)(intptr_t)call);
    return mt_ref_of(result);
}

static mt_ref refuse(mt_call *call, mt_ref ref, int status, const char *why) {
    snprintf(call->op, sizeof call->op, "%s", mt_task_op(call->task));
    call->status = status;
    snprintf(call->message, sizeof call->message, "%s", why);
    return ref;
}

static mt_ref submit_beside(mt_call *call, mt_ref ref, stream *s) {
    mt_mark blocking;
    while (!ready(call->task, &blocking)) {
        if (working_on && blocking.stream == working_on->id)
            return refuse(call, ref, MT_RUNTIME_ERROR, "inside a host task, waits for a value that its own stream has not come to yet");
        struct timespec soon = deadline_in(1000);
        wait_mark(blocking, &soon);
    }
    call->failed = run_here(s, call->task, false);
    return 0;
}

mt_ref mt_submit(mt_ref ref, uint32_t site, int timeout_ms) {
    mt_call *call = mt_c(ref);
    struct timespec deadline = deadline_in(timeout_ms);
    mt_mark blocking;
    if (call->failed) {                                     /* it ran at once, before its site was known */
        pthread_mutex_lock(&lock);
        call->failed->site = site;
        pthread_mutex_unlock(&lock);
        return conclude(call);
    }
    mt_task *task = call->task;
    stream *s = streams[call->stream];
    pthread_mutex_lock(&lock);
    bool wait = call->queued, finished = false;
    if (!call->queued) {
        task->site = site;
        if (alone()) {
            mt_ref refused = submit_beside(call, ref, s);
            pthread_mutex_unlock(&lock);
            return refused ? refused : conclude(call);
        }
        while (gate_closed || (s->queued && (s->queued >= max_tasks || s->queued_bytes + task->bytes > max_bytes))) {
            if (wait_progress(&deadline)) continue;
            pthread_mutex_unlock(&lock);
            return ref;
        }
        wait = synchronous || exported(task);
        if (wait && idle(s) && ready(task, &blocking)) {
            call->failed = run_here(s, task, true);
            finished = true;
        } else if (!ensure_worker(s)) {
            pthread_mutex_unlock(&lock);
            return refuse(call, ref, MT_RUNTIME_ERROR, "the system refuses to start a thread for the stream; lower the number of threads");
        } else {
            enqueue(s, task);
            call->seq = task->seq;
            call->task = NULL;                              /* the stream's now */
            call->queued = true;
        }
    }
    if (wait && !finished && !wait_mark((mt_mark){s->id, call->seq}, &deadline)) {
        pthread_mutex_unlock(&lock);
        return ref;
    }
    pthread_mutex_unlock(&lock);
    return conclude(call);
}

/* --- waiting and errors ------------------------------------------------------------------------------------------------------------ */

static int wait_storage(mt_storage *storage, int timeout_ms, bool unused) {
    if (!storage) return MT_OK;
    struct timespec deadline = deadline_in(timeout_ms);
    int status = MT_OK;
    pthread_mutex_lock(&lock);
    mt_mark marks[2] = {storage->last_write, unused ? storage->last_read : (mt_mark){0, 0}};
    for (int i = 0; i < 2 && status == MT_OK; i++) {
        if (reached(marks[i])) continue;
        if (working_on && marks[i].stream == working_on->id) status = MT_RUNTIME_ERROR;
        else if (!wait_mark(marks[i], &deadline)) status = MT_TIMEOUT;
    }
    if (status == MT_OK && storage->error) status = storage->error->status;
    pthread_mutex_unlock(&lock);
    return status;
}

int mt_wait(mt_ref tensor, int timeout_ms) { return wait_storage(mt_t(tensor)->storage, timeout_ms, false); }
int mt_wait_unused(mt_ref tensor, int timeout_ms) { return wait_storage(mt_t(tensor)->storage, timeout_ms, true); }

mt_error *mt_error_of(mt_ref tensor) {
    pthread_mutex_lock(&lock);
    mt_error *error = mt_t(tensor)->storage ? mt_t(tensor)->storage->error : NULL;
    if (error) {
        atomic_fetch_add(&error->refs, 1);
        error->reported = true;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

void mt_error_release(mt_error *error) {
    if (atomic_fetch_sub_explicit(&error->refs, 1, memory_order_acq_rel) != 1) return;
    if (error->exception && !atomic_load(&mt_python_gone)) mt_py_release(error->exception);
    free(error);
}

mt_error *mt_stream_take_error(int id) {
    for (;;) {
        pthread_mutex_lock(&lock);
        mt_error *error = streams[id]->errors;
        bool reported = error && error->reported;
        if (error) {
            streams[id]->errors = error->next;
            error->next = NULL;
            error->reported = true;
        }
        pthread_mutex_unlock(&lock);
        if (!reported) return error;
        mt_error_release(error);                            /* somebody read the value and was told */
    }
}

/* For an allocation that failed: waits until some task has ended and given its memory back.  False: there is none to wait for, or
 * nothing has moved for ten seconds. */
bool mt_executor_wait_some(void) {
    struct timespec deadline = deadline_in(10000);
    uint64_t before = 0, now = 0;
    bool busy = false;
    pthread_mutex_lock(&lock);
    for (int i = 1; i < n_streams; i++) {
        before += streams[i]->done;
        busy |= !idle(streams[i]);
    }
    now = before;
    while (busy && !alone() && now == before && wait_progress(&deadline)) {
        now = 0;
        for (int i = 1; i < n_streams; i++) now += streams[i]->done;
    }
    pthread_mutex_unlock(&lock);
    return now != before;
}

/* --- streams and events ---------------------------------------------------------------------------------------------------------- */

int mt_stream_new(int device) {
    int id = -1;
    pthread_mutex_lock(&lock);
    for (int i = 1; i < n_streams && id < 0; i++)           /* a stream given back, with its worker, serves again */
        if (streams[i]->released && streams[i]->device == device && idle(streams[i])) id = i;
    if (id < 0 && n_streams < MAX_STREAMS) {
        stream *s = calloc(1, sizeof *s);
        if (s) {
            cond_init(&s->work);
            s->device = device;
            streams[s->id = id = n_streams] = s;
            n_streams++;
        }
    } else if (id >= 0) streams[id]->released = false;
    pthread_mutex_unlock(&lock);
    return id;
}

void mt_stream_release(int id) {
    pthread_mutex_lock(&lock);
    streams[id]->released = true;
    pthread_mutex_unlock(&lock);
}

int mt_stream_current(int device) {
    pthread_mutex_lock(&lock);
    int id = stream_of_thread(device)->id;
    pthread_mutex_unlock(&lock);
    return id;
}

void mt_stream_set_current(int device, int id) { current_stream[device] = id; }
int mt_stream_default(int device) { return mt_devices[device].default_stream; }
int mt_stream_device(int id) { return streams[id]->device; }

int mt_stream_count(void) {
    pthread_mutex_lock(&lock);
    int count = n_streams - 1;
    pthread_mutex_unlock(&lock);
    return count;
}

int mt_stream_query(int id) {
    pthread_mutex_lock(&lock);
    int over = idle(streams[id]);
    pthread_mutex_unlock(&lock);
    return over;
}

int mt_stream_sync(int id, int timeout_ms) {
    struct timespec deadline = deadline_in(timeout_ms);
    pthread_mutex_lock(&lock);
    int status = MT_OK;
    if (working_on && working_on->id == id) status = MT_RUNTIME_ERROR;
    else if (!wait_mark((mt_mark){id, streams[id]->submitted}, &deadline)) status = MT_TIMEOUT;
    pthread_mutex_unlock(&lock);
    return status;
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
static int enqueue_marker(int id, mt_event *record, mt_event *await) {
    mt_task *task = mt_task_new(0, 0);
    if (!task) return MT_MEMORY_ERROR;
    task->op = -1;
    task->kind = record ? MT_TASK_EVENT : MT_TASK_NOTHING;
    snprintf(task->host_op, sizeof task->host_op, record ? "Event.record" : "Event.wait");
    pthread_mutex_lock(&lock);
    while (gate_closed && !alone()) pthread_cond_wait(&progress, &lock);
    stream *s = streams[id];
    bool needed = !(record ? idle(s) : reached(await->mark) || await->mark.stream == id) && !alone();
    int status = needed && !ensure_worker(s) ? MT_RUNTIME_ERROR : MT_OK;
    if (record && status == MT_OK) {
        record->mark = (mt_mark){id, s->submitted + (needed ? 1 : 0)};
        record->time_ms = needed ? -1 : now_ms();
        if (needed) {
            atomic_fetch_add(&record->refs, 1);
            task->event = record;
        }
    }
    if (needed && status == MT_OK) {
        if (await) task->wait[task->n_wait++] = await->mark;
        enqueue(s, task);
        task = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (task) mt_task_free(task);
    return status;
}

int mt_event_record(mt_event *event, int stream) { return enqueue_marker(stream, event, NULL); }
int mt_event_wait(mt_event *event, int stream) { return enqueue_marker(stream, NULL, event); }

int mt_event_query(mt_event *event) {
    pthread_mutex_lock(&lock);
    int over = reached(event->mark);
    pthread_mutex_unlock(&lock);
    return over;
}

int mt_event_sync(mt_event *event, int timeout_ms) {
    struct timespec deadline = deadline_in(timeout_ms);
    pthread_mutex_lock(&lock);
    int status = MT_OK;
    if (!reached(event->mark) && working_on && working_on->id == event->mark.stream) status = MT_RUNTIME_ERROR;
    else if (!wait_mark(event->mark, &deadline)) status = MT_TIMEOUT;
    pthread_mutex_unlock(&lock);
    return status;
}

double mt_event_time_ms(mt_event *event) {
    pthread_mutex_lock(&lock);
    double time = event->time_ms;
    pthread_mutex_unlock(&lock);
    return time;
}

int mt_busy(mt_running *out, int n) {
    int count = 0;
    pthread_mutex_lock(&lock);
    for (int i = 1; i < n_streams && count < n; i++) {
        const stream *s = streams[i];
        if (idle(s)) continue;
        const mt_task *task = s->running ? s->running : s->head;
        out[count] = (mt_running){.stream = i, .running = s->running != NULL, .queued = (int32_t)s->queued,
                                  .site = task ? task->site : 0};
        snprintf(out[count].op, sizeof out[count].op, "%s", task ? mt_task_op(task) : "");
        count++;
    }
    pthread_mutex_unlock(&lock);
    return count;
}

/* --- the process -------------------------------------------------------------------------------------------------------------------- */

void mt_set_synchronous(int on) {
    pthread_mutex_lock(&lock);
    synchronous = on;
    pthread_mutex_unlock(&lock);
}

void mt_set_inline_limit(int64_t elements) {
    pthread_mutex_lock(&lock);
    inline_limit = elements;
    pthread_mutex_unlock(&lock);
}

void mt_set_queue_bound(int64_t tasks, int64_t bytes) {
    pthread_mutex_lock(&lock);
    max_tasks = tasks;
    max_bytes = bytes;
    pthread_cond_broadcast(&progress);
    pthread_mutex_unlock(&lock);
}

int mt_thread_count(void) {
    int count = 0;
    pthread_mutex_lock(&lock);
    for (int i = 1; i < n_streams; i++) count += streams[i]->started;
    pthread_mutex_unlock(&lock);
    return count;
}

/* Is there a stream that can still get on by itself?  When the forking thread is inside a host task, its own stream can't,
 * nor can those whose next task waits for it. */
static bool draining(void) {
    for (int i = 1; i < n_streams; i++) {
        const stream *s = streams[i];
        if (idle(s) || s == working_on) continue;
        if (!working_on || !s->waiting || waits_over(s->head)) return true;
    }
    return false;
}

int mt_fork_drain(int timeout_ms) {
    struct timespec deadline = deadline_in(timeout_ms);
    int status = MT_OK;
    pthread_mutex_lock(&lock);
    while (gate_closed && !forking() && status == MT_OK)
        if (!wait_progress(&deadline)) status = MT_TIMEOUT;
    if (status == MT_OK || !gate_closed) {
        gate_closed = true;
        gate_owner = pthread_self();
        status = MT_OK;
        for (int i = 1; i < n_streams; i++)
            if (streams[i]->head && !streams[i]->started) ensure_worker(streams[i]);
        while (draining() && status == MT_OK)
            if (!wait_progress(&deadline) && draining()) status = MT_TIMEOUT;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static void join_workers(void) {
    for (int i = 1; i < n_streams; i++) {
        stream *s = streams[i];
        if (!s->started || pthread_equal(s->thread, pthread_self())) continue;
        s->stop = true;
        pthread_cond_signal(&s->work);
        pthread_cond_broadcast(&progress);
        pthread_mutex_unlock(&lock);
        pthread_join(s->thread, NULL);
        pthread_mutex_lock(&lock);
        s->started = s->stop = false;
    }
}

void mt_fork_prepare(void) {
    pthread_mutex_lock(&lock);
    gate_closed = true;
    gate_owner = pthread_self();
    fork_depth++;
    join_workers();
    mt_alloc_lock_all();
}

void mt_fork_parent(void) {
    if (fork_depth == 0) return;
    mt_alloc_unlock_all();
    if (--fork_depth == 0) {
        gate_closed = false;
        for (int i = 1; i < n_streams; i++)
            if (streams[i]->head) ensure_worker(streams[i]);
        pthread_cond_broadcast(&progress);
    }
    pthread_mutex_unlock(&lock);
}

void mt_fork_child(void) {
    atomic_fetch_add(&generation, 1);
    gate_closed = false;
    fork_depth = 0;
    working_on = NULL;
    for (int i = 1; i < n_streams; i++) {
        stream *s = streams[i];
        mt_task *queue = s->head;
        if (s->running) {                                   /* the host task that forks: its value is the parent's to make */
            mt_error *error = error_new(s->running, MT_RUNTIME_ERROR, "was still being computed when this process was forked", NULL);
            poison(s->running, error);
            mt_error_release(error);
        }
        cond_init(&s->work);
        s->head = s->tail = s->running = NULL;
        s->started = s->stop = s->claimed = s->waiting = false;
        s->done = s->submitted;
        s->queued = s->queued_bytes = 0;
        s->errors = NULL;                                   /* the parent is told of them; the values stay errors */
        while (queue) {
            mt_task *next = queue->next;
            mt_error *error = error_new(queue, MT_RUNTIME_ERROR, "was still queued when this process was forked by a host task", NULL);
            poison(queue, error);
            mt_error_release(error);
            mt_task_free(queue);
            queue = next;
        }
    }
}

void mt_shutdown(void) {
    pthread_mutex_lock(&lock);
    shut_down = true;
    join_workers();
    gate_closed = false;                                    /* mt_fork_drain had closed it; nobody needs it any more */
    pthread_cond_broadcast(&progress);
    atomic_store(&mt_python_gone, true);
    pthread_mutex_unlock(&lock);
}
