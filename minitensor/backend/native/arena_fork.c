/* The arena in a fork, and guests: processes of the family that are no members of its arena.
 *
 * The problem.  A forked child reads at once what it has inherited, so it must hold it before its parent can let go.  A member's child is a
 * member, too, but there may be no place for it: the program has closed the arena's descriptor, has changed its user, has no
 * descriptor left, lives where there is no /proc, or every slot is taken.
 *
 * What fails.  A child without a place that reads on where the parent's blocks were: the family gives those blocks to other
 * tensors.  Holding them for the child for ever is a leak, and the parent can't learn when such a child ends.
 *
 * The solution.  A member or a copy, and nothing between.  Where the parent can't reserve a place, it copies what it holds before it forks, into
 * private memory, which the fork passes on.  The child, before any other code runs there, moves the copies to where the
 * blocks were, page by page, and is a guest: the same addresses hold the same values, and they are its own.  So no storage, no view and no
 * array has to know.  The parent unmaps its copies.  Nothing has to be held, and no process has to be watched.
 *
 * Two things can't be copied.  Memory that all write to (share_memory_) stays shared: the warden, a member that never dies, holds it from
 * then on until the family ends.  The same is done with what there is no memory to copy to.
 *
 * A guest sends by copies: its tensors go inside the message.  It receives from members by copies, too: it reads the block while the token
 * is in flight, which keeps the block, and then ends the token.  It does that through a second mapping of the arena, since the first
 * has its copies.  Its token is OWNED by the warden between the reading and the end, so that it is counted by any recount
 * until the block's word no longer counts it; a guest that is killed in these few instructions leaves one token behind.
 * A channel that a guest has is marked: its users can't be counted any more.
 *
 * A stranger belongs to another family, or was started without being handed anything.  If it may open the sender's arena (/proc/PID/fd/N, of the
 * same user), it receives as a guest does, for one message; the block that is left is freed by a member's next look after the dead. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arena.h"

enum { MOST_COPIES = 16384 };                       /* blocks; each takes a mapping, of which Linux allows 65,530 */

typedef struct { uint32_t block; void *memory; } copy;

static struct {                                     /* what the fork under way has prepared; guarded by mt_my.lock */
    mt_reservation place;
    int error;                                      /* why there is no place */
    copy *copies;
    uint32_t n;
} plan;

/* With a step of the word: a process that is reading the set reads it again. */
static void hold_for(mt_member m, uint32_t b) {
    add(mt_holders(b), m);
    step();
    touch(&mt_my.arena->blocks[b].word);
}

