/* Messages of our queues: waiting for one, and those that are too large for a packet.
 *
 * Waiting for a message: awake for a moment, then asleep.
 *
 * A reader that sleeps in poll is woken through the scheduler, which takes an idle core 20 to 50 us: more than everything else of a small
 * message's journey.  So who expects an answer at once (`awake_ms`, from how it went the last time) asks again and again for some
 * wake-ups' time; in the worst case he wastes that long once.  In between he offers the core to others, who may be the
 * very ones that he waits for. */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "executor/executor.h"

double mt_packet_wait(int fd, int timeout_ms, double awake_ms) {
    struct pollfd ask = {.fd = fd, .events = POLLIN};
    double begin = mt_now_ms(), took = 0;
    if (timeout_ms >= 0 && awake_ms > timeout_ms) awake_ms = timeout_ms;
    while (took < awake_ms) {
        if (poll(&ask, 1, 0) != 0) return took;             /* an error, too: reading tells which */
        sched_yield();
        took = mt_now_ms() - begin;
    }
    int found = poll(&ask, 1, timeout_ms);                  /* -1: a signal, and Python has to see it before we go on */
    return found ? mt_now_ms() - begin : -1;
}

int64_t mt_message_send(const char *head, int64_t n_head, const char *body, int64_t n_body, int channel) {
    if (!mt_arena_member()) return mt_guest_send(head, n_head, body, n_body, channel);
    int64_t block = mt_arena_alloc(n_head + n_body);
    if (block < 0) return block;
    char *data = mt_arena_data(block);
    if (n_head) memcpy(data, head, (size_t)n_head);
    memcpy(data + n_head, body, (size_t)n_body);
    int64_t token = mt_arena_send(block, channel);
    mt_arena_drop(block);
    return token;
}

char *mt_message_open(int64_t token, int64_t nbytes, int64_t *held) {
    if (mt_arena_member()) {
        int64_t block = mt_arena_claim(token);
        if (block < 0) return NULL;
        *held = block;
        return mt_arena_data(block);
    }
    char *copy = malloc((size_t)nbytes);
    if (copy && mt_arena_copy_out(token, copy, nbytes) == MT_OK) {
        *held = -(int64_t)(intptr_t)copy;
        return copy;
    }
    free(copy);
    return NULL;
}

void mt_message_close(int64_t *held) {
    if (*held > 0) mt_arena_drop(*held);
    else free((void *)(intptr_t)-*held);
    *held = 0;
}
