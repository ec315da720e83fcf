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
 * view() is the short way of asnumpy(): an object that counts one export of the memory, and
 * that NumPy reads by __array_struct__.  The array keeps the object, and its end is the export's. */
#include "python/py_core.h"

#include <stdio.h>

#include "api/create.h"
#include "api/launch.h"
#include "executor/submit.h"

enum { TENSORS = 8 }; /* inputs and outputs; calls with more go the general way */

typedef struct {
    mt_task task;
    mt_tensor *tensors[TENSORS]; /* inputs, then outputs */
    PyObject *results;           /* a list of the outputs */
    int64_t effort;
} host_call;

/* Reads inputs, a sequence of tensors of one device with this short way; false: not such ones, or
 * an exception. */
static bool read_inputs(host_call *c, PyObject *inputs) {
    Py_ssize_t n = PyList_Check(inputs) ? PyList_Size(inputs) : -1;
    if (n < 1 || n >= TENSORS) return false;
    for (Py_ssize_t i = 0; i < n; i++) {
        mt_ref ref = mt_py_ref(PyList_GetItem(inputs, i));
        if (!ref || mt_t(ref)->weak ||
            mt_t(ref)->device != mt_t(mt_py_ref(PyList_GetItem(inputs, 0)))->device)
            return false;
        c->tensors[i] = mt_t(ref);
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
    bool list = given && PyList_Check(given);
    Py_ssize_t n = !given || dtype < 0    ? -1
                   : list                 ? PyList_Size(given)
                   : PyTuple_Check(given) ? PyTuple_Size(given)
                                          : -1;
    if (n < 0 || n > MT_MAX_NDIM) return false;
    for (Py_ssize_t d = 0; d < n; d++) {
        shape[d] = PyLong_AsLongLong(list ? PyList_GetItem(given, d) : PyTuple_GetItem(given, d));
        if (shape[d] < 0) return false;
    }
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
    Py_ssize_t n = PyList_Check(outputs) ? PyList_Size(outputs) : -1;
    if (n < 1 || c->task.n_in + n > TENSORS || !(c->results = PyList_New(n))) return false;
    for (Py_ssize_t i = 0; i < n; i++)
        if (!make_output(c, PyList_GetItem(outputs, i))) return false;
    return true;
}

/* Returns a tuple of the arrays of n tensors. */
static PyObject *arrays(int n, mt_tensor **tensors, bool writable) {
    PyObject *tuple = PyTuple_New(n);
    for (int i = 0; tuple && i < n; i++) {
        PyObject *array = mt_py_array(tensors[i], writable);
        if (!array || PyTuple_SetItem(tuple, i, array) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

/* Calls run(function, inputs, outputs); returns what the core keeps of its exception, or NULL. */
static void *call_function(host_call *c, PyObject *run, PyObject *function) {
    PyObject *in = arrays(c->task.n_in, c->task.in, false),
             *out = in ? arrays(c->task.n_out, c->task.out, true) : NULL,
             *none = out ? PyObject_CallFunctionObjArgs(run, function, in, out, NULL) : NULL;
    Py_XDECREF(in);
    Py_XDECREF(out);
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

/* What NumPy reads behind __array_struct__ (its array interface, version 3). */
typedef struct {
    int two, nd;
    char typekind;
    int itemsize, flags;
    intptr_t *shape, *strides;
    void *data;
    PyObject *descr;
} array_interface;

typedef struct {
    PyObject_HEAD void *view; /* of the export; NULL: none */
    array_interface interface;
    intptr_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM];
} export_object;

static PyTypeObject *export_type;
static PyObject *asarray; /* numpy.asarray */

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

static PyObject *get_struct(PyObject *self, void *closure) {
    (void)closure;
    return PyCapsule_New(&((export_object *)self)->interface, NULL, NULL);
}

static PyGetSetDef EXPORT_PROPERTIES[] = {
    {"__array_struct__", get_struct, NULL, "The memory, for NumPy.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot EXPORT_SLOTS[] = {{Py_tp_doc, "One export of a tensor's memory."},
                                     {Py_tp_dealloc, end_export},
                                     {Py_tp_getset, EXPORT_PROPERTIES},
                                     {0, NULL}};
static PyType_Spec EXPORT = {"minitensor.backend._operators.Export", sizeof(export_object), 0,
                             Py_TPFLAGS_DEFAULT, EXPORT_SLOTS};

/* view(tensor): an array on its memory; None: take the general way. */
static PyObject *view(PyObject *module, PyObject *tensor) {
    enum { ALIGNED = 0x100, NATIVE = 0x200, WRITEABLE = 0x400 }; /* NumPy's flags */
    (void)module;
    mt_ref ref = mt_py_ref(tensor);
    const mt_tensor *t = ref ? mt_t(ref) : NULL;
    mt_memory memory;
    if (!t || !t->size || !mt_keeps_gil() || !(mt_devices[t->device].flags & MT_DEVICE_NUMPY) ||
        t->dtype == MT_DT_bfloat16)
        Py_RETURN_NONE;
    allocfunc allocate = (allocfunc)PyType_GetSlot(export_type, Py_tp_alloc);
    export_object *e = (export_object *)allocate(export_type, 0);
    if (!e) return NULL;
    e->view = NULL;
    if (!mt_export_idle(t, &memory)) {
        Py_DECREF(e);
        Py_RETURN_NONE;
    }
    e->view = memory.view;
    int aligned = ((uintptr_t)memory.base + (uintptr_t)t->offset) % MT_ITEMSIZE[t->dtype] == 0;
    for (int d = 0; d < t->ndim; d++) {
        e->shape[d] = t->shape[d], e->strides[d] = t->strides[d];
        aligned &= t->strides[d] % MT_ITEMSIZE[t->dtype] == 0;
    }
    e->interface = (array_interface){.two = 2,
                                     .nd = t->ndim,
                                     .typekind = MT_KIND[t->dtype],
                                     .itemsize = MT_ITEMSIZE[t->dtype],
                                     .flags = NATIVE | WRITEABLE | (aligned ? ALIGNED : 0),
                                     .shape = e->shape,
                                     .strides = e->strides,
                                     .data = memory.base + t->offset};
    PyObject *array = PyObject_CallFunctionObjArgs(asarray, (PyObject *)e, NULL);
    Py_DECREF(e);
    return array;
}

PyMethodDef mt_host_functions[] = {
    {"host", AS_METHOD(host), METH_FASTCALL,
     "host($module, op, run, function, inputs, outputs, /)\n--\n\nCall run(function, inputs, "
     "outputs) with arrays of tensors and return the new outputs, of pairs (shape, dtype); None if "
     "the task can't run at its call."},
    {"view", view, METH_O,
     "view($module, tensor, /)\n--\n\nReturn an array on the memory of a tensor that is idle; None "
     "if it has to be exported another way."},
    {NULL, NULL, 0, NULL}};

bool mt_py_host_ready(PyObject *module) {
    if (!export_type) export_type = (PyTypeObject *)PyType_FromSpec(&EXPORT);
    if (!asarray) {
        PyObject *numpy = PyImport_ImportModule("numpy");
        asarray = numpy ? PyObject_GetAttrString(numpy, "asarray") : NULL;
        Py_XDECREF(numpy);
    }
    return export_type && asarray && PyModule_AddFunctions(module, mt_host_functions) == 0;
}
