/* Small messages: a call of C for each step of a queue.
 *
 * The problem.  A tuple's journey takes the kernel some 3 us, and Python takes several times that
 * to pickle it, to count its place and to move it.
 *
 * The solution.  small_message() pickles what consists of a few plain values, and tensors that
 * travel inside the message, without a pickler's set-up.  send_packet() and take_packet() do in one
 * call what a signal handler may not find half done: a place of the queue and a message's bytes.
 * Whatever is unusual (no place, no room, a closed end, another type) is left to Python.  Neither
 * call blocks, so both keep the GIL. */
#include "python/py_core.h"

#include <errno.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    MOST_ITEMS = 16,         /* of a tuple that is looked at */
    MOST_BYTES = 1 << 12,    /* of a text or a tensor in a small message */
    LONGEST = (1 << 16) + 8, /* of a packet, as in message_pipe.py */
    PLAIN = 4                /* the head of a packet without references, likewise */
};

static PyObject *dumps, *protocol; /* pickle.dumps and its argument */

static bool plain(PyObject *o) {
    if (o == Py_None || PyBool_Check(o) || PyFloat_CheckExact(o)) return true;
    if (PyLong_CheckExact(o)) {
        int beyond;
        PyLong_AsLongLongAndOverflow(o, &beyond);
        return !beyond;
    }
    return (PyUnicode_CheckExact(o) && PyUnicode_GetLength(o) <= MOST_BYTES) ||
           (PyBytes_CheckExact(o) && PyBytes_Size(o) <= MOST_BYTES);
}

static bool all_plain(PyObject *tuple) {
    Py_ssize_t n = PyTuple_Size(tuple);
    for (Py_ssize_t i = 0; i < n; i++)
        if (!plain(PyTuple_GetItem(tuple, i))) return false;
    return n <= MOST_ITEMS;
}

/* The pickle of a call _receive(bytes) of sharing/pickling.py. */
static PyObject *tensor_message(mt_ref ref, int64_t inline_bytes) {
    static const char BEGIN[] = "\x80\x05"
                                "cminitensor.sharing.pickling\n_receive\nB",
                      END[] = "\x85R.";
    mt_extent e = mt_extent_of(ref, inline_bytes, 0, 0);
    int64_t nbytes = e.high - e.low;
    if (!e.ready || e.size == 0 || e.shared_mutable || nbytes > inline_bytes ||
        nbytes > MOST_BYTES || !(mt_devices[e.device].flags & MT_DEVICE_NUMPY))
        return NULL;
    uint32_t n = (uint32_t)(e.head + nbytes);
    enum { BEFORE = sizeof BEGIN - 1, AFTER = sizeof END - 1 };
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, BEFORE + 4 + (Py_ssize_t)n + AFTER);
    char *out = bytes ? PyBytes_AsString(bytes) : NULL;
    if (!out) return NULL;
    memcpy(out, BEGIN, BEFORE);
    for (int i = 0; i < 4; i++) out[BEFORE + i] = (char)(n >> 8 * i);
    mt_pack(ref, e.low, e.high, 0, true, out + BEFORE + 4);
    memcpy(out + BEFORE + 4 + n, END, AFTER);
    mt_arena_note(0, 1);
    return bytes;
}

/* small_message(object, inline_bytes): its pickle; None: the pickler has to make it. */
static PyObject *small_message(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 2) return PyErr_Format(PyExc_TypeError, "[small_message] takes 2 arguments");
    PyObject *o = given[0], *message = NULL;
    if (Py_TYPE(o) == (PyTypeObject *)python.tensor) {
        mt_ref ref = mt_keeps_gil() ? mt_py_ref(o) : 0;
        if (ref && !mt_t(ref)->weak) message = tensor_message(ref, PyLong_AsLongLong(given[1]));
    } else if (plain(o) || (PyTuple_CheckExact(o) && all_plain(o)))
        message = PyObject_CallFunctionObjArgs(dumps, o, protocol, NULL);
    if (message || PyErr_Occurred()) return message;
    Py_RETURN_NONE;
}

