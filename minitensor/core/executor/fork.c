/* Fork and shutdown.  The essay in executor.c describes the steps of a fork. */
#include <errno.h>

#include "arena/fork.h"
#include "base/error.h"
#include "base/host.h"
#include "base/sync.h"
#include "base/testpoints.h"
#include "base/threadpool.h"
#include "executor/executor.h"
#include "memory/allocator.h"

/* The errno of this thread's last fork; 0: it succeeded. */
static _Thread_local int fork_errno;

/* The C library calls hold_locks, after_fork and renew_locks around every fork of the process by
 * any caller.  It also calls them when Python's hooks are not called (subprocess, a library in C),
 * or when one of these hooks was interrupted before ours.  They ensure that no lock is copied
 * while another thread holds it.  In a fork that mt_fork_prepare has prepared, this thread already
 * holds the locks, and locks them once more. */
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

/* Makes the locks anew.  Runs first in the child, where the owner of a lock that was held at the
 * fork does not exist.  Hooks that Python runs before ours may use tensors already; their ops run
 * inline, since the gate is still closed. */
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

/* Returns true if a stream can make progress.  When the forking thread is inside a host task, two
 * kinds of stream can't: its own, and those whose next task waits for it (their worker waits, or
 * they have none).  The caller holds the lock. */
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

/* Joins the workers that run no task.  That is all of them, unless draining was interrupted or the
 * forking thread is itself a worker.  The caller holds the lock; it is released meanwhile. */
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
    /* False if a before-fork hook was interrupted at its beginning. */
    if (mt_forking()) {
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
    /* Python up to 3.11 reads errno only after all hooks. */
    errno = fork_errno;
}

/* Stores an error with this text in the task's outputs.  Only the parent computes the value of a
 * task that it had not finished at the fork. */
static void abandon(const mt_task *task, const char *why) {
    mt_error *error = mt_error_new(mt_task_op(task), task->site, MT_RUNTIME_ERROR, why, NULL);
    mt_poison(task, error);
    mt_error_release(error);
}

void mt_fork_child(void) {
    atomic_fetch_add(&mt_exec.generation, 1);
    mt_exec.gate_closed = false;
    /* This also clears the counts of threads that were about to fork and do not exist here. */
    atomic_store(&mt_may_block, mt_points_asked());
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
        s->started = s->stop = s->claimed = s->busy = s->waiting = s->serving = false;
        s->done = s->submitted;
        s->queued = s->queued_bytes = s->awaited = 0;
        /* The parent reports these errors; the values stay errors here. */
        mt_errors_forget(s);
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
    /* mt_fork_drain closed the gate; it has no further use. */
    mt_exec.gate_closed = false;
    pthread_cond_broadcast(&mt_exec.progress);
    atomic_store(&mt_python_gone, true);
    pthread_mutex_unlock(&mt_exec.lock);
}
