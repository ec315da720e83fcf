/* New tensors of numbers: empty, filled, range and make of the module.
 *
 * A short creation costs less than the check of its arguments in Python.  So the functions read the
 * arguments that programs usually give (ints or a tuple of them for the size, a dtype of
 * minitensor, the current device) and return None for all others.  The caller in Python then
 * checks and converts them, and calls again with the results. */
#include <math.h>

#include "python/py_core.h"
#include "api/arrays.h"
#include "api/create.h"
#include "generated/array_codes.h"

/* Bytes of a result that the caller's thread computes itself: a worker would take longer to wake
 * up. */
enum { FILLS_AT_ONCE = 1 << 20, MAKES_AT_ONCE = 1 << 16 };

/* What all calls have: where the tensor goes, and what it is. */
typedef struct {
    int device, dtype, ndim;
    int64_t shape[MT_MAX_NDIM], size;
} place;

/* The number of the device of new tensors; -1: unknown.  Guarded by the GIL. */
static int current_device = -1;

int mt_py_device(void) { return current_device; }

PyObject *mt_py_current_device(PyObject *module, PyObject *number) {
    (void)module;
    long device = PyLong_AsLong(number);
    if (PyErr_Occurred()) return NULL;
    current_device = (int)device;
    Py_RETURN_NONE;
}

static PyObject *none(void) { Py_RETURN_NONE; }

static bool one_length(PyObject *length, int64_t *value) {
    int beyond = 0;
    if (!PyLong_CheckExact(length)) return false;
    *value = PyLong_AsLongLongAndOverflow(length, &beyond);
    return !beyond && *value >= 0;
}

/* Reads an int, or a tuple or a list of ints. */
static bool read_size(place *p, PyObject *size) {
    p->ndim = 1;
    if (PyLong_CheckExact(size)) return one_length(size, p->shape);
    bool tuple = PyTuple_CheckExact(size);
    if (!tuple && !PyList_CheckExact(size)) return false;
    Py_ssize_t n = tuple ? PyTuple_Size(size) : PyList_Size(size);
    if (n > MT_MAX_NDIM) return false;
    p->ndim = (int)n;
    for (Py_ssize_t d = 0; d < n; d++)
        if (!one_length(tuple ? PyTuple_GetItem(size, d) : PyList_GetItem(size, d), p->shape + d))
            return false;
    return true;
}

/* Reads size, dtype and place; `natural` is the dtype in place of None.  False: Python is to
 * check them. */
static bool read_place(place *p, PyObject *size, PyObject *dtype, PyObject *where, int natural) {
    mt_ref like = where == Py_None || PyLong_CheckExact(where) ? 0 : mt_py_ref(where);
    if (like) {
        const mt_tensor *t = mt_t(like);
        if (dtype != Py_None && t->device != current_device) return false;
        p->device = t->device, p->ndim = t->ndim, natural = t->dtype;
        memcpy(p->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
    } else {
        if (where == Py_None) p->device = current_device;
        else if (PyLong_CheckExact(where)) p->device = (int)PyLong_AsLong(where);
        else return false;
        if (!read_size(p, size)) return false;
    }
    p->dtype = dtype == Py_None ? natural : mt_py_dtype(dtype);
    if (p->device < 0 || p->device >= atomic_load(&mt_device_count) || p->dtype < 0) return false;
    p->size = mt_size(p->ndim, p->shape);
    if (atomic_load_explicit(&mt_devices[p->device].lost, memory_order_relaxed)) return false;
    return p->size >= 0 && mt_array_kernel_has(MT_ARRAY_fill, p->device, p->dtype);
}

static PyObject *made(int kernel, const char *op, const place *p, int n, mt_param *numbers) {
    if (!mt_array_kernel_has(kernel, p->device, p->dtype)) return none();
    mt_array_call call = {.kernel = kernel, .op = op, .param = numbers, .n_param = n};
    mt_ref result;
    MT_PY_CALL(p->size <= MT_PY_LITTLE && mt_keeps_gil(),
               result =
                   mt_make(&call, p->device, p->dtype, p->ndim, p->shape,
                           kernel == MT_ARRAY_fill || kernel == MT_ARRAY_range ? FILLS_AT_ONCE
                                                                               : MAKES_AT_ONCE))
    return mt_py_finished(result);
}

static PyObject *wrong_number(const char *name) {
    return PyErr_Format(PyExc_TypeError, "[%s] takes another number of arguments", name);
}

static PyObject *empty_at(PyObject *size, PyObject *dtype, PyObject *where) {
    place p;
    if (!read_place(&p, size, dtype, where, MT_DT_float32)) return none();
    mt_ref result;
    MT_PY_CALL(p.size <= MT_PY_LITTLE && mt_keeps_gil(),
               result = mt_empty(p.device, p.dtype, p.ndim, p.shape))
    return mt_py_finished(result);
}

PyObject *mt_py_empty(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    return n == 3 ? empty_at(given[0], given[1], given[2]) : wrong_number("empty");
}

/* Writes the element that the dtype has for a Python number.  False: the number is of another
 * kind than the dtype, or the core has no such cast. */
static bool read_element(PyObject *value, int dtype, mt_param *element) {
    union {
        uint8_t b;
        int64_t i;
        double f;
    } number;
    int from, beyond = 0;
    if (PyBool_Check(value)) number.b = value == Py_True, from = MT_DT_bool;
    else if (PyLong_CheckExact(value)) {
        number.i = PyLong_AsLongLongAndOverflow(value, &beyond), from = MT_DT_int64;
    } else if (PyFloat_CheckExact(value)) number.f = PyFloat_AsDouble(value), from = MT_DT_float64;
    else return false;
    memset(element, 0, 2 * sizeof *element);
    if (from == MT_DT_int64 && !beyond && number.i == 0) return true; /* no bit in any dtype */
    mt_cast_fn cast = mt_cast_find(from, dtype);
    bool to_ints = from == MT_DT_float64 && MT_KIND[dtype] != 'f';
    if (beyond || !cast || to_ints) return false;
    cast((char *)element, MT_ITEMSIZE[dtype], (const char *)&number, 8, 1);
    return true;
}

static int natural_dtype(PyObject *value) {
    return PyBool_Check(value) ? MT_DT_bool : PyLong_Check(value) ? MT_DT_int64 : MT_DT_float32;
}

static PyObject *filled_at(const char *op, PyObject *size, PyObject *value, PyObject *dtype,
                           PyObject *where, int natural) {
    place p;
    mt_param element[2];
    if (!read_place(&p, size, dtype, where, natural) || !read_element(value, p.dtype, element))
        return none();
    if (element[0].i == 0 && element[1].i == 0) {
        mt_ref zeros = mt_zero_pages(p.device, p.dtype, p.ndim, p.shape);
        if (zeros) return mt_py_wrap(zeros);
    }
    return made(MT_ARRAY_fill, op, &p, 2, element);
}

PyObject *mt_py_filled(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 5) return wrong_number("filled");
    const char *op = PyUnicode_AsUTF8AndSize(given[0], NULL);
    return op ? filled_at(op, given[1], given[2], given[3], given[4], natural_dtype(given[2]))
              : NULL;
}

