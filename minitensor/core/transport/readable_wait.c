/* Waiting for a message: the reader polls for a moment, then sleeps.
 *
 * The scheduler wakes a reader that sleeps in poll, which takes an idle core 20 to 50 us: more than
 * the rest of a small message's journey.  A reader that expects a message soon (`awake_ms`, from
 * the length of its last wait) therefore polls again and again for the time of some wake-ups; in
 * the worst case it wastes that time once.  Between two polls it yields the core, which its sender
 * may need. */
#include <poll.h>
#include <sched.h>

#include "base/clock.h"

double mt_packet_wait(int fd, int timeout_ms, double awake_ms) {
    struct pollfd ask = {.fd = fd, .events = POLLIN};
    double begin = mt_now_ms(), took = 0;
    if (timeout_ms >= 0 && awake_ms > timeout_ms) awake_ms = timeout_ms;
    while (took < awake_ms) {
        if (poll(&ask, 1, 0) != 0) return took; /* an error, too: reading tells which */
        sched_yield();
        took = mt_now_ms() - begin;
    }
    int found =
        poll(&ask, 1, timeout_ms); /* -1: a signal, and Python has to see it before we go on */
    return found ? mt_now_ms() - begin : -1;
}
