/* The way from Python to an op: the type under Tensor, its operators, and the functions of single elements.
 *
 * The problem.  An op of one element takes the core some 0.2 us.  A method in Python, a call through cffi, an object with a finalizer and
 * another call to give back what it held cost three times that; nothing in Python makes them cheaper, because each is a step that the
 * interpreter takes.
 *
 * The solution.  The path of every call is in C, and short: an operator is a slot of the type, so `x + y` comes here without a look-up;
 * the result is an object of Tensor whose only content is its reference; it is given back where the object dies.  All else (an operand that
 * is neither a tensor nor a number, a full queue, an error) leaves for Python: `slow` and `finish`, as the other ops do.
 *
 * One module more in the shared object of the core, minitensor.backend._operators, against the stable ABI of 3.10.  What it defines
 * comes from the op table: operators_gen.h has one line for each op and one for each operator.
 *
 * The GIL.  Giving it up and taking it back costs a fifth of a small op, so here it is kept for one (cffi gives it up for every call).
 * That is right as long as nobody keeps a lock of the core and waits for the GIL, and one does: a thread that forks has the locks while other
 * hooks of its fork run.  It says so before it takes them, while it has the GIL itself (fork_prepare), so whoever has the GIL and reads
 * that nobody has said so (mt_may_block) can take any lock until he gives it up: all other owners let go after a few instructions.  What may
 * call Python, or take long, is done without the GIL at all times. */
#undef Py_LIMITED_API
#define Py_LIMITED_API 0x030A0000
#include <Python.h>
#include <structmember.h>

#include "internal.h"

#ifndef PyBUF_WRITE
#define PyBUF_WRITE 0x200        /* the headers of 3.10 lack it, of the function that wants it they don't */
#endif

typedef struct {
    PyObject_HEAD
    mt_ref ref;                  /* `_h`; 0: it has none, since its making failed */
    PyObject *shape, *dtype;     /* NULL until somebody asks */
    PyObject *weak;
} tensor_object;

/* What Python tells by bind(): written once while the package is imported, under the GIL, and never given up. */
static struct {
    PyObject *tensor;            /* the class Tensor */
    PyObject *dtypes;            /* its dtypes, a tuple by code */
    PyObject *numpy[MT_NUM_DTYPES];      /* NumPy's of these, each when it is first asked for: bfloat16's is a module more to import */
    PyObject *ndarray;           /* numpy.ndarray */
    PyObject *finish;            /* finish(ref): brings a call to its end */
    PyObject *slow;              /* slow(op, operator, *operands): with operands that are not all tensors and numbers */
} python;
static PyTypeObject *base;
static allocfunc allocate;       /* those of Tensor */
static freefunc deallocate;

enum { LITTLE = 1024 };                  /* elements of an operand: some 2 us at most; a second thread that wants the GIL asks for it after 5,000 */

static bool keeps_gil(mt_ref x) { return mt_t(x)->size <= LITTLE && atomic_load_explicit(&mt_may_block, memory_order_relaxed) == 0; }

#define CALL(keep, statement)                                                                                                                 \
    if (keep) statement;                                                                                                                     \
    else {                                                                                                                                   \
        Py_BEGIN_ALLOW_THREADS                                                                                                               \
        statement;                                                                                                                           \
        Py_END_ALLOW_THREADS                                                                                                                 \
    }

static mt_ref ref_of(PyObject *o) {      /* 0: it is no tensor, or one without a value */
    PyTypeObject *type = Py_TYPE(o);
    if (type == (PyTypeObject *)python.tensor || PyType_IsSubtype(type, base)) return ((tensor_object *)o)->ref;
    return 0;
}

static PyObject *wrap(mt_ref ref) {      /* takes the reference over */
    PyObject *t = allocate((PyTypeObject *)python.tensor, 0);
    if (t) ((tensor_object *)t)->ref = ref;
    else mt_release(ref);
    return t;
}

/* The tensor of what a call has returned. */
static PyObject *finished(mt_ref ref) {
    if (ref > 0) return wrap(ref);
    PyObject *end = PyObject_CallFunction(python.finish, "L", (long long)ref);
    if (!end) return NULL;
    ref = PyLong_AsLongLong(end);
    Py_DECREF(end);
    return ref == -1 && PyErr_Occurred() ? NULL : wrap(ref);
}

