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
#include <string.h>

#include "executor.h"

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

/* A large message, copied into a block of the arena: its token, which alone holds the block; -MT_MEMORY_ERROR: no room for it;
 * -MT_VALUE_ERROR: no token.  One call, so that Ctrl-C finds all of it done, or nothing. */
int64_t mt_message_send(const char *head, int64_t n_head, const char *body, int64_t n_body, int channel) {
    int64_t block = mt_arena_alloc(n_head + n_body);
    if (block < 0) return -MT_MEMORY_ERROR;
    char *data = mt_arena_data(block);
    if (n_head) memcpy(data, head, (size_t)n_head);
    memcpy(data + n_head, body, (size_t)n_body);
    int64_t token = mt_arena_send(block, channel);
    mt_arena_drop(block);
    return token < 0 ? -MT_VALUE_ERROR : token;
}

/* The bytes of a large message, and in *block what mt_message_close gives back; NULL: they are gone. */
char *mt_message_open(int64_t token, int64_t *block) {
    int64_t claimed = mt_arena_claim(token);
    if (claimed < 0) return NULL;
    *block = claimed;
    return mt_arena_data(claimed);
}

void mt_message_close(int64_t *block) {
    if (*block > 0) mt_arena_drop(*block);
    *block = 0;
}
