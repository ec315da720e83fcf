/* Errors: what a task leaves in place of a value. */
#ifndef MT_ERROR_H
#define MT_ERROR_H
#include "types.h"

/* Returns an error with one count; `exception` goes to mt_host_release with the last one.  Never NULL. */
mt_error *mt_error_new(const char *op, uint32_t site, int status, const char *message,
                       void *exception);

#endif
