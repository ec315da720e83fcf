/* The loops for every processor of the architecture: SSE2 on x86-64, NEON on AArch64. */
#include "kernels/loops.h"

#include "kernels/math/mathfn.h"
#ifdef __FP_FAST_FMA
#define MT_FMA 1
#endif
#define MT_VECTOR 16 /* bytes */
#define MT_LOOPS mt_loops_baseline
#define MT_ISA_NAME "baseline"
#include "kernels/isa_table.h"
