/* What the core's files share with each other and with nobody else. */
#ifndef MT_INTERNAL_H
#define MT_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* What Python need not see of the public structs (core.h has `...;` in their place). */
#define MT_TENSOR_PRIVATE                                                                                                  \
    _Atomic int64_t refs;                                                                                                  \
    union { uint8_t b; int64_t i; double f; double c[2]; } value; /* of a weak scalar */                                   \
    uint32_t born;                    /* its storage's count of assignments when it was made */    \
    int64_t dims[];                                               /* shape, then strides */
#define MT_ERROR_PRIVATE                                                                                                   \
    _Atomic int64_t refs;                                                                                                  \
    /* Guarded by the executor's lock: */                                                                                  \
    int32_t stream;                   /* the account it stands in; 0: it was read or told */                              \
    bool kept;                        /* in the account's list; else counted, if its batch is the stream's */              \
    uint32_t batch;                                                                                                        \
    struct mt_error *previous, *next; /* in that list */

#include "generated/core_c.h"      /* core.h as C reads it: made by _build.py */
#include "generated/generated.h"   /* dtypes, promotion and the op table: made by _build.py from dtype.py and optable.py */

/* --- who waits for what ------------------------------------------------------------------------------------------------------
 * A mark is a place in a stream: everything up to number `seq` of stream `stream`.  seq 0 is reached from the start. */
typedef struct { int32_t stream; uint64_t seq; } mt_mark;

typedef struct mt_device {
    char name[32];
    int flags, alignment;
    atomic_bool lost;
    char why_lost[256];
    int default_stream;
    pthread_mutex_t lock;            /* guards the memory fields below */
    int64_t capacity;                /* 0: no limit of its own */
    mt_memory_stats stats;
    struct mt_block *cache[128];     /* free blocks by size class */
} mt_device;

struct mt_storage {
    _Atomic int64_t refs;
    mt_device *device;
    char *data;                      /* NULL: promised, until a task writes it.  Changed while no other task is at work on it */
    int64_t nbytes;
    int64_t block;                   /* the arena's, in which data lies; 0: none.  Changed with data */
    bool everyone;                   /* all processes that have the block write to it */
    void *owner;                     /* somebody else's memory: what to hand to mt_py_release */
    bool external;
    bool promised;                   /* the device has counted its memory (alloc.c), taken or not */
    bool bare;                       /* no memory yet: known only to the call that makes it, which waits for some */
    atomic_int exports;              /* NumPy arrays that look at it now */
    _Atomic uint32_t assignments;    /* of tensors to views of it: mt_assigns counts them, and keeps */
    _Atomic int64_t swap_to, swap_from;      /* the last one's offsets; equal unless both were views */
    /* Guarded by the executor's lock: */
    mt_mark last_write, last_read;
    unsigned moving;                 /* 0, or a generation of forks + 1: a thread copies it into the arena (shared.c) */
    int busy, looks;                 /* tasks and glances at work on it; arrays that look at its present block */
    uint32_t writes;                 /* steps when a task begins to write and when it ends: odd, one is at it */
    mt_error *error;                 /* why there is no value */
};

/* Memory that NumPy arrays or other processes (share_memory_) may read and write, unknown to the
 * streams: a task that touches it is done when its call returns, since what its caller does next
 * (gives a lock back, sets an event) tells others so. */
static inline bool mt_storage_visible(const mt_storage *s) {
    return s->everyone || atomic_load_explicit(&s->exports, memory_order_relaxed);
}

typedef struct {                     /* a tensor as kernels see it */
    char *data;
    int dtype;
    int64_t strides[MT_MAX_NDIM];    /* bytes */
} mt_operand;

enum { MT_ON_STACK = 2 };            /* mt_tensor.weak: a number that is gone when the call returns; it has no count */

