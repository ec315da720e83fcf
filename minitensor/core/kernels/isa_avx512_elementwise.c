/* The elementwise loops of isa_avx512.c, as an object of their own. */
#define MT_ONLY_ELEMENTWISE
#include "kernels/isa_avx512.c"
