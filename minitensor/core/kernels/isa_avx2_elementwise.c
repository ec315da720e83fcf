/* An object of its own for the elementwise loops of isa_avx2.c. */
#define MT_ONLY_ELEMENTWISE
#include "kernels/isa_avx2.c"
