/* The threads inside an op: a large op is cut into pieces, and several threads take them.
 *
 * The problem.  One thread computes at half of what two cores can, and can't load memory fast enough by itself.  But threads wait for each
 * other at the end of each op, cost some 20 us to wake up, must not exist at a fork, and must not outnumber the cores when several
 * streams, or several processes, compute at once.
 *
 * The solution.  Helpers, one less than cores, asleep until some thread offers a job (mt_parallel).  That thread begins at once and takes
 * piece after piece by stepping a counter; a helper that wakes up does the same; so nobody waits for a helper that comes late,
 * or never, and a slow core takes fewer pieces.  There is one job at a time: whoever finds the pool busy does his own job alone, since
 * the cores are at work then.  What a piece computes must not depend on who computes it, and so no result depends on the
 * number of threads.
 *
 * A thread that waits for a value is awake and has a core, on which a helper would first have to be woken.  So it lends itself
 * (mt_pool_lend): it takes pieces like a helper, for as long as it may be away, and stays awake a moment before and after, since waking it up again
 * would take as long as a short op.
 *
 * State, all in `pool`: guarded by its lock, but for the counter, which is atomic.  The lock is held for a few instructions, never while
 * a piece runs, and no other lock is taken inside of it.  Helpers block all signals and never call Python.
 *
 * Fork.  mt_pool_join ends the helpers before a fork (fork.c: at that moment no stream is at work, so no job is) and keeps
 * the pool closed, in which state every job is done alone; mt_pool_open opens it in the parent and in the child, and the next large
 * op starts helpers again; a lent thread finds the pool closed and goes to sleep.  The only job that can be under way is of a drain that
 * Ctrl-C has ended: its helpers stay the parent's. */
#include <math.h>
#include <sched.h>

#include "base/clock.h"
#include "base/sync.h"
#include "base/thread.h"
#include "base/threadpool.h"

enum { MAX_HELPERS = 255 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t offered, left; /* there is a job; a helper has left it */
    int wanted;  /* threads for an op, the one that asks included; 0: not yet asked the system */
    int started; /* helpers that there are */
    pthread_t threads[MAX_HELPERS];
    bool closed, stop;
    bool busy;                              /* somebody's job is under way */
    void (*part)(void *, int64_t, int64_t); /* NULL: no helper may join any more */
    void *job;
    int64_t n, grain;
    uint64_t number;      /* of jobs */
    int helping;          /* helpers and lent threads that are at it */
    int lent;             /* threads that are awake to take part in the next one */
    _Atomic int64_t next; /* the first element that nobody has taken */
} pool;

/* false: the time was over before the pieces were. */
static bool take_pieces(void (*part)(void *, int64_t, int64_t), void *job, int64_t n, int64_t grain,
                        double until_ms) {
    for (int64_t begin;
         (begin = atomic_fetch_add_explicit(&pool.next, grain, memory_order_relaxed)) < n;) {
        part(job, begin, begin + grain < n ? begin + grain : n);
        if (mt_now_ms() >= until_ms) return false;
    }
    return true;
}

/* With the lock held, which it gives up meanwhile: takes part in the job, if there is one that this thread has not `seen` and that more can help
 * with.  false: there is none. */
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
    if (!done) pthread_cond_signal(&pool.offered); /* somebody else in its place */
    if (pool.helping == 0) pthread_cond_signal(&pool.left);
    return true;
}

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

static int cores(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* --- with the lock held ---------------------------------------------------------------------------------------------------------- */

static int wanted(void) {
    if (pool.wanted <= 0) pool.wanted = cores();
    return pool.wanted <= MAX_HELPERS ? pool.wanted : MAX_HELPERS + 1;
}

/* Fewer helpers than wanted, when the system refuses a thread, are slower and nothing else. */
static void start(int helpers) {
    while (pool.started < helpers &&
           mt_thread_start(&pool.threads[pool.started], help, (void *)(intptr_t)pool.started,
                           "minitensor:pool"))
        pool.started++;
}

/* --- jobs ------------------------------------------------------------------------------------------------------------------------ */

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
            int64_t pieces = (n - 1) / grain, asleep = (pieces < helpers ? pieces : helpers) -
                                                       pool.lent; /* the first piece is ours */
            if (asleep > 0 && pool.started > helpers)
                pthread_cond_broadcast(&pool.offered); /* some sleep for good */
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
    const double awake_ms = 0.1; /* two wake-ups */
    uint64_t seen = 0;
    double now = mt_now_ms(), sleep_at = now + awake_ms;
    pthread_mutex_lock(&pool.lock);
    bool useful = !pool.closed && wanted() > 1;
    pool.lent += useful;
    while (useful) {
        if (take_part(&seen, until_ms)) sleep_at = (now = mt_now_ms()) + awake_ms;
        if (pool.closed || now >= until_ms || now >= sleep_at)
            break; /* under the lock: whoever counts on us has not offered yet */
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

/* --- how many ------------------------------------------------------------------------------------------------------------------- */

int mt_threads(void) {
    pthread_mutex_lock(&pool.lock);
    int n = wanted();
    pthread_mutex_unlock(&pool.lock);
    return n;
}

void mt_set_threads(int n) { /* helpers beyond it stay asleep */
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

/* --- fork and shutdown ------------------------------------------------------------------------------------------------------------ */

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

void mt_pool_renew(void) { /* in a child: no helper is here */
    mt_mutex_init(&pool.lock);
    mt_cond_init(&pool.offered);
    mt_cond_init(&pool.left);
    pool.started = pool.helping = pool.lent = 0;
    pool.stop = pool.busy = false;
    pool.part = NULL;
}

__attribute__((constructor)) static void init(void) { mt_pool_renew(); }