/* One unit of work of a stream.  Data, not code: the worker sees what it is before it runs it. */
typedef struct mt_task {
    struct mt_task *next;
    enum { MT_TASK_ELEMENTWISE, MT_TASK_COPY, MT_TASK_REDUCE, MT_TASK_MATMUL, MT_TASK_HOST, MT_TASK_EVENT, MT_TASK_NOTHING } kind;
    int op, compute;                 /* the op's code; the dtype it computes in */
    uint64_t axes;                   /* of a reduction */
    char host_op[32];                /* a host task's name */
    void *host;                      /* its handle, until it has run */
    bool borrows;                    /* it lies on the stack of a call that is under way, and so do the counts of its tensors */
    int64_t steps;                   /* a host task's size, if it waits for nobody: a small one may run in its submitter's thread, like a kernel, and
                                        a short one in that of somebody who waits for it; 0: neither */
    mt_event *event;
    uint32_t site;                   /* the user's line; Python keeps the table */
    uint64_t seq;
    int64_t bytes;                   /* of its outputs, for the bound on queued work */
    int n_in, n_out, n_wait;
    mt_tensor **in, **out;           /* counted references, unless it borrows; on the stack they point into `few` */
    mt_mark *wait;                   /* other streams' work that has to be over first */
    mt_tensor *few[4];
    mt_mark few_waits[8];
} mt_task;

/* A call that is not over: what a negative mt_ref points to. */
typedef struct mt_call {
    int status;
    bool queued;                     /* mt_submit has queued it and now waits for its end */
    uint64_t seq;
    int stream;
    uint64_t ended;                  /* while it waits for memory: how many tasks had ended, */
    double patience;                 /* and until when another one has to */
    char op[32];
    char message[256];
    mt_error *failed;                /* it ran at once and failed: the error lacks its site */
    mt_tensor *result;
    mt_task *task;
} mt_call;

static inline mt_tensor *mt_t(mt_ref ref) { return (mt_tensor *)(intptr_t)ref; }
static inline mt_call *mt_c(mt_ref ref) { return (mt_call *)(intptr_t)-ref; }
static inline mt_ref mt_ref_of(mt_tensor *t) { return (mt_ref)(intptr_t)t; }

/* alloc.c */
extern mt_device mt_devices[MT_MAX_DEVICES];
extern atomic_int mt_device_count;
void mt_mutex_init(pthread_mutex_t *lock);
void mt_cond_init(pthread_cond_t *cond);
bool mt_block_promise(mt_device *device, int64_t nbytes, char **data);      /* false: it would be more than the device has; data: if not NULL,
                                                          where a block goes that is at hand, which is taken then */
char *mt_block_take(mt_device *device, int64_t nbytes);         /* what was promised; NULL: the system has none, and the promise stays */
void mt_block_free(mt_device *device, char *data, int64_t nbytes);      /* NULL: what was promised and not taken */
void mt_alloc_lock_all(void);
void mt_alloc_unlock_all(void);
void mt_alloc_reset_locks(void);

/* tensor.c */
mt_tensor *mt_tensor_new(mt_storage *storage, int device, int dtype, int ndim, const int64_t *shape, const int64_t *strides,
                         int64_t offset);              /* takes over the caller's count of storage; NULL: no memory */
mt_tensor *mt_tensor_empty(int device, int dtype, int ndim, const int64_t *shape, bool take);      /* its memory promised, or taken; NULL: no
                                                          memory; a bare one: none yet */
mt_storage *mt_storage_new(mt_device *device, int64_t nbytes);      /* without memory; NULL: no memory */
void mt_storage_release(mt_storage *storage);
bool mt_storage_promise(mt_storage *storage, bool take);        /* it has the promise of memory, and with `take` the memory; false: not now */
bool mt_storage_take(mt_storage *storage);              /* it has the memory that was promised; false: the system has none */
int mt_storage_own(mt_storage *storage);                /* before a task writes to it; a status */
void mt_tensor_extent(const mt_tensor *tensor, int64_t *low, int64_t *high);      /* the first and the last byte that it touches in its storage */
void mt_forget_swap(const mt_tensor *target);           /* a number is assigned: see mt_assigns */
bool mt_release_promptly(mt_tensor *tensor);           /* gives it back if that neither takes long nor calls Python; false: it was not done */
mt_tensor *mt_tensor_weak_copy(const mt_tensor *number);       /* NULL: no memory */
void mt_tensor_retain(mt_tensor *tensor);
void mt_tensor_release(mt_tensor *tensor);
static inline char *mt_tensor_data(const mt_tensor *t) {
    return t->storage ? t->storage->data + t->offset : (char *)&t->value;
}

