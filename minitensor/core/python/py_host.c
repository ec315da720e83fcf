/* Host ops at their call, and arrays of tensors' memory for the program.
 *
 * The problem.  NumPy computes what the core has no kernel for, and its call on ten elements takes
 * less than a microsecond.  The general way to it (a task on the heap, a function and its handle,
 * a callback from the core) takes some twenty.
 *
 * The solution.  A small host op whose stream is idle and whose inputs are ready runs in the
 * thread that calls it, and that thread has the GIL already.  host() makes the outputs, claims the
 * stream (mt_host_begin), makes the arrays and calls the function, all in one call of C.  It
 * returns None if the op can't run so; nothing has happened then, and the op goes the general way
 * (backend/core.py).  Only devices whose other tasks NumPy computes (MT_DEVICE_NUMPY) have it.
 *
 * The fast way of asnumpy() is here, too, and from_array(), the short way of from_numpy().  The
 * first returns an array whose base is an object that counts one export of the memory; the object's
 * end is the export's. */
#include "python/py_numpy.h"

#include <stdio.h>

#include "api/create.h"
#include "api/launch.h"
#include "executor/submit.h"

enum { TENSORS = 8 }; /* inputs and outputs; calls with more go the general way */

typedef struct {
    mt_task task;
    mt_tensor *tensors[TENSORS]; /* inputs, then outputs */
    PyObject *results;           /* a list of the outputs */
} host_call;

/* Returns the length of a list or tuple; -1: it is neither. */
static Py_ssize_t length(PyObject *o) {
    return PyList_Check(o) ? PyList_Size(o) : PyTuple_Check(o) ? PyTuple_Size(o) : -1;
}

/* Returns an element of a list or tuple, borrowed. */
static PyObject *element(PyObject *o, Py_ssize_t i) {
    return PyList_Check(o) ? PyList_GetItem(o, i) : PyTuple_GetItem(o, i);
}

/* Reads inputs, a list or tuple of tensors of one device with this short way; false: not such
 * ones, or an exception. */
static bool read_inputs(host_call *c, PyObject *inputs) {
    Py_ssize_t n = length(inputs);
    if (n < 1 || n >= TENSORS) return false;
    for (Py_ssize_t i = 0; i < n; i++) {
        mt_ref ref = mt_py_ref(element(inputs, i));
        if (!ref || mt_t(ref)->weak) return false;
        c->tensors[i] = mt_t(ref);
        if (c->tensors[i]->device != c->tensors[0]->device) return false;
    }
    const mt_device *device = &mt_devices[c->tensors[0]->device];
    c->task.n_in = (int)n;
    return (device->flags & MT_DEVICE_NUMPY) &&
           !atomic_load_explicit(&device->lost, memory_order_relaxed);
}

/* Makes one output of a pair (shape, dtype); false: no memory without a wait, or an exception. */
static bool make_output(host_call *c, PyObject *pair) {
    int64_t shape[MT_MAX_NDIM];
    PyObject *given =
        PyTuple_Check(pair) && PyTuple_Size(pair) == 2 ? PyTuple_GetItem(pair, 0) : NULL;
    PyObject *code = given ? PyObject_GetAttrString(PyTuple_GetItem(pair, 1), "code") : NULL;
    long dtype = code ? PyLong_AsLong(code) : -1;
    Py_XDECREF(code);
    Py_ssize_t n = !given || dtype < 0 ? -1 : length(given);
    if (n < 0 || n > MT_MAX_NDIM) return false;
    for (Py_ssize_t d = 0; d < n; d++)
        if ((shape[d] = PyLong_AsLongLong(element(given, d))) < 0) return false;
    if (mt_size((int)n, shape) < 0) return false;
    mt_tensor *t = mt_tensor_empty(c->tensors[0]->device, (int)dtype, (int)n, shape, true);
    if (!t) return false;
    bool unbacked = t->storage->unbacked;
    PyObject *result = unbacked ? NULL : mt_py_wrap(mt_ref_of(t));
    if (unbacked) mt_tensor_release(t);
    if (!result) return false;
    int i = c->task.n_out++;
    c->tensors[c->task.n_in + i] = t;
    PyList_SetItem(c->results, i, result);
    return true;
}

