/* The process as a whole: its settings, fork and shutdown.  What a fork does step by step is told in executor.c. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "executor/executor.h"

/* The C library calls these around every fork of the process, whoever asks for it: also when Python's hooks are not called (subprocess, a
 * library in C) or one of them was interrupted before it came to ours.  They only make sure that no lock is copied while somebody
 * else is inside; for a fork that mt_fork_prepare knows of they find the locks held by this very thread, and lock them once more. */
static _Thread_local int fork_errno;                /* why this thread's last fork failed; 0: it didn't */

static void hold_locks(void) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_alloc_lock_all();
    mt_pool_lock();
    mt_arena_before_fork();
    errno = 0;
}

static void release_locks(void) {
    mt_alloc_unlock_all();
    pthread_mutex_unlock(&mt_exec.lock);
}

static void after_fork(void) {
    fork_errno = errno;
    mt_arena_in_parent();
    mt_pool_unlock();
    release_locks();
}

/* In a child, before anything else there: a lock that the forking thread holds is held by nobody now.  Hooks that Python runs
 * before ours may use tensors already; their ops run at once, since the gate is still closed. */
static void renew_locks(void) {
    mt_mutex_init(&mt_exec.lock);
    mt_cond_init(&mt_exec.progress);
    mt_alloc_reset_locks();
    mt_pool_renew();
    mt_arena_in_child();
}

__attribute__((constructor)) static void init(void) {
    mt_mutex_init(&mt_exec.lock);
    mt_cond_init(&mt_exec.progress);
    pthread_atfork(hold_locks, after_fork, renew_locks);
}

/* --- test points ---------------------------------------------------------------------------------------------------------------- */

_Atomic int64_t mt_points[MT_POINTS];          /* 0: nobody is held here; else the two descriptors */

static int holds;

void mt_hold_at(int point, int reached, int go) {
    holds++;                                        /* for good: a thread that is held must not have the GIL */
    atomic_fetch_add(&mt_may_block, 1);
    atomic_store(&mt_points[point], ((int64_t)(reached + 1) << 32) | (go + 1));
}

void mt_point_hold(int point) {
    int64_t held = atomic_exchange(&mt_points[point], 0);           /* one thread only */
    char byte = (char)point;
    if (!held) return;
    if (write((int)(held >> 32) - 1, &byte, 1) != 1) return;
    while (read((int)(held & 0xffffffff) - 1, &byte, 1) < 0 && errno == EINTR) continue;
}

/* --- threads --------------------------------------------------------------------------------------------------------------------- */

static atomic_int refusals;                         /* so many starts of threads are still to fail, for a test; -1: all */

void mt_refuse_threads(int n) { atomic_store(&refusals, n); }

static bool refused(void) {
    int n = atomic_load(&refusals);
    while (n > 0 && !atomic_compare_exchange_weak(&refusals, &n, n - 1)) continue;
    return n != 0;
}

/* The name is for top, gdb and threads.py, which tells ours from others.  The new thread blocks all
 * signals: they are for the threads that Python knows. */
bool mt_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *name) {
    sigset_t all, old;
    if (refused()) return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool started = pthread_create(thread, NULL, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
#ifdef __linux__
    if (started) pthread_setname_np(*thread, name);
#else
    (void)name;
#endif
    return started;
}

/* --- settings ------------------------------------------------------------------------------------------------------------------- */

void mt_set_synchronous(int on) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.synchronous = on;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_set_fusion(int on) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.fusion = on;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_set_inline_limit(int64_t elements) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.inline_limit = elements;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_set_queue_bound(int64_t tasks, int64_t bytes) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.max_tasks = tasks;
    mt_exec.max_bytes = bytes;
    pthread_cond_broadcast(&mt_exec.progress);
    pthread_mutex_unlock(&mt_exec.lock);
}

int mt_thread_count(void) {
    int count = 0;
    pthread_mutex_lock(&mt_exec.lock);
    for (int i = 1; i < mt_exec.n_streams; i++) count += mt_exec.streams[i]->started;
    pthread_mutex_unlock(&mt_exec.lock);
    return count;
}

/* Is there a stream that can still get on?  When the forking thread is inside a host task, its own
 * stream can't, nor can those whose next task waits for it: their worker waits, or they have none. */
static bool draining(void) {
    for (int i = 1; i < mt_exec.n_streams; i++) {
        const mt_stream *s = mt_exec.streams[i];
        if (mt_idle(s) || s == mt_working_on) continue;
        bool stands = s->head && (s->waiting || (!s->started && !s->claimed)) && !mt_waits_over(s->head);
        if (!mt_working_on || !stands) return true;
    }
    return false;
}

