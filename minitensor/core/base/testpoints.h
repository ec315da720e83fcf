/* Test points, at which a test can hold a thread: mt_hold_at in core.h describes the use. */
#ifndef MT_TESTPOINTS_H
#define MT_TESTPOINTS_H
#include "types.h"

/* For each point 0, or the descriptors of the test that holds the next thread there. */
extern _Atomic int64_t mt_points[];

/* Returns how often a test has requested to hold a thread: this part of mt_may_block is
 * permanent. */
int mt_points_asked(void);

/* Holds the calling thread at the point, unless another thread arrived first. */
void mt_point_hold(int point);

/* Marks a test point: a test may hold the calling thread here.  The caller holds no lock. */
static inline void mt_point(enum mt_point point) {
    if (__builtin_expect(atomic_load_explicit(&mt_points[point], memory_order_relaxed) != 0, 0))
        mt_point_hold(point);
}

#endif
