/* The threads inside an op: the essay is in threadpool.c. */
#ifndef MT_THREADPOOL_H
#define MT_THREADPOOL_H
#include "types.h"

/* Calls part over all of [0, n), in pieces of `grain` that several threads take; returns when all is done. */
void mt_parallel(int64_t n, int64_t grain, void (*part)(void *job, int64_t begin, int64_t end),
                 void *job);

/* The caller waits until over(argument), and helps with jobs meanwhile; it may return earlier. */
void mt_pool_lend(double until_ms, bool (*over)(const void *), const void *argument);

/* Fork and shutdown.  Join ends the threads, and starts no more until open; lock and unlock keep the pool's state whole in a fork that was not
 * announced; renew makes the pool anew in a child. */
void mt_pool_join(void);
void mt_pool_open(void);
void mt_pool_lock(void);
void mt_pool_unlock(void);
void mt_pool_renew(void);

#endif
