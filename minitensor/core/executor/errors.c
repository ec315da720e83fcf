/* The errors of streams: accounts of those neither read nor reported.  The essay is in
 * executor.c. */
#include <stdio.h>

#include "base/error.h"
#include "executor/executor.h"

void mt_poison(const mt_task *task, mt_error *error) {
    for (int i = 0; i < task->n_out; i++) {
        mt_storage *storage = task->out[i]->storage;
        if (storage->error) continue; /* the first error is the cause */
        atomic_fetch_add(&error->refs, 1);
        storage->error = error;
    }
}

/* Adds an error to its stream's account. */
void mt_error_report(mt_stream *s, mt_error *error) {
    if (error->kept) return; /* the one error of all tasks for which there was no memory */
    error->stream = s->id;
    error->batch = s->batch;
    if (s->n_errors == MT_ERRORS_KEPT) {
        s->more_errors++;
        return;
    }
    atomic_fetch_add(&error->refs, 1);
    error->kept = true;
    error->previous = s->last_error;
    *(s->last_error ? &s->last_error->next : &s->first_error) = error;
    s->last_error = error;
    s->n_errors++;
}

/* Removes an error from its stream's account.  Returns true if the error was in the list; the
 * caller then owns the list's count.  The caller holds the lock. */
static bool strike_off(mt_error *error) {
    mt_stream *s = mt_exec.streams[error->stream];
    bool kept = error->kept;
    if (kept) {
        *(error->previous ? &error->previous->next : &s->first_error) = error->next;
        *(error->next ? &error->next->previous : &s->last_error) = error->previous;
        error->previous = error->next = NULL;
        error->kept = false;
        s->n_errors--;
    } else if (error->stream && error->batch == s->batch) s->more_errors--;
    error->stream = 0;
    return kept;
}

mt_error *mt_error_of(mt_ref tensor) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_error *error = mt_t(tensor)->storage ? mt_t(tensor)->storage->error : NULL;
    if (error && !strike_off(error)) atomic_fetch_add(&error->refs, 1);
    pthread_mutex_unlock(&mt_exec.lock);
    return error;
}

mt_error *mt_stream_take_error(int id) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_stream *s = mt_exec.streams[id];
    mt_error *error = s->first_error;
    if (error) strike_off(error);
    else if (s->more_errors) {
        char text[sizeof error->message];
        snprintf(text, sizeof text,
                 "%lld more ops of this stream have failed; of errors that are not read the first "
                 "%d are kept",
                 (long long)s->more_errors, MT_ERRORS_KEPT);
        error = mt_error_new("synchronize", 0, MT_RUNTIME_ERROR, text, NULL);
        s->more_errors = 0;
        s->batch++;
    }
    pthread_mutex_unlock(&mt_exec.lock);
    return error;
}

void mt_errors_forget(mt_stream *s) {
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
