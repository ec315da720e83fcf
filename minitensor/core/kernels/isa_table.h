/* The loops of one instruction set, and their table.  The files isa_*.c define MT_LOOPS,
 * MT_ISA_NAME, MT_FMA and MT_VECTOR and include this file.
 *
 * The elementwise loops and the folds take most of the time that the core takes to compile, so
 * each is an object of its own: isa_*_elementwise.c and isa_*_folds.c define MT_ONLY_ELEMENTWISE
 * and MT_ONLY_FOLDS, and include isa_*.c.  For each file of array kernels, _build.py writes such
 * a file with MT_ONLY_ARRAYS (generated/isa_*.c). */
#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define IVDEP _Pragma("GCC ivdep")
#endif

/* Puts L running values, a power of two up to 32, together in the first: STEP combines
 * those at j and `to`, from the larger distance to the least.  Each loop has a fixed length. */
#define HALVE(L, j, to, ...)                                                                       \
    HALF(L, 32, j, to, __VA_ARGS__)                                                                \
    HALF(L, 16, j, to, __VA_ARGS__)                                                                \
    HALF(L, 8, j, to, __VA_ARGS__)                                                                 \
    HALF(L, 4, j, to, __VA_ARGS__)                                                                 \
    HALF(L, 2, j, to, __VA_ARGS__)
#define HALF(L, width, j, to, ...)                                                                 \
    for (int j = 0, to = width / 2; L >= width && j < width / 2; j++, to++) {                      \
        __VA_ARGS__;                                                                               \
    }

#define MT_PART_NAME(table, part) table##_##part
#define MT_PART(table, part) MT_PART_NAME(table, part) /* for example mt_loops_avx2_folds */

extern const mt_kernel MT_PART(MT_LOOPS, kernels)[MT_NUM_ELEMENTWISE][MT_NUM_DTYPES];
extern const mt_fold MT_PART(MT_LOOPS, folds)[MT_NUM_DTYPES][MT_FAMILIES];

#if defined(MT_ONLY_ARRAYS)
#define ARRAY_KERNEL(name, kinds) extern MT_ARRAY_KERNEL(name);
#include "generated/array_kernels_gen.h"
#include MT_ONLY_ARRAYS
#elif defined(MT_ONLY_ELEMENTWISE)
#include "kernels/math/elementary.h"
#include "kernels/elementwise.h"
const mt_kernel MT_PART(MT_LOOPS, kernels)[MT_NUM_ELEMENTWISE][MT_NUM_DTYPES] = {
#include "generated/kernels_gen.h"
};
#elif defined(MT_ONLY_FOLDS)
#include "kernels/folds.h"
const mt_fold MT_PART(MT_LOOPS, folds)[MT_NUM_DTYPES][MT_FAMILIES] = MT_FOLD_TABLE;
#else
#include "kernels/casts.h"
#include "kernels/nontemporal.h"
#include "kernels/transpose.h"
#include "kernels/truth.h"
#include "generated/array_codes.h"
#define ARRAY_KERNEL(name, kinds) extern MT_ARRAY_KERNEL(name);
#include "generated/array_kernels_gen.h"
#undef ARRAY_KERNEL
#define ARRAY_KERNEL(name, kinds) [MT_ARRAY_##name] = MT_ARRAY_KERNEL_OF(MT_LOOPS, name),
static const mt_array_kernel ARRAY_KERNELS[MT_NUM_ARRAY_KERNELS] = {
#include "generated/array_kernels_gen.h"
};
#undef ARRAY_KERNEL
const mt_loops MT_LOOPS = {
    .name = MT_ISA_NAME,
    .arrays = ARRAY_KERNELS,
    .kernels = MT_PART(MT_LOOPS, kernels),
    .casts = MT_CAST_TABLE,
    .copies = MT_COPIES,
    .transposes = MT_TRANSPOSES,
    .folds = MT_PART(MT_LOOPS, folds),
    .find_truth = find_truth,
    .stream = stream,
};
#endif
