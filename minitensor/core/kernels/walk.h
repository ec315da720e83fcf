/* Walks over the elements of an operand, for passes and reductions.
 *
 * The problem.  Kernels need contiguous, aligned elements of one dtype.  Operands have any
 * strides, any of the kernel dtypes and any address (memory of NumPy may be unaligned).
 *
 * The solution.  A walk is one operand in a fixed order of its elements.  It returns the next n
 * elements: their address where they are ready, otherwise a copy gathered in a tile that stays
 * in the cache.  Each operand has a walk of its own, with its own dimensions merged as far as
 * its own strides allow.  So a contiguous operand is not copied because another operand is
 * broadcast, and short inner dimensions still fill whole tiles. */
#ifndef MT_WALK_H
#define MT_WALK_H
#include "kernels/kernels.h"

typedef struct {
    char *at;     /* the next element */
    int64_t left; /* elements left in the innermost run */
    int ndim;
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM], index[MT_MAX_NDIM]; /* [0] is the innermost */
    int64_t itemsize;
    mt_cast_fn cast; /* from the operand's dtype to the walk's; for an output back */
    bool ready;      /* no cast, aligned: kernels may use the elements in place */
} mt_walk;

/* Begins a walk of operand t at its first element, with elements of `dtype`.  `order` lists its
 * n dimensions, the innermost last. */
static inline void mt_walk_begin(mt_walk *w, const mt_operand *t, int dtype, bool output, int n,
                                 const int *order, const int64_t *shape) {
    /* complex128 is two doubles, so it is aligned to 8 bytes. */
    int64_t size = MT_ITEMSIZE[t->dtype], align = size < 16 ? size : 8;
    uintptr_t bits = (uintptr_t)t->data;
    w->at = t->data, w->ndim = 0, w->itemsize = size;
    for (int k = n - 1; k >= 0; k--) {
        int64_t length = shape[order[k]], stride = t->strides[order[k]];
        if (length == 1) continue;
        bits |= (uintptr_t)stride;
        int top = w->ndim - 1;
        if (top >= 0 && stride == w->strides[top] * w->shape[top]) {
            w->shape[top] *= length;
        } else {
            w->shape[++top] = length, w->strides[top] = stride, w->index[top] = 0;
            w->ndim = top + 1;
        }
    }
    if (w->ndim == 0) w->shape[0] = 1, w->strides[0] = size, w->index[0] = 0, w->ndim = 1;
    w->left = w->shape[0];
    w->cast = output ? mt_cast_find(dtype, t->dtype) : mt_cast_find(t->dtype, dtype);
    w->ready = t->dtype == dtype && (bits & (uintptr_t)(align - 1)) == 0;
}

/* Advances by n elements; n is at most what is left of the innermost run. */
static inline void mt_walk_skip(mt_walk *w, int64_t n) {
    w->at += n * w->strides[0];
    if ((w->left -= n) != 0) return;
    w->at -= w->shape[0] * w->strides[0];
    for (int d = 1; d < w->ndim; d++) {
        w->at += w->strides[d];
        if (++w->index[d] < w->shape[d]) break;
        w->at -= w->shape[d] * w->strides[d], w->index[d] = 0;
    }
    w->left = w->shape[0];
}

/* Moves a walk that is at its beginning to element n, in the order of the walk. */
static inline void mt_walk_seek(mt_walk *w, int64_t n) {
    for (int d = 0; d < w->ndim; d++) {
        w->index[d] = n % w->shape[d];
        w->at += w->index[d] * w->strides[d];
        n /= w->shape[d];
    }
    w->left = w->shape[0] - w->index[0];
}

/* Returns how many of the next elements are ready in one contiguous piece. */
static inline int64_t mt_walk_ready(const mt_walk *w) {
    return w->ready && w->strides[0] == w->itemsize ? w->left : 0;
}

/* Casts n elements between the walk and a contiguous buffer of items of `itemsize` bytes: from
 * the buffer for an output, otherwise to it. */
static inline void mt_walk_move(mt_walk *w, char *buffer, int64_t itemsize, int64_t n,
                                bool output) {
    while (n > 0) {
        int64_t m = w->left < n ? w->left : n;
        if (output) w->cast(w->at, w->strides[0], buffer, itemsize, m);
        else w->cast(buffer, itemsize, w->at, w->strides[0], m);
        mt_walk_skip(w, m);
        buffer += m * itemsize, n -= m;
    }
}

/* Returns the next n elements: their address where they are ready, otherwise `tile`, which
 * receives a copy and has room for them. */
static inline const void *mt_walk_next(mt_walk *w, char *tile, int64_t itemsize, int64_t n) {
    if (mt_walk_ready(w) >= n) {
        const void *here = w->at;
        mt_walk_skip(w, n);
        return here;
    }
    mt_walk_move(w, tile, itemsize, n, false);
    return tile;
}

#endif
