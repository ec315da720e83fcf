/* A stress test of the core without Python, for the sanitizers.  Threads compute, allocate,
 * fail, run host tasks and free, on streams of their own and of other threads.  Meanwhile the
 * main thread forks by the protocol, and each child computes, too.
 *
 *     stress ROUNDS SEED        exits with 0 if every value was right and every child ended with 0
 *
 * This program defines the functions that the core calls in Python: a host task is a C function,
 * and the release of an object counts it.
 *
 * The program works around two limits of the run-time libraries of the sanitizers.
 * ThreadSanitizer can't start threads in a forked child, so there every op of a child runs at
 * its call.  A fork may copy the allocator of AddressSanitizer while it is locked (at least up
 * to GCC 12).  So there each allocation of this program first takes a lock of the program, by
 * the --wrap of the linker, and the fork holds that lock. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/tensor.h"

enum { THREADS = 3, SMALL = 1000, LARGE = 70000, SHARED = 8 };

typedef struct {
    bool fails;
    mt_ref out;
    int32_t value;
} host_task;

static int cpu;
static atomic_bool over;
static atomic_int wrong;
static _Atomic int64_t handles; /* held by the core and not yet released */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
/* Tensors that threads exchange; guarded by shared_lock. */
static mt_ref shared[SHARED];

void *mt_py_host(void *handle) {
    host_task *task = handle;
    if (task->fails) {
        atomic_fetch_add(&handles, 1);
        return calloc(1, sizeof(host_task));
    }
    int32_t *data = (int32_t *)mt_data(task->out);
    for (int64_t i = 0; i < mt_t(task->out)->size; i++) data[i] = task->value;
    return NULL;
}

void mt_py_release(void *handle) {
    atomic_fetch_sub(&handles, 1);
    free(handle);
}

static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
#ifdef __SANITIZE_ADDRESS__
#define LOCKED(type, call)                                                                         \
    pthread_mutex_lock(&memory_lock);                                                              \
    type result = call;                                                                            \
    pthread_mutex_unlock(&memory_lock);                                                            \
    return result
