/* The selected instruction set: all kernels run its loops (loops.h). */
#ifndef MT_ISA_H
#define MT_ISA_H
#include "kernels/loops.h"

/* Set when the core is loaded; tests set it between ops. */
extern _Atomic(const mt_loops *) mt_loops_now;

/* Returns the selected table of loops. */
static inline const mt_loops *mt_loops_of_machine(void) {
    return atomic_load_explicit(&mt_loops_now, memory_order_relaxed);
}

/* Returns the fold of an op in such a dtype; NULL: there is none. */
const mt_fold *mt_fold_find(int op, int dtype);

/* Bytes of an output, from which on stores that bypass the cache measured faster. */
enum { MT_PAST_THE_CACHE = 4 << 20 };

/* Orders the non-temporal stores of this thread before its later stores: the thread calls it
 * before it tells other threads that the work is done. */
static inline void mt_stream_fence(void) {
#ifdef MT_X86
    __builtin_ia32_sfence();
#endif
}

#endif
