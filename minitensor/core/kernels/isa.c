/* The selection of the instruction set: see loops.h. */
#include "kernels/isa.h"

extern const mt_loops mt_loops_baseline;
#ifdef MT_X86
#include <cpuid.h>
extern const mt_loops mt_loops_avx2, mt_loops_avx512;
/* Not every compiler knows this one by name. */
static bool has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
/* Return true if the processor has the instructions of the set. */
static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}
static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

_Atomic(const mt_loops *) mt_loops_now = &mt_loops_baseline;

/* Returns table i of those that the processor can run, from the simplest to the best; NULL after
 * the last. */
static const mt_loops *available(int i) {
    const mt_loops *list[4] = {&mt_loops_baseline};
#ifdef MT_X86
    __builtin_cpu_init();
    if (has_avx2()) list[1] = &mt_loops_avx2;
    if (has_avx512()) list[2] = &mt_loops_avx512;
#endif
    return i >= 0 && i < 4 ? list[i] : NULL;
}

const char *mt_isa(void) { return mt_loops_of_machine()->name; }

const char *mt_isa_name(int i) {
    const mt_loops *loops = available(i);
    return loops ? loops->name : NULL;
}

int mt_set_isa(const char *name) {
    const mt_loops *best = NULL;
    for (int i = 0; available(i); i++)
        if (!*name || strcmp(available(i)->name, name) == 0) best = available(i);
    if (!best) return MT_VALUE_ERROR;
    atomic_store_explicit(&mt_loops_now, best, memory_order_relaxed);
    return MT_OK;
}

mt_kernel mt_kernel_find(int op, int dtype) {
    if (op < 0 || op >= MT_NUM_ELEMENTWISE || dtype < 0 || dtype >= MT_NUM_DTYPES) return NULL;
    return mt_loops_of_machine()->kernels[op][dtype];
}

static int family_of(int op) {
    return op == MT_OP_sum || op == MT_OP_mean   ? MT_SUM
           : op == MT_OP_prod                    ? MT_PROD
           : op == MT_OP_amin || op == MT_OP_all ? MT_MIN
           : op == MT_OP_amax || op == MT_OP_any ? MT_MAX
           : op == MT_OP_argmin                  ? MT_ARGMIN
           : op == MT_OP_argmax                  ? MT_ARGMAX
           : op == MT_OP_var                     ? MT_VAR
           : op == MT_OP_std                     ? MT_STD
           : op == MT_OP_count_nonzero           ? MT_COUNT
                                                 : MT_FAMILIES;
}

int mt_fold_dtype(int op, int dtype) { return family_of(op) == MT_SUM ? dtype : MT_COMPUTE[dtype]; }

const mt_fold *mt_fold_find(int op, int dtype) {
    int family = family_of(op);
    if (family == MT_FAMILIES || dtype < 0 || dtype >= MT_NUM_DTYPES || MT_COMPUTE[dtype] < 0)
        return NULL;
    const mt_fold *fold = &mt_loops_of_machine()->folds[dtype][family];
    return fold->start ? fold : NULL;
}
