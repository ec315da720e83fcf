/* The monotonic clock, in milliseconds. */
#ifndef MT_CLOCK_H
#define MT_CLOCK_H
#include <time.h>

#include "types.h"

/* Returns the current time. */
double mt_now_ms(void);

/* Returns the time `timeout_ms` from now, for pthread_cond_timedwait. */
struct timespec mt_deadline_in(int timeout_ms);

/* Returns a deadline as a time of mt_now_ms, in milliseconds. */
static inline double mt_in_ms(const struct timespec *t) {
    return (double)t->tv_sec * 1e3 + (double)t->tv_nsec * 1e-6;
}

#endif
