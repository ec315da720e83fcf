/* The loops that do the work, compiled once for each instruction set, and the choice among them.
 *
 * A file isa_<name>.c names its instruction set to the compiler and includes the loops: kernels.h (elementwise), casts.h
 * and folds.h (reductions).  Their table of functions is all that the rest of the core sees, so a processor that lacks the
 * instructions never meets them.  The best table that the processor can run is chosen when the core is loaded;
 * MINITENSOR_ISA asks for another. */
#ifndef MT_LOOPS_H
#define MT_LOOPS_H
#if defined(__x86_64__)
#define MT_X86 1
#endif
#include <math.h>

#include "kernels/kernels.h"

/* acc and aux hold running values, 8 bytes each: index 0 for a run, one for each column of a row.  `index` counts the
 * elements that a result has seen before. */
typedef struct {
    void (*start)(void *acc, void *aux, int64_t n); /* the result of no elements */
    void (*accumulate_run)(void *acc, void *aux, const void *x, int64_t n, int64_t index);
    void (*accumulate_rows)(void *acc, void *aux, const void *x, int64_t stride, int64_t rows,
                            int64_t n, int64_t index);
    void (*merge)(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n,
                  int64_t index); /* index: of the others' first element */
    void (*finish)(const void *acc, const void *aux, void *out, int64_t n, int64_t count,
                   bool mean);
} mt_fold;
/* A long run is folded in blocks that are merged in order, so that several threads may fold it and the result is the same for one. */
enum { MT_FOLD_BLOCK = 1 << 16 };
enum { MT_SUM, MT_PROD, MT_MIN, MT_MAX, MT_ARGMIN, MT_ARGMAX, MT_FAMILIES };

typedef void (*mt_transpose_fn)(char *dst, int64_t dst_row, const char *src, int64_t src_row,
                                int64_t rows, int64_t columns);

typedef struct {
    const char *name;
    const mt_kernel (*kernels)[MT_NUM_DTYPES]; /* by op */
    mt_cast_fn casts[MT_NUM_DTYPES][MT_NUM_DTYPES];
    mt_cast_fn copies[17];               /* by size */
    mt_transpose_fn transposes[17];      /* by size; NULL where there is none */
    const mt_fold (*folds)[MT_FAMILIES]; /* by dtype */
    void (*stream)(void *dst, const void *src,
                   size_t nbytes); /* copies past the caches, to any address: nontemporal.h */
} mt_loops;

#endif
