/* The loops for processors with AVX2, FMA and F16C. */
#include "kernels/loops.h"

#include "kernels/math/mathfn.h"
#ifdef MT_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#define MT_FMA 1
#define MT_F16C 8
#define MT_VECTOR 32 /* bytes */
#define MT_LOOPS mt_loops_avx2
#define MT_ISA_NAME "avx2"
#include "kernels/isa_table.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
