/* The thread pool: a large op is cut into pieces, and several threads take them.
 *
 * The problem.  One thread computes at half the speed of two cores, and can't load memory fast
 * enough by itself.  But threads wait for each other at the end of each op, and a wake-up costs
 * some 20 us.  Threads must not exist at a fork.  They must not outnumber the cores when several
 * streams, or several processes, compute at once.
 *
 * The solution.  The pool has one helper less than cores.  Helpers sleep until a thread offers a
 * job (mt_parallel).  That thread, the owner of the job, begins at once and takes piece after
 * piece by incrementing a counter.  A helper that wakes up does the same.  So the owner never
 * waits for a helper to wake up, and a slow core takes fewer pieces.  The pool runs one job at a
 * time: a thread that finds the pool busy runs its job alone, since the cores are at work then.
 * The result of a piece must not depend on the thread that computes it, so results are
 * independent of the number of threads.
 *
 * A thread that waits for a value is awake and has a core, while a helper would have to be
 * woken.  So the waiting thread lends itself to the pool (mt_pool_lend): it takes pieces like a
 * helper until its deadline.  It stays awake for a moment before and after, since its wake-up
 * would take as long as a short op.
 *
 * State.  All state is in `pool`, under its lock, except for the counter, which is atomic.  A
 * thread holds the lock for a few instructions, never while a piece runs, and takes no other
 * lock while it holds this one.  Helpers block all signals and never call Python.
 *
 * Fork.  mt_pool_join ends the helpers before a fork (fork.c): at that moment all streams are
 * idle, so no job runs.  It also closes the pool, and each op runs on one thread until
 * mt_pool_open opens the pool in the parent and in the child.  The next large op starts helpers
 * again.  A lent thread that finds the pool closed goes to sleep.  A job can run at a fork only
 * after Ctrl-C has ended a drain: its helpers stay in the parent. */
#include <math.h>
#include <sched.h>

#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"
#include "base/threadpool.h"

enum { MAX_HELPERS = 255 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t offered, left; /* offered: a job waits; left: the last helper left it */
    /* Threads for an op, its owner included; 0: not yet read from the system. */
    int wanted;
    int started; /* helpers that run */
    pthread_t threads[MAX_HELPERS];
    bool closed, stop;
    bool busy;                              /* a job runs */
    void (*part)(void *, int64_t, int64_t); /* NULL: helpers can no longer join */
    void *job;
    int64_t n, grain;
    uint64_t number;      /* of the current job */
    int helping;          /* that work on the job */
    int lent;             /* waiting threads that are awake and take part in the next job */
    _Atomic int64_t next; /* the first element that no thread has taken */
} pool;

/* Takes pieces until none is left.  Returns false if `until_ms` passed first.  Holds no lock. */
static bool take_pieces(void (*part)(void *, int64_t, int64_t), void *job, int64_t n, int64_t grain,
                        double until_ms) {
    for (int64_t begin;
         (begin = atomic_fetch_add_explicit(&pool.next, grain, memory_order_relaxed)) < n;) {
        part(job, begin, begin + grain < n ? begin + grain : n);
        if (mt_now_ms() >= until_ms) return false;
    }
    return true;
}

/* Takes part in the current job, if this thread has not `seen` it and another helper is useful.
 * Returns false if there is no such job.  Called with the lock held, releases it while pieces
 * run. */
static bool take_part(uint64_t *seen, double until_ms) {
    if (!pool.part || pool.number == *seen || pool.helping >= pool.wanted - 1) return false;
    void (*part)(void *, int64_t, int64_t) = pool.part;
    void *job = pool.job;
    int64_t n = pool.n, grain = pool.grain;
    *seen = pool.number;
    pool.helping++;
    pthread_mutex_unlock(&pool.lock);
    bool done = take_pieces(part, job, n, grain, until_ms);
    pthread_mutex_lock(&pool.lock);
    pool.helping--;
    /* Another helper takes its place. */
    if (!done) pthread_cond_signal(&pool.offered);
    if (pool.helping == 0) pthread_cond_signal(&pool.left);
    return true;
}

