#include <signal.h>

#include "base/thread.h"

static atomic_int refusals; /* so many starts of threads are still to fail, for a test; -1: all */

void mt_refuse_threads(int n) { atomic_store(&refusals, n); }

static bool refused(void) {
    int n = atomic_load(&refusals);
    while (n > 0 && !atomic_compare_exchange_weak(&refusals, &n, n - 1)) continue;
    return n != 0;
}

/* The name is for top, gdb and threads.py, which tells ours from others.  The new thread blocks all
 * signals: they are for the threads that Python knows. */
bool mt_thread_start(pthread_t *thread, void *(*run)(void *), void *argument, const char *name) {
    sigset_t all, old;
    if (refused()) return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool started = pthread_create(thread, NULL, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
#ifdef __linux__
    if (started) pthread_setname_np(*thread, name);
#else
    (void)name;
#endif
    return started;
}
