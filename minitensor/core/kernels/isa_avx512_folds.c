/* An object of its own for the folds of isa_avx512.c. */
#define MT_ONLY_FOLDS
#include "kernels/isa_avx512.c"
