/* Functions with a fast way in C and another way in Python.
 *
 * The problem.  A call of `t.reshape(-1)` is arithmetic on a few numbers.  In Python it takes some
 * 3 us: parsing the arguments, normalizing them, calling the core.  But the same function takes
 * lists, keywords with several spellings and array-likes, and says precisely what is wrong; all of
 * that in C would be long.
 *
 * The solution.  A `fast` object stands for the function in Python and calls a function in C first.
 * That one knows the usual arguments only: tensors, ints, tuples.  It returns NULL without an
 * exception for all others, and for whatever is wrong, and the Python function then does the whole
 * call.  The object looks like the Python function (name, documentation, signature, pickling), and
 * is a method where it stands in a class.
 *
 * Calls arrive by the vectorcall protocol, as those of Python functions do.  The limited API has
 * names for it from 3.12 on only; its layout is the same from 3.9 on. */
#include "python/py_core.h"

typedef PyObject *(*vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *);
enum { HAS_VECTORCALL = 1 << 11, IS_METHOD = 1 << 17 }; /* flags of a type */
static const size_t OFFSET = (size_t)1 << (8 * sizeof(size_t) - 1);

typedef struct {
    PyObject_HEAD vectorcall call;
    mt_py_fast fast;
    PyObject *slow; /* the function in Python */
} fast_object;

static PyTypeObject *fast_type;
static PyObject *method_type; /* types.MethodType */

static PyObject *call_slow(PyObject *slow, PyObject *const *given, Py_ssize_t n, PyObject *names) {
    Py_ssize_t named = names ? PyTuple_Size(names) : 0;
    PyObject *arguments = PyTuple_New(n), *keywords = named ? PyDict_New() : NULL, *result = NULL;
    for (Py_ssize_t i = 0; arguments && i < n; i++) {
        Py_INCREF(given[i]);
        PyTuple_SetItem(arguments, i, given[i]);
    }
    bool ready = arguments && (keywords || !named);
    for (Py_ssize_t i = 0; ready && i < named; i++)
        ready = PyDict_SetItem(keywords, PyTuple_GetItem(names, i), given[n + i]) == 0;
    if (ready) result = PyObject_Call(slow, arguments, keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    return result;
}

static PyObject *call(PyObject *self, PyObject *const *given, size_t flags, PyObject *names) {
    const fast_object *f = (fast_object *)self;
    Py_ssize_t n = (Py_ssize_t)(flags & ~OFFSET);
    PyObject *result = f->fast(given, n, names);
    return result || PyErr_Occurred() ? result : call_slow(f->slow, given, n, names);
}

/* A call with a tuple, which the interpreter makes for f(*arguments, **keywords). */
static PyObject *call_tuple(PyObject *self, PyObject *arguments, PyObject *keywords) {
    enum { FEW = 6 };
    const fast_object *f = (fast_object *)self;
    Py_ssize_t n = PyTuple_Size(arguments);
    if (!keywords && n <= FEW) {
        PyObject *given[FEW];
        for (Py_ssize_t i = 0; i < n; i++) given[i] = PyTuple_GetItem(arguments, i);
        return call(self, given, (size_t)n, NULL);
    }
    return PyObject_Call(f->slow, arguments, keywords);
}

/* Returns the attribute of the Python function, except for those that make up the object itself. */
static PyObject *get_attribute(PyObject *self, PyObject *name) {
    static const char *const own[] = {"__class__", "__call__", "__get__", "__reduce__",
                                      "__reduce_ex__"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (PyUnicode_CompareWithASCIIString(name, own[i]) == 0)
            return PyObject_GenericGetAttr(self, name);
    PyObject *slow = ((fast_object *)self)->slow;
    if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) {
        Py_INCREF(slow);
        return slow;
    }
    return PyObject_GetAttr(slow, name);
}

static int set_attribute(PyObject *self, PyObject *name, PyObject *value) {
    return PyObject_SetAttr(((fast_object *)self)->slow, name, value);
}

static PyObject *bind_method(PyObject *self, PyObject *object, PyObject *type) {
    (void)type;
    if (object && object != Py_None)
        return PyObject_CallFunctionObjArgs(method_type, self, object, NULL);
    Py_INCREF(self);
    return self;
}

static PyObject *repr(PyObject *self) { return PyObject_Repr(((fast_object *)self)->slow); }

/* Pickled by name, like the function. */
static PyObject *reduce(PyObject *self, PyObject *none) {
    (void)none;
    return PyObject_GetAttrString(((fast_object *)self)->slow, "__qualname__");
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((fast_object *)self)->slow);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {{"__reduce__", reduce, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyMemberDef MEMBERS[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(fast_object, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot SLOTS[] = {{Py_tp_call, call_tuple},
                              {Py_tp_getattro, get_attribute},
                              {Py_tp_setattro, set_attribute},
                              {Py_tp_descr_get, bind_method},
                              {Py_tp_repr, repr},
                              {Py_tp_dealloc, dealloc},
                              {Py_tp_methods, METHODS},
                              {Py_tp_members, MEMBERS},
                              {0, NULL}};
static PyType_Spec SPEC = {"minitensor.backend._operators.fast_function", sizeof(fast_object), 0,
                           Py_TPFLAGS_DEFAULT | HAS_VECTORCALL | IS_METHOD, SLOTS};

static mt_py_fast find(const char *name) {
    static const mt_py_fast_entry *const families[] = {
        mt_py_fast_views,  mt_py_fast_numbers, mt_py_fast_input,    mt_py_fast_convert,
        mt_py_fast_create, mt_py_fast_host,    mt_py_fast_indexing, mt_py_fast_joining,
        mt_py_fast_sums,   mt_py_fast_products};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const mt_py_fast_entry *e = families[i]; e->name; e++)
            if (strcmp(e->name, name) == 0) return e->function;
    return NULL;
}

/* fast(function, name=function.__name__): the function, with the fast way of this name. */
PyObject *mt_py_fast_function(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n < 1 || n > 2) return PyErr_Format(PyExc_TypeError, "[fast] takes a function and a name");
    PyObject *own = n == 2 ? given[1] : PyObject_GetAttrString(given[0], "__name__"),
             *types = method_type ? NULL : PyImport_ImportModule("types"), *result = NULL;
    if (types) method_type = PyObject_GetAttrString(types, "MethodType");
    if (!fast_type) fast_type = (PyTypeObject *)PyType_FromSpec(&SPEC);
    const char *name = own ? PyUnicode_AsUTF8AndSize(own, NULL) : NULL;
    mt_py_fast fast = name ? find(name) : NULL;
    if (name && !fast) PyErr_Format(PyExc_KeyError, "[fast] there is no fast way for %s", name);
    if (fast && method_type && fast_type)
        result = ((allocfunc)PyType_GetSlot(fast_type, Py_tp_alloc))(fast_type, 0);
    if (result) {
        fast_object *f = (fast_object *)result;
        f->call = call, f->fast = fast, f->slow = given[0];
        Py_INCREF(given[0]);
    }
    if (n == 1) Py_XDECREF(own);
    Py_XDECREF(types);
    return result;
}
