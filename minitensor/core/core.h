/* The interface of the C core: everything that Python may call.  This header is both the C
 * declaration and what cffi reads (_build.py drops the lines that begin with '#'), so each function
 * is declared once.
 *
 * Conventions
 *   - cffi releases the GIL around every call, and py_operators.c releases it wherever it may wait,
 *     so no thread waits long for a lock of the core while it holds the GIL.
 *   - A reference (mt_ref) is a number.  Positive: a tensor, of which the caller owns one count and
 *     returns it with mt_release.  Negative: a pending call; mt_call_status says why (an error to
 *     raise, work to queue with mt_submit, or work for the host).  Never zero.
 *   - No function aborts on a mistake of the program, and none raises: functions return status
 *     codes, and one place in Python (errors.py) makes exceptions of them.
 *   - A wait takes a time-out in milliseconds and returns MT_TIMEOUT, so that Python can handle
 *     signals in between.
 */
#ifndef MT_CORE_H
#define MT_CORE_H
#include <stdint.h>

typedef int64_t mt_ref;

enum mt_status {
    MT_OK,
    MT_TIMEOUT,
    MT_QUEUE, /* a call: ready, give it to mt_submit */
    MT_HOST,  /* a call: no kernel for it; attach a host function (mt_call_host), then mt_submit */
    MT_TYPE_ERROR,
    MT_VALUE_ERROR,
    MT_INDEX_ERROR,
    MT_MEMORY_ERROR,
    MT_RUNTIME_ERROR,
    MT_ZERO_DIVISION_ERROR,
    /* the tensor lies on a device that belongs to the process we were forked from */
    MT_DEVICE_LOST,
    MT_HOST_RAISED, /* a host function raised; the error carries its exception */
    MT_STALE        /* a reference from another process whose value is gone */
};

enum { MT_MAX_NDIM = 16, MT_MAX_DEVICES = 64 };
enum { MT_SLICE_MS = 50 };     /* how long a wait lasts before Python looks at signals */
enum { MT_DEVICE_NATIVE = 1 }; /* a device's flags: C kernels run there */
enum { MT_DEVICE_NUMPY = 2 };  /* NumPy computes its other tasks, on its memory */

/* Of the sources that the core was built from: minitensor/fingerprint.py. */
uint64_t mt_fingerprint(void);

/* --- tensors: immutable views (dtype, shape, strides in bytes, offset) on a counted storage --- */
typedef struct mt_storage mt_storage;
typedef struct mt_tensor {
    mt_storage *storage; /* NULL for a weak scalar, whose value is inside */
    int64_t offset;      /* bytes from the storage's start to the first element */
    int64_t size;        /* elements */
    int32_t dtype, device, ndim, weak;
    int64_t *shape;
    int64_t *strides;
    ...;
} mt_tensor;

/* C order; a call when its memory has to be waited for. */
mt_ref mt_empty(int device, int dtype, int ndim, const int64_t *shape);

/* Returns a tensor on foreign memory; `owner` goes to mt_py_release at the end, also after a
 * failure. */
mt_ref mt_external(int device, int dtype, int ndim, const int64_t *shape, const int64_t *strides,
                   void *base, int64_t nbytes, int64_t offset, void *owner);
mt_ref mt_view(mt_ref tensor, int dtype, int ndim, const int64_t *shape, const int64_t *strides,
               int64_t offset);

/* Python scalars: they take part in promotion by kind only. */
mt_ref mt_weak_int(int64_t value, int is_bool);
mt_ref mt_weak_float(double value);
mt_ref mt_weak_complex(double real, double imag);

typedef struct mt_number {
    int32_t
        kind; /* of the dtype; 0: it is not a number that can be had right now, go the long way */
    int64_t i;
    uint64_t u;
    double f;
} mt_number;

/* The only element. */
mt_number mt_item(mt_ref tensor);
void mt_release(mt_ref tensor);

/* Address of element 0; the caller has waited. */
char *mt_data(mt_ref tensor);

/* Equal for views of one storage. */
int64_t mt_storage_id(mt_ref tensor);

/* 1: they may have bytes in common. */
int mt_overlaps(mt_ref first, mt_ref second);
/* Before a mt_copy: mt_overlaps, or 2: it is the second half of a swap of views, which loses
 * one. */
int mt_assigns(mt_ref target, mt_ref source);
/* NumPy may read and write an exported storage at any time, so each call waits for its tasks on
 * such a storage before it returns. */
