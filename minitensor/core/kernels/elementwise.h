/* The elementwise kernels: one loop for each op and dtype, over contiguous elements, generated
 * from the expressions of optable.py (generated/kernels_gen.h).
 *
 * Why the loops are plain.  execute.c handles strides, broadcasting and casts.  The kernel is
 * then a loop that every compiler vectorises, so kernels need no intrinsics and a new op is one
 * row of the table.  The output may be the memory of an input (in place), so the pointers aren't
 * `restrict`.  IVDEP states the true guarantee: no element depends on another element.
 *
 * Rare elements.  Most arguments of log are normal numbers, but most instructions of a log that
 * accepts every argument serve the other arguments.  So a row may have a second expression, and
 * a condition for the arguments that need it (`special_case` of an Op).  Its kernel works by
 * blocks.  The first loop computes the whole block by the first expression, which need only be
 * right for ordinary arguments, and computes the largest rarity in the block.  If that reaches
 * the limit, a second loop replaces the rare elements.  The result of an ordinary argument
 * depends on no neighbour.  In place, the kernel first copies the arguments of a block aside,
 * since the first loop overwrites them.
 *
 * Rarity is an unsigned number, computed from the bits of a float32: two instructions for a
 * vector find the largest of a block, while a comparison that NaN fails takes four.  The rarity
 * of a float64 is yes (not 0) or no, since few processors compare 64-bit integers. */
#include "kernels/math/mathfn.h"

/* Marks an element as an error; the kernel then returns 1. */
#define FAIL (bad = 1, (T)0)

#define BODY(name, OUT, A, TYPE, UTYPE, LOADS, expression)                                         \
    static int name(void *out, const void *pa, const void *pb, const void *pc, int64_t n) {        \
        typedef TYPE T;                                                                            \
        typedef UTYPE UT;                                                                          \
        int bad = 0;                                                                               \
        OUT *o = out;                                                                              \
        const A *xa = pa;                                                                          \
        const T *xb = pb, *xc = pc;                                                                \
        IVDEP for (int64_t i = 0; i < n; i++) {                                                    \
            LOADS                                                                                  \
            o[i] = (OUT)(expression);                                                              \
        }                                                                                          \
        (void)xb, (void)xc, (void)sizeof(UT);                                                      \
        return bad;                                                                                \
    }
#define LOADS1(A) const A a = xa[i];
#define LOADS2(A) LOADS1(A) const T b = xb[i];
#define LOADS3(A) LOADS2(A) const T c = xc[i];
#define KERNEL1(name, OUT, A, T, UT, ...) BODY(name, OUT, A, T, UT, LOADS1(A), (__VA_ARGS__))
#define KERNEL2(name, OUT, A, T, UT, ...) BODY(name, OUT, A, T, UT, LOADS2(A), (__VA_ARGS__))
#define KERNEL3(name, OUT, A, T, UT, ...) BODY(name, OUT, A, T, UT, LOADS3(A), (__VA_ARGS__))
/* Returns the larger of two rarities; of float64, whether one is not 0. */
#define RAREST(any, m) (sizeof(any) == 4 ? ((m) > (any) ? (m) : (any)) : ((any) | (m)))
#define KERNEL1_SPECIAL(name, T, UT, special, full, ...)                                           \
    static __attribute__((noinline)) UT name##_plain(T *o, const T *x, int n) {                    \
        UT any = 0;                                                                                \
        IVDEP for (int i = 0; i < n; i++) {                                                        \
            const T a = x[i];                                                                      \
            o[i] = (__VA_ARGS__);                                                                  \
            const UT rarity = special##_RARITY(a);                                                 \
            any = RAREST(any, rarity);                                                             \
        }                                                                                          \
        return any;                                                                                \
    }                                                                                              \
    static int name(void *out, const void *pa, const void *pb, const void *pc, int64_t n) {        \
        enum { BLOCK = 512 };                                                                      \
        T *o = out, aside[BLOCK];                                                                  \
        const T *xa = pa;                                                                          \
        (void)pb, (void)pc;                                                                        \
        for (; n > 0; n -= BLOCK, xa += BLOCK, o += BLOCK) {                                       \
            int m = n < BLOCK ? (int)n : BLOCK;                                                    \
            const T *x = out == pa ? memcpy(aside, xa, (size_t)m * sizeof(T)) : xa;                \
            if (name##_plain(o, x, m) >= special##_FROM(*x)) IVDEP for (int i = 0; i < m; i++) {   \
                    const T a = x[i];                                                              \
                    o[i] = special##_RARITY(a) >= special##_FROM(a) ? (full) : o[i];               \
                }                                                                                  \
        }                                                                                          \
        return 0;                                                                                  \
    }
/* Of two operands.  special##_UNIFORM computes a block whose second operands are one simple
 * number, as in x ** 2. */
#define KERNEL2_SPECIAL(name, TYPE, UTYPE, special, full, ...)                                     \
    static __attribute__((noinline)) UTYPE name##_plain(TYPE *o, const TYPE *x, const TYPE *y,     \
                                                        int n) {                                   \
        typedef TYPE T;                                                                            \
        UTYPE any = 0;                                                                             \
        IVDEP for (int i = 0; i < n; i++) {                                                        \
            const T a = x[i], b = y[i];                                                            \
            o[i] = (__VA_ARGS__);                                                                  \
            const UTYPE rarity = special##_RARITY(a, b);                                           \
            any = RAREST(any, rarity);                                                             \
        }                                                                                          \
        return any;                                                                                \
    }                                                                                              \
    static int name(void *out, const void *pa, const void *pb, const void *pc, int64_t n) {        \
        enum { BLOCK = 512 };                                                                      \
        typedef TYPE T;                                                                            \
        typedef UTYPE UT;                                                                          \
        int bad = 0;                                                                               \
        T *o = out, aside[2][BLOCK];                                                               \
        const T *xa = pa, *xb = pb;                                                                \
        (void)pc, (void)sizeof(UT);                                                                \
        for (; n > 0; n -= BLOCK, xa += BLOCK, xb += BLOCK, o += BLOCK) {                          \
            int m = n < BLOCK ? (int)n : BLOCK;                                                    \
            if (special##_UNIFORM(o, xa, xb, m)) continue;                                         \
            const T *x = out == pa ? memcpy(aside[0], xa, (size_t)m * sizeof(T)) : xa;             \
            const T *y = out == pb ? memcpy(aside[1], xb, (size_t)m * sizeof(T)) : xb;             \
            if (name##_plain(o, x, y, m) >= special##_FROM(*x)) {                                  \
                IVDEP for (int i = 0; i < m; i++) {                                                \
                    const T a = x[i], b = y[i];                                                    \
                    o[i] = special##_RARITY(a, b) >= special##_FROM(a) ? (full) : o[i];            \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return bad;                                                                                \
    }
#include "generated/kernels_gen.h"
#undef KERNEL1
