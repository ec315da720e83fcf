/* Errors: the objects that storages and streams hold in place of a value. */
#ifndef MT_ERROR_H
#define MT_ERROR_H
#include "types.h"

/* Returns a new error with one count, which the caller owns.  The last release passes
 * `exception` to mt_host_release.  Never returns NULL. */
mt_error *mt_error_new(const char *op, uint32_t site, int status, const char *message,
                       void *exception);

#endif
