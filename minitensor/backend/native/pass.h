/* Passes: which tasks can be done tile by tile (fuse.c), and doing it (pass.c). */
#ifndef MT_PASS_H
#define MT_PASS_H
#include "internal.h"

enum { MT_PASS_TASKS = 16 };

/* fuse.c; with the executor's lock held */
bool mt_fusible(const mt_task *task);                   /* alone, it can be part of a pass */
int mt_fuse(const mt_task *first);                      /* how many tasks of the queue, from this one on, can be done as one pass */

/* pass.c; without */
int mt_pass_run(mt_task *const *tasks, int n, int *status);     /* gives the outputs memory and their values; how many of the tasks were done, before one failed */

static inline bool mt_same_view(const mt_tensor *a, const mt_tensor *b) {
    return a == b || (a->storage == b->storage && a->offset == b->offset && a->dtype == b->dtype && a->ndim == b->ndim &&
                      memcmp(a->shape, b->shape, 2 * (size_t)a->ndim * sizeof *a->shape) == 0);     /* the strides come after the shape */
}
static inline bool mt_contiguous(const mt_tensor *t) {
    int64_t step = MT_ITEMSIZE[t->dtype];
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && t->strides[d] != step) return t->size == 0;
        step *= t->shape[d];
    }
    return true;
}
static inline bool mt_same_shape(const mt_tensor *a, const mt_tensor *b) {
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) == 0;
}
#endif