static bool make_outputs(host_call *c, PyObject *outputs) {
    Py_ssize_t n = length(outputs);
    if (n < 1 || c->task.n_in + n > TENSORS || !(c->results = PyList_New(n))) return false;
    for (Py_ssize_t i = 0; i < n; i++)
        if (!make_output(c, element(outputs, i))) return false;
    return true;
}

/* Returns a tuple of the arrays of n tensors, those from number `n_in` on writable. */
static PyObject *arrays(int n, mt_tensor **tensors, int n_in) {
    PyObject *tuple = PyTuple_New(n);
    for (int i = 0; tuple && i < n; i++) {
        PyObject *array = mt_py_array(tensors[i], i >= n_in);
        if (!array || PyTuple_SetItem(tuple, i, array) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

/* Calls run(function, inputs, outputs), or without `run` function(*inputs, *outputs). */
static PyObject *call_with_arrays(host_call *c, PyObject *run, PyObject *function) {
    int n_in = c->task.n_in, n_out = c->task.n_out;
    bool direct = run == Py_None;
    PyObject *in = arrays(direct ? n_in + n_out : n_in, c->tensors, n_in), *result = NULL;
    PyObject *out = in && !direct ? arrays(n_out, c->tensors + n_in, 0) : NULL;
    if (in && direct) result = PyObject_CallObject(function, in);
    else if (in && out) result = PyObject_CallFunctionObjArgs(run, function, in, out, NULL);
    Py_XDECREF(in);
    Py_XDECREF(out);
    return result;
}

/* Computes the task; returns what the core keeps of its exception, or NULL. */
static void *call_function(host_call *c, PyObject *run, PyObject *function) {
    PyObject *none = call_with_arrays(c, run, function);
    if (none) {
        Py_DECREF(none);
        return NULL;
    }
    PyObject *kind, *error, *where;
    PyErr_Fetch(&kind, &error, &where);
    PyErr_NormalizeException(&kind, &error, &where);
    if (error && where) PyException_SetTraceback(error, where);
    PyObject *kept = PyObject_CallFunctionObjArgs(python.host_raised, error, NULL);
    void *handle = kept ? PyLong_AsVoidPtr(kept) : NULL;
    Py_XDECREF(kept);
    Py_XDECREF(kind);
    Py_XDECREF(error);
    Py_XDECREF(where);
    return handle;
}

/* Begins the call's task if it can run now. */
static bool begin(host_call *c, PyObject *op, mt_host_run *h) {
    const char *name = PyUnicode_AsUTF8AndSize(op, NULL);
    if (!name) return false;
    snprintf(c->task.host_op, sizeof c->task.host_op, "%s", name);
    c->task.in = c->tensors, c->task.out = c->tensors + c->task.n_in;
    return mt_host_begin(&c->task, h);
}

/* host(op, run, function, inputs, outputs) */
static PyObject *host(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    host_call c = {.results = NULL};
    mt_host_run h;
    if (n != 5) return PyErr_Format(PyExc_TypeError, "[host] takes 5 arguments, got %zd", n);
    mt_task_init(&c.task, MT_TASK_HOST, -1, 0);
    c.task.borrows = true;
    /* With the GIL, the locks of the core are free in a moment, or not taken at all. */
    bool begun = mt_keeps_gil() && python.synchronous != Py_True && read_inputs(&c, given[3]) &&
                 make_outputs(&c, given[4]) && begin(&c, given[0], &h);
    if (!begun) {
        Py_XDECREF(c.results);
        if (PyErr_Occurred()) PyErr_Clear(); /* the general way finds it again */
        Py_RETURN_NONE;
    }
    void *exception = call_function(&c, given[1], given[2]);
    bool failed = exception != NULL || PyErr_Occurred();
    if (exception && !mt_py_site(&c.task.site)) failed = true;
    MT_PY_CALL(mt_keeps_gil(), mt_host_end(&c.task, &h, exception))
    if (failed && !PyErr_Occurred())
        Py_XDECREF(
            PyObject_CallFunctionObjArgs(python.host_ended, PyList_GetItem(c.results, 0), NULL));
    if (failed && PyErr_Occurred()) Py_CLEAR(c.results);
    return c.results;
}

/* --- arrays of a tensor's memory for the program ---------------------------------------------- */

typedef struct {
    PyObject_HEAD void *view; /* of the export; NULL: none */
} export_object;

static PyTypeObject *export_type;

static void end_export(PyObject *self) {
    void *view = ((export_object *)self)->view;
    PyTypeObject *type = Py_TYPE(self);
    PyObject *kind, *error, *where;
    if (view) {
        PyErr_Fetch(&kind, &error, &where);
        Py_BEGIN_ALLOW_THREADS mt_unexport(view);
        Py_END_ALLOW_THREADS PyErr_Restore(kind, error, where);
    }
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyType_Slot EXPORT_SLOTS[] = {
    {Py_tp_doc, "One export of a tensor's memory."}, {Py_tp_dealloc, end_export}, {0, NULL}};
static PyType_Spec EXPORT = {"minitensor.backend._operators.Export", sizeof(export_object), 0,
                             Py_TPFLAGS_DEFAULT, EXPORT_SLOTS};

/* from_array(array, hold, device): a tensor on the array's memory, which keeps the array by
 * hold(array); None: take the general way. */
static PyObject *from_array(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    mt_py_array_fields a;
    if (n != 3 || !mt_py_read_array(given[0], &a)) Py_RETURN_NONE;
    long device = PyLong_AsLong(given[2]);
    if (PyErr_Occurred()) return NULL;
    int64_t low = 0, high = 0;
    mt_ref ref = 0;
    bool known = a.writable;
    for (int d = 0; known && d < a.ndim; d++) {
        known = a.shape[d] > 0;
        *(a.strides[d] < 0 ? &low : &high) += (a.shape[d] - 1) * a.strides[d];
    }
    PyObject *kept = known ? PyObject_CallFunctionObjArgs(given[1], given[0], NULL) : NULL;
    void *owner = kept ? PyLong_AsVoidPtr(kept) : NULL;
    Py_XDECREF(kept);
    if (owner)
        ref = mt_external((int)device, a.dtype, a.ndim, a.shape, a.strides, a.data + low,
                          high - low + MT_ITEMSIZE[a.dtype], -low, owner);
    if (ref) return mt_py_finished(ref);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

/* asnumpy(tensor): an array on its memory, which is idle. */
static PyObject *asnumpy(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    mt_ref ref = n == 1 && !names ? mt_py_ref(given[0]) : 0;
    const mt_tensor *t = ref ? mt_t(ref) : NULL;
    mt_memory memory;
    if (!t || !t->storage || !t->size || !mt_keeps_gil() ||
        !(mt_devices[t->device].flags & MT_DEVICE_NUMPY))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(export_type, Py_tp_alloc);
    export_object *e = (export_object *)allocate(export_type, 0);
    if (!e) return NULL;
    e->view = NULL;
    if (!mt_export_idle(t, &memory)) {
        Py_DECREF(e);
        return NULL;
    }
    e->view = memory.view;
    return mt_py_new_array(t->dtype, t->ndim, t->shape, t->strides, memory.base + t->offset, true,
                           (PyObject *)e);
}

/* _array(tensor, exclusive): the same; such memory is exclusive in any case. */
static PyObject *array(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return n == 2 ? asnumpy(given, 1, names) : NULL;
}

const mt_py_fast_entry mt_py_fast_host[] = {{"asnumpy", asnumpy}, {"_array", array}, {NULL, NULL}};

PyMethodDef mt_host_functions[] = {
    {"host", AS_METHOD(host), METH_FASTCALL,
     "host($module, op, run, function, inputs, outputs, /)\n--\n\nCall run(function, inputs, "
     "outputs), or function(*inputs, *outputs) if run is None, with arrays of tensors and return "
     "the new outputs, of pairs (shape, dtype); None if the task can't run at its call."},
    {"from_array", AS_METHOD(from_array), METH_FASTCALL,
     "from_array($module, array, hold, device, /)\n--\n\nReturn a tensor on the memory of an "
     "array, which "
     "the handle hold(array) keeps; None if it has to be made another way."},
    {NULL, NULL, 0, NULL}};

bool mt_py_host_ready(PyObject *module) {
    if (!export_type) export_type = (PyTypeObject *)PyType_FromSpec(&EXPORT);
    return export_type && mt_py_numpy_ready() &&
           PyModule_AddFunctions(module, mt_host_functions) == 0;
}
