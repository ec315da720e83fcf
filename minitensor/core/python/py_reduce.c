/* Reductions called from Python: the functions of ops and the methods of Tensor.
 *
 * A sum of ten elements takes less time than the interpreter takes to look at its arguments.  So
 * the common calls are read here: a tensor; an axis that is None, an int or a tuple of ints;
 * keepdims as a bool; a dtype that is one of ours.  Every other call, and one that the core refuses
 * or that has no kernel, goes to the Python function of the op (minitensor/ops/reduce.py), which
 * knows all spellings and raises the errors. */
#include "python/py_core.h"

enum { HAS_DTYPE = 1, HAS_DDOF = 2 };

/* The reductions, in the order of their functions and methods below: name, op, arguments. */
#define REDUCTIONS(X)                                                                              \
    X(sum, sum, HAS_DTYPE)                                                                         \
    X(prod, prod, HAS_DTYPE)                                                                       \
    X(mean, mean, HAS_DTYPE)                                                                       \
    X(amin, amin, 0)                                                                               \
    X(amax, amax, 0)                                                                               \
    X(any, any, 0)                                                                                 \
    X(all, all, 0)                                                                                 \
    X(argmin, argmin, 0)                                                                           \
    X(argmax, argmax, 0)                                                                           \
    X(var, var, HAS_DDOF)                                                                          \
    X(std, std, HAS_DDOF)                                                                          \
    X(min, amin, 0)                                                                                \
    X(max, amax, 0)

enum {
#define X(name, op, has) AT_##name,
    REDUCTIONS(X)
#undef X
        N_REDUCTIONS
};
static const int OPS[] = {
#define X(name, op, has) MT_OP_##op,
    REDUCTIONS(X)
#undef X
};
static const int HAS[] = {
#define X(name, op, has) has,
    REDUCTIONS(X)
#undef X
};
static PyObject *in_python[N_REDUCTIONS];

/* --- arguments -------------------------------------------------------------------------------- */

typedef struct {
    uint64_t axes;
    int keepdims, dtype;
    double ddof;
} request;

/* Adds one axis of n; returns false if it is no int of these, or there already. */
static bool read_axis(request *r, PyObject *axis, int n) {
    if (!PyLong_CheckExact(axis)) return false;
    int beyond;
    long i = PyLong_AsLongAndOverflow(axis, &beyond);
    if (beyond || i < -n || i >= n) return false;
    i += i < 0 ? n : 0;
    if (r->axes >> i & 1) return false;
    r->axes |= (uint64_t)1 << i;
    return true;
}

static bool read_axes(request *r, PyObject *axis, int n) {
    if (axis == Py_None) return true; /* all, as by default */
    r->axes = 0;
    if (!PyTuple_CheckExact(axis)) return read_axis(r, axis, n);
    Py_ssize_t some = PyTuple_Size(axis);
    for (Py_ssize_t i = 0; i < some; i++)
        if (!read_axis(r, PyTuple_GetItem(axis, i), n)) return false;
    return some > 0;
}

static bool read_dtype(request *r, PyObject *dtype) {
    if (dtype == Py_None) return true;
    for (r->dtype = 0; r->dtype < MT_NUM_DTYPES; r->dtype++)
        if (PyTuple_GetItem(python.dtypes, r->dtype) == dtype) return true;
    return false;
}

static bool read_keepdims(request *r, PyObject *keepdims) {
    r->keepdims = keepdims == Py_True;
    return keepdims == Py_True || keepdims == Py_False;
}

static bool read_ddof(request *r, PyObject *ddof) {
    if (!PyLong_CheckExact(ddof)) return false;
    int beyond;
    r->ddof = (double)PyLong_AsLongAndOverflow(ddof, &beyond);
    return !beyond;
}

enum { AXIS, DDOF, KEEPDIMS, DTYPE, ARGUMENTS };

/* Returns which argument a keyword names, or ARGUMENTS. */
static int argument_of(PyObject *keyword) {
    static const struct {
        const char *name;
        int argument;
    } NAMES[] = {{"axis", AXIS},   {"dim", AXIS},  {"keepdims", KEEPDIMS}, {"keepdim", KEEPDIMS},
                 {"dtype", DTYPE}, {"ddof", DDOF}, {"dims", AXIS},         {"keep_dims", KEEPDIMS}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, NAMES[i].name) == 0) return NAMES[i].argument;
    return ARGUMENTS;
}

