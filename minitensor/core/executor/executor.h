/* The executor's state, shared by its files.  Only the executor includes this header, so only the
 * executor reaches the lock.  The essay is in executor.c. */
#ifndef MT_EXECUTOR_H
#define MT_EXECUTOR_H
#include "base/clock.h"
#include "executor/pending.h"
#include "executor/task.h"

typedef struct mt_stream {
    int id, device;
    bool released;            /* its id is unused; mt_stream_new may reuse it */
    bool started, stop;       /* the worker exists; it has to end */
    bool claimed;             /* a thread other than the worker runs its tasks */
    bool busy;                /* a thread runs tasks of its queue, or has yet to count them done */
    bool waiting, serving;    /* its worker waits for other streams; it runs a task of one */
    uint64_t submitted, done; /* numbers of tasks; idle when equal */
    int64_t queued, queued_bytes;
    /* running: a list as well; several tasks when they run as one pass */
    mt_task *head, *tail, *running;
    int awaited; /* threads and streams that wait for it */
    /* Incremented at each change of the queue or of `awaited`.  A worker that waits for tasks to
     * fuse polls it without the lock. */
    atomic_uint epoch;
    int fusion_credit;  /* remaining waits for tasks to fuse (worker.c) */
    int64_t last_size;  /* elements of the last task that ran at its call and was not small */
    uint64_t last_look; /* `looks` at that time */
    mt_error *first_error, *last_error; /* errors neither read nor reported, the oldest first */
    int n_errors;                       /* in the list: at most MT_ERRORS_KEPT */
    int64_t more_errors;                /* neither read nor reported, and not in the list */
    /* Incremented when more_errors is reported; errors of an older batch no longer count in it. */
    uint32_t batch;
    pthread_t thread;
    pthread_cond_t work;
} mt_stream;

struct mt_event {
    _Atomic int64_t refs;
    mt_mark mark; /* guarded by the lock, as is the time */
    double time_ms;
};

enum { MT_MAX_STREAMS = 1024, MT_FUSION_CREDIT = 8 };

/* Everything here, and in the streams, is guarded by the lock. */
typedef struct mt_executor {
    pthread_mutex_t lock;
    pthread_cond_t progress; /* signalled at each change that a thread may wait for */
    mt_stream *streams[MT_MAX_STREAMS];
    int n_streams;    /* id 0 is no stream, so a zeroed mark is reached */
    bool gate_closed; /* a fork is under way, in the thread gate_owner */
    pthread_t gate_owner;
    int fork_depth; /* a signal handler may fork inside a before-fork hook */
    bool shut_down, synchronous, fusion;
    /* Incremented in each child of a fork.  A worker that wakes in a child compares it, and so
     * detects that it is no worker there. */
    atomic_uint generation;
    int64_t inline_limit, max_tasks, max_bytes;
    uint64_t looks; /* how often a thread has looked at a value, or waited for one */
} mt_executor;

extern mt_executor mt_exec;

/* By device: the stream that this thread has chosen; 0: the device's default. */
extern _Thread_local int mt_current_stream[MT_MAX_DEVICES];

/* The stream whose host task this thread runs; NULL: none. */
extern _Thread_local mt_stream *mt_working_on;

/* --- with the lock held ------------------------------------------------------------------- */

static inline bool mt_idle(const mt_stream *s) { return s->submitted == s->done; }
static inline bool mt_reached(mt_mark mark) {
    return mark.stream == 0 || mt_exec.streams[mark.stream]->done >= mark.seq;
}

/* Returns true in the thread that has closed the gate for a fork. */
static inline bool mt_forking(void) {
    return mt_exec.gate_closed && pthread_equal(mt_exec.gate_owner, pthread_self());
}

/* Returns true if this thread's ops run inline, beside the streams. */
static inline bool mt_runs_inline(void) {
    return mt_working_on || mt_forking() || mt_exec.shut_down;
}

/* Returns true if no running or queued task uses the storage. */
static inline bool mt_storage_is_idle(const mt_storage *s) {
    return !s->busy && mt_reached(s->last_write) && mt_reached(s->last_read);
}

/* Returns the stream that this thread's ops on the device go to. */
mt_stream *mt_stream_of_thread(int device);

/* Starts the stream's worker if it has none; false: the system refuses a thread. */
bool mt_ensure_worker(mt_stream *s);

/* Runs the next task of a stream that has no worker; false: it has one, or no task can run.
 * Releases the lock meanwhile. */
bool mt_serve(mt_stream *s);

/* Notes that the head of a queue, which could be fused, runs with n - 1 others. */
void mt_fusion_credit(mt_stream *s, int n);

/* Runs the first n tasks of a queue in a thread that is not the stream's worker.  Releases the
 * lock meanwhile. */
void mt_run_claimed(mt_stream *s, int n);

/* Runs a task in this thread: with `claim` as the stream's next one, else beside the stream.
 * Returns its error with a count of the caller's, or NULL.  Releases the lock meanwhile. */
mt_error *mt_run_here(mt_stream *s, mt_task *task, bool claim);

/* Waits for a change, or serves s (NULL: any stream); false: the deadline has passed.  Releases
 * the lock meanwhile, as mt_wait_mark does. */
bool mt_wait_progress(mt_stream *s, const struct timespec *deadline);

/* Waits until the mark is reached; false: the deadline has passed. */
bool mt_wait_mark(mt_mark mark, const struct timespec *deadline);

/* Count a thread that waits for a mark, from the beginning of its wait to the end. */
void mt_waiter_add(mt_mark mark);
void mt_waiter_remove(mt_mark mark);

/* Returns how many tasks have ended so far; *busy: some have not. */
uint64_t mt_tasks_ended(bool *busy);

/* Returns true if every mark that a queued task waits for is reached. */
bool mt_waits_over(const mt_task *task);

/* Returns true if a task could run now without waiting; else *blocking is the first mark that is
 * not reached. */
bool mt_ready(const mt_task *task, mt_mark *blocking);

/* Returns true if the task uses memory that is visible outside the streams. */
bool mt_visible(const mt_task *task);

/* Returns an estimate of a task's work, in additions of float32. */
double mt_effort(const mt_task *task);

/* Returns true if a task that is ready may run in its submitter's thread, as the stream's next. */
bool mt_inline_now(mt_stream *s, const mt_task *task);

/* Appends a task to the queue, with the marks that it waits for; owns the task from then on. */
void mt_enqueue(mt_stream *s, mt_task *task);

/* Stores the error in the outputs that have none, each with a count of its own. */
void mt_poison(const mt_task *task, mt_error *error);

/* Adds an error to its stream's account, with a count of the account's. */
void mt_error_report(mt_stream *s, mt_error *error);

/* Empties the account. */
void mt_errors_forget(mt_stream *s);

/* --- without the lock ---------------------------------------------------------------------- */

/* Withdraws the task of a call that is dropped: a task that has not started never runs.  Waits for
 * the end of a kernel. */
void mt_withdraw(mt_call *call);

#endif
