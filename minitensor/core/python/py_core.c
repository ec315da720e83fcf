#include "python/py_core.h"

mt_python python;
PyTypeObject *mt_tensor_base;
allocfunc mt_tensor_alloc;

PyObject *mt_py_wrap(mt_ref ref) {
    PyObject *t = mt_tensor_alloc((PyTypeObject *)python.tensor, 0);
    if (t) ((tensor_object *)t)->ref = ref;
    else mt_release(ref);
    return t;
}

PyObject *mt_py_ints(int n, const int64_t *values) {
    PyObject *tuple = PyTuple_New(n);
    for (int i = 0; tuple && i < n; i++) {
        PyObject *value = PyLong_FromLongLong(values[i]);
        if (!value || PyTuple_SetItem(tuple, i, value) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

int mt_py_dtype(PyObject *dtype) {
    static PyObject *names[MT_NUM_DTYPES]; /* interned, as names in a program are */
    for (int code = 0; code < MT_NUM_DTYPES; code++)
        if (PyTuple_GetItem(python.dtypes, code) == dtype) return code;
    if (dtype == (PyObject *)&PyFloat_Type) return MT_DT_float32;
    if (dtype == (PyObject *)&PyLong_Type) return MT_DT_int64;
    if (dtype == (PyObject *)&PyBool_Type) return MT_DT_bool;
    if (!PyUnicode_CheckExact(dtype)) return -1;
    for (int code = 0; code < MT_NUM_DTYPES; code++) {
        if (!names[code] && !(names[code] = PyUnicode_InternFromString(MT_DTYPE_NAME[code]))) {
            PyErr_Clear();
            return -1;
        }
        if (names[code] == dtype) return code;
    }
    return -1;
}

bool mt_py_arguments(PyObject *const *given, Py_ssize_t n, PyObject *names, int positional,
                     const char *const *parameters, PyObject **values) {
    Py_ssize_t named = names ? PyTuple_Size(names) : 0;
    if (n > positional) return false;
    for (int i = 0; parameters[i]; i++) values[i] = i < n ? given[i] : NULL;
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GetItem(names, k);
        int i = 0;
        while (parameters[i] && PyUnicode_CompareWithASCIIString(name, parameters[i]) != 0) i++;
        if (!parameters[i] || values[i]) return false;
        values[i] = given[n + k];
    }
    return true;
}
