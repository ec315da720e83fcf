/* concat and stack of everyday operands, in one call from Python: join(op, tensors, axis, stacked)
 * of the module. */
#include "python/py_views.h"
#include "api/arrays.h"
#include "generated/array_codes.h"

/* Returns true if `t` fits beside `first`: same dtype and device, and a shape that differs along
 * the axis at most. */
static bool fits(const mt_tensor *first, const mt_tensor *t, int axis, bool stacked) {
    if (t->dtype != first->dtype || t->device != first->device || t->ndim != first->ndim)
        return false;
    for (int d = 0; d < t->ndim; d++)
        if (t->shape[d] != first->shape[d] && (stacked || d != axis)) return false;
    return true;
}

/* Returns the joined tensor; None: the operands have to be converted or are wrong, which Python
 * does or says. */
static PyObject *join(const char *op, PyObject *tensors, int axis, bool stacked) {
    enum { FEW = 16 };
    mt_tensor *few[FEW], **in = few;
    mt_param numbers[2] = {{.i = 0}, {.i = stacked}};
    mt_array_call call = {.kernel = MT_ARRAY_join, .op = op, .param = numbers, .n_param = 2};
    int64_t shape[MT_MAX_NDIM + 1], size = 0, length = 0;
    bool keep = mt_keeps_gil(), ready = true;
    int n = call.n_in = (int)PyTuple_Size(tensors);
    if (n > FEW && !(in = PyMem_Malloc((size_t)n * sizeof(mt_tensor *)))) return PyErr_NoMemory();
    for (int i = 0; i < n && ready; i++) {
        mt_ref ref = mt_py_ref(PyTuple_GetItem(tensors, i));
        if (!(ready = ref != 0)) break;
        in[i] = mt_t(ref);
        int ndim = in[0]->ndim + stacked;
        if (i == 0 && axis < 0) axis += ndim;
        ready =
            axis >= 0 && axis < ndim && ndim <= MT_MAX_NDIM && fits(in[0], in[i], axis, stacked);
        size += in[i]->size;
        length += !ready ? 0 : stacked ? 1 : in[i]->shape[axis];
    }
    PyObject *result = Py_None;
    if (ready && n > 0 && mt_array_kernel_has(call.kernel, in[0]->device, in[0]->dtype)) {
        int ndim = in[0]->ndim + stacked;
        for (int d = 0, k = 0; d < ndim; d++)
            if (d == axis) shape[d] = length, k += !stacked;
            else shape[d] = in[0]->shape[k++];
        mt_ref ref;
        call.in = in, numbers[0].i = axis, keep &= size <= MT_PY_LITTLE;
        MT_PY_CALL(keep, ref = mt_array_op(&call, in[0]->device, in[0]->dtype, ndim, shape))
        result = mt_py_finished(ref);
    } else Py_INCREF(result);
    if (in != few) PyMem_Free(in);
    return result;
}

/* join(op, tensors, axis, stacked) */
PyObject *mt_py_join(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    const char *op = n == 4 ? PyUnicode_AsUTF8AndSize(given[0], NULL) : NULL;
    if (!op) return PyErr_Format(PyExc_TypeError, "[join] takes four arguments");
    int beyond = 0;
    long axis = PyLong_CheckExact(given[2]) ? PyLong_AsLongAndOverflow(given[2], &beyond) : 99;
    /* A list may change while the core computes without the GIL. */
    PyObject *tensors = PyList_CheckExact(given[1]) ? PyList_AsTuple(given[1]) : given[1], *result;
    if (tensors && (beyond || axis > 99 || axis < -99 || !PyTuple_CheckExact(tensors))) {
        Py_INCREF(result = Py_None);
    } else {
        result = tensors ? join(op, tensors, (int)axis, given[3] == Py_True) : NULL;
    }
    if (tensors != given[1]) Py_XDECREF(tensors);
    return result;
}

/* The fast way of repeat_interleave(input, repeats, axis=None) with one number of repeats. */
static PyObject *repeat_interleave(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "repeats", "axis", NULL};
    PyObject *v[3];
    int64_t shape[MT_MAX_NDIM], times, row = 1;
    int axis = 0;
    if (!mt_py_arguments(given, n, names, 3, PARAMETERS, v) || !v[0] || !v[1]) return NULL;
    mt_ref ref = mt_py_ref(v[0]), result;
    mt_tensor *t = ref ? mt_t(ref) : NULL;
    bool whole = !v[2] || v[2] == Py_None;
    if (!t || !mt_contiguous(t) || !mt_py_int(v[1], &times) || times < 0) return NULL;
    if (!whole && !mt_py_axis(v[2], t->ndim, &axis)) return NULL;
    int ndim = whole ? 1 : t->ndim;
    for (int d = 0; d < ndim; d++) shape[d] = whole ? t->size : t->shape[d];
    int64_t length = shape[axis];
    if (__builtin_mul_overflow(length, times, &shape[axis]) || mt_size(ndim, shape) < 0)
        return NULL;
    for (int d = axis; d < ndim; d++) row *= shape[d];
    mt_param numbers[3] = {{.i = length}, {.i = row}, {.i = times}};
    mt_array_call call = {.kernel = MT_ARRAY_repeat,
                          .op = "repeat_interleave",
                          .n_in = 1,
                          .in = &t,
                          .param = numbers,
                          .n_param = 3};
    if (!mt_array_kernel_has(call.kernel, t->device, t->dtype)) return NULL;
    MT_PY_CALL(mt_keeps_gil() && t->size <= MT_PY_LITTLE && mt_size(ndim, shape) <= MT_PY_LITTLE,
               result = mt_array_op(&call, t->device, t->dtype, ndim, shape))
    return mt_py_finished(result);
}

const mt_py_fast_entry mt_py_fast_joining[] = {{"repeat_interleave", repeat_interleave},
                                               {NULL, NULL}};
