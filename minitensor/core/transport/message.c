/* A tensor in a message.
 *
 * What pickle has to carry is one string of bytes, a message: a head, the view's lengths and
 * strides, and then either a token of the storage, which lies in the arena, or the bytes
 * themselves.  Making one and opening one is one call of the core each: what a small message costs
 * is the number of steps that Python takes.
 *
 * A view takes with it what it touches, or all of its storage when that is not much more, or lies
 * in the arena and costs nothing.  Which bytes those are is decided here (mt_extent_of); that views
 * of one storage in one message arrive as such is the message's business (sharing/pickling.py),
 * which sends the second as a view of the first. */
#include <errno.h>
#include <stdlib.h>

#include "executor/pending.h"

/* The number of the format, which a message of another version of minitensor has otherwise: add 1
 * with each change of what a message is, or of what pickling.py sends beside it. */
enum { MT_MESSAGE_FORMAT = 1 };

typedef struct {
    int32_t format; /* MT_MESSAGE_FORMAT; first in every format */
    int32_t dtype, ndim, shared_mutable;
    int64_t token;                 /* 0: the bytes follow */
    int64_t nbytes;                /* of the storage, or of the part of it that travels */
    int64_t offset;                /* of the first element, from there */
    int64_t dims[2 * MT_MAX_NDIM]; /* lengths, then strides in bytes: 2 * ndim of them */
} message;

static size_t head_size(int ndim) {
    return offsetof(message, dims) + 2 * (size_t)ndim * sizeof(int64_t);
}

mt_extent mt_extent_of(mt_ref ref, int64_t small, int64_t low, int64_t high) {
    const mt_tensor *t = mt_t(ref);
    const mt_storage *s = t->storage;
    mt_extent e = {.storage = (int64_t)(intptr_t)s,
                   .nbytes = s->nbytes,
                   .size = t->size,
                   .head = (int64_t)head_size(t->ndim),
                   .in_arena = s->block > 0 && !s->exclusive && mt_arena_member(),
                   .shared_mutable = s->shared_mutable,
                   .device = t->device,
                   .ready = mt_wait(ref, 0) == MT_OK};
    if (t->size == 0) return e;
    mt_tensor_extent(t, &e.low, &e.high);
    e.high++;
    if (low < high) {
        if (low < e.low) e.low = low;
        if (high > e.high) e.high = high;
    }
    int64_t part = e.high - e.low;
    if (e.shared_mutable || (e.in_arena && part > small) || part > s->nbytes - part)
        e.low = 0, e.high = s->nbytes;
    return e;
}

void mt_pack(mt_ref ref, int64_t low, int64_t high, int64_t token, int with_bytes, char *out) {
    const mt_tensor *t = mt_t(ref);
    message p = {.format = MT_MESSAGE_FORMAT,
                 .token = token,
                 .nbytes = high - low,
                 .offset = t->offset - low,
                 .dtype = t->dtype,
                 .ndim = t->ndim,
                 .shared_mutable = t->storage->shared_mutable};
    memcpy(p.dims, t->shape, (size_t)t->ndim * sizeof(int64_t));
    memcpy(p.dims + t->ndim, t->strides, (size_t)t->ndim * sizeof(int64_t));
    memcpy(out, &p, head_size(t->ndim));
    if (!with_bytes) return;
    mt_pin(ref);
    memcpy(out + head_size(t->ndim), t->storage->data + low, (size_t)(high - low));
    mt_unpin(ref);
}

/* What lies in a message; false: it is none, or its view would reach beyond its bytes. */
static bool read_head(const char *bytes, int64_t n, message *p) {
    if (n < (int64_t)head_size(0)) return false;
    memcpy(p, bytes, head_size(0));
    if (p->format != MT_MESSAGE_FORMAT) return false;
    if (p->ndim < 0 || p->ndim > MT_MAX_NDIM || n < (int64_t)head_size(p->ndim) || p->dtype < 0 ||
        p->dtype >= MT_NUM_DTYPES)
        return false;
    memcpy(p->dims, bytes + head_size(0), 2 * (size_t)p->ndim * sizeof(int64_t));
    int64_t low = p->offset, high = p->offset + MT_ITEMSIZE[p->dtype];
    for (int d = 0; d < p->ndim; d++) {
        int64_t reach;
        if (p->dims[d] <= 0 || __builtin_mul_overflow(p->dims[d] - 1, p->dims[p->ndim + d], &reach))
            return false;
        if (reach < 0 ? __builtin_add_overflow(low, reach, &low)
                      : __builtin_add_overflow(high, reach, &high))
            return false;
    }
    return low >= 0 && high <= p->nbytes && mt_size(p->ndim, p->dims) > 0;
}

static mt_ref not_a_message(void) {
    return mt_fail("unpickle", MT_VALUE_ERROR,
                   "these bytes are not what a tensor becomes in a message");
}

