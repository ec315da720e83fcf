/* The loops of the kernels, compiled once for each instruction set, and the table of each set.
 *
 * A file isa_<name>.c names its instruction set to the compiler and includes the loops:
 * elementwise.h, casts.h, transpose.h and folds.h (reductions).  The rest of the core sees only
 * their table of functions, so a processor without the instructions never runs them.  The core
 * selects the best table that the processor can run when it is loaded.  MINITENSOR_ISA selects
 * another. */
#ifndef MT_LOOPS_H
#define MT_LOOPS_H
#if defined(__x86_64__)
#define MT_X86 1
#endif
#include <math.h>

#include "kernels/kernels.h"

/* The functions of a fold.  acc and aux hold running values of 8 bytes each: only index 0 for a
 * run, one for each column of a row.  `index` is the number of elements that the running value
 * already covers. */
typedef struct {
    /* Stores the initial running values: the result of no elements. */
    void (*start)(void *acc, void *aux, int64_t n);
    /* Folds n contiguous elements into one running value. */
    void (*accumulate_run)(void *acc, void *aux, const void *x, int64_t n, int64_t index);
    /* Folds `rows` rows of n elements, which begin `stride` bytes apart, into n running values. */
    void (*accumulate_rows)(void *acc, void *aux, const void *x, int64_t stride, int64_t rows,
                            int64_t n, int64_t index);
    /* Merges acc2 and aux2 into acc and aux; `index`: of the first element that acc2 covers, and
     * `count`: how many elements it covers. */
    void (*merge)(void *acc, void *aux, const void *acc2, const void *aux2, int64_t n,
                  int64_t index, int64_t count);
    /* Stores n results; `count`: the elements of each, `divisor`: of sums (mt_divisor). */
    void (*finish)(const void *acc, const void *aux, void *out, int64_t n, int64_t count,
                   double divisor);
} mt_fold;
/* A long run is folded in blocks that are merged in order, so several threads give the same
 * result as one. */
enum { MT_FOLD_BLOCK = 1 << 16 };
enum {
    MT_SUM,
    MT_PROD,
    MT_MIN,
    MT_MAX,
    MT_ARGMIN,
    MT_ARGMAX,
    MT_VAR,
    MT_STD,
    MT_COUNT,
    MT_FAMILIES
};

/* Transposes a block: `rows` and `columns` are those of dst, whose rows begin dst_row bytes
 * apart. */
typedef void (*mt_transpose_fn)(char *dst, int64_t dst_row, const char *src, int64_t src_row,
                                int64_t rows, int64_t columns);

/* A tensor as an array kernel receives it: all of it, with its shape; strides in bytes. */
typedef struct {
    char *data;
    const int64_t *shape, *strides;
    int64_t size; /* elements */
    int ndim, dtype;
} mt_array;

/* A call of an array kernel.  The kernel writes every element of its outputs. */
typedef struct {
    const mt_array *in, *out;
    const mt_param *param; /* numbers of the call, in an order that the kernel documents */
    int n_in, n_out, n_param;
    /* For a status other than MT_OK: room for MT_WHY bytes; else the status's own sentence. */
    char *why;
} mt_arrays;
enum { MT_WHY = 128 };

/* An array kernel (ArrayKernel of optable.py).  Returns a status. */
typedef int (*mt_array_kernel)(const mt_arrays *a);
#define MT_ARRAY_KERNEL_NAME(loops, name) loops##_##name
#define MT_ARRAY_KERNEL_OF(loops, name) MT_ARRAY_KERNEL_NAME(loops, name)
#define MT_ARRAY_KERNEL(name) int MT_ARRAY_KERNEL_OF(MT_LOOPS, name)(const mt_arrays *a)

typedef struct {
    const char *name;
    const mt_array_kernel *arrays;             /* by MT_ARRAY_<name> */
    const mt_kernel (*kernels)[MT_NUM_DTYPES]; /* by op */
    mt_cast_fn casts[MT_NUM_DTYPES][MT_NUM_DTYPES];
    mt_cast_fn copies[17];               /* by size */
    mt_transpose_fn transposes[17];      /* by size; NULL where there is none */
    const mt_fold (*folds)[MT_FAMILIES]; /* by dtype */
    /* Returns true if one of n elements is (`wanted`) or is not (not `wanted`) different from zero
     * (truth.h). */
    bool (*find_truth)(const void *x, int64_t n, int dtype, bool wanted);
    /* Copies past the caches, to any address (nontemporal.h). */
    void (*stream)(void *dst, const void *src, size_t nbytes);
} mt_loops;

#endif
