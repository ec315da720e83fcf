/* The type under Tensor, and the module: see py_operators.c. */
#include "python/py_numpy.h"
#include "python/py_views.h"

static freefunc deallocate; /* Tensor's */

/* --- the type --------------------------------------------------------------------------------- */

static void dealloc(PyObject *self) {
    tensor_object *t = (tensor_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (t->weak) PyObject_ClearWeakRefs(self);
    Py_XDECREF(t->shape);
    Py_XDECREF(t->dtype);
    if (t->ref) mt_py_give_back(t->ref);
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

static PyObject *get_shape(PyObject *self, void *closure) {
    (void)closure;
    tensor_object *t = (tensor_object *)self;
    if (!t->ref) return no_value(self);
    if (!t->shape && !(t->shape = mt_py_ints(mt_t(t->ref)->ndim, mt_t(t->ref)->shape))) return NULL;
    Py_INCREF(t->shape);
    return t->shape;
}

static PyObject *get_strides(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? mt_py_ints(mt_t(ref)->ndim, mt_t(ref)->strides) : no_value(self);
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

static PyObject *get_reversed(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? mt_py_reversed(mt_t(ref)) : no_value(self);
}

static PyObject *get_matrix_transposed(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    if (!ref) return no_value(self);
    if (mt_t(ref)->ndim >= 2) return mt_py_matrix_transposed(mt_t(ref));
    return PyObject_CallMethod(self, "swapaxes", "ii", -1, -2); /* raises */
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
    {"T", get_reversed, NULL, "A view with all dimensions reversed.", NULL},
    {"mT", get_matrix_transposed, NULL, "A view with the last two dimensions swapped.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef MEMBERS[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(tensor_object, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};

static const PyType_Slot OWN_SLOTS[] = {
    {Py_tp_doc, "What a Tensor is in C: one reference of the core."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_richcompare, mt_op_compare},
    {Py_mp_subscript, mt_py_getitem},
    {Py_mp_ass_subscript, mt_py_setitem},
    {Py_mp_length, mt_py_length},
    {Py_nb_float, mt_py_float},
    {Py_nb_int, mt_py_whole},
    {Py_nb_index, mt_py_index},
    {Py_nb_bool, mt_py_bool},
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
    enum { N = 9 };
    static char *names[N + 1] = {"tensor",        "dtypes", "ndarray",     "complete",
                                 "dispatch_slow", "site",   "synchronous", "host_raised",
                                 "host_ended",    NULL};
    PyObject *given[N] = {NULL},
             **kept[N] = {&python.tensor,      &python.dtypes,        &python.ndarray,
                          &python.complete,    &python.dispatch_slow, &python.site,
                          &python.synchronous, &python.host_raised,   &python.host_ended};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOOOOOOO:bind", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &given[5],
                                     &given[6], &given[7], &given[8]))
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
    if (before) mt_py_give_back(before);
    Py_INCREF(given[0]);
    return given[0];
}

static PyObject *array_of(PyObject *ref, bool writable) {
    mt_ref number = PyLong_AsLongLong(ref);
    return PyErr_Occurred() ? NULL : mt_py_array(mt_t(number), writable);
}

static PyObject *array(PyObject *module, PyObject *ref) {
    (void)module;
    return array_of(ref, true);
}

static PyObject *read_only_array(PyObject *module, PyObject *ref) {
    (void)module;
    return array_of(ref, false);
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
     "site=None, synchronous=False, host_raised=None, host_ended=None)\n--\n\nTell the core which "
     "classes and functions of Python it "
     "uses."},
    {"fast", AS_METHOD(mt_py_fast_function), METH_FASTCALL,
     "fast($module, function, name=None, /)\n--\n\nReturn the function with the fast way in C "
     "that has its name, or another name."},
    {"array_op", AS_METHOD(mt_py_array_op), METH_FASTCALL,
     "array_op($module, kernel, op, dtype, shape, numbers, /, *tensors)\n--\n\nReturn the new "
     "tensor that an array kernel computes from tensors, or on the device of a number in their "
     "place; None if there is no kernel for the dtype or device."},
    {"array_pair", AS_METHOD(mt_py_array_pair), METH_FASTCALL,
     "array_pair($module, kernel, op, dtypes, shape, numbers, /, *tensors)\n--\n\nReturn two new "
     "tensors of a shape that an array kernel computes, or None as array_op does."},
    {"array_op_into", AS_METHOD(mt_py_array_op_into), METH_FASTCALL,
     "array_op_into($module, kernel, op, targets, numbers, /, *tensors)\n--\n\nCompute into "
     "existing tensors; return the first, or None as array_op does."},
    {"cast", AS_METHOD(mt_py_cast), METH_FASTCALL,
     "cast($module, tensor, dtype, /)\n--\n\nReturn a copy in the dtype of a code."},
    {"join", AS_METHOD(mt_py_join), METH_FASTCALL,
     "join($module, op, tensors, axis, stacked, /)\n--\n\nReturn concat or stack of tensors of one "
     "dtype; None if they are not, or do not fit."},
    {"current_device", mt_py_current_device, METH_O,
     "current_device($module, number, /)\n--\n\nTell the core the number of the device of new "
     "tensors, one that has every dtype; -1: none is known."},
    {"empty", AS_METHOD(mt_py_empty), METH_FASTCALL,
     "empty($module, size, dtype, place, /)\n--\n\nReturn a new tensor; None as make does."},
    {"filled", AS_METHOD(mt_py_filled), METH_FASTCALL,
     "filled($module, op, size, value, dtype, place, /)\n--\n\nReturn a new tensor of one number; "
     "None as make does, or for a value that is no number of the dtype's kind."},
    {"range", AS_METHOD(mt_py_range), METH_FASTCALL,
     "range($module, start, end, step, dtype, place, /)\n--\n\nReturn a new tensor of the numbers "
     "of a range; None as make does, or for other numbers than ints of 64 bits and floats."},
    {"make", AS_METHOD(mt_py_make), METH_FASTCALL,
     "make($module, kernel, op, size, dtype, place, numbers, /)\n--\n\nReturn a new tensor that an "
     "array kernel computes from numbers: floats, ints, or an iterator, which steps only if the "
     "kernel runs.  `place` is the number of a device, None for the current "
     "one, or a tensor for its device, shape and, without a dtype, dtype.  Return None for "
     "arguments that are to be checked or converted in Python, and where array_op does."},
    {"index_op", AS_METHOD(mt_py_index_op), METH_FASTCALL,
     "index_op($module, kernel, op, base, value, ahead, dims, /, *indices)\n--\n\nIndex by "
     "tensors of integers: see api/indexing.h.  Return None if the core can't do it."},
    {"mask_op", AS_METHOD(mt_py_mask_op), METH_FASTCALL,
     "mask_op($module, what, op, base, mask, value, /)\n--\n\nChoose by a mask: see api/masking.h. "
     " "
     "Return None if the core can't do it."},
    {"array", array, METH_O,
     "array($module, ref)\n--\n\nReturn a tensor's memory as an array, valid while the tensor is "
     "held "
     "and no other thread writes to it."},
    {"become", AS_METHOD(become), METH_FASTCALL,
     "become($module, tensor, other, /)\n--\n\nGive a tensor the memory of another one; return "
     "it."},
    {"reductions", mt_py_reductions, METH_O,
     "reductions($module, functions, /)\n--\n\nReturn a dict of (function, method) in C for each "
     "reduction of a dict, which call what the dict has for arguments that are not common."},
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
    if (module && all && mt_tensor_base && loaded && mt_py_host_ready(module) &&
        mt_py_packets_ready(module) && PyModule_AddObjectRef(module, "LOADED", loaded) == 0 &&
        PyModule_AddObjectRef(module, "FUNCTIONS", all) == 0 &&
        PyModule_AddObjectRef(module, "TensorBase", (PyObject *)mt_tensor_base) == 0) {
        Py_DECREF(all);
        return module;
    }
    Py_XDECREF(all);
    Py_XDECREF(module);
    return NULL;
}
