/* The executor: streams, their workers, and the order of tasks.
 *
 * Its files: submit.c queues tasks, order.c says what each task waits for, worker.c and task_run.c
 * run them, wait.c has the waits, errors.c keeps the errors, fork.c has fork and shutdown.
 *
 * The problem.  The call of an op should cost its submitter less than a microsecond and return
 * before the work is done.  Values must still come out as if each op had run at its call: for many
 * Python threads, many streams, NumPy arrays that share a tensor's memory, and a fork at any
 * moment.
 *
 * The solution.  A stream is a queue of tasks and one worker thread, started on first use.  Tasks
 * of one stream run in order.  Between streams the data decide the order: a storage records the
 * last place (mark) of a write and of a read, and a task on another stream waits for the mark that
 * it needs.  Marks always point to work that was submitted earlier, so waits form no circle.
 * Events are marks that the program sets.
 *
 * A hand-off to a worker costs some 10 us, more than a small op.  A small op whose stream is idle
 * and whose inputs are ready therefore runs inline, in its submitter's thread (mt_dispatch, and
 * mt_submit for the library's own host tasks), which claims the stream for that time.  The
 * following run inline as well: everything in synchronous mode; ops on memory that is visible
 * outside the streams (to NumPy arrays, or to other processes after share_memory_), because a write
 * must be done, and a read over, when the call returns; ops inside a host task, which must not wait
 * for the stream that they run on; and everything in a thread that is forking.  A thread that waits
 * for a short host task which its worker has not begun runs the task itself (run_inline).
 *
 * The system may refuse a thread (RLIMIT_NPROC, a cgroup's limit).  A stream without a worker is
 * not an error.  An op whose stream is idle runs in its submitter's thread; a task that can't run
 * yet stays queued, and a thread that waits for it, in any call, runs the queue up to the task
 * (mt_serve).  Each attempt asks for a thread again, so the worker is back when the system allows
 * one.
 *
 * A worker sees its whole queue, not one task.  It runs neighbours over the same elements as one
 * pass over memory (collect_batch; fuse.c, plan.c, execute.c), and cuts a large op into pieces that
 * other threads help with (threadpool.c).  Neither changes a value.
 *
 * Errors.  A task that fails leaves an error in its outputs' storages instead of a value.  Tasks
 * that read such a storage do not run and pass the error on.  An error also stays in its stream's
 * list until the program reads it or it is reported: the oldest MT_ERRORS_KEPT as errors, the
 * others as a number.  Adding and removing take constant time.
 *
 * Locks.  One lock guards the queues and numbers of all streams, the marks and the errors.  A
 * thread holds it for a few instructions and never while a kernel or Python runs.  One condition
 * variable, `progress`, is signalled at each change that a thread may wait for; each stream's
 * `work` wakes its worker.  Lock order: executor, then allocator.
 *
 * Fork.  mt_fork_drain closes the gate and waits until the streams are empty.  Only workers, whose
 * nested ops run at once, and the forking thread pass the gate.  mt_fork_prepare joins the workers
 * and the helpers of large ops, and keeps the executor's and the allocator's locks.  The child is
 * therefore a copy of a process in which nothing runs.  The parent unlocks and opens the gate, and
 * threads start again with the next task.  The child makes new locks (renew_locks), because their
 * owner does not exist there.  The locks are recursive, since other before-fork hooks of the same
 * thread may drop tensors.  Some work can't be drained: the host task that the forking thread is
 * in, what waits for it, and what ran when Ctrl-C ended the wait.  It stays the parent's; in the
 * child those values are errors that say so.  pthread_atfork takes the locks once more, so that
 * they are whole even in a fork that no hook announced. */
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
