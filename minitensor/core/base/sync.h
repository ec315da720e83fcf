/* Initialization of the locks and condition variables of the core. */
#ifndef MT_SYNC_H
#define MT_SYNC_H
#include "types.h"

/* Initializes a recursive lock: a signal handler or a fork hook may take it again in the thread
 * that holds it. */
void mt_mutex_init(pthread_mutex_t *lock);

/* Initializes a condition variable with deadlines of the monotonic clock (clock.h). */
void mt_cond_init(pthread_cond_t *cond);

#endif