static mt_ref not_read(const char *bytes, int64_t n) { /* what read_head refused */
    int32_t format = MT_MESSAGE_FORMAT;
    if (n >= (int64_t)sizeof format) memcpy(&format, bytes, sizeof format);
    if (format == MT_MESSAGE_FORMAT) return not_a_message();
    return mt_fail("unpickle", MT_VALUE_ERROR,
                   "the sender's message has format %d, and this process reads format %d; run one "
                   "version of minitensor in both",
                   format, MT_MESSAGE_FORMAT);
}

static mt_ref view_of(mt_ref base, const message *p) {
    return mt_view(base, p->dtype, p->ndim, p->dims, p->dims + p->ndim, p->offset);
}

static mt_ref bytes_in(int64_t block, char *data, int device, int64_t nbytes,
                       bool shared_mutable) { /* takes over our hold of the block */
    mt_storage *s = mt_storage_new(&mt_devices[device], nbytes);
    mt_tensor *t = s ? mt_tensor_new(s, device, MT_DT_uint8, 1, &nbytes, NULL, 0) : NULL;
    if (t) {
        s->block = block;
        s->data = data;
        s->shared_mutable = shared_mutable;
        return mt_ref_of(t);
    }
    free(s);
    mt_arena_drop(block);
    return mt_no_memory("shared", device, nbytes);
}

mt_ref mt_empty_shared(int device, int64_t nbytes) {
    int64_t block = mt_arena_alloc(nbytes);
    return block < 0 ? mt_no_memory("shared", device, nbytes)
                     : bytes_in(block, mt_arena_data(block), device, nbytes, false);
}

static mt_ref gone(void) {
    return mt_fail(
        "unpickle", MT_STALE,
        "the tensor's memory is gone; a message can be unpickled again only while its value lives");
}

static mt_ref claim(int device, const message *p) {
    int64_t block = mt_arena_claim(p->token);
    if (block < 0) return gone();
    if (p->nbytes <= mt_arena_size(block))
        return bytes_in(block, mt_arena_data(block), device, p->nbytes, p->shared_mutable);
    mt_arena_drop(block);
    return not_a_message();
}

/* What a guest gets: a copy; of memory that all write to, the members' bytes. */
static mt_ref copy_of(int device, const message *p) {
    if (p->shared_mutable) {
        int64_t block = mt_guest_share(p->token);
        if (block > 0)
            return bytes_in(block, mt_arena_members_data(block), device, p->nbytes, true);
        return mt_fail("unpickle", MT_STALE,
                       "memory that all processes write to can't be seen here, since this process "
                       "is no member of its family's "
                       "shared memory: %s",
                       mt_arena_why_guest());
    }
    mt_ref base = mt_empty(device, MT_DT_uint8, 1, &p->nbytes);
    if (base < 0) return base;
    int status = mt_arena_copy_out(p->token, mt_data(base), p->nbytes);
    if (status == MT_OK) return base;
    mt_release(base);
    return status == MT_STALE ? gone() : not_a_message();
}

static mt_ref as_view(mt_ref base, const message *p) {
    if (base < 0) return base;
    mt_ref view = view_of(base, p);
    mt_release(base);
    return view;
}

mt_ref mt_receive(int device, const char *bytes, int64_t n) {
    message p;
    if (!read_head(bytes, n, &p)) return not_read(bytes, n);
    if (p.token) return as_view(mt_arena_member() ? claim(device, &p) : copy_of(device, &p), &p);
    if (p.nbytes != n - (int64_t)head_size(p.ndim)) return not_a_message();
    mt_ref base = mt_empty(device, MT_DT_uint8, 1, &p.nbytes);
    if (base > 0) memcpy(mt_data(base), bytes + head_size(p.ndim), (size_t)p.nbytes);
    return as_view(base, &p);
}

mt_ref mt_receive_from(int device, const char *bytes, int64_t n, const char *path, uint64_t inode,
                       int *error) {
    message p;
    *error = 0;
    if (!read_head(bytes, n, &p)) return not_read(bytes, n);
    if (!p.token) return not_a_message();
    if (p.shared_mutable) return *error = -EXDEV, 0;
    mt_ref base = mt_empty(device, MT_DT_uint8, 1, &p.nbytes);
    if (base < 0) return base;
    *error = mt_arena_copy_from(path, inode, p.token, mt_data(base), p.nbytes);
    if (*error == 0) return as_view(base, &p);
    mt_release(base);
    return *error == -EINVAL ? not_a_message() : 0;
}

mt_ref mt_receive_view(mt_ref first, const char *bytes, int64_t n) {
    message p;
    if (!read_head(bytes, n, &p)) return not_read(bytes, n);
    if (p.nbytes != mt_t(first)->storage->nbytes) return not_a_message();
    return view_of(first, &p);
}