typedef struct mt_memory {
    void *view; /* for mt_unexport */
    char *base; /* of the storage */
    int64_t nbytes;
    int32_t read_only; /* other processes may have these bytes */
} mt_memory;
/* MT_OK, MT_MEMORY_ERROR, or MT_TIMEOUT: a task is at work on the storage, call again.  exclusive:
 * no other process has or gets these bytes while the export lives, so the consumer may write to
 * them; a storage whose bytes are shared is copied out of the arena, or mapped privately. */
int mt_export(mt_ref tensor, int exclusive, mt_memory *out);
void mt_unexport(void *view);

/* Its memory stays where it is until mt_unpin: shorter than an export. */
void mt_pin(mt_ref tensor);
void mt_unpin(mt_ref tensor);

/* --- tensors that travel (move_to_arena.c) ---------------------------------------------------- */

/* Moves its storage into the arena; MT_TIMEOUT: a task is using it, call again;
 * MT_VALUE_ERROR: NumPy looks at it. */
int mt_share(mt_ref tensor, int shared_mutable);

/* All processes that have it write to it. */
int mt_is_shared(mt_ref tensor);
int mt_in_arena(mt_ref tensor);

/* --- tensors in messages (message.c) ---------------------------------------------------------- */
typedef struct mt_extent {
    int64_t storage, nbytes, size,
        /* its storage's id and size; the tensor's elements; bytes of a message without the
         * tensor's own */
        head;
    int64_t low, high; /* the first byte of the storage that travels, and the one after the last */
    int32_t in_arena, shared_mutable, device;
    int32_t ready; /* it has its value, so that nothing is left to wait for */
} mt_extent;

/* small: so few bytes go inside the message; low, high: what has to travel, too. */
mt_extent mt_extent_of(mt_ref tensor, int64_t small, int64_t low, int64_t high);

/* A token of its storage, now in the arena; or -status: -MT_TIMEOUT: a task is using it,
 * again; -MT_VALUE_ERROR: NumPy looks at it. */
int64_t mt_send(mt_ref tensor, int64_t channel);

/* A message: head bytes, and the tensor's. */
void mt_pack(mt_ref tensor, int64_t low, int64_t high, int64_t token, int with_bytes, char *out);
mt_ref mt_receive(int device, const char *message, int64_t n);

/* A copy, from another family's arena; 0: it can't be read, for the reason *error (-errno). */
mt_ref mt_receive_from(int device, const char *message, int64_t n, const char *path, uint64_t inode,
                       int *error);

/* Returns a second view of a storage that has arrived with the first. */
mt_ref mt_receive_view(mt_ref first, const char *message, int64_t n);

/* Returns a uint8 tensor in the arena. */
mt_ref mt_empty_shared(int device, int64_t nbytes);

/* --- ops -------------------------------------------------------------------------------------- */
mt_ref mt_unary(int op, mt_ref a);
mt_ref mt_binary(int op, mt_ref a, mt_ref b);

/* Writes the result to a, and returns a new count of it; 0: this op can't write there directly, for
 * the dtype, shape or layout of a, or memory that b shares with it. */
mt_ref mt_binary_in_place(int op, mt_ref a, mt_ref b);
mt_ref mt_ternary(int op, mt_ref a, mt_ref b, mt_ref c);

/* Bit i of axes: dimension i; dtype -1: by the rule; ddof: of var and std. */
mt_ref mt_reduce(int op, mt_ref a, uint64_t axes, int keepdims, int dtype, double ddof);

/* A contiguous copy in another dtype, or the same. */
mt_ref mt_cast(mt_ref a, int dtype);

/* Into target's elements, broadcasting and casting; returns a new count of target. */
mt_ref mt_copy(mt_ref target, mt_ref source);

/* A call in state MT_HOST; returns the first output, or a weak 0 when none. */
mt_ref mt_host(const char *op, int device, int n_inputs, const mt_ref *inputs, int n_outputs,
               const mt_ref *outputs);

/* --- calls that are not over ------------------------------------------------------------------ */
int mt_call_status(mt_ref call);
const char *mt_call_message(mt_ref call);
const char *mt_call_op(mt_ref call);

/* Borrowed; returns how many (at most 3 for an elementwise op). */
int mt_call_inputs(mt_ref call, mt_ref *inputs);

/* Borrowed; 0 for none. */
mt_ref mt_call_output(mt_ref call);
int mt_call_compute_dtype(mt_ref call);