static void share_with(mt_member child) {
    uint32_t blocks = atomic_load(&mt_my.arena->n_blocks), channels = atomic_load(&mt_my.arena->n_channels);
    for (uint32_t b = 1; b < blocks; b++)
        if (mt_my.holds[b]) hold_for(child, b);
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
    void *memory = mmap(NULL, (size_t)block->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    memcpy(memory, mt_my.data + block->offset, (size_t)block->size);
    plan.copies[plan.n++] = (copy){b, memory};
    return true;
}

static void copy_for_guest(void) {
    uint32_t blocks = atomic_load(&mt_my.arena->n_blocks), channels = atomic_load(&mt_my.arena->n_channels);
    for (uint32_t b = 1; b < blocks; b++)
        if (mt_my.holds[b] && (atomic_load(&mt_my.arena->blocks[b].mutable) || !copy_block(b))) hold_for(MT_WARDEN, b);
    for (uint32_t c = 1; c < channels; c++)
        if (mt_my.uses[c]) mt_channel_add_guest(c, 0);
}

void mt_arena_before_fork(void) {
    pthread_mutex_lock(&mt_my.lock);
    plan.n = 0;
    plan.error = mt_my.me ? mt_slot_reserve(&plan.place) : -ENXIO;
    if (plan.error == 0) {
        close(plan.place.fd);                       /* the anchor keeps the lock */
        share_with(plan.place.member);
    } else if (mt_my.me) copy_for_guest();          /* a guest's child inherits its copies like all its memory */
}

static void forget_plan(void) {
    free(plan.copies);
    plan.copies = NULL;
    plan.n = 0;
}

void mt_arena_in_parent(void) {
    if (mt_my.me && plan.error == 0) munmap(plan.place.anchor, MT_PAGE);   /* the child alone holds its slot's lock, if there is a child */
    for (uint32_t i = 0; i < plan.n; i++) munmap(plan.copies[i].memory, (size_t)mt_my.arena->blocks[plan.copies[i].block].size);
    forget_plan();
    pthread_mutex_unlock(&mt_my.lock);
}

static void become_guest(void) {
    snprintf(mt_my.why_guest, sizeof mt_my.why_guest, "%s", mt_slot_refusal(plan.error));
    mt_my.me = NULL;
    void *again = mremap(mt_my.arena, 0, (size_t)mt_my.reach, MREMAP_MAYMOVE);     /* of a shared mapping: a second one */
    if (again != MAP_FAILED) mt_my.arena = again;
    else mt_my.reach = (int64_t)sizeof(mt_arena);   /* it reads through the descriptor, if that is open */
    for (uint32_t i = 0; i < plan.n; i++) {
        const mt_shared_block *block = &mt_my.arena->blocks[plan.copies[i].block];
        size_t size = (size_t)block->size;
        if (mremap(plan.copies[i].memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, mt_my.data + block->offset) == MAP_FAILED) {
            static const char text[] = "minitensor: [fork] the system refuses the child its copies of tensors; it ends, since their values would be others'\n";
            if (write(2, text, sizeof text - 1) < 0) _exit(126);
            _exit(127);
        }
        mt_my.copied[plan.copies[i].block] = true;
    }
    forget_plan();
}

void mt_arena_in_child(void) {
    mt_mutex_init(&mt_my.lock);
    if (!mt_my.me) return;
    if (plan.error == 0) mt_slot_settle(plan.place);
    else become_guest();
}

/* --- what a guest does ----------------------------------------------------------------------------------------------------------------- */

void mt_block_forget(uint32_t b) {
    if (!mt_my.copied[b]) return;                   /* the warden's */
    mmap(mt_my.data + mt_my.arena->blocks[b].offset, (size_t)mt_my.arena->blocks[b].size, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

/* Where a process that is no member reads: an arena's tables, and its blocks. */
typedef struct { mt_arena *arena; int64_t reach; int fd; } source;

static source own_family(void) { return (source){mt_my.arena, mt_my.reach, mt_arena_file()}; }

static bool read_block(source from, uint32_t b, char *out, int64_t n) {
    int64_t offset = from.arena->blocks[b].offset;
    if (offset + n <= from.reach) {
        memcpy(out, (char *)from.arena + offset, (size_t)n);
        return true;
    }
    for (int64_t done = 0; done < n;) {
        ssize_t got = pread(from.fd, out + done, (size_t)(n - done), offset + done);
        if (got <= 0 && !(got < 0 && errno == EINTR)) return false;
        if (got > 0) done += got;
    }
    return true;
}

static uint32_t block_of(int64_t id) { return (uint32_t)id & 0xffff; }

static bool flies(const mt_arena *arena, int64_t id) {
    uint32_t t = (uint32_t)(id >> 48);
    if (t == 0 || t >= MT_TOKENS) return false;
    mt_token *token = (mt_token *)&arena->tokens[t];
    mt_word w = look(&token->word);
    return w.state == LIVE && (w.gen & 0x7fff) == ((uint32_t)(id >> 32) & 0x7fff) && atomic_load(&token->block) == block_of(id);
}

/* Ends a token's flight, if no other process was faster. */
static bool end_token(mt_arena *arena, int64_t id) {
    _Atomic uint64_t *token = &arena->tokens[(uint32_t)(id >> 48)].word, *block = &arena->blocks[block_of(id)].word;
    mt_word w = look(token), to = w;
    to.state = OWNED;
    to.owner = MT_WARDEN.slot;
    if (!flies(arena, id) || w.state != LIVE || !change(token, w, to)) return false;
    step();
    for (mt_word word = look(block); word.count; word = look(block)) {
        mt_word less = word;
        less.count--;
        if (change(block, word, less)) break;
    }
    step();
    w = to = look(token);
    to.state = FREE;
    to.owner = 0;
    change(token, w, to);
    return true;
}

bool mt_guest_end_token(int64_t id) {
    if (id <= 0 || !mt_my.arena || !end_token(mt_my.arena, id)) return false;
    mt_block_maybe_free(block_of(id));
    return true;
}

/* Reads what a token refers to; *ended: and has ended its flight.  While it flies no process writes to the block.  The same bytes a second time are
 * fine if the value has lived while they were read. */
static int copy_out(source from, int64_t id, char *out, int64_t nbytes, bool *ended) {
    uint32_t b = block_of(id), gen = (uint32_t)(id >> 16) & 0xffff;
    *ended = false;
    if (id <= 0 || b == 0 || b >= atomic_load(&from.arena->n_blocks)) return MT_STALE;
    if (nbytes > from.arena->blocks[b].size) return MT_VALUE_ERROR;
    if (flies(from.arena, id)) {
        if (!read_block(from, b, out, nbytes)) return MT_STALE;
        if ((*ended = end_token(from.arena, id))) return MT_OK;
    }
    mt_word before = look(&from.arena->blocks[b].word);
    bool read = before.state == LIVE && before.gen == gen && read_block(from, b, out, nbytes);
    atomic_thread_fence(memory_order_acquire);
    mt_word after = look(&from.arena->blocks[b].word);
    return read && after.state == LIVE && after.gen == gen ? MT_OK : MT_STALE;
}

int mt_arena_copy_out(int64_t id, char *out, int64_t nbytes) {
    bool ended = false;
    pthread_mutex_lock(&mt_my.lock);
    int status = mt_my.arena ? copy_out(own_family(), id, out, nbytes, &ended) : MT_STALE;
    if (ended) mt_block_maybe_free(block_of(id));
    pthread_mutex_unlock(&mt_my.lock);
    return status;
}

int mt_arena_copy_from(const char *path, uint64_t inode, int64_t id, char *out, int64_t nbytes) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC), error = fd < 0 ? -errno : 0;
    if (!error && (fstat(fd, &status) != 0 || (uint64_t)status.st_ino != inode || status.st_size < (int64_t)sizeof(mt_arena))) error = -ESTALE;
    mt_arena *arena = error ? MAP_FAILED : mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (arena == MAP_FAILED) {
        if (!error) error = -errno;
    } else {
        bool ended = false;
        int found = arena->layout == mt_arena_layout() ? copy_out((source){arena, (int64_t)sizeof *arena, fd}, id, out, nbytes, &ended) : MT_STALE;
        if (ended) atomic_store(&arena->stray, true);        /* its family frees the block */
        if (found != MT_OK) error = found == MT_VALUE_ERROR ? -EINVAL : -ESTALE;
        munmap(arena, sizeof *arena);
    }
    if (fd >= 0) close(fd);
    return error;
}

/* Memory that all write to can't be copied: the warden holds it from now on, and the guest sees the members' bytes. */
int64_t mt_guest_share(int64_t id) {
    uint32_t b = (uint32_t)id & 0xffff, gen = (uint32_t)(id >> 16) & 0xffff;
    int64_t result = -MT_STALE;
    if (id <= 0 || !mt_my.arena || b == 0 || b >= atomic_load(&mt_my.arena->n_blocks)) return result;
    mt_shared_block *block = &mt_my.arena->blocks[b];
    pthread_mutex_lock(&mt_my.lock);
    if (block->offset + block->size <= mt_my.reach && !mt_my.copied[b]) {
        bool held = has(mt_holders(b), MT_WARDEN);
        hold_for(MT_WARDEN, b);
        mt_word w = look(&block->word);
        if (w.state == LIVE && w.gen == gen) {
            mt_guest_end_token(id);
            mt_my.holds[b]++;
            result = b;
        } else if (!held) {
            discard(mt_holders(b), MT_WARDEN);
            mt_block_maybe_free(b);
        }
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}
