/* The elementwise loops of isa_baseline.c, as an object of their own. */
#define MT_ONLY_ELEMENTWISE
#include "kernels/isa_baseline.c"