int mt_fork_drain(int timeout_ms) {
    struct timespec deadline = mt_deadline_in(timeout_ms);
    int status = MT_OK;
    pthread_mutex_lock(&mt_exec.lock);
    while (mt_exec.gate_closed && !mt_forking() && status == MT_OK)
        if (!mt_wait_progress(NULL, &deadline)) status = MT_TIMEOUT;
    if (status == MT_OK || !mt_exec.gate_closed) {
        mt_exec.gate_closed = true;
        mt_exec.gate_owner = pthread_self();
        status = MT_OK;
        for (int i = 1; i < mt_exec.n_streams; i++)
            if (mt_exec.streams[i]->head) mt_ensure_worker(mt_exec.streams[i]);
        while (draining() && status == MT_OK)
            if (!mt_wait_progress(NULL, &deadline) && draining()) status = MT_TIMEOUT;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return status;
}

/* Ends the workers that have nothing in hand.  All of them have not, unless draining was given up, or the forking thread is
 * itself one. */
static void join_workers(void) {
    for (int i = 1; i < mt_exec.n_streams; i++) {
        mt_stream *s = mt_exec.streams[i];
        if (!s->started || s->serving || (s->running && !s->claimed)) continue;
        s->stop = true;
        pthread_cond_signal(&s->work);
        pthread_cond_broadcast(&mt_exec.progress);
        pthread_mutex_unlock(&mt_exec.lock);
        mt_point(MT_POINT_JOIN);
        pthread_join(s->thread, NULL);
        pthread_mutex_lock(&mt_exec.lock);
        s->started = s->stop = false;
    }
}

atomic_int mt_may_block;

void mt_fork_announce(void) { atomic_fetch_add(&mt_may_block, 1); }

void mt_fork_prepare(void) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.gate_closed = true;
    mt_exec.gate_owner = pthread_self();
    mt_exec.fork_depth++;
    join_workers();
    mt_pool_join();
    mt_alloc_lock_all();
}

void mt_fork_parent(void) {
    pthread_mutex_lock(&mt_exec.lock);
    if (mt_forking()) {                                     /* not so when a before-hook was interrupted at its very beginning */
        if (mt_exec.fork_depth > 0) {
            mt_exec.fork_depth--;
            atomic_fetch_sub(&mt_may_block, 1);
            release_locks();
        }
        if (mt_exec.fork_depth == 0) {
            mt_exec.gate_closed = false;
            mt_pool_open();
            for (int i = 1; i < mt_exec.n_streams; i++)
                if (mt_exec.streams[i]->head) mt_ensure_worker(mt_exec.streams[i]);
            pthread_cond_broadcast(&mt_exec.progress);
        }
    }
    pthread_mutex_unlock(&mt_exec.lock);
    errno = fork_errno;                                     /* Python up to 3.11 looks at it only after all hooks */
}

/* The value of a task that the parent had not finished is the parent's to make; here it is an error that says so. */
static void abandon(const mt_task *task, const char *why) {
    mt_error *error = mt_error_new(task, MT_RUNTIME_ERROR, why, NULL);
    mt_poison(task, error);
    mt_error_release(error);
}

static void forget_errors(mt_stream *s) {
    mt_error *error = s->first_error;
    s->first_error = s->last_error = NULL;
    s->n_errors = 0, s->more_errors = 0;
    s->batch++;
    while (error) {
        mt_error *next = error->next;
        error->stream = 0, error->kept = false, error->previous = error->next = NULL;
        mt_error_release(error);
        error = next;
    }
}

void mt_fork_child(void) {
    atomic_fetch_add(&mt_exec.generation, 1);
    mt_exec.gate_closed = false;
    atomic_store(&mt_may_block, holds);                     /* also of threads that were about to fork, and do not exist here */
    mt_exec.fork_depth = 0;
    mt_working_on = NULL;
    mt_pool_open();
    for (int i = 1; i < mt_exec.n_streams; i++) {
        mt_stream *s = mt_exec.streams[i];
        mt_task *queue = s->head;
        for (const mt_task *task = s->running; task; task = task->next) abandon(task, "was still being computed when this process was forked");
        mt_cond_init(&s->work);
        s->head = s->tail = s->running = NULL;
        s->started = s->stop = s->claimed = s->waiting = s->serving = false;
        s->done = s->submitted;
        s->queued = s->queued_bytes = s->awaited = 0;
        forget_errors(s);                                   /* the parent is told of them; the values stay errors */
        while (queue) {
            mt_task *next = queue->next;
            abandon(queue, "was still queued when this process was forked");
            mt_task_free(queue);
            queue = next;
        }
    }
}

void mt_shutdown(void) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.shut_down = true;
    join_workers();
    mt_pool_join();
    mt_exec.gate_closed = false;                            /* mt_fork_drain had closed it; nobody needs it any more */
    pthread_cond_broadcast(&mt_exec.progress);
    atomic_store(&mt_python_gone, true);
    pthread_mutex_unlock(&mt_exec.lock);
}
