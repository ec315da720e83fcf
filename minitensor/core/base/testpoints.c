#include <errno.h>

#include "base/host.h"
#include "base/testpoints.h"

_Atomic int64_t mt_points[MT_POINTS]; /* 0: nobody is held here; else the two descriptors */

static int holds;

void mt_hold_at(int point, int reached, int go) {
    holds++; /* for good: a thread that is held must not have the GIL */
    atomic_fetch_add(&mt_may_block, 1);
    atomic_store(&mt_points[point], ((int64_t)(reached + 1) << 32) | (go + 1));
}

int mt_points_asked(void) { return holds; }

void mt_point_hold(int point) {
    int64_t held = atomic_exchange(&mt_points[point], 0); /* one thread only */
    char byte = (char)point;
    if (!held) return;
    if (write((int)(held >> 32) - 1, &byte, 1) != 1) return;
    while (read((int)(held & 0xffffffff) - 1, &byte, 1) < 0 && errno == EINTR) continue;
}
