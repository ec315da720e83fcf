/* Start of the threads of the core. */
#ifndef MT_THREAD_H
#define MT_THREAD_H
#include "types.h"

/* Starts a thread that blocks all signals.  Returns false if the system refuses the thread.  The
 * caller joins it. */
bool mt_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *name);

#endif