/* call.c */
mt_ref mt_call_new(mt_call **call);
mt_ref mt_fail(const char *op, int status, const char *format, ...);
mt_ref mt_no_memory(const char *op, int device, int64_t nbytes);
void mt_no_memory_text(char *text, size_t n, int device, int64_t nbytes);
mt_ref mt_call_for_memory(const char *op, mt_tensor *result);   /* one that has nothing to do but to wait for memory */
int64_t mt_size(int ndim, const int64_t *shape);       /* elements; -1: more than an int64 of bytes can count */
void mt_shape_text(char *text, size_t n, int ndim, const int64_t *shape);

/* infer.c */
void mt_task_init(mt_task *task, int kind, int op, int compute);
mt_ref mt_task_launch(mt_task *task, int n, mt_tensor **in, mt_tensor *out);      /* a task on the caller's stack; takes over out, borrows in */

/* executor.c */
mt_ref mt_dispatch(mt_task *task, mt_tensor *result);  /* a task on the caller's stack, which borrows its tensors; takes over the result; runs
                                                          it at once or returns a call */
int mt_stream_current(int device);                      /* of this thread */
const char *mt_task_op(const mt_task *task);
bool mt_work_under_way(void);                           /* which may free memory, and which this thread may wait for */
mt_task *mt_task_new(int n_in, int n_out);              /* on the heap, with room for so many; NULL: no memory */
void mt_task_free(mt_task *task);
extern atomic_bool mt_python_gone;                      /* interpreter shutdown: nobody is there to take an owner back */

/* streams.c */
void mt_withdraw(mt_call *call);      /* of a call that is dropped: its task is not run, or over */

/* pool.c */
void mt_parallel(int64_t n, int64_t grain, void (*part)(void *job, int64_t begin, int64_t end), void *job);   /* part over all of [0, n), in
                                                          pieces of `grain` that several threads take; returns when all is done */
void mt_pool_lend(double until_ms, bool (*over)(const void *), const void *argument);       /* the caller waits until over(argument), and helps; may
                                                          return earlier */
void mt_pool_join(void);                                /* ends them, and starts no more until mt_pool_open */
void mt_pool_open(void);
void mt_pool_lock(void);
void mt_pool_unlock(void);
void mt_pool_renew(void);

/* arena_fork.c: inside of fork() */
void mt_arena_before_fork(void);
void mt_arena_in_parent(void);
void mt_arena_in_child(void);

/* process.c */
extern atomic_int mt_may_block;                         /* not 0: a lock of the core may be kept for long, or a thread be held at a test's point; who
                                                          has the GIL gives it up.  Raised with the GIL held */
extern _Atomic int64_t mt_points[];
void mt_point_hold(int point);
static inline void mt_point(enum mt_point point) {      /* where a test can hold a thread */
    if (__builtin_expect(atomic_load_explicit(&mt_points[point], memory_order_relaxed) != 0, 0)) mt_point_hold(point);
}

/* run.c */
int mt_tasks_run(mt_task *first, int n, int *status, void **exception);      /* n tasks of a list, several as one pass: how many were done
                                                          before one failed, and its status */

/* kernels: pure functions of their arguments; they know no task, no lock and no stream.
 * All return 0, or 1 when an element met FAIL. */
typedef int (*mt_kernel)(void *out, const void *a, const void *b, const void *c, int64_t n);   /* contiguous, in one dtype */
mt_kernel mt_kernel_find(int op, int dtype);          /* generated: NULL where NumPy has to do it */
/* out = in, cast.  Works for every dtype when both are the same, for kernel dtypes when not. */
int mt_run_copy(int ndim, const int64_t *shape, const mt_operand *out, const mt_operand *in);
void mt_run_matmul(int dtype, int64_t m, int64_t k, int64_t n, char *out, const mt_operand *a, const mt_operand *b);
bool mt_cast_supported(int from, int to);

#endif