/* Runs a helper: takes part in jobs until mt_pool_join stops it. */
static void *help(void *argument) {
    int index = (int)(intptr_t)argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    while (!pool.stop)
        if (index >= pool.wanted - 1 || !take_part(&seen, INFINITY))
            pthread_cond_wait(&pool.offered, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* Returns how many cores this process may use. */
static int cores(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* --- with the lock held ----------------------------------------------------------------------- */

/* Returns how many threads an op uses, its owner included. */
static int wanted(void) {
    if (pool.wanted <= 0) pool.wanted = cores();
    return pool.wanted <= MAX_HELPERS ? pool.wanted : MAX_HELPERS + 1;
}

/* Starts helpers up to this number.  If the system refuses a thread, ops run on fewer threads. */
static void start(int helpers) {
    while (pool.started < helpers &&
           mt_thread_start(&pool.threads[pool.started], help, (void *)(intptr_t)pool.started,
                           "minitensor:pool"))
        pool.started++;
}

/* --- jobs ------------------------------------------------------------------------------------- */

void mt_parallel(int64_t n, int64_t grain, void (*part)(void *job, int64_t begin, int64_t end),
                 void *job) {
    if (n <= 0) return;
    bool together = false;
    if (n > grain) {
        pthread_mutex_lock(&pool.lock);
        int helpers = wanted() - 1;
        together = helpers > 0 && !pool.busy && !pool.closed;
        if (together) {
            if (pool.started < helpers) start(helpers);
            pool.busy = true;
            pool.part = part, pool.job = job, pool.n = n, pool.grain = grain;
            pool.number++;
            atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
            /* The owner takes the first piece, and lent threads are awake. */
            int64_t pieces = (n - 1) / grain,
                    asleep = (pieces < helpers ? pieces : helpers) - pool.lent;
            /* Helpers beyond `helpers` sleep permanently, so a signal could reach one of them. */
            if (asleep > 0 && pool.started > helpers) pthread_cond_broadcast(&pool.offered);
            else
                for (; asleep > 0; asleep--) pthread_cond_signal(&pool.offered);
        }
        pthread_mutex_unlock(&pool.lock);
    }
    if (!together) {
        part(job, 0, n);
        return;
    }
    take_pieces(part, job, n, grain, INFINITY);
    pthread_mutex_lock(&pool.lock);
    pool.part = NULL;
    while (pool.helping) pthread_cond_wait(&pool.left, &pool.lock);
    pool.busy = false;
    pthread_mutex_unlock(&pool.lock);
}

void mt_pool_lend(double until_ms, bool (*over)(const void *), const void *argument) {
    const double awake_ms = 0.1; /* as long as two wake-ups */
    uint64_t seen = 0;
    double now = mt_now_ms(), sleep_at = now + awake_ms;
    pthread_mutex_lock(&pool.lock);
    bool useful = !pool.closed && wanted() > 1;
    pool.lent += useful;
    while (useful) {
        if (take_part(&seen, until_ms)) sleep_at = (now = mt_now_ms()) + awake_ms;
        /* The check is under the lock: no owner has counted this thread for a job that it
         * missed. */
        if (pool.closed || now >= until_ms || now >= sleep_at) break;
        pthread_mutex_unlock(&pool.lock);
        bool enough = over(argument);
        if (!enough) sched_yield();
        now = mt_now_ms();
        pthread_mutex_lock(&pool.lock);
        if (enough) break;
    }
    pool.lent -= useful;
    pthread_mutex_unlock(&pool.lock);
}

/* --- number of threads ------------------------------------------------------------------------ */

int mt_threads(void) {
    pthread_mutex_lock(&pool.lock);
    int n = wanted();
    pthread_mutex_unlock(&pool.lock);
    return n;
}

/* Helpers beyond the new number stay asleep. */
void mt_set_threads(int n) {
    pthread_mutex_lock(&pool.lock);
    pool.wanted = n;
    pthread_mutex_unlock(&pool.lock);
}

int mt_pool_size(void) {
    pthread_mutex_lock(&pool.lock);
    int started = pool.started;
    pthread_mutex_unlock(&pool.lock);
    return started;
}

/* --- fork and shutdown ------------------------------------------------------------------------ */

void mt_pool_join(void) {
    pthread_mutex_lock(&pool.lock);
    pool.closed = true;
    int n = pool.busy ? 0 : pool.started;
    if (n) {
        pool.stop = true;
        pthread_cond_broadcast(&pool.offered);
    }
    pthread_mutex_unlock(&pool.lock);
    for (int i = 0; i < n; i++) pthread_join(pool.threads[i], NULL);
    pthread_mutex_lock(&pool.lock);
    if (n) pool.started = 0, pool.stop = false;
    pthread_mutex_unlock(&pool.lock);
}

void mt_pool_open(void) {
    pthread_mutex_lock(&pool.lock);
    pool.closed = false;
    pthread_mutex_unlock(&pool.lock);
}

void mt_pool_lock(void) { pthread_mutex_lock(&pool.lock); }
void mt_pool_unlock(void) { pthread_mutex_unlock(&pool.lock); }

/* Called in a child, which has no helpers, and when the core is loaded. */
void mt_pool_renew(void) {
    mt_mutex_init(&pool.lock);
    mt_cond_init(&pool.offered);
    mt_cond_init(&pool.left);
    pool.started = pool.helping = pool.lent = 0;
    pool.stop = pool.busy = false;
    pool.part = NULL;
}

__attribute__((constructor)) static void init(void) { mt_pool_renew(); }
