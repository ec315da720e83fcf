/* The thread pool: helpers compute parts of a large op.  The essay is in threadpool.c. */
#ifndef MT_THREADPOOL_H
#define MT_THREADPOOL_H
#include "types.h"

/* Calls part over all of [0, n), in pieces of `grain` elements that the caller and helpers take.
 * Returns when all pieces are done.  The caller holds no lock. */
void mt_parallel(int64_t n, int64_t grain, void (*part)(void *job, int64_t begin, int64_t end),
                 void *job);

/* Waits until over(argument) returns true, and takes pieces of jobs meanwhile; may return
 * earlier.  Stops at `until_ms`, a time of mt_now_ms.  The caller holds no lock. */
void mt_pool_lend(double until_ms, bool (*over)(const void *), const void *argument);

/* Fork and shutdown.  mt_pool_join ends the helpers, and the pool starts none until mt_pool_open.
 * mt_pool_lock and mt_pool_unlock hold the lock across a fork that was not announced, so that
 * the state stays consistent.  mt_pool_renew initializes the pool in a child. */
void mt_pool_join(void);
void mt_pool_open(void);
void mt_pool_lock(void);
void mt_pool_unlock(void);
void mt_pool_renew(void);

#endif
