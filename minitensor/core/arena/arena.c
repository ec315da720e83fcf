/* The arena: memory that a family of processes shares.  A storage moves into it with the first
 * message that carries its value.
 *
 * The problem.  A tensor in a message to another process must not be copied.  Its memory must be
 * freed when no process has it any more.  That must hold wherever and however those processes
 * ended: by return, by exit, or by SIGKILL between any two instructions.
 *
 * What fails.  A name in /dev/shm for each tensor outlives a crash, and that folder may be small.
 * A descriptor for each tensor exhausts the limit of descriptors.  A counter that every holder
 * increments and decrements stays wrong once a holder dies in between, and a lock stays locked.
 *
 * The solution.  One anonymous file (memfd), mapped by all members.  It has no name, so the kernel
 * frees all of it with the last process.  It contains tables:
 *
 *   slots     a member's record.  The kernel drops the slot's lock when the process ends, however
 *             it ends (slots.c).
 *   blocks    allocations.  The holders of a block are a set with a bit for each slot, and not a
 *             number.  Setting and clearing a bit can be repeated, so the reaper removes a dead
 *             member by clearing its bit everywhere.  How often one process holds a block is
 *             private to that process (mt_my.holds).
 *   tokens    references in flight: in a message that no reader has unpickled yet.
 *   channels  the members that use a queue.  When none is left, the queue's tokens can't be claimed
 *             and are dropped.
 *
 * The tables have room for 16,383 members, 65,535 blocks and 32,767 tokens.  The file is sparse, so
 * a table takes memory as it is used.
 *
 * The process that finds a block without holder and token frees it, by one compare-and-swap of the
 * block's word.  The word counts the block's tokens in flight.  The sender counts a token before it
 * is in flight, and the reader uncounts it after the claim.  So the count may be too high if a
 * process was killed in between, and it is never too low.  A reaper corrects it as soon as at most
 * the reaper itself holds the block.  Every change steps the word's `seq`.
 *
 * A decision that needs more than the word (the holders, the tokens) has this order: read the word,
 * read the rest, swap the word that was read.  The swap fails if anything has changed meanwhile.
 * Without the swap, the two reads may show values that never existed at one moment.
 *
 *   allocate  FREE -> OWNED by me; memory, my bit; -> LIVE
 *   send      a token: FREE -> OWNED by me; count up; token -> LIVE
 *   claim     my bit; token LIVE -> FREE: at this moment the reference changes hands; count down
 *   write     if there is no token and no bit but mine: a new generation, and I may change the
 *             bytes; otherwise into a copy
 *   drop      my bit off; if no bit and no token is left, LIVE -> FREE
 *
 * A token that was claimed already (the same bytes unpickled twice) gives another reference if the
 * block still lives in the same generation: my bit, then a step of `seq` that fails if the block
 * has just been freed.
 *
 * The dead (reap.c).  A process that has locked a dead member's byte has the right to reap: it
 * clears the member's bits, disowns what the member OWNED, and frees the slot.  The next reaper can
 * repeat each of these steps if this reaper dies.  One member a second checks for dead members, for
 * the whole family.
 *
 * Fork.  Before the fork, the forking process reserves a slot for the child.  It sets the child's
 * bit wherever it has one itself, and steps `seq` after each.  So a process that is reading a set
 * can't miss the child's bit and then find the parent's bit cleared.  If no slot is available, the
 * child is a guest, which has copies (fork.c).
 *
 * Spawn.  The parent reserves a slot and passes two descriptors: the file's, and the one that keeps
 * the slot's lock.  The new process maps the file and enters.  A process that can't is a guest.
 *
 * Memory.  Blocks have classes of size, four to a doubling, from a page on.  Blocks are reused, and
 * never joined or moved, since address space costs nothing.  Pages are committed before they are
 * touched (allocate.c), so that full memory is an error and no SIGBUS.  Free memory beyond a cap
 * goes back to the system by punching holes.
 *
 * The guarantee.  A process that ends normally does nothing special: all ends take the same path,
 * and the tests cover that path. */
#include "arena/arena.h"
#include "base/sync.h"

mt_here mt_my = {.fd = -1};
_Atomic int64_t mt_steps_left;
atomic_int mt_signal;

/* Two programs that share an arena have the same fingerprint. */
uint64_t mt_arena_layout(void) { return MT_FINGERPRINT; }

__attribute__((constructor)) static void init(void) { mt_mutex_init(&mt_my.lock); }

void mt_arena_signal_after(int64_t steps, int signal) {
    atomic_store(&mt_signal, signal);
    atomic_store(&mt_steps_left, steps);
}

uint64_t mt_arena_inode(void) { return mt_my.arena ? (uint64_t)mt_my.inode : 0; }

int mt_arena_member(void) { return mt_my.me != NULL; }

const char *mt_arena_why_guest(void) { return mt_my.why_guest; }
