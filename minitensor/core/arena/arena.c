/* The arena: memory that the processes of a family share; a storage lies in it after its value has
 * travelled.
 *
 * The problem.  A tensor in a message must not be copied.  Its memory must be freed when the last
 * process has dropped it, however each process ends: by return, by exit, or by SIGKILL between any
 * two instructions.
 *
 * What fails.  A name in /dev/shm for each tensor outlives a crash, and that file system may be
 * small.  A descriptor for each tensor exhausts the limit.  A counter that every holder steps up
 * and down stays wrong after one of them dies in between, and a lock stays locked.
 *
 * The solution.  One anonymous file (memfd), which every member maps.  It has no name, so the
 * kernel frees it with the last process.  It contains tables:
 *
 *   slots     one for each member; the kernel releases a slot's lock when the process is gone,
 *             however it ended (slots.c).
 *   blocks    pieces of memory.  The holders of a block are a set with a bit for each slot, not a
 *             number.  A process may set or clear a bit twice, so a reaper removes a dead process
 *             by clearing its bit everywhere.  Each process counts its own references
 *             (mt_my.holds).
 *   tokens    references in flight: in messages that no reader has unpickled yet.
 *   channels  the members that use a queue.  When the last one leaves, the tokens of the queue are
 *             dropped.
 *
 * The tables have room for 16,383 members, 65,535 blocks and 32,767 tokens.  The file is sparse, so
 * a table takes memory as it is used.
 *
 * A block is freed by one compare-and-swap of its word, by the process that finds neither a holder
 * nor a token.  The word counts the block's tokens in flight.  A sender counts a token before the
 * token is live, and a reader uncounts it after the claim.  After a kill in between, the count is
 * therefore too high, never too low; a reaper corrects it as soon as no other process holds the
 * block.  Every change steps the word's `seq`.  A decision that needs more than the word (the
 * holders, the tokens) is made in this order: read the word, read the rest, swap the word that was
 * read.  The swap fails if anything changed in the meantime; without the swap, the two reads do not
 * describe one moment.
 *
 *   allocate  FREE -> OWNED by me; memory, my bit; -> LIVE
 *   send      a token: FREE -> OWNED by me; count up; token -> LIVE
 *   claim     my bit; token LIVE -> FREE, which passes the reference on; count down
 *   write     without a token and with no bit but mine: a new generation, and the process writes to
 *             the bytes; otherwise it writes to a copy
 *   drop      clear my bit; without a bit and a token, LIVE -> FREE
 *
 * A token that was claimed before (the same bytes unpickled twice) gives another reference if the
 * block still lives in the same generation: my bit, then a step of `seq`, which fails if the block
 * has just been freed.
 *
 * Deaths (reap.c).  A process that has locked a dead member's byte may reap it: clear its bits,
 * release what it OWNED, free the slot.  If the reaper dies, the next one repeats these steps.  One
 * member a second checks the family for dead members.
 *
 * Fork.  Before the fork, the parent reserves a slot for the child, and sets the child's bit
 * wherever it has one itself, with a step of `seq` after each.  A process that reads a set at that
 * moment can't miss the child and then find the parent's bit cleared.  Without a free slot the
 * child is a guest, which has copies (fork.c).
 *
 * Spawn.  The parent reserves a slot and passes two descriptors: the file's, and the one that keeps
 * the slot's lock.  The new process maps the file and enters.  A process that can't is a guest.
 *
 * Memory.  Classes of size, four to a doubling, from a page on.  Blocks are reused and never joined
 * or moved, since address space costs nothing.  Pages are taken before they are touched
 * (allocate.c), so full memory is an error and no SIGBUS.  Free memory above a limit goes back to
 * the system by punching holes.
 *
 * A process that ends normally takes no leave: all ends are the same one, and the tests cover
 * it. */
#include "arena/arena.h"
#include "base/sync.h"

mt_here mt_my = {.fd = -1};
_Atomic int64_t mt_steps_left;
atomic_int mt_signal;

/* What has to be the same in two programs that share an arena. */
uint64_t mt_arena_layout(void) { return MT_FINGERPRINT; }

__attribute__((constructor)) static void init(void) { mt_mutex_init(&mt_my.lock); }

void mt_arena_signal_after(int64_t steps, int signal) {
    atomic_store(&mt_signal, signal);
    atomic_store(&mt_steps_left, steps);
}

uint64_t mt_arena_inode(void) { return mt_my.arena ? (uint64_t)mt_my.inode : 0; }

int mt_arena_member(void) { return mt_my.me != NULL; }

const char *mt_arena_why_guest(void) { return mt_my.why_guest; }