/* small_tensor(device, bytes): the tensor of a message; None: the general way has to make it. */
static PyObject *small_tensor(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 2 || !PyBytes_CheckExact(given[1]) || !mt_keeps_gil()) Py_RETURN_NONE;
    Py_ssize_t size = PyBytes_Size(given[1]);
    if (size > 2 * MOST_BYTES) Py_RETURN_NONE;
    mt_ref ref = mt_receive((int)PyLong_AsLong(given[0]), PyBytes_AsString(given[1]), size);
    return mt_py_finished(ref);
}

/* Returns a descriptor, or -1: the end is closed. */
static int descriptor(PyObject *handle) {
    return PyLong_CheckExact(handle) ? (int)PyLong_AsLong(handle) : -1;
}

/* send_packet(handle, semaphore, message): take a place and send; False: neither was done. */
static PyObject *send_packet(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 3) return PyErr_Format(PyExc_TypeError, "[send_packet] takes 3 arguments");
    int fd = descriptor(given[0]);
    sem_t *places = PyLong_AsVoidPtr(given[1]);
    char *bytes = PyBytes_AsString(given[2]), head = PLAIN;
    if (!bytes) return NULL;
    if (fd < 0 || (places && sem_trywait(places) != 0)) Py_RETURN_FALSE;
    struct iovec parts[] = {{&head, 1}, {bytes, (size_t)PyBytes_Size(given[2])}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) Py_RETURN_TRUE;
    if (places) sem_post(places);
    Py_RETURN_FALSE;
}

/* take_packet(handle, semaphore, taken): read a packet into taken[0] and, with a semaphore, release
 * its place; then taken[1] is None.  False: there is no packet. */
static PyObject *take_packet(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    char buffer[LONGEST];
    if (n != 3) return PyErr_Format(PyExc_TypeError, "[take_packet] takes 3 arguments");
    int fd = descriptor(given[0]);
    if (fd < 0) return PyErr_Format(PyExc_OSError, "handle is closed");
    ssize_t got;
    do got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) Py_RETURN_FALSE;
    if (got < 0) return PyErr_SetFromErrno(PyExc_OSError);
    PyObject *packet = PyBytes_FromStringAndSize(buffer, got);
    sem_t *places = PyLong_AsVoidPtr(given[1]);
    if (got > 0 && places) {
        sem_post(places);
        Py_INCREF(Py_None);
        PyList_SetItem(given[2], 1, Py_None);
    }
    if (!packet || PyList_SetItem(given[2], 0, packet) != 0) return NULL;
    Py_RETURN_TRUE;
}

static PyMethodDef FUNCTIONS[] = {
    {"small_message", AS_METHOD(small_message), METH_FASTCALL,
     "small_message($module, obj, inline_bytes, /)\n--\n\nReturn the pickle of a small message; "
     "None if the pickler has to make it."},
    {"small_tensor", AS_METHOD(small_tensor), METH_FASTCALL,
     "small_tensor($module, device, packed, /)\n--\n\nReturn the tensor of packed bytes; None if "
     "it has to be made another way."},
    {"send_packet", AS_METHOD(send_packet), METH_FASTCALL,
     "send_packet($module, handle, semaphore, message, /)\n--\n\nTake a place and send a message; "
     "return False if neither was done."},
    {"take_packet", AS_METHOD(take_packet), METH_FASTCALL,
     "take_packet($module, handle, semaphore, taken, /)\n--\n\nRead a packet into taken[0] and "
     "release its place; return False if there is none."},
    {NULL, NULL, 0, NULL}};

bool mt_py_packets_ready(PyObject *module) {
    if (!dumps) {
        PyObject *pickle = PyImport_ImportModule("pickle");
        dumps = pickle ? PyObject_GetAttrString(pickle, "dumps") : NULL;
        protocol = pickle ? PyObject_GetAttrString(pickle, "HIGHEST_PROTOCOL") : NULL;
        Py_XDECREF(pickle);
    }
    return dumps && protocol && PyModule_AddFunctions(module, FUNCTIONS) == 0;
}
