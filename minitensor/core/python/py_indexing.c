/* Calls of indexing ops from minitensor/ops: index_op of the module. */
#include "api/indexing.h"
#include "python/py_core.h"

/* index_op(kernel, op, base, value or None, ahead, dims, *indices) */
PyObject *mt_py_index_op(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    mt_tensor *index[MT_MAX_NDIM];
    int dims[MT_MAX_NDIM];
    int n_index = (int)n - 6;
    if (n < 7 || !PyTuple_Check(given[5]) || PyTuple_Size(given[5]) != n_index)
        return PyErr_Format(PyExc_TypeError, "[index_op] takes at least 7 arguments");
    mt_ref base = mt_py_ref(given[2]), value = mt_py_ref(given[3]), result;
    if (!base || n_index > MT_MAX_NDIM || (!value && given[3] != Py_None)) Py_RETURN_NONE;
    bool keep = mt_keeps_gil() && mt_t(base)->size <= MT_PY_LITTLE;
    for (int k = 0; k < n_index; k++) {
        mt_ref ref = mt_py_ref(given[k + 6]);
        if (!ref) Py_RETURN_NONE;
        index[k] = mt_t(ref);
        keep = keep && index[k]->size <= MT_PY_LITTLE;
        dims[k] = (int)PyLong_AsLong(PyTuple_GetItem(given[5], k));
    }
    mt_index_call call = {.kernel = (int)PyLong_AsLong(given[0]),
                          .op = PyUnicode_AsUTF8AndSize(given[1], NULL),
                          .base = mt_t(base),
                          .value = value ? mt_t(value) : NULL,
                          .n = n_index,
                          .index = index,
                          .dims = dims,
                          .ahead = (int)PyLong_AsLong(given[4])};
    if (PyErr_Occurred()) return NULL;
    MT_PY_CALL(keep, result = mt_index_op(&call))
    if (!result) Py_RETURN_NONE;
    return mt_py_finished(result);
}