/* The core calls mt_py_host(handle) once, then mt_py_release(handle); steps: about how many it
 * takes; 0: it may wait for another thread, so only the worker runs it. */
void mt_call_host(mt_ref call, void *handle, int64_t cost);

/* MT_OK: mt_call_end; MT_TIMEOUT: again; else the call says what is wrong. */
int mt_submit(mt_ref call, uint32_t site, int timeout_ms);

/* The result of a call that is over. */
mt_ref mt_call_end(mt_ref call);
/* Gives up a call that failed, or that is not to be ended, in whatever state.  Afterwards its task
 * is over or will never run, unless it is a host task under way.  Without the GIL. */
void mt_call_drop(mt_ref call);

/* --- waiting and errors ----------------------------------------------------------------------- */
typedef struct mt_error {
    int32_t status;
    uint32_t site;
    char op[32];
    char message[256];
    void *exception; /* for MT_HOST_RAISED: what mt_py_host returned */
    ...;
} mt_error;

/* MT_OK, MT_TIMEOUT, or the status of the error that the value is. */
int mt_wait(mt_ref tensor, int timeout_ms);

/* The same, and nothing queued reads or writes it any more. */
int mt_wait_unused(mt_ref tensor, int timeout_ms);

/* A new count, or NULL. */
mt_error *mt_error_of(mt_ref tensor);
void mt_error_release(mt_error *error);

/* --- streams and events ----------------------------------------------------------------------- */
typedef struct mt_event mt_event;

/* An id; -1: out of memory. */
int mt_stream_new(int device);

/* What is queued still runs. */
void mt_stream_release(int stream);
void mt_stream_set_current(int device, int stream);
int mt_stream_default(int device);
int mt_stream_device(int stream);

/* Ids go from 1 to this. */
int mt_stream_count(void);

/* 1: nothing queued, nothing running. */
int mt_stream_query(int stream);
int mt_stream_sync(int stream, int timeout_ms);

/* All its streams; MT_HOST_RAISED: done, and there is an error to take. */
int mt_device_sync(int device, int timeout_ms);
enum { MT_ERRORS_KEPT = 10 }; /* errors that a stream keeps to be told; it counts the others */
/* The oldest error that was neither read nor told; then one with the number of the others; then
 * NULL. */
mt_error *mt_stream_take_error(int stream);
mt_event *mt_event_new(void);
void mt_event_release(mt_event *event);

/* MT_TIMEOUT, here and below: a fork is under way. */
int mt_event_record(mt_event *event, int stream, int timeout_ms);

/* Work queued on stream from now on comes after the event. */
int mt_event_wait(mt_event *event, int stream, int timeout_ms);
int mt_event_query(mt_event *event);
int mt_event_sync(mt_event *event, int timeout_ms);

/* When the stream reached it, on a monotonic clock; -1: not yet. */
double mt_event_time_ms(mt_event *event);
typedef struct mt_running {
    int32_t stream, running, queued;
    uint32_t site;
    char op[32];
} mt_running;

/* The streams that are at work now; how many were written. */
int mt_busy(mt_running *out, int n);

/* --- devices and memory ----------------------------------------------------------------------- */
typedef struct mt_memory_stats {
    int64_t allocated, max_allocated, reserved, max_reserved, cached_blocks, allocations, capacity;
} mt_memory_stats;

/* An id; -1: no more. */
int mt_device_new(const char *name, int flags, int64_t capacity, int alignment);
void mt_device_stats(int device, mt_memory_stats *out);
void mt_device_reset_max(int device);
void mt_device_set_capacity(int device, int64_t capacity);

/* Returns cached blocks to the system; returns the bytes. */
int64_t mt_device_trim(int device);

/* Makes the tensors of the device unusable; `why` is the text of their error. */
void mt_device_lose(int device, const char *why);

/* --- memory that processes share (arena.c) ---------------------------------------------------
 * A process of the family is a member, which has a slot in the arena, or a guest, which has
 * copies. */

/* Creates the arena of this process; returns 0, or -errno.  cap: bytes of free memory that are
 * kept. */
int mt_arena_create(int64_t capacity, int64_t cap);

/* Attaches to the arena that another process has open at `path`; returns 0, or -errno. */
int mt_arena_attach(const char *path, uint64_t inode);

/* Reserves a slot for a process to be started, whose lock the descriptor keeps; or -errno. */
int mt_arena_reserve(int *lock_fd);

