/* From tensors to other dtypes and to Python: the fast ways of astype, cast, copy,
 * contiguous and tolist. */
#include "executor/submit.h"
#include "python/py_core.h"

/* --- copies ----------------------------------------------------------------------------------- */

/* Returns a contiguous copy in a dtype; NULL without an exception: Python has to say what is
 * wrong. */
static PyObject *cast_to(mt_ref x, int dtype) {
    mt_ref result;
    bool keep = mt_t(x)->size <= MT_PY_LITTLE && mt_keeps_gil();
    MT_PY_CALL(keep, result = mt_cast(x, dtype))
    if (result < 0 && mt_call_status(result) != MT_QUEUE) {
        MT_PY_CALL(false, mt_call_drop(result))
        return NULL;
    }
    return mt_py_finished(result);
}

static PyObject *cast(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input", "dtype", NULL};
    PyObject *values[2];
    if (!mt_py_arguments(given, n, names, 2, PARAMETERS, values) || !values[0] || !values[1])
        return NULL;
    mt_ref x = mt_py_ref(values[0]);
    int dtype = x ? mt_py_dtype(values[1]) : -1;
    return dtype < 0 ? NULL : cast_to(x, dtype);
}

static PyObject *astype(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"self", "dtype", "copy", NULL};
    PyObject *values[3];
    if (!mt_py_arguments(given, n, names, 3, PARAMETERS, values) || !values[0] || !values[1])
        return NULL;
    mt_ref x = mt_py_ref(values[0]);
    int dtype = x ? mt_py_dtype(values[1]) : -1;
    bool always = !values[2] || values[2] == Py_True;
    if (dtype < 0 || (!always && values[2] != Py_False)) return NULL;
    if (always || dtype != mt_t(x)->dtype) return cast_to(x, dtype);
    Py_INCREF(values[0]);
    return values[0];
}

static PyObject *copy(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    mt_ref x = n == 1 && !names ? mt_py_ref(given[0]) : 0;
    return x ? cast_to(x, mt_t(x)->dtype) : NULL;
}

static PyObject *contiguous(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    mt_ref x = n == 1 && !names ? mt_py_ref(given[0]) : 0;
    if (!x || !mt_contiguous(mt_t(x))) return x ? cast_to(x, mt_t(x)->dtype) : NULL;
    Py_INCREF(given[0]);
    return given[0];
}

/* --- lists ------------------------------------------------------------------------------------ */

#define NUMBER(DTYPE, T, make)                                                                     \
    case MT_DT_##DTYPE: {                                                                          \
        T value;                                                                                   \
        memcpy(&value, data, sizeof value);                                                        \
        return make(value);                                                                        \
    }

static PyObject *number_at(int dtype, const char *data) {
    switch (dtype) {
        NUMBER(bool, uint8_t, PyBool_FromLong)
        NUMBER(int8, int8_t, PyLong_FromLong)
        NUMBER(int16, int16_t, PyLong_FromLong)
        NUMBER(int32, int32_t, PyLong_FromLong)
        NUMBER(int64, int64_t, PyLong_FromLongLong)
        NUMBER(uint8, uint8_t, PyLong_FromLong)
        NUMBER(uint16, uint16_t, PyLong_FromLong)
        NUMBER(uint32, uint32_t, PyLong_FromUnsignedLong)
        NUMBER(uint64, uint64_t, PyLong_FromUnsignedLongLong)
        NUMBER(float32, float, PyFloat_FromDouble)
        NUMBER(float64, double, PyFloat_FromDouble)
    default: { /* a half type */
        float value;
        mt_cast_find(dtype, MT_DT_float32)((char *)&value, 0, data, 0, 1);
        return PyFloat_FromDouble(value);
    }
    }
}

/* Returns the elements of the dimensions from `d` on, as nested lists. */
static PyObject *list_of(const mt_tensor *t, int d, const char *data) {
    if (d == t->ndim) return number_at(t->dtype, data);
    PyObject *list = PyList_New(t->shape[d]);
    for (int64_t i = 0; list && i < t->shape[d]; i++) {
        PyObject *one = list_of(t, d + 1, data + i * t->strides[d]);
        if (!one) Py_CLEAR(list);
        else PyList_SetItem(list, i, one);
    }
    return list;
}

/* The memory is exported meanwhile, and so stays in its place. */
static PyObject *tolist(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    mt_ref x = n == 1 && !names ? mt_py_ref(given[0]) : 0;
    const mt_tensor *t = x ? mt_t(x) : NULL;
    mt_memory memory;
    if (!t || !t->storage || !t->size || MT_COMPUTE[t->dtype] < 0 || !mt_keeps_gil() ||
        !(mt_devices[t->device].flags & MT_DEVICE_NUMPY) || !mt_export_idle(t, &memory))
        return NULL;
    PyObject *list = list_of(t, 0, memory.base + t->offset), *kind, *error, *where;
    PyErr_Fetch(&kind, &error, &where);
    MT_PY_CALL(false, mt_unexport(memory.view))
    PyErr_Restore(kind, error, where);
    return list;
}

const mt_py_fast_entry mt_py_fast_convert[] = {{"cast", cast},     {"astype", astype},
                                               {"copy", copy},     {"contiguous", contiguous},
                                               {"tolist", tolist}, {NULL, NULL}};
