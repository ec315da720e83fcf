/* What the core knows of the interpreter that it serves. */
#ifndef MT_HOST_H
#define MT_HOST_H
#include "types.h"

/* Not 0: a lock of the core may be kept for long, or a thread be held at a test's point, so a
 * thread that has the GIL gives it up.  Raised with the GIL held. */
extern atomic_int mt_may_block;

/* The interpreter has shut down: nothing can be given back to it. */
extern atomic_bool mt_python_gone;

/* Gives an object back that the core has kept for Python; NULL: there is none.  Calls Python, so
 * no lock is held. */
void mt_host_release(void *handle);

#endif