/* In that process, with the file's descriptor, which it takes over, too: 0, a member; else
 * -errno. lock_fd -1: as a guest, with the -errno of mt_arena_reserve as slot. */
int mt_arena_enter(int fd, int lock_fd, int slot);

/* Returns 1 if this process is a member of an arena. */
int mt_arena_member(void);

/* "": it is a member, or has no arena. */
const char *mt_arena_why_guest(void);

/* Returns the arena's descriptor; -1: the program has closed it. */
int mt_arena_file(void);

/* Returns the arena's inode; 0: this process has no arena, not even as a guest. */
uint64_t mt_arena_inode(void);

/* Allocates a block, which this process holds; or -status. */
int64_t mt_arena_alloc(int64_t nbytes);

/* Why this thread's last mt_arena_alloc, mt_arena_send or what needs them found no room. */
void mt_arena_explain(char *text, int room);

/* Returns the bytes of a block that this process holds. */
char *mt_arena_data(int64_t block);

/* Returns, in a guest, the members' bytes of the block. */
char *mt_arena_members_data(int64_t block);

/* Marks the block as shared_mutable: all processes that hold it write to it. */
void mt_arena_mark_mutable(int64_t block);
int64_t mt_arena_size(int64_t block);

/* Adds one reference of this process to the block; mt_arena_drop releases it. */
void mt_arena_hold(int64_t block);
void mt_arena_drop(int64_t block);

/* Returns 1 if no other process has the block, nor can get it except from this one. */
int mt_arena_sole(int64_t block);

/* The same, if we hold it so many times; what was sent before is stale from now on. */
int mt_arena_own(int64_t block, int holds);

/* The same, and arrays of this process may write to the block: a fork keeps their writes from the
 * child (arena/exclusive.c).  apart: also if other processes have the block; their bytes stay. */
int mt_arena_make_exclusive(int64_t block, int holds, int apart);

/* No array writes to it any more.  Returns 0 if its bytes can't be sent from here. */
int mt_arena_end_exclusive(int64_t block);

/* Returns a token of the block for a message; or -status. */
int64_t mt_arena_send(int64_t block, int64_t channel);

/* Drops a token; does nothing if it was claimed. */
void mt_arena_unsend(int64_t token);

/* Claims a token: returns the block, which this process then holds; or -MT_STALE. */
int64_t mt_arena_claim(int64_t token);

/* In a guest: claims it and has the bytes; MT_STALE, MT_VALUE_ERROR: there are less. */
int mt_arena_copy_out(int64_t token, char *out, int64_t nbytes);

/* The same from another family's arena, which a process has open there; 0, or -errno: -ESTALE,
 * its value is gone. */
int mt_arena_copy_from(const char *path, uint64_t inode, int64_t token, char *out, int64_t nbytes);

/* Sends a large message in a guest, as mt_message_send does in a member. */
int64_t mt_guest_send(const char *head, int64_t n_head, const char *body, int64_t n_body,
                      int64_t channel);

/* In a guest: the block of memory that all write to, held for good; or -MT_STALE. */
int64_t mt_guest_share(int64_t token);

/* Returns the id of a new channel that this process uses; or -status. */
int64_t mt_channel_new(void);

/* Makes this process a user of the channel; MT_STALE: the last user had left it. */
int mt_channel_join(int64_t channel);
void mt_channel_leave(int64_t channel);

/* So does the process that the slot is reserved for. */
void mt_channel_join_for(int64_t channel, int slot);

/* So does a process that is no member: its users can't be counted from now on; stranger: and it
 * can't read what lies in the arena. */
void mt_channel_add_guest(int64_t channel, int stranger);

/* What a message in it may refer to: 2: tensors and blocks; 1: blocks, since this process is a
 * guest; 0: nothing, a reader may be a stranger, or no process uses it any more. */
int mt_channel_carries(int64_t channel);

/* 1: another process that lives uses it; -1: that can't be known, a guest may. */
int mt_channel_has_others(int64_t channel);

/* Reaps dead members; returns how many it found. */
int mt_arena_reap(void);
typedef struct mt_arena_numbers {
    int64_t processes, blocks, bytes, in_flight, channels, free_bytes, reaped, copied, inline_sent,
        capacity;
} mt_arena_numbers;
int mt_arena_stats(mt_arena_numbers *out);
void mt_arena_note(int copied, int inline_sent);

/* Returns the number of broken invariants, and their text; only while no process uses the
 * arena. */
