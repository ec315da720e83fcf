/* Blocks whose bytes only this process sees: arrays of this process write to them.
 *
 * The problem.  What a message brings belongs to its receiver, which writes to it as to any array
 * of its own.  A task that writes passes through the executor, which first copies a block that
 * other processes have.  NumPy writes to an address, and nothing is told.  Such memory may have no
 * other holder, and a fork makes one: the child holds what its parent holds.
 *
 * What fails.  An array for reading only is an error in programs that write.  A copy for each
 * array on arrival costs what the message has saved.  A private mapping on arrival costs more than
 * a copy, once it is written to.
 *
 * The solution.  A block that no other member holds, and no token, becomes exclusive: earlier
 * tokens are stale from then on, and no new one is made.  A fork, or a large block that other
 * processes keep, has it mapped anew at
 * its address, as a private mapping of the same pages of the file (apart); a child inherits the
 * mapping.  The pages of the file don't change while any process holds the block, and the kernel
 * copies each page that this process writes.  The last drop restores the shared mapping.
 *
 * The guarantee.  An address stays valid, and what a process writes there no other process sees.
 * A block that was apart is never sent again: its bytes are no longer those of the file.
 *
 * If a program closes the arena's descriptor after such a fork, the shared mapping can't be
 * restored.  This process then holds the block until it ends. */
#include <sys/mman.h>

#include "arena/arena.h"
#include "arena/fork.h"

static bool map(uint32_t b, int flags) {
    const mt_shared_block *block = &mt_my.arena->blocks[b];
    int fd = mt_arena_file();
    if (fd < 0) return false;
    char *data = mmap(mt_my.data + block->offset, (size_t)block->size, PROT_READ | PROT_WRITE,
                      flags | MAP_FIXED | MAP_NORESERVE, fd, block->offset);
    if (data == MAP_FAILED) return false;
    madvise(data, (size_t)block->size, MADV_DONTDUMP);
    return true;
}

bool mt_arena_set_apart(uint32_t b) {
    if (mt_my.exclusive[b] != MT_APART && !map(b, MAP_PRIVATE)) return false;
    mt_my.exclusive[b] = MT_APART;
    return true;
}

bool mt_arena_set_all_apart(void) {
    bool all = true;
    for (uint32_t b = 1, n = atomic_load(&mt_my.arena->n_blocks); b < n; b++)
        if (mt_my.exclusive[b] == MT_EXCLUSIVE) all &= mt_arena_set_apart(b);
    return all;
}

bool mt_arena_rejoin(uint32_t b) {
    if (mt_my.exclusive[b] == MT_APART && !map(b, MAP_SHARED)) return false;
    mt_my.exclusive[b] = MT_SHARED;
    return true;
}
