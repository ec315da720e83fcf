#include <signal.h>

#include "base/thread.h"

/* Number of thread starts that fail from now on, for a test; -1: all. */
static atomic_int refusals;

void mt_refuse_threads(int n) { atomic_store(&refusals, n); }

/* Returns true if a test makes this start fail; counts the refusal. */
static bool refused(void) {
    int n = atomic_load(&refusals);
    while (n > 0 && !atomic_compare_exchange_weak(&refusals, &n, n - 1)) continue;
    return n != 0;
}

/* The name is for top, gdb and foreign_threads.py, which uses it to exclude the threads of the
 * core.  The new thread blocks all signals: threads that Python knows handle them. */
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
