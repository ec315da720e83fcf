/* The executor: streams, their workers, and the order of tasks.
 *
 * Files: submit.c queues tasks, order.c computes the marks that a task waits for, effort.c
 * estimates how much work it is, worker.c and task_run.c run tasks, wait.c implements waiting,
 * errors.c keeps the errors of streams, fork.c implements fork and shutdown.
 *
 * Problem.  A call of an op should cost its submitter less than a microsecond and return before
 * the work is done.  Values must be the same as if each op had run at its call.  This must hold
 * for many Python threads, many streams, NumPy arrays that share a tensor's memory, and a fork at
 * any moment.
 *
 * Solution.  A stream is a queue of tasks and one worker thread, started on first use.  Tasks of
 * one stream run in order.  Data determine the order between streams: a storage records the marks
 * of its last write and its last read, and a task on another stream that needs the storage waits
 * for these marks.  A mark always points to work submitted earlier, so waits form no cycle.  An
 * event is a mark that the user sets.
 *
 * Inline tasks.  A hand-off to a worker costs some 10 us, more than a small op.  An op of little
 * work runs inline, in its submitter's thread, if its stream is idle and its inputs are ready
 * (effort.c; mt_dispatch; mt_submit or mt_host_begin for the library's own host tasks).  The
 * submitter claims the stream meanwhile.
 * These also run inline:
 *   - every op in synchronous mode;
 *   - ops on memory that is visible outside the streams (to NumPy arrays, or to other processes
 *     after share_memory_), because the write or read must be complete when the caller continues;
 *   - ops inside a host task, which must not wait for the stream that they run on;
 *   - every op in the forking thread;
 *   - a short task that has not started, in a thread that waits for it, with those before it
 *     (run_inline).
 *
 * Refused threads.  The system may refuse a thread (RLIMIT_NPROC, a cgroup's limit).  A stream
 * without a worker is no error.  An op whose stream is idle runs in its submitter's thread.  A
 * task that can't run yet stays queued, and every thread that waits for it, by any call, runs the
 * queue up to it (mt_serve).  Each attempt requests a thread again, so the worker starts as soon
 * as the system allows one.
 *
 * Fusion.  A worker sees its whole queue.  Adjacent tasks over the same elements run as one pass
 * over memory (collect_batch; fuse.c, plan.c, execute.c).  A large op is split into parts that
 * helpers share (threadpool.c).  Both leave every value unchanged.
 *
 * Errors.  A task that fails stores an error in its outputs' storages in place of a value.  A task
 * that reads such a storage does not run; it propagates the error.  Each error also stays in its
 * stream's account until it is read or reported: the oldest MT_ERRORS_KEPT in a list, the others
 * as a number.  Adding an error to the account and removing it take constant time.
 *
 * Locks.  One lock guards the queues and numbers of all streams, the marks and the errors.  A
 * thread holds it for a few instructions, and releases it before a kernel or Python runs.  One
 * condition variable, `progress`, is signalled at each change that a thread may wait for; each
 * stream's `work` wakes its worker.  Lock order: executor, then allocator.
 *
 * Fork.  mt_fork_drain closes the gate and waits until the streams are empty.  Only workers, whose
 * nested ops run inline, and the forking thread pass a closed gate.  mt_fork_prepare joins the
 * workers and the helpers, and keeps the executor's and the allocator's locks.  So the child is a
 * copy of a process in which nothing runs.  The parent unlocks and opens the gate; the next task
 * starts threads again.  The child makes new locks (renew_locks), because their owner does not
 * exist there.  The locks are recursive, since other before-fork hooks of the same thread may drop
 * tensors.  Three kinds of task can't be drained: the host task that the forking thread runs,
 * tasks that wait for it, and tasks that ran when Ctrl-C ended the wait.  They stay the parent's;
 * in the child their values are errors that say so.  pthread_atfork takes the locks once more, so
 * that they are consistent even in a fork that was not announced. */
#include "executor/executor.h"

mt_executor mt_exec = {.n_streams = 1,
                       .fusion = true,
                       .inline_limit = 1 << 18,
                       .max_tasks = 4096,
                       .max_bytes = (int64_t)2 << 30};
_Thread_local int mt_current_stream[MT_MAX_DEVICES];
_Thread_local mt_stream *mt_working_on;

mt_stream *mt_stream_of_thread(int device) {
    int id = mt_current_stream[device];
    return mt_exec
        .streams[id && !mt_exec.streams[id]->released ? id : mt_devices[device].default_stream];
}
