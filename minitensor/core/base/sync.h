/* How the core makes its locks and condition variables. */
#ifndef MT_SYNC_H
#define MT_SYNC_H
#include "types.h"

/* Makes a recursive lock: a signal's handler, or a fork's hook, may come to it again in the
 * thread that has it. */
void mt_mutex_init(pthread_mutex_t *lock);

/* Makes a condition variable whose time-outs are of the monotonic clock (clock.h). */
void mt_cond_init(pthread_cond_t *cond);

#endif
