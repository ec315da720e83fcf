/* The elementwise kernels: one loop for each op and dtype, over contiguous elements, made from the expressions of
 * optable.py (generated/kernels_gen.h).
 *
 * Why so plain.  Strides, broadcasting and casts are elementwise.c's; what is left is a loop that every compiler turns into
 * vector code, so no kernel needs intrinsics and a new op is one row of the table.  The output may be the memory of an
 * input (in place), which is why the pointers aren't `restrict`: IVDEP says what is true, that no element depends on
 * another's. */
#include "internal.h"

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
#include "kernels_gen.h"
#undef KERNEL1

mt_kernel mt_kernel_find(int op, int dtype) {
    static const mt_kernel table[MT_NUM_ELEMENTWISE][MT_NUM_DTYPES] = {
#include "kernels_gen.h"
    };
    if (op < 0 || op >= MT_NUM_ELEMENTWISE || dtype < 0 || dtype >= MT_NUM_DTYPES) return NULL;
    return table[op][dtype];
}
