/* Messages that are too large for a packet. */
#include <stdlib.h>

#include "types.h"

int64_t mt_message_send(const char *head, int64_t n_head, const char *body, int64_t n_body,
                        int64_t channel) {
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

char *mt_buffer_open(int64_t token, int64_t nbytes, int64_t *held) {
    char *data = mt_message_open(token, nbytes, held);
    if (!data || *held < 0) return data;
    bool fits = nbytes <= mt_arena_size(*held);
    if (fits && mt_arena_make_exclusive(*held, 1, 0)) return data;
    /* The message is being read twice, and no reader has the block alone yet. */
    char *copy = fits ? malloc((size_t)nbytes) : NULL;
    if (copy) memcpy(copy, data, (size_t)nbytes);
    mt_arena_drop(*held);
    *held = -(int64_t)(intptr_t)copy;
    return copy;
}

void mt_message_close(int64_t *held) {
    if (*held > 0) mt_arena_drop(*held);
    else free((void *)(intptr_t)-*held);
    *held = 0;
}
