/* Why there is no memory.  The essay is in arena.c. */
#include <stdio.h>

#include "arena/arena.h"

#define ARENA mt_my.arena

static _Thread_local struct {
    enum mt_refusal why;
    int64_t nbytes;
    int error;
} refused; /* the thread's last one */

int64_t mt_arena_refuse(enum mt_refusal why, int64_t nbytes, int error) {
    refused.why = why;
    refused.nbytes = nbytes;
    refused.error = error;
    return -MT_MEMORY_ERROR;
}

void mt_arena_explain(char *text, int room) {
    size_t n = (size_t)room;
    if (!mt_my.arena || refused.why == MT_NOT_A_MEMBER) {
        snprintf(text, n, "this process is no member of its family's shared memory: %s",
                 mt_my.why_guest[0] ? mt_my.why_guest : "there is none");
        return;
    }
    long long nbytes = refused.nbytes, room_left = ARENA->capacity - atomic_load(&ARENA->top),
              idle = atomic_load(&ARENA->free_bytes);
    switch (refused.why) {
    case MT_TOO_LARGE:
    case MT_NO_SPACE:
        snprintf(text, n,
                 "%lld bytes have no room in the shared memory's address space: of %lld bytes "
                 "(MINITENSOR_ARENA) %lld are left, and %lld "
                 "lie in freed blocks of other sizes",
                 nbytes, (long long)ARENA->capacity, room_left > 0 ? room_left : 0, idle);
        break;
    case MT_NO_ENTRY:
        snprintf(text, n,
                 "the shared memory's table is full: %d blocks of memory are in use or kept",
                 MT_BLOCKS - 1);
        break;
    case MT_NO_TOKEN:
        snprintf(
            text, n,
            "%d references are on their way in messages, which is the most; receive what was sent",
            MT_TOKENS - 1);
        break;
    default:
        snprintf(text, n,
                 "the system has no %lld bytes for the shared memory (%s); %lld freed bytes are "
                 "kept in it",
                 nbytes, strerror(refused.error), idle);
    }
}