/* --- calls of ops ----------------------------------------------------------------------------------------------------------------------- */

static PyObject *slow(int op, bool is_operator, int n, PyObject *const *operands) {
    PyObject *arguments = PyTuple_New(n + 2), *result = NULL;
    if (!arguments) return NULL;
    PyTuple_SetItem(arguments, 0, PyLong_FromLong(op));
    PyTuple_SetItem(arguments, 1, PyBool_FromLong(is_operator));
    for (int i = 0; i < n; i++) {
        Py_INCREF(operands[i]);
        PyTuple_SetItem(arguments, i + 2, operands[i]);
    }
    if (!PyErr_Occurred()) result = PyObject_CallObject(python.slow, arguments);
    Py_DECREF(arguments);
    return result;
}

static PyObject *unary(int op, PyObject *a, bool is_operator) {
    mt_ref x = ref_of(a), result;
    if (!x) return slow(op, is_operator, 1, &a);
    CALL(keeps_gil(x), result = mt_unary(op, x))
    return finished(result);
}

static PyObject *binary(int op, PyObject *a, PyObject *b, bool is_operator) {
    mt_ref x = ref_of(a), y = ref_of(b), result;
    PyObject *number = x ? b : a;
    if (x && y) {
        CALL(keeps_gil(x) && keeps_gil(y), result = mt_binary(op, x, y))
        return finished(result);
    }
    if (x || y) {
        if (PyFloat_CheckExact(number)) {
            double f = PyFloat_AsDouble(number);
            CALL(keeps_gil(x ? x : y), result = mt_binary_float(op, x ? x : y, f, !x))
            return finished(result);
        }
        int beyond = 0;
        long long i = PyLong_CheckExact(number) ? PyLong_AsLongLongAndOverflow(number, &beyond) : (beyond = 1);
        if (!beyond) {
            CALL(keeps_gil(x ? x : y), result = mt_binary_int(op, x ? x : y, i, !x))
            return finished(result);
        }
    }
    return slow(op, is_operator, 2, (PyObject *[]){a, b});
}

static PyObject *ternary(int op, PyObject *const *operands) {
    mt_ref x = ref_of(operands[0]), y = ref_of(operands[1]), z = ref_of(operands[2]), result;
    if (!x || !y || !z) return slow(op, false, 3, operands);
    CALL(keeps_gil(x) && keeps_gil(y) && keeps_gil(z), result = mt_ternary(op, x, y, z))
    return finished(result);
}

/* The operands of a call f(a, b), f(a, other=b): borrowed, in order.  The first `bound` have been given by the method's object. */
static bool operands_of(const char *op, int n, const char *const *names, PyObject *const *given, Py_ssize_t positional, PyObject *keywords,
                        int bound, PyObject **operands) {
    Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;
    if (bound + positional + named > n || bound + positional < 0) {
        PyErr_Format(PyExc_TypeError, "[%s] takes %d operand%s, got %zd", op, n, n == 1 ? "" : "s", bound + positional + named);
        return false;
    }
    for (int i = bound; i < n; i++) operands[i] = i - bound < positional ? given[i - bound] : NULL;
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GetItem(keywords, k);
        int i = 0;
        while (i < n && PyUnicode_CompareWithASCIIString(name, names[i]) != 0) i++;
        if (i == n || operands[i]) {
            PyErr_Format(PyExc_TypeError, i == n ? "[%s] has no operand named %R" : "[%s] got its operand %R twice", op, name);
            return false;
        }
        operands[i] = given[positional + k];
    }
    for (int i = 0; i < n; i++)
        if (!operands[i]) {
            PyErr_Format(PyExc_TypeError, "[%s] needs the operand '%s'", op, names[i]);
            return false;
        }
    return true;
}

/* --- one function, one method and their entries for each op; one slot for each operator ----------------------------------------------------- */

