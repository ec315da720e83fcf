/* The executor: streams, their workers, and who waits for whom.
 *
 * Its files: submit.c gets tasks in, order.c says what each waits for, worker.c and task_run.c run
 * them, wait.c is for those who wait, errors.c keeps what failed, fork.c is for fork and shutdown.
 *
 * The problem.  A call of an op should cost its submitter less than a microsecond and return before
 * the work is done, while values must come out as if each op had run at its call: for many Python
 * threads, many streams, NumPy arrays that share a tensor's memory, and a fork at any moment.
 *
 * The solution.  A stream is a queue of tasks and one worker thread, started on first use.  Tasks
 * of one stream run in order.  Between streams order follows from the data: a storage remembers the
 * last place (mark) at which it is written and read, and a task that needs it on another stream
 * waits for that mark.  Marks always point to work submitted earlier, so waiting can't go in
 * circles; events are marks that a user sets himself.
 *
 * A hand-off to a worker costs some 10 us, more than a small op.  So a small op whose stream has
 * nothing to do and whose inputs are ready runs in its submitter's thread (mt_dispatch, and
 * mt_submit for the library's own host tasks), which claims the stream while it does.  The same way
 * run: everything in synchronous mode; ops on memory that can be seen from outside the streams (by
 * NumPy arrays, or by other processes after share_memory_), because a write has to be there, and a
 * read over, when the caller goes on; ops inside a host task, which must not wait for the stream
 * they run on; everything in the thread that is just forking.  And a thread that waits for a short
 * host task that its worker has not begun runs the task itself (run_inline).
 *
 * The system may refuse a thread (RLIMIT_NPROC, a cgroup's limit).  A stream without a worker is no
 * error: an op whose stream is idle runs in its submitter's thread, what can't run yet stays
 * queued, and every thread that waits for it, by whatever call, runs the queue up to there itself
 * (mt_serve). Each attempt asks for a thread again, so the worker is back when the system allows
 * one.
 *
 * A worker sees its whole queue, not one task.  Neighbours that go over the same elements are done
 * as one pass over memory (collect_batch; fuse.c, plan.c, execute.c), and a large op is cut into
 * pieces that other threads help with (threadpool.c).  Neither changes a value.
 *
 * Failing.  A task that fails leaves an error in its outputs' storages instead of a value; tasks
 * that read such a storage do not run and hand the error on.  Each error also stands in its
 * stream's account until it has been read or told: the oldest MT_ERRORS_KEPT in a list, the others
 * as a number.  Entering and leaving the account take constant time.
 *
 * Locks.  One lock guards all streams' queues and numbers, the marks and the errors.  It is held
 * for a few instructions and never while a kernel or Python runs.  One condition variable,
 * `progress`, is told of each change that somebody may wait for; each stream's `work` wakes its
 * worker.  Lock order: executor, then allocator.
 *
 * Fork.  mt_fork_drain closes the gate (no submitter passes but workers, whose nested ops run at
 * once, and the forking thread) and waits for the streams to be empty; mt_fork_prepare joins the
 * workers and the helpers of large ops, and keeps the executor's and the allocator's locks.  So the
 * child is a copy of a process in which nothing runs.  The parent unlocks and opens the gate,
 * threads start again with the next task; in the child the locks are made anew (renew_locks),
 * because their owner does not exist there.  The locks are recursive, since other before-fork hooks
 * of the same thread may drop tensors.  What can't be drained (the host task that the forking
 * thread is in, what waits for it, and what was at work when Ctrl-C ended the wait) stays the
 * parent's: in the child those values are errors that say so.  pthread_atfork takes the locks once
 * more, so that they are whole even in a fork that nobody announced. */
#include "executor/executor.h"

mt_executor mt_exec = {.n_streams = 1,
                       .fusion = true,
                       .inline_limit = 16384,
                       .max_tasks = 4096,
                       .max_bytes = (int64_t)2 << 30};
_Thread_local int mt_current_stream[MT_MAX_DEVICES];
_Thread_local mt_stream *mt_working_on;

mt_stream *mt_stream_of_thread(int device) {
    int id = mt_current_stream[device];
    return mt_exec
        .streams[id && !mt_exec.streams[id]->released ? id : mt_devices[device].default_stream];
}
