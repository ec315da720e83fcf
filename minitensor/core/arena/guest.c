/* A guest: a process of the family that is no member of its arena, and has copies.  fork.c explains
 * how a process becomes one.
 *
 * A guest receives by a copy: it reads the block while the token is in flight, which keeps the
 * block, and then ends the token.  A forked guest reads through a second mapping of the arena,
 * since the first has its copies.  A guest without address space for the arena reads through the
 * descriptor.  A guest sends by a copy: its tensors go inside the message, and a large message goes
 * into a block that only the message holds.
 *
 * A guest has no slot, so the warden is the owner of the entries that it works on, and any recount
 * counts them.  The warden is never reaped: a guest that is killed between two steps leaves a token
 * and a block behind, until the family ends.
 *
 * A channel that a guest has is marked: its users can't be counted any more.
 *
 * A stranger belongs to another family, or received no descriptor at its start.  If it may open the
 * sender's arena (/proc/PID/fd/N, of the same user), it receives as a guest does, for one message.
 * A member frees the block that is left at its next reap. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arena/arena.h"

/* Where a process that is no member reads: an arena's tables, and its blocks. */
typedef struct {
    mt_arena *arena;
    int64_t reach;
    int fd;
} source;

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

/* Reads the block of a token; *ended: the call has ended the token's flight.  No process writes to
 * the block while the token is in flight.  The same message read again is valid if the value has
 * lived during the read. */
static int copy_out(source from, int64_t id, char *out, int64_t nbytes, bool *ended) {
    uint32_t b = mt_token_block(id), gen = (uint32_t)(id >> 16) & 0xffff;
    *ended = false;
    if (id <= 0 || b == 0 || b >= atomic_load(&from.arena->n_blocks)) return MT_STALE;
    if (nbytes > from.arena->blocks[b].size) return MT_VALUE_ERROR;
    if (mt_token_flies(from.arena, id)) {
        if (!read_block(from, b, out, nbytes)) return MT_STALE;
        if ((*ended = mt_token_end(from.arena, id))) return MT_OK;
    }
    mt_word before = load_word(&from.arena->blocks[b].word);
    bool read = before.state == LIVE && before.gen == gen && read_block(from, b, out, nbytes);
    atomic_thread_fence(memory_order_acquire);
    mt_word after = load_word(&from.arena->blocks[b].word);
    return read && after.state == LIVE && after.gen == gen ? MT_OK : MT_STALE;
}

int mt_arena_copy_out(int64_t id, char *out, int64_t nbytes) {
    bool ended = false;
    pthread_mutex_lock(&mt_my.lock);
    int status = mt_my.arena ? copy_out(own_family(), id, out, nbytes, &ended) : MT_STALE;
    if (ended) mt_arena_block_maybe_free(mt_token_block(id));
    pthread_mutex_unlock(&mt_my.lock);
    return status;
}

int mt_arena_copy_from(const char *path, uint64_t inode, int64_t id, char *out, int64_t nbytes) {
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC), error = fd < 0 ? -errno : 0;
    if (!error && (fstat(fd, &status) != 0 || (uint64_t)status.st_ino != inode ||
                   status.st_size < (int64_t)sizeof(mt_arena)))
        error = -ESTALE;
    mt_arena *arena = error ? MAP_FAILED
                            : mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (arena == MAP_FAILED) {
        if (!error) error = -errno;
    } else {
        bool ended = false;
        int found =
            arena->layout == mt_arena_layout()
                ? copy_out((source){arena, (int64_t)sizeof *arena, fd}, id, out, nbytes, &ended)
                : MT_STALE;
        if (ended) atomic_store(&arena->stray, true); /* its family frees the block */
        if (found != MT_OK) error = found == MT_VALUE_ERROR ? -EINVAL : -ESTALE;
        munmap(arena, sizeof *arena);
    }
    if (fd >= 0) close(fd);
    return error;
}

/* shared_mutable memory can't be copied: the warden holds it from now on, and the guest reads the
 * members' bytes. */
int64_t mt_guest_share(int64_t id) {
    uint32_t b = (uint32_t)id & 0xffff, gen = (uint32_t)(id >> 16) & 0xffff;
    int64_t result = -MT_STALE;
    if (id <= 0 || !mt_my.arena || b == 0 || b >= atomic_load(&mt_my.arena->n_blocks))
        return result;
    mt_shared_block *block = &mt_my.arena->blocks[b];
    pthread_mutex_lock(&mt_my.lock);
    if (block->offset + block->size <= mt_my.reach && !mt_my.copied[b]) {
        bool held = has(mt_holders(b), MT_WARDEN);
        mt_arena_block_hold_for(MT_WARDEN, b);
        mt_word w = load_word(&block->word);
        if (w.state == LIVE && w.gen == gen) {
            if (mt_token_end(mt_my.arena, id)) mt_arena_block_maybe_free(b);
            mt_my.holds[b]++;
            result = b;
        } else if (!held) {
            discard(mt_holders(b), MT_WARDEN);
            mt_arena_block_maybe_free(b);
        }
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}

/* --- sending -------------------------------------------------------------------------------- */

static bool write_block(const mt_shared_block *block, int64_t at, const char *bytes, int64_t n) {
    if (block->offset + block->size <= mt_my.reach) {
        memcpy((char *)mt_my.arena + block->offset + at, bytes, (size_t)n);
        return true;
    }
    for (int64_t done = 0; done < n;) {
        ssize_t put =
            pwrite(mt_arena_file(), bytes + done, (size_t)(n - done), block->offset + at + done);
        if (put < 0 && errno != EINTR) return false;
        if (put > 0) done += put;
    }
    return true;
}

int64_t mt_guest_send(const char *head, int64_t n_head, const char *body, int64_t n_body,
                      int64_t channel) {
    int64_t result = -MT_MEMORY_ERROR;
    pthread_mutex_lock(&mt_my.lock);
    uint32_t b = mt_my.arena ? mt_arena_block_obtain(n_head + n_body) : 0;
    if (b) {
        mt_shared_block *block = &mt_my.arena->blocks[b];
        bool written =
            write_block(block, 0, head, n_head) && write_block(block, n_head, body, n_body);
        uint32_t t = written ? mt_token_obtain(b, channel) : 0;
        if (t) {
            mt_word w = load_word(&block->word), to = w;
            to.state = LIVE;
            to.owner = 0;
            to.count = 1;
            change(&block->word, w, to);
            step();
            result = mt_token_send(t, b);
        } else mt_arena_block_disown(b);
    }
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}
