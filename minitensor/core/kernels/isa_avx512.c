/* The loops for processors with AVX-512 (F, DQ, BW, VL). */
#include "kernels/loops.h"

#include "kernels/math/mathfn.h"
#ifdef MT_X86
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl"))),                   \
    apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
#endif
#define MT_FMA 1
#define MT_F16C 16
#define MT_VECTOR 64 /* bytes */
#define MT_LOOPS mt_loops_avx512
#define MT_ISA_NAME "avx512"
#include "kernels/isa_table.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
