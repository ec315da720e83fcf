/* The elementwise kernels: one loop for each op and dtype, over contiguous elements, made from the expressions of
 * optable.py (generated/kernels_gen.h).
 *
 * Why so plain.  Strides, broadcasting and casts are elementwise.c's; what is left is a loop that every compiler turns into
 * vector code, so no kernel needs intrinsics and a new op is one row of the table.  The output may be the memory of an
 * input (in place), which is why the pointers aren't `restrict`: IVDEP says what is true, that no element depends on
 * another's.
 *
 * Rare elements.  An op may have arguments that its expression can't deal with and that few programs use: sines of huge
 * angles.  Its kernel goes by blocks: it computes all of a block, then anew what the table calls rare.  The results are held
 * back until then, because the output may be the memory of the input. */
#include "mathfn.h"

#define FAIL (bad = 1, (T)0)

#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define IVDEP _Pragma("GCC ivdep")
#endif

#define BODY(name, OUT, A, TYPE, UTYPE, LOADS, expression)                                                        \
    static int name(void *out, const void *pa, const void *pb, const void *pc, int64_t n) {                   \
        typedef TYPE T;                                                                                                     \
        typedef UTYPE UT;                                                                                                   \
        int bad = 0;                                                                                                        \
        OUT *o = out;                                                                                                       \
        const A *xa = pa;                                                                                                   \
        const T *xb = pb, *xc = pc;                                                                                         \
        IVDEP for (int64_t i = 0; i < n; i++) {                                                                             \
            LOADS                                                                                                           \
            o[i] = (OUT)(expression);                                                                                       \
        }                                                                                                                   \
        (void)xb, (void)xc, (void)sizeof(UT);                                                                               \
        return bad;                                                                                                         \
    }
#define LOADS1(A) const A a = xa[i];
#define LOADS2(A) LOADS1(A) const T b = xb[i];
#define LOADS3(A) LOADS2(A) const T c = xc[i];
#define KERNEL1(name, OUT, A, T, UT, ...) BODY(name, OUT, A, T, UT, LOADS1(A), (__VA_ARGS__))
#define KERNEL2(name, OUT, A, T, UT, ...) BODY(name, OUT, A, T, UT, LOADS2(A), (__VA_ARGS__))
#define KERNEL3(name, OUT, A, T, UT, ...) BODY(name, OUT, A, T, UT, LOADS3(A), (__VA_ARGS__))
#define KERNEL1_RARE(name, T, rare, slow, ...)                                                                            \
    static int name(void *out, const void *pa, const void *pb, const void *pc, int64_t n) {                               \
        enum { BLOCK = 256 };                                                                                              \
        T *o = out, held[BLOCK];                                                                                           \
        const T *xa = pa;                                                                                                  \
        (void)pb, (void)pc;                                                                                                \
        for (; n > 0; n -= BLOCK, xa += BLOCK, o += BLOCK) {                                                               \
            int m = n < BLOCK ? (int)n : BLOCK, any = 0;                                                                   \
            for (int i = 0; i < m; i++) {                                                                                  \
                const T a = xa[i];                                                                                         \
                any |= (rare);                                                                                             \
            }                                                                                                              \
            IVDEP for (int i = 0; i < m; i++) {                                                                            \
                const T a = xa[i];                                                                                         \
                held[i] = (__VA_ARGS__);                                                                                   \
            }                                                                                                              \
            for (int i = 0; any && i < m; i++) {                                                                           \
                const T a = xa[i];                                                                                         \
                if (rare) held[i] = (slow);                                                                                \
            }                                                                                                              \
            memcpy(o, held, (size_t)m * sizeof(T));                                                                        \
        }                                                                                                                  \
        return 0;                                                                                                          \
    }
#include "kernels_gen.h"
#undef KERNEL1
