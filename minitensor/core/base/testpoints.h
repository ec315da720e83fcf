/* Points at which a test can hold a thread: core.h tells how (mt_hold_at). */
#ifndef MT_TESTPOINTS_H
#define MT_TESTPOINTS_H
#include "types.h"

extern _Atomic int64_t mt_points[];

/* Returns how often a test has asked to hold a thread: so much of mt_may_block is for good. */
int mt_points_asked(void);

/* Holds this thread at the point, if no other thread was faster. */
void mt_point_hold(int point);

/* Marks a point of the code: a test may hold the thread here.  No lock is held. */
static inline void mt_point(enum mt_point point) {
    if (__builtin_expect(atomic_load_explicit(&mt_points[point], memory_order_relaxed) != 0, 0))
        mt_point_hold(point);
}

#endif
