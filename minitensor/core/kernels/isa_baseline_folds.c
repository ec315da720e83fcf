/* The folds of isa_baseline.c, as an object of their own. */
#define MT_ONLY_FOLDS
#include "kernels/isa_baseline.c"