/* Reads the length of a range of floats, as NumPy counts it; false: none that fits. */
static bool float_range(place *p, const double *ends, mt_param *numbers) {
    double span = ends[1] - ends[0], length = ceil(span / ends[2]);
    bool lost = span != 0 && span / ends[2] == 0; /* the quotient is below the least number */
    if (!(length < 0x1p62) || lost) return false; /* NaN, too */
    p->shape[0] = length > 0 ? (int64_t)length : 0;
    numbers[0].f = ends[0];
    numbers[5].f = ends[0] + ends[2];
    numbers[1].f = numbers[5].f - ends[0];
    return MT_KIND[p->dtype] == 'f';
}

/* Reads the length of a range of ints; false: it is for Python to count. */
static bool int_range(place *p, const int64_t *ends, mt_param *numbers) {
    int64_t span, step = ends[2];
    if (__builtin_sub_overflow(ends[1], ends[0], &span) || step == INT64_MIN) return false;
    bool none = step > 0 ? span <= 0 : span >= 0;
    p->shape[0] = none ? 0 : 1 + (step > 0 ? (span - 1) / step : (span + 1) / step);
    numbers[0].i = ends[0];
    numbers[1].i = step;
    return true;
}

/* given: start, end, step, dtype, place */
static PyObject *range_of(PyObject *const *given) {
    place p;
    int64_t ints[3];
    double floats[3];
    mt_param numbers[6] = {{0}, {0}, {1}, {0}, {0}, {0}};
    for (int i = 0, beyond = 0; i < 3; i++) {
        if (PyLong_CheckExact(given[i])) {
            ints[i] = PyLong_AsLongLongAndOverflow(given[i], &beyond);
            if (beyond) return none();
            floats[i] = (double)ints[i];
        } else if (PyFloat_CheckExact(given[i])) {
            floats[i] = PyFloat_AsDouble(given[i]);
            numbers[2].i = 0;
        } else return none();
    }
    bool of_ints = numbers[2].i;
    PyObject *size = PyTuple_New(0);
    bool known =
        size && read_place(&p, size, given[3], given[4], of_ints ? MT_DT_int64 : MT_DT_float32);
    Py_XDECREF(size);
    if (!size) return NULL;
    p.ndim = 1;
    if (!known || floats[2] == 0 ||
        !(of_ints ? int_range(&p, ints, numbers) : float_range(&p, floats, numbers)))
        return none();
    p.size = p.shape[0];
    return made(MT_ARRAY_range, "arange", &p, 6, numbers);
}

PyObject *mt_py_range(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    return n == 5 ? range_of(given) : wrong_number("range");
}