#define FAST PyObject *const *given, Py_ssize_t positional, PyObject *keywords
#define OPERANDS(name, n, bound, ...)                                                                                                         \
    static const char *const names[] = {__VA_ARGS__};                                                                                        \
    if (!operands_of(#name, n, names, given, positional, keywords, bound, o)) return NULL;
#define OP1(name, doc, a)                                                                                                                     \
    static PyObject *function_##name(PyObject *module, FAST) {                                                                               \
        (void)module;                                                                                                                        \
        PyObject *o[1];                                                                                                                      \
        OPERANDS(name, 1, 0, a)                                                                                                              \
        return unary(MT_OP_##name, o[0], false);                                                                                             \
    }                                                                                                                                         \
    static PyObject *method_##name(PyObject *self, PyObject *none) {                                                                         \
        (void)none;                                                                                                                          \
        return unary(MT_OP_##name, self, false);                                                                                             \
    }
#define OP2(name, doc, a, b)                                                                                                                  \
    static PyObject *function_##name(PyObject *module, FAST) {                                                                               \
        (void)module;                                                                                                                        \
        PyObject *o[2];                                                                                                                      \
        OPERANDS(name, 2, 0, a, b)                                                                                                           \
        return binary(MT_OP_##name, o[0], o[1], false);                                                                                      \
    }                                                                                                                                         \
    static PyObject *method_##name(PyObject *self, FAST) {                                                                                   \
        PyObject *o[2] = {self};                                                                                                             \
        OPERANDS(name, 2, 1, a, b)                                                                                                           \
        return binary(MT_OP_##name, self, o[1], false);                                                                                      \
    }
#define OP3(name, doc, a, b, c)                                                                                                               \
    static PyObject *function_##name(PyObject *module, FAST) {                                                                               \
        (void)module;                                                                                                                        \
        PyObject *o[3];                                                                                                                      \
        OPERANDS(name, 3, 0, a, b, c)                                                                                                        \
        return ternary(MT_OP_##name, o);                                                                                                     \
    }
#define SLOT1(slot, name)                                                                                                                     \
    static PyObject *slot_##name(PyObject *a) { return unary(MT_OP_##name, a, true); }
#define SLOT2(slot, name)                                                                                                                     \
    static PyObject *slot_##name(PyObject *a, PyObject *b) { return binary(MT_OP_##name, a, b, true); }
#define SLOT3(slot, name)                                                                                                                     \
    static PyObject *slot_##name(PyObject *a, PyObject *b, PyObject *modulus) {                                                              \
        if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;                                                                                    \
        return binary(MT_OP_##name, a, b, true);                                                                                             \
    }
#define COMPARE(code, name)
#include "operators_gen.h"
#undef OP1
#undef OP2
#undef OP3
#undef SLOT1
#undef SLOT2
#undef SLOT3
#undef COMPARE

static PyObject *compare(PyObject *a, PyObject *b, int code) {
    static const int OPS[] = {
#define COMPARE(code, name) [Py_##code] = MT_OP_##name,
#include "operators_gen.h"
#undef COMPARE
    };
    return binary(OPS[code], a, b, true);
}

#define AS_METHOD(function) (PyCFunction)(void (*)(void))(function)
static PyMethodDef FUNCTIONS[] = {
#define OP1(name, doc, a) {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS, #name "(" a ")\n--\n\n" doc},
#define OP2(name, doc, a, b) {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS, #name "(" a ", " b ")\n--\n\n" doc},
#define OP3(name, doc, a, b, c) {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS, #name "(" a ", " b ", " c ")\n--\n\n" doc},
#include "operators_gen.h"
#undef OP1
#undef OP2
#undef OP3
    {NULL, NULL, 0, NULL}};
static PyMethodDef METHODS[] = {
#define OP1(name, doc, a) {#name, method_##name, METH_NOARGS, #name "($self)\n--\n\n" doc},
#define OP2(name, doc, a, b) {#name, AS_METHOD(method_##name), METH_FASTCALL | METH_KEYWORDS, #name "($self, " b ")\n--\n\n" doc},
#define OP3(name, doc, a, b, c)
#include "operators_gen.h"
#undef OP1
#undef OP2
#undef OP3
    {NULL, NULL, 0, NULL}};

/* --- the type ---------------------------------------------------------------------------------------------------------------------------- */

static void give_back(mt_ref ref) {
    if (atomic_load_explicit(&mt_may_block, memory_order_relaxed) == 0 && mt_release_promptly(mt_t(ref))) return;
    PyObject *kind, *error, *where;      /* what is on its way up is not for a function that Python runs for the core */
    PyErr_Fetch(&kind, &error, &where);
    Py_BEGIN_ALLOW_THREADS
    mt_release(ref);
    Py_END_ALLOW_THREADS
    PyErr_Restore(kind, error, where);
}

static void dealloc(PyObject *self) {
    tensor_object *t = (tensor_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (t->weak) PyObject_ClearWeakRefs(self);
    Py_XDECREF(t->shape);
    Py_XDECREF(t->dtype);
    if (t->ref) give_back(t->ref);
    (type == (PyTypeObject *)python.tensor ? deallocate : (freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *no_value(PyObject *self) {
    return PyErr_Format(PyExc_AttributeError, "[Tensor] this one was never made: its __init__ has failed or was not called (%R)", Py_TYPE(self));
}

static PyObject *get_ref(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? PyLong_FromLongLong(ref) : no_value(self);
}

/* 0 takes its count away from it: the caller's from now on.  Another one it owns, in place of that which it had. */
static int set_ref(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    tensor_object *t = (tensor_object *)self;
    mt_ref ref = value ? PyLong_AsLongLong(value) : 0, before = t->ref;
    if (ref == -1 && PyErr_Occurred()) return -1;
    t->ref = ref;
    Py_CLEAR(t->shape);
    Py_CLEAR(t->dtype);
    if (ref && before) give_back(before);
    return 0;
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

static PyObject *get_ndim(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? PyLong_FromLong(mt_t(ref)->ndim) : no_value(self);
}

static PyObject *get_size(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? PyLong_FromLongLong(mt_t(ref)->size) : no_value(self);
}

static PyObject *get_number(PyObject *self, void *closure) {
    (void)closure;
    mt_ref ref = ((tensor_object *)self)->ref;
    return ref ? PyLong_FromLong(mt_t(ref)->device) : no_value(self);
}

static PyGetSetDef PROPERTIES[] = {
    {"_h", get_ref, set_ref, "Its reference of the core, of which it owns one count.", NULL},
    {"shape", get_shape, NULL, "Lengths of the dimensions.", NULL},
    {"dtype", get_dtype, NULL, "The type of the elements.", NULL},
    {"strides", get_strides, NULL, "Bytes from one element to the next, for each dimension.", NULL},
    {"_number", get_number, NULL, "The core's number of its device.", NULL},
    {"ndim", get_ndim, NULL, "How many dimensions it has.", NULL},
    {"size", get_size, NULL, "How many elements it has.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef MEMBERS[] = {{"__weaklistoffset__", T_PYSSIZET, offsetof(tensor_object, weak), READONLY, NULL}, {NULL, 0, 0, 0, NULL}};

static PyType_Slot SLOTS[] = {
    {Py_tp_doc, "What a Tensor is in C: one reference of the core."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_richcompare, compare},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, PROPERTIES},
    {Py_tp_members, MEMBERS},
#define SLOT1(slot, name) {Py_##slot, slot_##name},
#define SLOT2 SLOT1
#define SLOT3 SLOT1
#include "operators_gen.h"
#undef SLOT1
#undef SLOT2
#undef SLOT3
    {Py_tp_hash, NULL},          /* by identity, as of every object: filled in below */
    {0, NULL}};
enum { HASH = sizeof SLOTS / sizeof *SLOTS - 2 };

/* --- the module --------------------------------------------------------------------------------------------------------------------------- */

static PyObject *bind(PyObject *module, PyObject *arguments, PyObject *keywords) {
    (void)module;
    enum { N = 5 };
    static char *names[N + 1] = {"tensor", "dtypes", "ndarray", "finish", "slow", NULL};
    PyObject *given[N] = {NULL}, **kept[N] = {&python.tensor, &python.dtypes, &python.ndarray, &python.finish, &python.slow};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOOO:bind", names, &given[0], &given[1], &given[2], &given[3], &given[4])) return NULL;
    for (int i = 0; i < N; i++) {
        if (!given[i]) continue;
        Py_INCREF(given[i]);
        *kept[i] = given[i];
    }
    if (given[0]) {
        allocate = (allocfunc)PyType_GetSlot((PyTypeObject *)given[0], Py_tp_alloc);
        deallocate = (freefunc)PyType_GetSlot((PyTypeObject *)given[0], Py_tp_free);
    }
    Py_RETURN_NONE;
}

static PyObject *py_wrap(PyObject *module, PyObject *ref) {
    (void)module;
    long long number = PyLong_AsLongLong(ref);
    return number == -1 && PyErr_Occurred() ? NULL : wrap(number);
}

static PyObject *numpy_dtype(int code) {      /* borrowed */
    if (!python.numpy[code]) {
        PyObject *dtype = PySequence_GetItem(python.dtypes, code), *found = dtype ? PyObject_GetAttrString(dtype, "numpy") : NULL;
        Py_XDECREF(dtype);
        if (python.numpy[code]) Py_XDECREF(found);        /* another thread was here meanwhile */
        else python.numpy[code] = found;
    }
    return python.numpy[code];
}

/* A tensor's memory as an array, for a host task: valid while the tensor is held, and nobody else is at work on it. */
static PyObject *array(PyObject *module, PyObject *ref) {
    (void)module;
    mt_tensor *t = mt_t(PyLong_AsLongLong(ref));
    if (PyErr_Occurred()) return NULL;
    static char nothing[16];
    bool lies = t->storage && t->storage->data;           /* one without elements needs no memory */
    int64_t nbytes = lies ? t->storage->nbytes : MT_ITEMSIZE[t->dtype];
    char *base = lies ? t->storage->data : t->storage ? nothing : (char *)&t->value;
    PyObject *memory = PyMemoryView_FromMemory(base, nbytes, PyBUF_WRITE), *dtype = numpy_dtype(t->dtype), *result = NULL;
    PyObject *shape = ints(t->ndim, t->shape), *strides = ints(t->ndim, t->strides), *offset = PyLong_FromLongLong(lies ? t->offset : 0);
    if (memory && dtype && shape && strides && offset)
        result = PyObject_CallFunctionObjArgs(python.ndarray, shape, dtype, memory, offset, t->size ? strides : Py_None, NULL);
    Py_XDECREF(memory);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    Py_XDECREF(offset);
    return result;
}

static PyObject *fork_prepare(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    mt_fork_announce();
    Py_BEGIN_ALLOW_THREADS
    mt_fork_prepare();
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyMethodDef MODULE_FUNCTIONS[] = {
    {"bind", AS_METHOD(bind), METH_VARARGS | METH_KEYWORDS,
     "bind($module, *, tensor=None, dtypes=None, ndarray=None, finish=None, slow=None)\n--\n\nTells what of Python is needed here."},
    {"array", array, METH_O, "array($module, ref)\n--\n\nA tensor's memory as an array, valid while the tensor is held and nobody writes to it."},
    {"fork_prepare", fork_prepare, METH_NOARGS, "fork_prepare($module)\n--\n\nJoins the workers that have nothing in hand, and takes every lock of the core."},
    {"wrap", py_wrap, METH_O, "wrap($module, ref)\n--\n\nThe Tensor of a reference, which it takes over."},
    {NULL, NULL, 0, NULL}};
static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "minitensor.backend._operators",
                                    .m_doc = "The type under Tensor, and the functions of single elements.", .m_size = -1,
                                    .m_methods = MODULE_FUNCTIONS};

/* A dict of the functions by name, of a module whose name is the one that people import them from. */
static PyObject *functions(void) {
    PyObject *all = PyDict_New(), *home = PyUnicode_FromString("minitensor.ops");
    for (PyMethodDef *d = FUNCTIONS; all && home && d->ml_name; d++) {
        PyObject *function = PyCFunction_NewEx(d, NULL, home);
        if (!function || PyDict_SetItemString(all, d->ml_name, function) < 0) Py_CLEAR(all);
        Py_XDECREF(function);
    }
    Py_XDECREF(home);
    return all;
}

PyMODINIT_FUNC PyInit__operators(void);
PyMODINIT_FUNC PyInit__operators(void) {
    SLOTS[HASH].pfunc = PyType_GetSlot(&PyBaseObject_Type, Py_tp_hash);
    PyType_Spec spec = {"minitensor.backend._operators.TensorBase", sizeof(tensor_object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, SLOTS};
    PyObject *module = PyModule_Create(&MODULE), *all = functions();
    if (!base) base = (PyTypeObject *)PyType_FromSpec(&spec);
    if (module && all && base && PyModule_AddObjectRef(module, "FUNCTIONS", all) == 0 &&
        PyModule_AddObjectRef(module, "TensorBase", (PyObject *)base) == 0) {
        Py_DECREF(all);
        return module;
    }
    Py_XDECREF(all);
    Py_XDECREF(module);
    return NULL;
}
