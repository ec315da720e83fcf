/* The type under Tensor, and the module: see py_operators.c. */
#include "python/py_core.h"

#ifndef PyBUF_WRITE
#define PyBUF_READ 0x100 /* 3.10's limited headers declare PyMemoryView_FromMemory without them */
#define PyBUF_WRITE 0x200
#endif

static freefunc deallocate; /* Tensor's */

/* --- the type --------------------------------------------------------------------------------- */

static void give_back(mt_ref ref) {
    if (mt_keeps_gil() && mt_release_promptly(mt_t(ref))) return;
    PyObject *kind, *error,
        *where; /* what is on its way up is not for a function that Python runs for the core */
    PyErr_Fetch(&kind, &error, &where);
    Py_BEGIN_ALLOW_THREADS mt_release(ref);
    Py_END_ALLOW_THREADS PyErr_Restore(kind, error, where);
}

static void dealloc(PyObject *self) {
    tensor_object *t = (tensor_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (t->weak) PyObject_ClearWeakRefs(self);
    Py_XDECREF(t->shape);
    Py_XDECREF(t->dtype);
    if (t->ref) give_back(t->ref);
    (type == (PyTypeObject *)python.tensor ? deallocate
                                           : (freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *no_value(PyObject *self) {
    return PyErr_Format(
        PyExc_AttributeError,
        "[Tensor] this one was never made: its __init__ has failed or was not called (%R)",
        Py_TYPE(self));
}

static PyObject *get_ref(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? PyLong_FromLongLong(ref) : no_value(self);
}

static PyObject *ints(int n, const int64_t *values) {
    PyObject *tuple = PyTuple_New(n);
    for (int i = 0; tuple && i < n; i++) {
        PyObject *value = PyLong_FromLongLong(values[i]);
        if (!value || PyTuple_SetItem(tuple, i, value) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *get_shape(PyObject *self, void *closure) {
    (void)closure;
    tensor_object *t = (tensor_object *)self;
    if (!t->ref) return no_value(self);
    if (!t->shape && !(t->shape = ints(mt_t(t->ref)->ndim, mt_t(t->ref)->shape))) return NULL;
    Py_INCREF(t->shape);
    return t->shape;
}

static PyObject *get_strides(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? ints(mt_t(ref)->ndim, mt_t(ref)->strides) : no_value(self);
}

static PyObject *get_dtype(PyObject *self, void *closure) {
    (void)closure;
    tensor_object *t = (tensor_object *)self;
    if (!t->ref) return no_value(self);
    if (!t->dtype) {
        PyObject *dtype = PySequence_GetItem(python.dtypes, mt_t(t->ref)->dtype);
        if (!dtype) return NULL;
        t->dtype = dtype;
    }
    Py_INCREF(t->dtype);
    return t->dtype;
}

#define GET_NUMBER(name, field)                                                                    \
    static PyObject *name(PyObject *self, void *closure) {                                         \
        (void)closure;                                                                             \
        mt_ref ref = ((tensor_object *)self)->ref;                                                 \
        return ref ? PyLong_FromLongLong(mt_t(ref)->field) : no_value(self);                       \
    }
GET_NUMBER(get_ndim, ndim)
GET_NUMBER(get_size, size)
GET_NUMBER(get_number, device)
GET_NUMBER(get_offset, offset)

static PyGetSetDef PROPERTIES[] = {
    {"_ref", get_ref, NULL, "Its reference of the core, of which it owns one count.", NULL},
    {"shape", get_shape, NULL, "Lengths of the dimensions.", NULL},
    {"dtype", get_dtype, NULL, "The type of the elements.", NULL},
    {"strides", get_strides, NULL, "Bytes from one element to the next, for each dimension.", NULL},
    {"_offset", get_offset, NULL, "Bytes from the storage's start to the first element.", NULL},
    {"_device_id", get_number, NULL, "The core's number of its device.", NULL},
    {"ndim", get_ndim, NULL, "How many dimensions it has.", NULL},
    {"size", get_size, NULL, "How many elements it has.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef MEMBERS[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(tensor_object, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};

static const PyType_Slot OWN_SLOTS[] = {
    {Py_tp_doc, "What a Tensor is in C: one reference of the core."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_richcompare, mt_op_compare},
    {Py_tp_methods, mt_op_methods},
    {Py_tp_getset, PROPERTIES},
    {Py_tp_members, MEMBERS}};

static PyTypeObject *make_type(void) {
    enum { OWN = sizeof OWN_SLOTS / sizeof *OWN_SLOTS };
    PyType_Slot slots[80] = {
        {Py_tp_hash,
         PyType_GetSlot(&PyBaseObject_Type, Py_tp_hash)}}; /* by identity, as of every object */
    PyType_Slot *end = slots + 1;
    for (int i = 0; i < OWN; i++) *end++ = OWN_SLOTS[i];
    for (const PyType_Slot *s = mt_op_slots; s->slot; s++) *end++ = *s;
    PyType_Spec spec = {"minitensor.backend._operators.TensorBase", sizeof(tensor_object), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    return (PyTypeObject *)PyType_FromSpec(&spec);
}

/* --- the module ------------------------------------------------------------------------------- */

static PyObject *bind(PyObject *module, PyObject *arguments, PyObject *keywords) {
    (void)module;
    enum { N = 7 };
    static char *names[N + 1] = {"tensor",        "dtypes", "ndarray",     "complete",
                                 "dispatch_slow", "site",   "synchronous", NULL};
    PyObject *given[N] = {NULL},
             **kept[N] = {&python.tensor,     &python.dtypes,        &python.ndarray,
                          &python.complete,   &python.dispatch_slow, &python.site,
                          &python.synchronous};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOOOOO:bind", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &given[5],
                                     &given[6]))
        return NULL;
    for (int i = 0; i < N; i++) {
        if (!given[i]) continue;
        Py_INCREF(given[i]);
        Py_XDECREF(*kept[i]);
        *kept[i] = given[i];
    }
    if (given[0]) {
        mt_tensor_alloc = (allocfunc)PyType_GetSlot((PyTypeObject *)given[0], Py_tp_alloc);
        deallocate = (freefunc)PyType_GetSlot((PyTypeObject *)given[0], Py_tp_free);
    }
    Py_RETURN_NONE;
}

static PyObject *py_wrap(PyObject *module, PyObject *ref) {
    (void)module;
    long long number = PyLong_AsLongLong(ref);
    return number == -1 && PyErr_Occurred() ? NULL : mt_py_wrap(number);
}

static PyObject *numpy_dtype(int code) { /* borrowed */
    if (!python.numpy[code]) {
        PyObject *dtype = PySequence_GetItem(python.dtypes, code),
                 *found = dtype ? PyObject_GetAttrString(dtype, "numpy") : NULL;
        Py_XDECREF(dtype);
        if (python.numpy[code]) Py_XDECREF(found); /* another thread was here meanwhile */
        else python.numpy[code] = found;
    }
    return python.numpy[code];
}

static bool is_tensor(PyObject *o) { return PyType_IsSubtype(Py_TYPE(o), mt_tensor_base); }

/* become(tensor, other): gives a tensor the other one's value, in the same memory.  Returns it. */
static PyObject *become(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 2 || !is_tensor(given[0]) || !is_tensor(given[1]))
        return PyErr_Format(PyExc_TypeError, "[become] takes two tensors");
    tensor_object *t = (tensor_object *)given[0];
    mt_ref ref = ((tensor_object *)given[1])->ref, before = t->ref;
    if (!ref) return no_value(given[1]);
    mt_tensor_retain(mt_t(ref));
    t->ref = ref;
    Py_CLEAR(t->shape);
    Py_CLEAR(t->dtype);
    if (before) give_back(before);
    Py_INCREF(given[0]);
    return given[0];
}

/* A tensor's memory as an array, for a host task: valid while the tensor is held, and no other
 * thread is at work on it. */
static PyObject *array_of(PyObject *ref, int access) {
    mt_tensor *t = mt_t(PyLong_AsLongLong(ref));
    if (PyErr_Occurred()) return NULL;
    static char nothing[16];
    bool lies = t->storage && t->storage->data; /* one without elements needs no memory */
    int64_t nbytes = lies ? t->storage->nbytes : MT_ITEMSIZE[t->dtype];
    char *base = lies ? t->storage->data : t->storage ? nothing : (char *)&t->value;
    PyObject *memory = PyMemoryView_FromMemory(base, nbytes, access),
             *dtype = numpy_dtype(t->dtype), *result = NULL;
    PyObject *shape = ints(t->ndim, t->shape), *strides = ints(t->ndim, t->strides),
             *offset = PyLong_FromLongLong(lies ? t->offset : 0);
    if (memory && dtype && shape && strides && offset)
        result = PyObject_CallFunctionObjArgs(python.ndarray, shape, dtype, memory, offset,
                                              t->size ? strides : Py_None, NULL);
    Py_XDECREF(memory);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    Py_XDECREF(offset);
    return result;
}

static PyObject *array(PyObject *module, PyObject *ref) {
    (void)module;
    return array_of(ref, PyBUF_WRITE);
}

static PyObject *read_only_array(PyObject *module, PyObject *ref) {
    (void)module;
    return array_of(ref, PyBUF_READ);
}

static PyObject *fork_prepare(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    mt_fork_announce();
    Py_BEGIN_ALLOW_THREADS mt_fork_prepare();
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyMethodDef MODULE_FUNCTIONS[] = {
    {"bind", AS_METHOD(bind), METH_VARARGS | METH_KEYWORDS,
     "bind($module, *, tensor=None, dtypes=None, ndarray=None, complete=None, dispatch_slow=None, "
     "site=None, synchronous=False)\n--\n\nTell the core which classes and functions of Python it "
     "uses."},
    {"array_op", AS_METHOD(mt_py_array_op), METH_FASTCALL,
     "array_op($module, kernel, op, dtype, shape, numbers, /, *tensors)\n--\n\nReturn the new "
     "tensor that an array kernel computes from tensors, or on the device of a number in their "
     "place; None if there is no kernel for the dtype or device."},
    {"array_op_into", AS_METHOD(mt_py_array_op_into), METH_FASTCALL,
     "array_op_into($module, kernel, op, targets, numbers, /, *tensors)\n--\n\nCompute into "
     "existing tensors; return the first, or None as array_op does."},
    {"index_op", AS_METHOD(mt_py_index_op), METH_FASTCALL,
     "index_op($module, kernel, op, base, value, ahead, dims, /, *indices)\n--\n\nIndex by "
     "tensors of integers: see api/indexing.h.  Return None if the core can't do it."},
    {"mask_op", AS_METHOD(mt_py_mask_op), METH_FASTCALL,
     "mask_op($module, what, op, base, mask, value, /)\n--\n\nChoose by a mask: see api/masking.h.  "
     "Return None if the core can't do it."},
    {"array", array, METH_O,
     "array($module, ref)\n--\n\nReturn a tensor's memory as an array, valid while the tensor is "
     "held "
     "and no other thread writes to it."},
    {"become", AS_METHOD(become), METH_FASTCALL,
     "become($module, tensor, other, /)\n--\n\nGive a tensor the memory of another one; return "
     "it."},
    {"read_only_array", read_only_array, METH_O,
     "read_only_array($module, ref)\n--\n\nReturn the same array, of memory that NumPy can't write "
     "to."},
    {"fork_prepare", fork_prepare, METH_NOARGS,
     "fork_prepare($module)\n--\n\nJoins the workers that have nothing in hand, and takes every "
     "lock of the core."},
    {"wrap", py_wrap, METH_O,
     "wrap($module, ref)\n--\n\nThe Tensor of a reference, which it takes over."},
    {NULL, NULL, 0, NULL}};
static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "minitensor.backend._operators",
    .m_doc = "The type under Tensor, and the functions of single elements.", .m_size = -1,
    .m_methods = MODULE_FUNCTIONS};

/* A dict of the functions by name, of a module whose name is the one that people import them
 * from. */
static PyObject *functions(void) {
    PyObject *all = PyDict_New(), *home = PyUnicode_FromString("minitensor.ops");
    for (PyMethodDef *d = mt_op_functions; all && home && d->ml_name; d++) {
        PyObject *function = PyCFunction_NewEx(d, NULL, home);
        if (!function || PyDict_SetItemString(all, d->ml_name, function) < 0) Py_CLEAR(all);
        Py_XDECREF(function);
    }
    Py_XDECREF(home);
    return all;
}

PyMODINIT_FUNC PyInit__operators(void);
PyMODINIT_FUNC PyInit__operators(void) {
    static PyObject *loaded; /* names of the modules that are loaded once: outlives their reload */
    PyObject *module = PyModule_Create(&MODULE), *all = functions();
    if (!mt_tensor_base) mt_tensor_base = make_type();
    if (!loaded) loaded = PySet_New(NULL);
    if (module && all && mt_tensor_base && loaded &&
        PyModule_AddObjectRef(module, "LOADED", loaded) == 0 &&
        PyModule_AddObjectRef(module, "FUNCTIONS", all) == 0 &&
        PyModule_AddObjectRef(module, "TensorBase", (PyObject *)mt_tensor_base) == 0) {
        Py_DECREF(all);
        return module;
    }
    Py_XDECREF(all);
    Py_XDECREF(module);
    return NULL;
}
