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
 * view() is the short way of asnumpy(), from_array() that of from_numpy().  The first returns an
 * array of an object that counts one export of the memory, and that NumPy reads by
 * __array_struct__.  The array keeps the object, and its end is the export's. */
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

enum { ALIGNED = 0x100, NATIVE = 0x200, WRITEABLE = 0x400 }; /* its flags */

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

/* Returns the code of a dtype; -1: no tensor holds it, or the general way has to tell. */
static int dtype_of(const array_interface *a) {
    for (int code = 0; code < MT_NUM_DTYPES; code++)
        if (MT_KIND[code] == a->typekind && MT_ITEMSIZE[code] == a->itemsize &&
            code != MT_DT_bfloat16)
            return code;
    return -1;
}

/* from_array(array, hold, device): a tensor on the array's memory, which keeps the array by
 * hold(array); None: take the general way. */
static PyObject *from_array(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 3 || Py_TYPE(given[0]) != (PyTypeObject *)python.ndarray) Py_RETURN_NONE;
    long device = PyLong_AsLong(given[2]);
    if (PyErr_Occurred()) return NULL;
    PyObject *capsule = PyObject_GetAttrString(given[0], "__array_struct__");
    const array_interface *a = capsule ? PyCapsule_GetPointer(capsule, NULL) : NULL;
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM], low = 0, high = 0;
    mt_ref ref = 0;
    int code = a && (a->flags & NATIVE) && (a->flags & WRITEABLE) ? dtype_of(a) : -1;
    bool known = code >= 0 && a->nd <= MT_MAX_NDIM;
    for (int d = 0; known && d < a->nd; d++) {
        shape[d] = a->shape[d], strides[d] = a->strides[d];
        known = shape[d] > 0;
        *(strides[d] < 0 ? &low : &high) += (shape[d] - 1) * strides[d];
    }
    PyObject *kept = known ? PyObject_CallFunctionObjArgs(given[1], given[0], NULL) : NULL;
    void *owner = kept ? PyLong_AsVoidPtr(kept) : NULL;
    Py_XDECREF(kept);
    if (owner)
        ref = mt_external((int)device, code, a->nd, shape, strides, (char *)a->data + low,
                          high - low + a->itemsize, -low, owner);
    Py_XDECREF(capsule);
    if (ref) return mt_py_finished(ref);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

/* view(tensor): an array on its memory; None: take the general way. */
static PyObject *view(PyObject *module, PyObject *tensor) {
    (void)module;
    mt_ref ref = mt_py_ref(tensor);
    const mt_tensor *t = ref ? mt_t(ref) : NULL;
    mt_memory memory;
    if (!t || !t->storage || !t->size || !mt_keeps_gil() ||
        !(mt_devices[t->device].flags & MT_DEVICE_NUMPY) || t->dtype == MT_DT_bfloat16)
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
    {"from_array", AS_METHOD(from_array), METH_FASTCALL,
     "from_array($module, array, hold, device, /)\n--\n\nReturn a tensor on the memory of an "
     "array, which "
     "the handle hold(array) keeps; None if it has to be made another way."},
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
