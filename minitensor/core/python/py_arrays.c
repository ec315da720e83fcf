/* Calls of array kernels from minitensor/ops: array_op, array_pair and array_op_into of the
 * module. */
#include "python/py_core.h"
#include "api/arrays.h"
#include "memory/allocator.h"

enum { OPERANDS = 8, NUMBERS = 8 }; /* more of them are allocated */

/* The arguments of a call, read from Python. */
typedef struct {
    mt_array_call call;
    mt_tensor *few_in[OPERANDS];
    mt_param few_param[NUMBERS];
    void *memory; /* NULL, or room for more inputs and numbers than a few */
    int device;   /* of a call without inputs */
    bool keeps_gil;
} arguments;

static bool read_tensors(arguments *a, int n, PyObject *const *given, mt_tensor **tensors) {
    for (int i = 0; i < n; i++) {
        mt_ref ref = mt_py_ref(given[i]);
        if (!ref) {
            PyErr_Format(PyExc_TypeError, "[%s] an operand must be a tensor, got %R", a->call.op,
                         given[i]);
            return false;
        }
        tensors[i] = mt_t(ref);
        a->keeps_gil &= tensors[i]->size <= MT_PY_LITTLE;
    }
    return true;
}

static bool read_numbers(arguments *a, PyObject *numbers) {
    for (int i = 0; i < a->call.n_param; i++) {
        PyObject *number = PyTuple_GetItem(numbers, i);
        if (PyFloat_Check(number)) a->call.param[i].f = PyFloat_AsDouble(number);
        else a->call.param[i].i = PyLong_AsLongLong(number);
    }
    return !PyErr_Occurred();
}

/* Reads kernel, op, numbers and tensors.  Returns false after an exception. */
static bool read_call(arguments *a, PyObject *const *head, PyObject *numbers, int n_in,
                      PyObject *const *inputs) {
    a->keeps_gil = mt_keeps_gil();
    a->memory = NULL;
    a->call.kernel = (int)PyLong_AsLong(head[0]);
    if (PyErr_Occurred() || !(a->call.op = PyUnicode_AsUTF8AndSize(head[1], NULL))) return false;
    if (a->call.kernel < 0 || a->call.kernel >= mt_array_kernels() || !PyTuple_Check(numbers)) {
        PyErr_Format(PyExc_TypeError,
                     "[%s] takes the number of an array kernel, got %R, and a "
                     "tuple of numbers",
                     a->call.op, head[0]);
        return false;
    }
    a->call.n_in = n_in, a->call.n_param = (int)PyTuple_Size(numbers);
    a->call.in = a->few_in, a->call.param = a->few_param;
    if (n_in > OPERANDS || a->call.n_param > NUMBERS) {
        size_t bytes = (size_t)n_in * sizeof *a->call.in;
        a->memory = PyMem_Malloc(bytes + (size_t)a->call.n_param * sizeof *a->call.param);
        if (!a->memory) {
            PyErr_NoMemory();
            return false;
        }
        a->call.in = a->memory, a->call.param = (mt_param *)((char *)a->memory + bytes);
    }
    return read_numbers(a, numbers) && read_tensors(a, n_in, inputs, a->call.in);
}

/* Returns what the core has returned, and frees the arguments. */
static PyObject *end_arguments(arguments *a, PyObject *result) {
    PyMem_Free(a->memory);
    return result;
}

/* array_op(kernel, op, dtype, shape, numbers, device or tensor, *tensors) */
PyObject *mt_py_array_op(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    arguments a;
    int64_t shape[MT_MAX_NDIM + 1];
    int ndim = n < 6 || !PyTuple_Check(given[3]) ? -1 : (int)PyTuple_Size(given[3]);
    if (ndim < 0) return PyErr_Format(PyExc_TypeError, "[array_op] takes at least 6 arguments");
    bool has_inputs = !PyLong_Check(given[5]);
    long device = has_inputs ? 0 : PyLong_AsLong(given[5]), dtype = PyLong_AsLong(given[2]);
    if (!read_call(&a, given, given[4], has_inputs ? (int)n - 5 : 0, given + 5))
        return end_arguments(&a, NULL);
    int64_t size = 1;
    for (int d = 0; d < ndim && d <= MT_MAX_NDIM; d++)
        size *= (shape[d] = PyLong_AsLongLong(PyTuple_GetItem(given[3], d)));
    if (dtype < 0 || dtype >= MT_NUM_DTYPES || device < 0 || device >= MT_MAX_DEVICES)
        PyErr_Format(PyExc_ValueError, "[%s] no such dtype or device", a.call.op);
    if (PyErr_Occurred()) return end_arguments(&a, NULL);
    if (has_inputs) device = a.call.in[0]->device;
    mt_ref result;
    if (!mt_array_kernel_has(a.call.kernel, (int)device,
                             has_inputs ? a.call.in[0]->dtype : (int)dtype)) {
        Py_INCREF(Py_None);
        return end_arguments(&a, Py_None);
    }
    MT_PY_CALL(a.keeps_gil && size <= MT_PY_LITTLE,
               result = mt_array_op(&a.call, (int)device, (int)dtype, ndim, shape))
    return end_arguments(&a, mt_py_finished(result));
}

