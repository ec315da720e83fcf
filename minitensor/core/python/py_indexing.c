/* Calls of indexing ops from minitensor/ops: index_op and mask_op of the module; t[tensor]. */
#include "api/indexing.h"
#include "api/masking.h"
#include "generated/array_codes.h"
#include "python/py_views.h"

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

/* --- fast ways of gather and its relatives (see py_fast.c) ------------------------------------ */

/* Takes elements along an axis; `along`: as gather_elements. */
static PyObject *take_at(const char *op, PyObject *input, PyObject *indices, PyObject *axis,
                         bool along) {
    mt_ref base = mt_py_ref(input), by = mt_py_ref(indices), result;
    int dim;
    if (!base || !by || !mt_py_axis(axis, mt_t(base)->ndim, &dim)) return NULL;
    mt_tensor *index = mt_t(by);
    mt_index_call call = {.kernel = MT_ARRAY_gather,
                          .op = op,
                          .base = mt_t(base),
                          .n = 1,
                          .index = &index,
                          .dims = &dim,
                          .ahead = along ? -1 : dim};
    bool keep = mt_keeps_gil() && mt_t(base)->size <= MT_PY_LITTLE && index->size <= MT_PY_LITTLE;
    MT_PY_CALL(keep, result = mt_index_op(&call))
    return result ? mt_py_finished(result) : NULL;
}

/* Reads three arguments of a tensor, an axis and indices; false: Python has to. */
static bool read_three(PyObject *const *given, Py_ssize_t n, PyObject *names,
                       const char *const *parameters, PyObject **v) {
    return mt_py_arguments(given, n, names, 3, parameters, v) && v[0] && v[1] && v[2];
}

static PyObject *gather(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input_params", "input_indices", "axis", NULL};
    PyObject *v[3];
    return read_three(given, n, names, PARAMETERS, v) ? take_at("gather", v[0], v[1], v[2], false)
                                                      : NULL;
}

static PyObject *index_select(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "axis", "index", NULL};
    PyObject *v[3];
    if (!read_three(given, n, names, PARAMETERS, v)) return NULL;
    mt_ref index = mt_py_ref(v[2]);
    return index && mt_t(index)->ndim == 1 ? take_at("gather", v[0], v[2], v[1], false) : NULL;
}

static PyObject *gather_elements(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "dim", "index", NULL};
    PyObject *v[3];
    return read_three(given, n, names, PARAMETERS, v)
               ? take_at("gather_elements", v[0], v[2], v[1], true)
               : NULL;
}

static PyObject *take_along_dim(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "indices", "dim", NULL};
    PyObject *v[3];
    return read_three(given, n, names, PARAMETERS, v)
               ? take_at("gather_elements", v[0], v[1], v[2], true)
               : NULL;
}

/* take(input, indices, axis=None): None takes a vector's only axis, or Python flattens. */
static PyObject *take(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "indices", "axis", NULL};
    PyObject *v[3], *zero, *result;
    if (!mt_py_arguments(given, n, names, 3, PARAMETERS, v) || !v[0] || !v[1]) return NULL;
    if (v[2] && v[2] != Py_None) return take_at("gather", v[0], v[1], v[2], false);
    mt_ref input = mt_py_ref(v[0]);
    if (!input || mt_t(input)->ndim != 1 || !(zero = PyLong_FromLong(0))) return NULL;
    result = take_at("gather", v[0], v[1], zero, false);
    Py_DECREF(zero);
    return result;
}

const mt_py_fast_entry mt_py_fast_indexing[] = {{"gather", gather},
                                                {"index_select", index_select},
                                                {"gather_elements", gather_elements},
                                                {"take_along_dim", take_along_dim},
                                                {"take", take},
                                                {NULL, NULL}};
