/* The arena: memory that the processes of one tree share, in which a storage lives once its
 * value has travelled.
 *
 * The problem.  A tensor that goes to another process shall not be copied, and what it lies in
 * must be freed when nobody has it any more, wherever and however those who had it ended: by
 * return, by exit, or by SIGKILL between any two instructions.
 *
 * What fails.  A name in /dev/shm for each tensor outlives a crash, and that folder may be
 * small.  A descriptor for each tensor runs out.  A counter that every holder steps up and down
 * is wrong for ever once one of them dies in between, and a lock stays locked.
 *
 * The solution.  One anonymous file (memfd), mapped by all.  It has no name, so the kernel frees
 * all of it with the last process.  In it, tables:
 *
 *   slots     a member's place, whose lock the kernel drops when the process is gone, however it
 *             went (slots.c).
 *   blocks    pieces of memory.  Who holds a block is a set with a bit for each slot, not a
 *             number: setting and clearing one's own bit may be done twice, so a dead process's
 *             part in everything is removed by clearing its bit everywhere.  How often one
 *             process holds a block is its private business (mt_my.holds).
 *   tokens    references in flight: in a message that has not been unpickled yet.
 *   channels  which members use a queue.  When none is left, the tokens in it can't arrive and
 *             are dropped.
 *
 * The tables have room for 16,383 members, 65,535 blocks and 32,767 tokens.  The file is sparse,
 * so a table takes memory as it is used.
 *
 * A block is freed by one compare-and-swap of its word, by the process that finds that it has no
 * holder and no token.  The word counts the block's tokens in flight.  A token is counted before
 * it flies and uncounted after it has landed, so the count may be too high when a process was
 * killed in between, never too low; a reaper sets it right as soon as at most the reaper itself
 * holds the block.  Every change steps the word's `seq`.  A decision that needs more than the
 * word (the holders, the tokens) is made in this order: the word, the rest, a swap of the word
 * that was read.  The swap fails when anything has changed meanwhile; a look at both without it
 * has seen no moment at all.
 *
 *   allocate  FREE -> OWNED by me; memory, my bit; -> LIVE
 *   send      a token: FREE -> OWNED by me; count up; token -> LIVE
 *   claim     my bit; token LIVE -> FREE: this is the moment at which the reference changes
 *             hands; count down
 *   write     if there is no token and no bit but mine: a new generation, and the bytes are mine
 *             to change; else into a copy
 *   drop      my bit off; if no bit and no token is left, LIVE -> FREE
 *
 * A token that was claimed already (the same bytes unpickled twice) gives another reference if
 * the block still lives in the same generation: my bit, then a step of `seq` that fails if the
 * block has just been freed.
 *
 * The dead (reap.c).  A process that has locked a dead member's byte has the right to reap:
 * clear its bits, give up what it OWNED, free the slot.  All of these can be done again by the
 * next if the reaper dies.  One member a second looks after the dead for the family.
 *
 * Fork.  Before, the parent reserves a place for the child, and sets the child's bit wherever it
 * has one itself, with a step of `seq` after each: a process that is just reading a set can't
 * miss the child and then find the parent's bit gone.  Where there is no place to be had, the
 * child is a guest, which has copies (fork.c).
 *
 * Spawn.  The parent reserves a place and hands over two descriptors, the file's and the one
 * that keeps the place's lock; the new process maps the file and enters.  One that can't is a
 * guest.
 *
 * Memory.  Classes of size, four to a doubling, from a page on; blocks are used again and never
 * joined or moved, since address space costs nothing.  Pages are taken before they are touched
 * (allocate.c), so that full memory is an error and no SIGBUS.  Free memory beyond a cap goes
 * back by punching holes.
 *
 * A process that ends normally need not say goodbye: all ends are the same one, and it is the
 * one that is tested. */
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
