#include <errno.h>

#include "base/host.h"
#include "base/testpoints.h"

/* 0: no test waits at this point; otherwise the two descriptors of the test. */
_Atomic int64_t mt_points[MT_POINTS];

/* Number of calls of mt_hold_at; it never decreases.  Written with the GIL held. */
static int holds;

void mt_hold_at(int point, int reached, int go) {
    /* Never undone: a thread that a test holds must not hold the GIL. */
    holds++;
    atomic_fetch_add(&mt_may_block, 1);
    atomic_store(&mt_points[point], ((int64_t)(reached + 1) << 32) | (go + 1));
}

int mt_points_asked(void) { return holds; }

void mt_point_hold(int point) {
    /* The exchange clears the point, so it holds one thread. */
    int64_t held = atomic_exchange(&mt_points[point], 0);
    char byte = (char)point;
    if (!held) return;
    if (write((int)(held >> 32) - 1, &byte, 1) != 1) return;
    while (read((int)(held & 0xffffffff) - 1, &byte, 1) < 0 && errno == EINTR) continue;
}
