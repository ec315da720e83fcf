/* concat and stack of everyday operands, in one call from Python: join(op, tensors, axis, stacked)
 * of the module. */
#include "python/py_core.h"
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
