/* The elementwise kernels: one loop for each op and dtype, over contiguous elements, made from the expressions of
 * optable.py (generated/kernels_gen.h).
 *
 * Why so plain.  Strides, broadcasting and casts are execute.c's; what is left is a loop that every compiler turns into
 * vector code, so no kernel needs intrinsics and a new op is one row of the table.  The output may be the memory of an
 * input (in place), which is why the pointers aren't `restrict`: IVDEP says what is true, that no element depends on
 * another's.
 *
 * Rare elements.  Most arguments of log are normal numbers, but most of the instructions of a log that takes any argument serve
 * those that aren't.  So a row may have a second expression and say where that one holds (`special_case` of an Op).  Its kernel goes by blocks:
 * it computes all of a block by the first, which need only be right for ordinary arguments, and notes in the same loop how rare the
 * rarest is; if it is too much so, a second loop replaces the rare ones.  What an ordinary argument gives depends on no neighbour.  In
 * place, a block's arguments are set aside first, since the first loop overwrites them.
 *
 * Rarity is an unsigned number, made of a float32's bits: with two instructions for a vector the largest of a block is known, where
 * a comparison that NaN does not pass takes four.  Of a float64 it is yes (not 0) or no, since few processors compare 64-bit integers. */
#include "kernels/math/mathfn.h"

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
#include "generated/kernels_gen.h"
#undef KERNEL1
