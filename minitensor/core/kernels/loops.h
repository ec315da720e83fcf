/* The loops that do the work, compiled once for each instruction set, and the choice among them.
 *
 * A file isa_<name>.c names its instruction set to the compiler and includes the loops: kernels.h (elementwise), casts.h
 * and folds.h (reductions).  Their table of functions is all that the rest of the core sees, so a processor that lacks the
 * instructions never meets them.  The best table that the processor can run is chosen when the core is loaded;
 * MINITENSOR_ISA asks for another. */
#ifndef MT_ISA_H
#define MT_ISA_H
#if defined(__x86_64__)
#define MT_X86 1
#endif
#include "types.h"

#include "kernels/walk.h"

#include <math.h>

/* acc and aux hold running values, 8 bytes each: index 0 for a run, one for each column of a row.  `index` counts the
 * elements that a result has seen before. */
typedef struct {
    void (*start)(void *acc, void *aux, int64_t n);                                      /* the result of no elements */
    void (*along)(void *acc, void *aux, const void *x, int64_t n, int64_t index);
    void (*across)(void *acc, void *aux, const void *x, int64_t stride, int64_t rows, int64_t n, int64_t index);
    void (*merge)(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n, int64_t index);    /* index: of the others' first element */
    void (*finish)(const void *acc, const void *aux, void *out, int64_t n, int64_t count, bool mean);
} mt_fold;
/* A long run is folded in blocks that are merged in order, so that several threads may fold it and the result is the same for one. */
enum { MT_FOLD_BLOCK = 1 << 16 };
const mt_fold *mt_fold_find(int op, int dtype);           /* of a reduction; NULL where there is none */
enum { MT_SUM, MT_PROD, MT_MIN, MT_MAX, MT_ARGMIN, MT_ARGMAX, MT_FAMILIES };

typedef void (*mt_transpose_fn)(char *dst, int64_t dst_row, const char *src, int64_t src_row, int64_t rows, int64_t columns);

typedef struct {
    const char *name;
    const mt_kernel (*kernels)[MT_NUM_DTYPES];               /* by op */
    mt_cast_fn casts[MT_NUM_DTYPES][MT_NUM_DTYPES];
    mt_cast_fn copies[17];                                   /* by size */
    mt_transpose_fn transposes[17];                          /* by size; NULL where there is none */
    const mt_fold (*folds)[MT_FAMILIES];                     /* by dtype */
    void (*stream)(void *dst, const void *src, size_t nbytes);   /* copies past the caches, to any address: stream.h */
} mt_loops;

extern _Atomic(const mt_loops *) mt_loops_now;               /* set once at start; tests set it between ops */
static inline const mt_loops *mt_loops_of_machine(void) {
    return atomic_load_explicit(&mt_loops_now, memory_order_relaxed);
}

enum { MT_PAST_THE_CACHE = 4 << 20 };        /* bytes of an output, from which on the stores that bypass the cache measured faster */
/* Streamed data must be seen before what this thread stores next: call it before others are told that the work is done. */
static inline void mt_stream_fence(void) {
#ifdef MT_X86
    __builtin_ia32_sfence();
#endif
}
#endif
