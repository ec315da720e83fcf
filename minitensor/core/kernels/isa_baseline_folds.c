/* An object of its own for the folds of isa_baseline.c. */
#define MT_ONLY_FOLDS
#include "kernels/isa_baseline.c"
