#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/host.h"

/* Number of errors that have a count, for a test. */
static _Atomic int64_t alive;

mt_error *mt_error_new(const char *op, uint32_t site, int status, const char *message,
                       void *exception) {
    mt_error *error = calloc(1, sizeof *error);
    /* A task that fails without memory for its error still fails. */
    if (!error) {
        static mt_error none = {.refs = 1,
                                .status = MT_MEMORY_ERROR,
                                .op = "task",
                                .message = "failed, and no memory was left to say why"};
        /* The first count of the static error is never released. */
        atomic_fetch_add(&none.refs, 1);
        return &none;
    }
    atomic_init(&error->refs, 1);
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    error->status = status;
    error->site = site;
    error->exception = exception;
    snprintf(error->op, sizeof error->op, "%s", op);
    snprintf(error->message, sizeof error->message, "%s", message);
    return error;
}

void mt_error_release(mt_error *error) {
    if (atomic_fetch_sub_explicit(&error->refs, 1, memory_order_acq_rel) != 1) return;
    mt_host_release(error->exception);
    free(error);
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
}

int64_t mt_error_count(void) { return atomic_load(&alive); }
