/* Fork and shutdown.  What a fork does step by step is told in executor.c. */
#include <errno.h>

#include "arena/fork.h"
#include "base/error.h"
#include "base/host.h"
#include "base/sync.h"
#include "base/testpoints.h"
#include "base/threadpool.h"
#include "executor/executor.h"
#include "memory/allocator.h"

/* The C library calls these around every fork of the process, from whatever caller: also when
 * Python's hooks are not called (subprocess, a library in C) or one of them was interrupted before
 * it came to ours.  They only make sure that no lock is copied while another thread holds it; for a
 * fork that mt_fork_prepare knows of they find the locks held by this very thread, and lock them
 * once more. */
static _Thread_local int fork_errno; /* why this thread's last fork failed; 0: it didn't */

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

/* In a child, before anything else there: a lock that the forking thread holds has no holder
 * now.  Hooks that Python runs before ours may use tensors already; their ops run at once, since
 * the gate is still closed. */
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

/* Is there a stream that can still get on?  When the forking thread is inside a host task, its own
 * stream can't, nor can those whose next task waits for it: their worker waits, or they have
 * none. */
static bool draining(void) {
    for (int i = 1; i < mt_exec.n_streams; i++) {
        const mt_stream *s = mt_exec.streams[i];
        if (mt_idle(s) || s == mt_working_on) continue;
        bool stands =
            s->head && (s->waiting || (!s->started && !s->claimed)) && !mt_waits_over(s->head);
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

/* Ends the workers that have nothing in hand.  All of them have not, unless draining was given up,
 * or the forking thread is itself one. */
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
    if (mt_forking()) { /* not so when a before-hook was interrupted at its very beginning */
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
    errno = fork_errno; /* Python up to 3.11 looks at it only after all hooks */
}

/* The value of a task that the parent had not finished is the parent's to make; here it is an error
 * that says so. */
static void abandon(const mt_task *task, const char *why) {
    mt_error *error = mt_error_new(mt_task_op(task), task->site, MT_RUNTIME_ERROR, why, NULL);
    mt_poison(task, error);
    mt_error_release(error);
}

void mt_fork_child(void) {
    atomic_fetch_add(&mt_exec.generation, 1);
    mt_exec.gate_closed = false;
    atomic_store(
        &mt_may_block,
        mt_points_asked()); /* also of threads that were about to fork, and do not exist here */
    mt_exec.fork_depth = 0;
    mt_working_on = NULL;
    mt_pool_open();
    for (int i = 1; i < mt_exec.n_streams; i++) {
        mt_stream *s = mt_exec.streams[i];
        mt_task *queue = s->head;
        for (const mt_task *task = s->running; task; task = task->next)
            abandon(task, "was still being computed when this process was forked");
        mt_cond_init(&s->work);
        s->head = s->tail = s->running = NULL;
        s->started = s->stop = s->claimed = s->waiting = s->serving = false;
        s->done = s->submitted;
        s->queued = s->queued_bytes = s->awaited = 0;
        mt_errors_forget(s); /* the parent is told of them; the values stay errors */
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
    mt_exec.gate_closed = false; /* mt_fork_drain had closed it; no thread needs it any more */
    pthread_cond_broadcast(&mt_exec.progress);
    atomic_store(&mt_python_gone, true);
    pthread_mutex_unlock(&mt_exec.lock);
}
