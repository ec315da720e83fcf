/* The arena in a fork.
 *
 * The problem.  A forked child reads at once what it has inherited, so it must hold the blocks
 * before its parent can drop them.  A member's child is a member, too, but there may be no slot for
 * it: the program has closed the arena's descriptor, has changed its user, has no descriptor left,
 * runs where there is no /proc, or every slot is taken.
 *
 * What fails.  A child without a slot reads on where the parent's blocks were: the family gives
 * those blocks to other tensors.  To hold them for the child for ever is a leak, and the parent
 * can't learn when such a child ends.
 *
 * The solution.  The child is a member or has copies.  If the parent can't reserve a slot, it
 * copies the blocks that it holds, before the fork, into private memory, which the fork passes on.
 * The child, before any other code runs there, moves the copies to where the blocks were, page by
 * page, and is a guest (guest.c).
 *
 * The guarantee.  The same addresses hold the same values, and the child owns them, so storages,
 * views and arrays stay valid unchanged.  The parent unmaps its copies.  Nothing has to be held,
 * and no process has to be watched.
 *
 * Two things can't be copied.  Memory that all write to (share_memory_) stays shared: the warden, a
 * member that never dies, holds it from then on until the family ends.  The warden also holds the
 * blocks for whose copies there is no memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "arena/arena.h"
#include "arena/fork.h"
#include "base/sync.h"

enum { MOST_COPIES = 16384 }; /* blocks; each takes a mapping, of which Linux allows 65,530 */

typedef struct {
    uint32_t block;
    void *memory;
} copy;

/* The plan of the fork under way; guarded by mt_my.lock. */
static struct {
    mt_reservation place;
    int error; /* why there is no slot */
    copy *copies;
    uint32_t n;
    bool seen; /* the child would see its parent's writes to arrays */
} plan;

static void share_with(mt_member child) {
    uint32_t blocks = atomic_load(&mt_my.arena->n_blocks),
             channels = atomic_load(&mt_my.arena->n_channels);
    for (uint32_t b = 1; b < blocks; b++)
        if (mt_my.holds[b]) mt_arena_block_hold_for(child, b);
    for (uint32_t c = 1; c < channels; c++)
        if (mt_my.uses[c]) {
            add(mt_users(c), child);
            step();
            touch(&mt_my.arena->channels[c].word);
        }
    step();
}

static bool copy_block(uint32_t b) {
    const mt_shared_block *block = &mt_my.arena->blocks[b];
    if (plan.n == MOST_COPIES) return false;
    if (!plan.copies && !(plan.copies = malloc(MOST_COPIES * sizeof *plan.copies))) return false;
    void *memory =
        mmap(NULL, (size_t)block->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    memcpy(memory, mt_my.data + block->offset, (size_t)block->size);
    plan.copies[plan.n++] = (copy){b, memory};
    return true;
}

static void copy_for_guest(void) {
    uint32_t blocks = atomic_load(&mt_my.arena->n_blocks),
             channels = atomic_load(&mt_my.arena->n_channels);
    for (uint32_t b = 1; b < blocks; b++)
        if (mt_my.holds[b] && (atomic_load(&mt_my.arena->blocks[b].mutable) || !copy_block(b)))
            mt_arena_block_hold_for(MT_WARDEN, b);
    for (uint32_t c = 1; c < channels; c++)
        if (mt_my.uses[c]) mt_channel_add_guest(c, 0);
}

void mt_arena_before_fork(void) {
    pthread_mutex_lock(&mt_my.lock);
    plan.n = 0;
    plan.seen = false;
    plan.error = mt_my.me ? mt_slot_reserve(&plan.place) : -ENXIO;
    if (plan.error == 0) {
        close(plan.place.fd); /* the anchor keeps the lock */
        plan.seen = !mt_arena_set_all_apart();
        share_with(plan.place.member);
    } else if (mt_my.me)
        copy_for_guest(); /* a guest's child inherits its copies like all its memory */
}

static void forget_plan(void) {
    if (!plan.copies) return; /* an allocator is not called in a fork without need */
    free(plan.copies);
    plan.copies = NULL;
    plan.n = 0;
}

void mt_arena_in_parent(void) {
    if (mt_my.me && plan.error == 0)
        munmap(plan.place.anchor,
               MT_PAGE); /* the child alone holds its slot's lock, if there is a child */
    for (uint32_t i = 0; i < plan.n; i++)
        munmap(plan.copies[i].memory, (size_t)mt_my.arena->blocks[plan.copies[i].block].size);
    forget_plan();
    pthread_mutex_unlock(&mt_my.lock);
}

static void end_child(void) {
    static const char text[] = "minitensor: [fork] the system refuses the child its copies of "
                               "tensors or arrays; it ends, since their values would be others'\n";
    if (write(2, text, sizeof text - 1) < 0) _exit(126);
    _exit(127);
}

static void become_guest(void) {
    snprintf(mt_my.why_guest, sizeof mt_my.why_guest, "%s", mt_slot_refusal(plan.error));
    mt_my.me = NULL;
    void *again = mremap(mt_my.arena, 0, (size_t)mt_my.reach,
                         MREMAP_MAYMOVE); /* of a shared mapping: a second one */
    if (again != MAP_FAILED) mt_my.arena = again;
    else
        mt_my.reach =
            (int64_t)sizeof(mt_arena); /* it reads through the descriptor, if that is open */
    for (uint32_t i = 0; i < plan.n; i++) {
        const mt_shared_block *block = &mt_my.arena->blocks[plan.copies[i].block];
        size_t size = (size_t)block->size;
        if (mremap(plan.copies[i].memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                   mt_my.data + block->offset) == MAP_FAILED)
            end_child();
        mt_my.copied[plan.copies[i].block] = true;
    }
    forget_plan();
}

void mt_arena_in_child(void) {
    mt_mutex_init(&mt_my.lock);
    if (!mt_my.me) return;
    if (plan.seen) end_child();
    if (plan.error == 0) mt_slot_settle(plan.place);
    else become_guest();
}
