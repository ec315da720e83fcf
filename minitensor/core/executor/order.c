/* The order of tasks: marks, and the marks that a task waits for.  The essay is in executor.c. */
#include "executor/executor.h"

static void count_waiter(mt_mark mark, int by) {
    mt_exec.streams[mark.stream]->awaited += by;
    atomic_fetch_add(&mt_exec.streams[mark.stream]->epoch, 1);
}

void mt_waiter_add(mt_mark mark) { count_waiter(mark, 1); }
void mt_waiter_remove(mt_mark mark) { count_waiter(mark, -1); }

/* Adds a mark to those that the task waits for, unless it is reached or on the task's stream s. */
static void wait_for(mt_task *task, const mt_stream *s, mt_mark mark) {
    if (mark.stream != s->id && !mt_reached(mark)) task->wait[task->n_wait++] = mark;
}

bool mt_waits_over(const mt_task *task) {
    for (int i = 0; i < task->n_wait; i++)
        if (!mt_reached(task->wait[i])) return false;
    return true;
}

/* Returns true if a task could run now without waiting; else *blocking is the first mark that is
 * not reached. */
bool mt_ready(const mt_task *task, mt_mark *blocking) {
    for (int i = 0; i < task->n_in; i++) {
        mt_storage *storage = task->in[i]->storage;
        if (storage && !mt_reached(*blocking = storage->last_write)) return false;
    }
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        if (!mt_reached(*blocking = storage->last_write) ||
            !mt_reached(*blocking = storage->last_read))
            return false;
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
        /* Readers wait for each other, so that one mark stands for all of them. */
        wait_for(task, s, storage->last_read);
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
    atomic_fetch_add(&s->epoch, 1);
    pthread_cond_signal(&s->work);
}
