#include "python/py_core.h"

#ifndef PyBUF_WRITE
#define PyBUF_READ 0x100 /* 3.10's limited headers declare PyMemoryView_FromMemory without them */
#define PyBUF_WRITE 0x200
#endif

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

PyObject *mt_py_numpy_dtype(int code) { /* borrowed */
    if (!python.numpy[code]) {
        PyObject *dtype = PySequence_GetItem(python.dtypes, code),
                 *found = dtype ? PyObject_GetAttrString(dtype, "numpy") : NULL;
        Py_XDECREF(dtype);
        if (python.numpy[code]) Py_XDECREF(found); /* another thread was here meanwhile */
        else python.numpy[code] = found;
    }
    return python.numpy[code];
}

PyObject *mt_py_array(mt_tensor *t, bool writable) {
    static char nothing[16];
    bool lies = t->storage && t->storage->data; /* one without elements needs no memory */
    int64_t nbytes = lies ? t->storage->nbytes : MT_ITEMSIZE[t->dtype];
    char *base = lies ? t->storage->data : t->storage ? nothing : (char *)&t->value;
    PyObject *memory = PyMemoryView_FromMemory(base, nbytes, writable ? PyBUF_WRITE : PyBUF_READ),
             *dtype = mt_py_numpy_dtype(t->dtype), *result = NULL;
    PyObject *shape = mt_py_ints(t->ndim, t->shape), *strides = mt_py_ints(t->ndim, t->strides),
             *offset = PyLong_FromLongLong(lies ? t->offset : 0);
    if (memory && dtype && shape && strides && offset)
        result = PyObject_CallFunctionObjArgs(python.ndarray, shape, dtype, memory, offset,
                                              t->size ? strides : Py_None, NULL);
    Py_XDECREF(memory);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    Py_XDECREF(offset);
    return result;
}