void *__real_malloc(size_t), *__real_calloc(size_t, size_t);
void __real_free(void *);
int __real_posix_memalign(void **, size_t, size_t);
void *__wrap_malloc(size_t n) { LOCKED(void *, __real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { LOCKED(void *, __real_calloc(n, size)); }
int __wrap_posix_memalign(void **p, size_t alignment, size_t n) {
    LOCKED(int, __real_posix_memalign(p, alignment, n));
}
void __wrap_free(void *p) {
    pthread_mutex_lock(&memory_lock);
    __real_free(p);
    pthread_mutex_unlock(&memory_lock);
}
#endif

/* Reports an error of a value, and counts it. */
static void complain(const char *what, mt_ref ref) {
    fprintf(stderr, "wrong: %s: %s\n", what, ref < 0 ? mt_call_message(ref) : "");
    atomic_fetch_add(&wrong, 1);
}

/* Completes a call, as complete() does in Python.  Takes over the operands.  Returns the result. */
static mt_ref finish(mt_ref ref, mt_ref a, mt_ref b) {
    int status = MT_OK;
    bool pending = ref < 0 && (mt_call_status(ref) == MT_QUEUE || mt_call_status(ref) == MT_HOST);
    if (pending)
        while ((status = mt_submit(ref, 0, 50)) == MT_TIMEOUT) continue;
    if (pending && status == MT_OK) ref = mt_call_end(ref);
    if (ref < 0) complain("a call failed", ref);
    mt_release(a);
    if (b) mt_release(b);
    return ref;
}

/* Returns a new tensor of n elements `value`. */
static mt_ref filled(int32_t value, int64_t n) {
    mt_ref t = mt_empty(cpu, MT_DT_int32, 1, &n);
    int32_t *data = (int32_t *)mt_data(t);
    for (int64_t i = 0; i < n; i++) data[i] = value;
    return t;
}

/* Returns the result of an op; takes over the operands. */
static mt_ref binary(int op, mt_ref a, mt_ref b) { return finish(mt_binary(op, a, b), a, b); }

/* Returns the result of a host task, which writes `value` or fails; takes over a. */
static mt_ref host(mt_ref a, int32_t value, bool fails) {
    int64_t n = mt_t(a)->size;
    mt_ref out = mt_empty(cpu, MT_DT_int32, 1, &n);
    host_task *task = calloc(1, sizeof *task);
    *task = (host_task){fails, out, value};
    atomic_fetch_add(&handles, 1);
    mt_ref call = mt_host("host", cpu, 1, &a, 1, &out);
    mt_call_host(call, task, value % 2);
    /* The result is a second count of out. */
    mt_release(finish(call, a, 0));
    return out;
}

/* Waits until the tensor holds its value; returns its status. */
static int wait_for(mt_ref t) {
    int status;
    while ((status = mt_wait(t, 50)) == MT_TIMEOUT) continue;
    return status;
}

/* Checks the value and the status of a tensor; takes it over. */
static void expect(mt_ref t, int32_t value, int status) {
    int got = wait_for(t);
    if (got != status) complain("another status", 1);
    else if (got == MT_OK) {
        const int32_t *data = (const int32_t *)mt_data(t);
        if (data[0] != value || data[mt_t(t)->size - 1] != value) complain("another value", 1);
    } else {
        mt_error *error = mt_error_of(t);
        if (error) mt_error_release(error);
        else complain("an error got lost", 1);
    }
    mt_release(t);
}

/* Runs one random program of ops, and checks its result. */
static void compute(unsigned *seed) {
    int64_t n = rand_r(seed) % 2 ? SMALL : LARGE;
    int32_t k = rand_r(seed) % 100 + 1;
    int turn = rand_r(seed) % 10;
    mt_ref x = filled(k, n), y = binary(MT_OP_add, x, filled(1, n)); /* k + 1 */
    switch (turn) {
    case 0: expect(binary(MT_OP_floor_divide, y, filled(0, n)), 0, MT_ZERO_DIVISION_ERROR); return;
    case 1: expect(host(y, k + 7, false), k + 7, MT_OK); return;
    case 2: expect(binary(MT_OP_add, host(y, 0, true), filled(1, n)), 0, MT_HOST_RAISED); return;
    case 3: { /* on another stream, which the op on this one depends on */
        int stream = mt_stream_new(cpu);
        if (stream < 0) break;
        mt_stream_set_current(cpu, stream);
        mt_event *event = mt_event_new();
        y = binary(MT_OP_mul, y, filled(2, n));
        while (mt_event_record(event, stream, 50) == MT_TIMEOUT) continue;
        mt_stream_set_current(cpu, 0);
        while (mt_event_wait(event, mt_stream_default(cpu), 50) == MT_TIMEOUT) continue;
        mt_event_release(event);
        mt_stream_release(stream);
        expect(binary(MT_OP_add, y, filled(0, n)), 2 * (k + 1), MT_OK);
        return;
    }
    case 4: { /* exchanges a tensor with another thread */
        int place = rand_r(seed) % SHARED;
        pthread_mutex_lock(&shared_lock);
        mt_ref other = shared[place];
        shared[place] = y;
        pthread_mutex_unlock(&shared_lock);
        if (other) {
            wait_for(other);
            mt_release(other);
        }
        return;
    }
    case 5: mt_device_trim(cpu); break;
    /* Chains of temporaries that only their tasks hold, and that give their memory to results. */
    case 7:
        y = binary(MT_OP_add, binary(MT_OP_mul, y, filled(3, n)), filled(5, n));
        expect(binary(MT_OP_sub, y, filled(k, n)), 2 * k + 8, MT_OK);
        return;
    case 6: { /* in place, while other threads may read */
        mt_ref source = filled(k + 3, n), target = finish(mt_copy(y, source), source, 0);
        mt_release(y);
        y = target;
        k += 2;
        break;
    }
    case 8: { /* in place, on memory that NumPy sees, by a call that its submitter drops */
        mt_memory memory;
        wait_for(y);
        if (mt_export(y, k % 2, &memory) != MT_OK)
            complain("an export of a tensor that is ready fails", 1);
        mt_ref source = filled(k + 3, n), call = mt_copy(y, source);
        int status = call > 0 ? MT_OK : mt_submit(call, 0, 0);
        if (call > 0) mt_release(call);
        else if (status == MT_OK) mt_release(mt_call_end(call));
        else mt_call_drop(call);
        const int32_t *data = (const int32_t *)mt_data(y);
        int32_t value = data[0];
        if (value != (status == MT_OK ? k + 3 : k + 1) && value != k + 3)
            complain("a value of no moment", 1);
        mt_release(source);
        mt_unexport(memory.view);
        expect(y, value, MT_OK);
        return;
    }
    default: break;
    }
    expect(y, k + 1, MT_OK);
}

static pthread_barrier_t ready;

/* Runs a thread of the stress: random programs until the main thread ends it. */
static void *work(void *argument) {
    unsigned seed = *(unsigned *)argument;
    /* No fork while a sanitizer is still starting a thread. */
    pthread_barrier_wait(&ready);
    while (!atomic_load(&over)) compute(&seed);
    return NULL;
}

/* Registered before the handlers of the core, so that a fork takes this lock last and releases
 * it first: the handlers of the core may allocate and free. */
static void hold_memory(void) { pthread_mutex_lock(&memory_lock); }
static void give_memory(void) { pthread_mutex_unlock(&memory_lock); }
__attribute__((constructor(101))) static void hold_memory_last(void) {
    pthread_atfork(hold_memory, give_memory, give_memory);
}

/* Forks by the protocol; the child computes, and may fork again up to `depth` times.  Reports a
 * child that fails. */
static void fork_once(unsigned *seed, int depth) {
    while (mt_fork_drain(50) == MT_TIMEOUT) continue;
    mt_fork_announce();
    mt_fork_prepare();
    pthread_mutex_lock(&shared_lock); /* the participant of this program */
    pid_t pid = fork();
    pthread_mutex_unlock(&shared_lock);
    if (pid == 0) {
#ifdef __SANITIZE_THREAD__
        mt_set_synchronous(1);
        mt_set_threads(1);
#endif
        mt_fork_child();
        atomic_store(&wrong, 0);
        for (int i = 0; i < 4; i++) compute(seed);
        if (depth && rand_r(seed) % 4 == 0) fork_once(seed, depth - 1);
        _exit(atomic_load(&wrong) ? 1 : 0);
    }
    mt_fork_parent();
    int status = 1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) complain("a child", 1);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : 1, seeds[THREADS];
    pthread_t threads[THREADS];
    cpu = mt_device_new("CPU", MT_DEVICE_NATIVE, 0, 64);
    mt_set_queue_bound(16, 1 << 22);
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = seed + 1 + (unsigned)i;
        pthread_create(&threads[i], NULL, work, &seeds[i]);
    }
    pthread_barrier_wait(&ready);
    for (int i = 0; i < rounds; i++) {
        /* Refuses some threads, or all for a while. */
        mt_refuse_threads(rand_r(&seed) % 3 ? 0 : rand_r(&seed) % 50 - 1);
        /* Ops run at their call, or for a while all of them go to a worker or a waiter. */
        mt_set_inline_limit(rand_r(&seed) % 2 ? 0 : 1 << 18);
        fork_once(&seed, 2);
        compute(&seed);
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SHARED; i++)
        if (shared[i]) mt_release(shared[i]);
    for (int i = 1; i <= mt_stream_count(); i++)
        for (mt_error *error; (error = mt_stream_take_error(i));) mt_error_release(error);
    while (mt_fork_drain(50) == MT_TIMEOUT) continue;
    mt_shutdown();
    mt_memory_stats stats;
    mt_device_stats(cpu, &stats);
    printf("%d forks, %d wrong, %lld handles, %lld errors and %lld bytes left\n", rounds,
           atomic_load(&wrong), (long long)handles, (long long)mt_error_count(),
           (long long)stats.allocated);
    return wrong || handles || mt_error_count() || stats.allocated;
}