int mt_arena_check(char *text, int room);

/* For tests: a process that is started now finds no place, for this errno; 0: it does. */
void mt_arena_refuse_places(int error);

/* For tests: the system refuses some of the ways to take pages; arena/allocate.c. */
void mt_arena_refuse_ways(int ways);

/* For tests: so many steps of the protocol from now this process gets it. */
void mt_arena_signal_after(int64_t steps, int signal);

/* --- messages (readable_wait.c) --------------------------------------------------------------- */

/* Until there may be something to read, or a signal came: the milliseconds that it took; -1: the
 * time is over. timeout_ms -1: it never is. */
double mt_packet_wait(int fd, int timeout_ms, double awake_ms);
/* A message that is too large for a packet lies in a block, which only its token holds.  One call
 * each, so that Ctrl-C finds all of it done, or nothing. */

/* The token, or -MT_MEMORY_ERROR. */
int64_t mt_message_send(const char *head, int64_t n_head, const char *body, int64_t n_body,
                        int64_t channel);

/* Its bytes, and what to close; NULL: they are gone. A guest has a copy. */
char *mt_message_open(int64_t token, int64_t nbytes, int64_t *held);

/* The same for bytes that the reader may write to: they are its own.  NULL, too: another reader of
 * the message has them. */
char *mt_buffer_open(int64_t token, int64_t nbytes, int64_t *held);
void mt_message_close(int64_t *held);

/* --- the process ------------------------------------------------------------------------------ */

/* Turns synchronous mode on or off: every op runs at its call. */
void mt_set_synchronous(int on);

/* Turns fusion on or off: neighbouring tasks may run as one pass. */
void mt_set_fusion(int on);
typedef struct mt_pass_numbers {
    int64_t passes, tasks, unwritten, taken_over;
} mt_pass_numbers;

/* Since the start: passes of several tasks, their tasks, results of those that were unreachable,
 * for, and outputs of any that took over an input's memory. */
void mt_pass_stats(mt_pass_numbers *out);

/* Up to so many elements an op on an idle stream runs at its call. */
void mt_set_inline_limit(int64_t elements);

/* Sets the limits of each stream's queue. */
void mt_set_queue_bound(int64_t tasks, int64_t bytes);

/* Sets an environment variable that config.py marks with `core`; MT_VALUE_ERROR: there is none of
 * that name. */
int mt_configure(const char *name, int64_t value);

/* Returns the name of the instruction set that the loops use now. */
const char *mt_isa(void);

/* Returns the i-th instruction set that this processor has, the plainest first; NULL at the
 * end. */
const char *mt_isa_name(int i);

/* "": the best; MT_VALUE_ERROR: not one of them. */
int mt_set_isa(const char *name);

/* Returns the number of threads that an op may use. */
int mt_threads(void);

/* Sets the number of threads of an op; 0: as many as the process may use cores. */
void mt_set_threads(int n);

/* Returns the number of threads that help with large ops now. */
int mt_pool_size(void);

/* Returns the number of workers of streams. */
int mt_thread_count(void);

/* Closes the gate and waits until the streams are empty; MT_TIMEOUT: call again. */
int mt_fork_drain(int timeout_ms);

/* Before mt_fork_prepare, with the GIL: see py_operators.c. */
void mt_fork_announce(void);

/* Joins the workers that have nothing in hand, takes every lock. */
void mt_fork_prepare(void);
void mt_fork_parent(void);
void mt_fork_child(void);
/* For tests that force a race: the next thread that comes to the point writes a byte to `reached`
 * and goes on when it can read one from `go`. */
enum mt_point {
    MT_POINT_SUBMIT, /* a task is about to be queued; no lock is held, here nor at the others */
    MT_POINT_TAKEN,  /* a worker has taken a task and not run it */
    MT_POINT_RUN,    /* it has run the task and not yet announced it */
    MT_POINT_JOIN,   /* a fork has told a worker to end, and not joined it */
    MT_POINT_ALLOC,  /* memory is counted, and not there yet */
    MT_POINT_MOVE,   /* a storage is about to be copied into the arena */
    MT_POINTS
};
void mt_hold_at(int point, int reached, int go);

/* For tests: the next n starts of threads fail; -1: all, 0: none. */
void mt_refuse_threads(int n);

/* For tests: errors that something holds. */
int64_t mt_error_count(void);

/* Joins the workers; from now on every op runs at its call, and Python is not called. */
void mt_shutdown(void);

#endif
