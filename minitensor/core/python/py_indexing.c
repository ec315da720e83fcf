/* Calls of indexing ops from minitensor/ops: index_op and mask_op of the module; t[tensor]. */
#include "api/indexing.h"
#include "api/masking.h"
#include "generated/array_codes.h"
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
    if (value && mt_overlaps(value, base)) Py_RETURN_NONE;
    bool keep = mt_keeps_gil() && mt_t(base)->size <= MT_PY_LITTLE;
    for (int k = 0; k < n_index; k++) {
        mt_ref ref = mt_py_ref(given[k + 6]);
        if (!ref) Py_RETURN_NONE;
        index[k] = mt_t(ref);
        if (value && mt_overlaps(ref, base)) Py_RETURN_NONE;
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

/* Waits for a tensor and holds the GIL afterwards.  Returns its status; MT_TIMEOUT: an
 * exception. */
static int await(mt_ref ref, bool keep) {
    int status = MT_TIMEOUT;
    if (keep) status = mt_wait(ref, 0);
    while (status == MT_TIMEOUT) {
        Py_BEGIN_ALLOW_THREADS status = mt_wait(ref, MT_SLICE_MS);
        Py_END_ALLOW_THREADS if (status == MT_TIMEOUT && PyErr_CheckSignals() < 0) break;
    }
    return status;
}

/* Chooses by a mask; `value` 0: none.  Returns NULL without an exception if Python has to. */
static PyObject *by_mask(int what, const char *op, mt_ref base, mt_ref mask, mt_ref value) {
    if (!base || !mask || !mt_masks(mt_t(mask), mt_t(base))) return NULL;
    if (what == MT_MASK_SET && (!value || mt_overlaps(mask, base) || mt_overlaps(value, base)))
        return NULL;
    bool keep = mt_t(base)->size <= MT_PY_LITTLE && mt_keeps_gil();
    int64_t count = 0;
    if (!value || mt_t(value)->ndim) {
        mt_pin(mask);
        int status = await(mask, keep);
        if (status == MT_OK) {
            MT_PY_CALL(keep, count = mt_count_true(mt_t(mask)))
        }
        mt_unpin(mask);
        if (status != MT_OK || count < 0) return NULL;
    }
    mt_ref result;
    MT_PY_CALL(keep, result = mt_mask_op(what, op, mt_t(base), mt_t(mask),
                                         value ? mt_t(value) : NULL, count))
    return result ? mt_py_finished(result) : NULL;
}

/* mask_op(what, op, base, mask, value or None) */
PyObject *mt_py_mask_op(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    if (n != 5) return PyErr_Format(PyExc_TypeError, "[mask_op] takes 5 arguments");
    int what = (int)PyLong_AsLong(given[0]);
    const char *op = PyUnicode_AsUTF8AndSize(given[1], NULL);
    if (PyErr_Occurred()) return NULL;
    PyObject *result =
        by_mask(what, op, mt_py_ref(given[2]), mt_py_ref(given[3]), mt_py_ref(given[4]));
    if (result || PyErr_Occurred()) return result;
    Py_RETURN_NONE;
}

PyObject *mt_py_by_tensor(PyObject *self, PyObject *key, mt_ref value) {
    mt_ref base = mt_py_ref(self), by = mt_py_ref(key), result;
    if (Py_TYPE(key) != (PyTypeObject *)python.tensor || !base || !by || !mt_t(by)->ndim)
        return NULL;
    const char *op = value ? "setitem" : "getitem";
    if (mt_t(by)->dtype == MT_DT_bool)
        return by_mask(value ? MT_MASK_SET : MT_MASK_GET, op, base, by, value);
    if (value && (mt_overlaps(value, base) || mt_overlaps(by, base))) return NULL;
    mt_tensor *index = mt_t(by);
    mt_index_call call = {.kernel = value ? MT_ARRAY_scatter : MT_ARRAY_gather,
                          .op = op,
                          .base = mt_t(base),
                          .value = value ? mt_t(value) : NULL,
                          .n = 1,
                          .index = &index,
                          .dims = (int[]){0}};
    bool keep = mt_keeps_gil() && mt_t(base)->size <= MT_PY_LITTLE && index->size <= MT_PY_LITTLE;
    MT_PY_CALL(keep, result = mt_index_op(&call))
    return result ? mt_py_finished(result) : NULL;
}
