/* An object of its own for the elementwise loops of isa_baseline.c. */
#define MT_ONLY_ELEMENTWISE
#include "kernels/isa_baseline.c"
