/* Slots reserved for processes before their start.  The essay is in slots.c. */
#include <errno.h>
#include <sys/mman.h>

#include "arena/arena.h"

static atomic_int refused;

void mt_arena_refuse_places(int error) { atomic_store(&refused, error); }

int mt_slot_reserve(mt_reservation *out) {
    if (atomic_load(&refused)) return -atomic_load(&refused);
    *out = (mt_reservation){.member = MT_WARDEN, .fd = mt_file_again()};
    if (out->fd < 0) return out->fd;
    out->member = mt_slot_take(out->fd);
    if (!out->member.slot && mt_reap_locked() > 0) out->member = mt_slot_take(out->fd);
    if (out->member.slot && (out->anchor = mt_slot_hold(out->fd))) return 0;
    int error = out->member.slot ? -ENOMEM : -EUSERS;
    if (out->member.slot) atomic_store(&mt_my.arena->slots[out->member.slot].state, FREE);
    close(out->fd);
    return error;
}

int mt_arena_reserve(int *fd) {
    mt_reservation place;
    pthread_mutex_lock(&mt_my.lock);
    int result = mt_my.me ? mt_slot_reserve(&place) : -ENXIO;
    pthread_mutex_unlock(&mt_my.lock);
    if (result < 0) return result;
    munmap(place.anchor, MT_PAGE); /* the descriptor keeps the lock */
    *fd = place.fd;
    return (int)place.member.slot;
}
