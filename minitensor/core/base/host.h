/* The state of the interpreter that the core runs in. */
#ifndef MT_HOST_H
#define MT_HOST_H
#include "types.h"

/* Not 0: a thread may hold a lock of the core for long, or a test may hold a thread at a test
 * point.  A thread that has the GIL then releases it before it takes a lock of the core.
 * Written with the GIL held. */
extern atomic_int mt_may_block;

/* true: the interpreter has shut down, and the core releases no Python objects. */
extern atomic_bool mt_python_gone;

/* Releases an object that the core kept for Python; NULL: does nothing.  Calls Python, so the
 * caller holds no lock. */
void mt_host_release(void *handle);

#endif
