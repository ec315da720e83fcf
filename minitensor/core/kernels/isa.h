/* The choice of an instruction set: its loops (loops.h) run from then on. */
#ifndef MT_ISA_H
#define MT_ISA_H
#include "kernels/loops.h"

extern _Atomic(const mt_loops *) mt_loops_now; /* set once at start; tests set it between ops */

static inline const mt_loops *mt_loops_of_machine(void) {
    return atomic_load_explicit(&mt_loops_now, memory_order_relaxed);
}

/* Returns how an op reduces in a dtype; NULL: there is no such fold. */
const mt_fold *mt_fold_find(int op, int dtype);

enum {
    MT_PAST_THE_CACHE = 4 << 20
}; /* bytes of an output, from which on the stores that bypass the cache measured faster */

/* Streamed data must be seen before what this thread stores next: call it before others are told that the work is done. */
static inline void mt_stream_fence(void) {
#ifdef MT_X86
    __builtin_ia32_sfence();
#endif
}

#endif