/* Reads the arguments after the tensor.  Returns false if Python has to. */
static bool read_request(request *r, int has, int ndim, PyObject *const *given, Py_ssize_t n,
                         PyObject *keywords) {
    PyObject *arguments[ARGUMENTS] = {NULL};
    Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;
    if (n > (has & HAS_DDOF ? 3 : 2)) return false;
    for (Py_ssize_t i = 0; i < n; i++) arguments[i > 0 && !(has & HAS_DDOF) ? i + 1 : i] = given[i];
    for (Py_ssize_t k = 0; k < named; k++) {
        int argument = argument_of(PyTuple_GetItem(keywords, k));
        if (argument == ARGUMENTS || arguments[argument]) return false;
        arguments[argument] = given[n + k];
    }
    r->axes = ndim ? ~(uint64_t)0 >> (64 - ndim) : 0;
    r->keepdims = 0, r->dtype = -1, r->ddof = 0;
    if (arguments[DTYPE] && !(has & HAS_DTYPE && read_dtype(r, arguments[DTYPE]))) return false;
    if (arguments[DDOF] && !(has & HAS_DDOF && read_ddof(r, arguments[DDOF]))) return false;
    return (!arguments[AXIS] || read_axes(r, arguments[AXIS], ndim)) &&
           (!arguments[KEEPDIMS] || read_keepdims(r, arguments[KEEPDIMS]));
}

/* --- calls ------------------------------------------------------------------------------------ */

static PyObject *call_python(int which, PyObject *self, PyObject *const *given, Py_ssize_t n,
                             PyObject *keywords) {
    int bound = self ? 1 : 0;
    PyObject *arguments = PyTuple_New(n + bound), *named = keywords ? PyDict_New() : NULL,
             *result = NULL;
    bool good = arguments && (named || !keywords);
    if (good && self) {
        Py_INCREF(self);
        PyTuple_SetItem(arguments, 0, self);
    }
    for (Py_ssize_t i = 0; good && i < n; i++) {
        Py_INCREF(given[i]);
        PyTuple_SetItem(arguments, i + bound, given[i]);
    }
    for (Py_ssize_t k = 0; good && keywords && k < PyTuple_Size(keywords); k++)
        good = PyDict_SetItem(named, PyTuple_GetItem(keywords, k), given[n + k]) == 0;
    if (good) result = PyObject_Call(in_python[which], arguments, named);
    Py_XDECREF(arguments);
    Py_XDECREF(named);
    return result;
}

/* Calls a reduction; a method has `self`. */
static PyObject *reduce(int which, PyObject *self, PyObject *const *given, Py_ssize_t n,
                        PyObject *keywords) {
    int first = self ? 0 : 1;
    PyObject *input = self ? self : n > 0 ? given[0] : NULL;
    mt_ref x = input ? mt_py_ref(input) : 0, result;
    request r;
    if (!x || !read_request(&r, HAS[which], mt_t(x)->ndim, given + first, n - first, keywords))
        return call_python(which, self, given, n, keywords);
    bool keep = mt_t(x)->size <= MT_PY_LITTLE && mt_keeps_gil();
    MT_PY_CALL(keep, result = mt_reduce(OPS[which], x, r.axes, r.keepdims, r.dtype, r.ddof))
    if (result < 0 && mt_call_status(result) != MT_QUEUE) {
        MT_PY_CALL(false, mt_call_drop(result))
        return call_python(which, self, given, n, keywords);
    }
    return mt_py_finished(result);
}

