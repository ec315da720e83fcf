/* Waiting for a message: awake for a moment, then asleep.
 *
 * A reader that sleeps in poll is woken through the scheduler, which takes an idle core 20 to 50
 * us: more than everything else of a small message's journey.  So who expects an answer at once
 * (`awake_ms`, from how it went the last time) asks again and again for some wake-ups' time; in the
 * worst case he wastes that long once.  In between he offers the core to others, who may be the
 * very ones that he waits for. */
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
