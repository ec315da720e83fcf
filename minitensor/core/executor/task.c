#include <stdlib.h>

#include "base/host.h"
#include "executor/executor.h"

const char *mt_task_op(const mt_task *task) {
    return task->host_op[0] || task->op < 0 ? task->host_op : MT_OP_NAME[task->op];
}

mt_task *mt_task_new(int n_in, int n_out, int n_param) {
    size_t pointers = (size_t)(n_in + n_out) * sizeof(mt_tensor *),
           marks = 2 * (size_t)(n_in + n_out + 1) * sizeof(mt_mark),
           numbers = (size_t)n_param * sizeof(mt_param);
    mt_task *task = calloc(1, sizeof *task + pointers + marks + numbers);
    if (!task) return NULL;
    task->n_in = n_in;
    task->n_out = n_out;
    task->n_param = n_param;
    task->wait = (mt_mark *)(task + 1);
    task->in = (mt_tensor **)((char *)(task + 1) + marks);
    task->out = task->in + n_in;
    task->param = (mt_param *)(task->out + n_out);
    return task;
}

static void release_references(mt_task *task) {
    for (int i = 0; i < task->n_in; i++) mt_tensor_release(task->in[i]);
    for (int i = 0; i < task->n_out; i++) mt_tensor_release(task->out[i]);
    if (task->event) mt_event_release(task->event);
    mt_host_release(task->host);
}

void mt_task_free(mt_task *task) {
    release_references(task);
    free(task);
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