/* Reads a float, an int, or the next int of an iterator, modulo 2^64.  False: an exception. */
static bool read_number(PyObject *number, mt_param *to) {
    if (PyFloat_Check(number)) {
        to->f = PyFloat_AsDouble(number);
        return true;
    }
    PyObject *next = PyLong_Check(number) ? NULL : PyIter_Next(number);
    to->i = (int64_t)PyLong_AsUnsignedLongLongMask(next ? next : number);
    Py_XDECREF(next);
    return !PyErr_Occurred();
}

PyObject *mt_py_make(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    enum { NUMBERS = 8 };
    place p;
    mt_param numbers[NUMBERS];
    if (n != 6 || !PyTuple_Check(given[5]) || PyTuple_Size(given[5]) > NUMBERS)
        return wrong_number("make");
    const char *op = PyUnicode_AsUTF8AndSize(given[1], NULL);
    long kernel = PyLong_AsLong(given[0]);
    if (PyErr_Occurred()) return NULL;
    if (kernel < 0 || kernel >= mt_array_kernels() ||
        !read_place(&p, given[2], given[3], given[4], MT_DT_float32) ||
        !mt_array_kernel_has((int)kernel, p.device, p.dtype))
        return none();
    int count = (int)PyTuple_Size(given[5]);
    for (int i = 0; i < count; i++)
        if (!read_number(PyTuple_GetItem(given[5], i), numbers + i)) return NULL;
    return made((int)kernel, op, &p, count, numbers);
}

/* --- fast ways of the functions (see py_fast.c) ----------------------------------------------- */

/* Returns what a creation has returned; NULL without an exception for None. */
static PyObject *if_made(PyObject *result) {
    if (result != Py_None) return result;
    Py_DECREF(result);
    return NULL;
}

/* Reads up to four arguments, None for those that are missing; false: Python has to. */
static bool read_arguments(PyObject *const *given, Py_ssize_t n, PyObject *names, int positional,
                           const char *const *parameters, PyObject **values) {
    if (!mt_py_arguments(given, n, names, positional, parameters, values) || !values[0])
        return false;
    for (int i = 0; parameters[i]; i++)
        if (!values[i]) values[i] = Py_None;
    return true;
}

static PyObject *of_number(const char *op, long number, PyObject *const *given, Py_ssize_t n,
                           PyObject *names) {
    static const char *const PARAMETERS[] = {"size", "dtype", NULL};
    PyObject *values[2], *value = PyLong_FromLong(number), *result = NULL;
    if (value && read_arguments(given, n, names, 2, PARAMETERS, values))
        result = if_made(filled_at(op, values[0], value, values[1], Py_None, MT_DT_float32));
    Py_XDECREF(value);
    return result;
}

static PyObject *zeros(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return of_number("zeros", 0, given, n, names);
}

static PyObject *ones(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return of_number("ones", 1, given, n, names);
}

static PyObject *full(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"size", "fill_value", "dtype", NULL};
    PyObject *v[3];
    if (!read_arguments(given, n, names, 2, PARAMETERS, v)) return NULL;
    return if_made(filled_at("full", v[0], v[1], v[2], Py_None, natural_dtype(v[1])));
}

/* A tensor that is the only argument by position has the shape, and without a dtype the dtype. */
static PyObject *like(const char *op, long number, PyObject *const *given, Py_ssize_t n,
                      PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "dtype", NULL};
    PyObject *v[2], *value = PyLong_FromLong(number), *result = NULL;
    if (value && read_arguments(given, n, names, 1, PARAMETERS, v) && mt_py_ref(v[0]))
        result = if_made(filled_at(op, Py_None, value, v[1], v[0], MT_DT_float32));
    Py_XDECREF(value);
    return result;
}

static PyObject *zeros_like(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return like("zeros_like", 0, given, n, names);
}

static PyObject *ones_like(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return like("ones_like", 1, given, n, names);
}

/* empty(size, dtype=None); its Python takes several ints, too. */
static PyObject *empty(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"", "dtype", NULL};
    PyObject *v[2];
    if (!read_arguments(given, n, names, 1, PARAMETERS, v)) return NULL;
    return if_made(empty_at(v[0], v[1], Py_None));
}

static PyObject *arange(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"start", "end", "step", "dtype", NULL};
    PyObject *v[4];
    if (!mt_py_arguments(given, n, names, 3, PARAMETERS, v) || !v[0]) return NULL;
    PyObject *zero = PyLong_FromLong(0), *one = PyLong_FromLong(1), *result = NULL;
    bool whole = !v[1] || v[1] == Py_None; /* arange(end) */
    if (zero && one)
        result =
            if_made(range_of((PyObject *[]){whole ? zero : v[0], whole ? v[0] : v[1],
                                            v[2] ? v[2] : one, v[3] ? v[3] : Py_None, Py_None}));
    Py_XDECREF(zero);
    Py_XDECREF(one);
    return result;
}

const mt_py_fast_entry mt_py_fast_create[] = {
    {"zeros", zeros},         {"ones", ones},   {"full", full},     {"zeros_like", zeros_like},
    {"ones_like", ones_like}, {"empty", empty}, {"arange", arange}, {NULL, NULL}};