/* Reads a shape; returns its number of dimensions, or -1: it is no shape of a tensor. */
static int read_shape(PyObject *given, int64_t *shape) {
    Py_ssize_t n = PyTuple_Check(given) ? PyTuple_Size(given) : -1;
    if (n < 0 || n > MT_MAX_NDIM) return -1;
    for (Py_ssize_t d = 0; d < n; d++)
        if ((shape[d] = PyLong_AsLongLong(PyTuple_GetItem(given, d))) < 0) return -1;
    return mt_size((int)n, shape) < 0 ? -1 : (int)n;
}

/* array_pair(kernel, op, dtypes, shape, numbers, *tensors) */
PyObject *mt_py_array_pair(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    arguments a;
    enum { PAIR = 2 };
    int64_t shape[MT_MAX_NDIM];
    mt_tensor *out[PAIR];
    PyObject *pair = NULL;
    if (n < 6) return PyErr_Format(PyExc_TypeError, "[array_pair] takes at least 6 arguments");
    if (!read_call(&a, given, given[4], (int)n - 5, given + 5)) return end_arguments(&a, NULL);
    const mt_tensor *first = a.call.in[0];
    int ndim = read_shape(given[3], shape);
    bool known = ndim >= 0 && mt_array_kernel_has(a.call.kernel, first->device, first->dtype) &&
                 !mt_devices[first->device].lost && (pair = PyTuple_New(PAIR));
    for (int i = 0; known && i < PAIR; i++) {
        long dtype = PyLong_AsLong(PyTuple_GetItem(given[2], i));
        mt_ref ref = mt_empty(first->device, (int)dtype, ndim, shape);
        if (ref < 0) ref = mt_py_end_of(ref);
        out[i] = ref ? mt_t(ref) : NULL;
        PyObject *result = ref ? mt_py_wrap(ref) : NULL;
        known = result && PyTuple_SetItem(pair, i, result) == 0;
    }
    if (!known) {
        Py_XDECREF(pair);
        if (PyErr_Occurred()) return end_arguments(&a, NULL);
        Py_INCREF(Py_None);
        return end_arguments(&a, Py_None);
    }
    mt_ref result;
    MT_PY_CALL(a.keeps_gil, result = mt_array_op_into(&a.call, PAIR, out))
    if (result < 0) result = mt_py_end_of(result);
    if (result) {
        MT_PY_CALL(a.keeps_gil, mt_release(result))
    } else Py_CLEAR(pair);
    return end_arguments(&a, pair);
}

/* array_op_into(kernel, op, targets, numbers, *tensors) */
PyObject *mt_py_array_op_into(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    arguments a;
    mt_tensor *out[OPERANDS];
    PyObject *targets[OPERANDS];
    int n_out = n < 4 || !PyTuple_Check(given[2]) ? 0 : (int)PyTuple_Size(given[2]);
    if (n_out < 1 || n_out > OPERANDS)
        return PyErr_Format(PyExc_TypeError, "[array_op_into] takes a tuple of 1 to %d targets",
                            OPERANDS);
    for (int i = 0; i < n_out; i++) targets[i] = PyTuple_GetItem(given[2], i);
    if (!read_call(&a, given, given[3], (int)n - 4, given + 4) ||
        !read_tensors(&a, n_out, targets, out))
        return end_arguments(&a, NULL);
    const mt_tensor *first = a.call.n_in ? a.call.in[0] : out[0];
    if (!mt_array_kernel_has(a.call.kernel, out[0]->device, first->dtype)) {
        Py_INCREF(Py_None);
        return end_arguments(&a, Py_None);
    }
    mt_ref result;
    MT_PY_CALL(a.keeps_gil, result = mt_array_op_into(&a.call, n_out, out))
    if (result < 0) result = mt_py_end_of(result);
    if (result) {
        MT_PY_CALL(a.keeps_gil, mt_release(result))
        Py_INCREF(targets[0]);
    }
    return end_arguments(&a, result ? targets[0] : NULL);
}
