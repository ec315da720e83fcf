/* The core's threads. */
#ifndef MT_THREAD_H
#define MT_THREAD_H
#include "types.h"

/* Starts a thread that blocks all signals; false: the system refuses one. */
bool mt_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *name);

#endif