#define X(name, op, has)                                                                           \
    static PyObject *function_##name(PyObject *module, PyObject *const *given, Py_ssize_t n,       \
                                     PyObject *keywords) {                                         \
        (void)module;                                                                              \
        return reduce(AT_##name, NULL, given, n, keywords);                                        \
    }                                                                                              \
    static PyObject *method_##name(PyObject *self, PyObject *const *given, Py_ssize_t n,           \
                                   PyObject *keywords) {                                           \
        return reduce(AT_##name, self, given, n, keywords);                                        \
    }
REDUCTIONS(X)
#undef X

static PyMethodDef functions[] = {
#define X(name, op, has) {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS, NULL},
    REDUCTIONS(X)
#undef X
};
static PyMethodDef methods[] = {
#define X(name, op, has) {#name, AS_METHOD(method_##name), METH_FASTCALL | METH_KEYWORDS, NULL},
    REDUCTIONS(X)
#undef X
};

/* Gives a definition its signature and the documentation of the Python function; both stay. */
static bool document(PyMethodDef *definition, const char *first, int has, PyObject *function) {
    PyObject *doc = PyObject_GetAttrString(function, "__doc__"),
             *text = doc ? PyUnicode_FromFormat("%s(%s, axis=None, %skeepdims=False%s)\n--\n\n%S",
                                                definition->ml_name, first,
                                                has & HAS_DDOF ? "ddof=0, " : "",
                                                has & HAS_DTYPE ? ", *, dtype=None" : "", doc)
                         : NULL;
    Py_XDECREF(doc);
    definition->ml_doc = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    return definition->ml_doc != NULL;
}

PyObject *mt_py_reductions(PyObject *module, PyObject *by_name) {
    (void)module;
    PyObject *made = PyDict_New(), *home = PyUnicode_FromString("minitensor.ops");
    for (int i = 0; made && home && i < N_REDUCTIONS; i++) {
        PyObject *function = PyDict_GetItemString(by_name, functions[i].ml_name), *pair = NULL;
        if (!function) continue;
        if (document(&functions[i], "input", HAS[i], function) &&
            document(&methods[i], "$self", HAS[i], function))
            pair = Py_BuildValue("(NN)", PyCFunction_NewEx(&functions[i], NULL, home),
                                 PyDescr_NewMethod(mt_tensor_base, &methods[i]));
        if (!pair || PyDict_SetItemString(made, functions[i].ml_name, pair) < 0) Py_CLEAR(made);
        Py_XDECREF(pair);
        Py_INCREF(function);
        Py_XDECREF(in_python[i]);
        in_python[i] = function;
    }
    Py_XDECREF(home);
    return made;
}

/* --- sums of something else: fast ways (see py_fast.c) ---------------------------------------- */

/* Returns the sum of all elements of what a call of the core has returned, which is given back; a
 * reference, or 0 after an exception. */
static mt_ref whole_sum(mt_ref of, bool keep) {
    mt_ref sum;
    if (of < 0) of = mt_py_end_of(of);
    if (!of) return 0;
    int ndim = mt_t(of)->ndim;
    uint64_t axes = ndim ? ~(uint64_t)0 >> (64 - ndim) : 0;
    MT_PY_CALL(keep, sum = mt_reduce(MT_OP_sum, of, axes, 0, -1, 0))
    if (sum < 0) sum = mt_py_end_of(sum);
    mt_py_give_back(of);
    return sum;
}

/* Returns the only argument, if that is a tensor of a dtype with kernels; 0: Python has to. */
static mt_ref only_tensor(PyObject *const *given, Py_ssize_t n, PyObject *names, bool *keep) {
    mt_ref x = n == 1 && !names ? mt_py_ref(given[0]) : 0;
    if (!x || !MT_HAS_KERNELS[mt_t(x)->dtype] || !mt_t(x)->storage) return 0;
    if (!(mt_devices[mt_t(x)->device].flags & MT_DEVICE_NATIVE)) return 0;
    *keep = mt_t(x)->size <= MT_PY_LITTLE && mt_keeps_gil();
    return x;
}

static PyObject *count_nonzero(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    mt_tensor zero = {.size = 1, .device = -1, .weak = MT_ON_STACK, .dtype = MT_DT_int64};
    bool keep;
    mt_ref x = only_tensor(given, n, names, &keep), found;
    if (!x) return NULL;
    MT_PY_CALL(keep, found = mt_binary(MT_OP_ne, x, mt_ref_of(&zero)))
    found = whole_sum(found, keep);
    return found ? mt_py_wrap(found) : NULL;
}

/* norm(t): the root of the sum of squares, of floats. */
static PyObject *norm(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    bool keep;
    mt_ref x = only_tensor(given, n, names, &keep), squares, root;
    if (!x || MT_KIND[mt_t(x)->dtype] != 'f') return NULL;
    MT_PY_CALL(keep, squares = mt_unary(MT_OP_square, x))
    mt_ref sum = whole_sum(squares, keep);
    if (!sum) return NULL;
    MT_PY_CALL(keep, root = mt_unary(MT_OP_sqrt, sum))
    PyObject *result = mt_py_finished(root);
    mt_py_give_back(sum);
    return result;
}

const mt_py_fast_entry mt_py_fast_sums[] = {
    {"count_nonzero", count_nonzero}, {"norm", norm}, {NULL, NULL}};
