/* NumPy's arrays, by its C interface: see py_numpy.c. */
#ifndef MT_PY_NUMPY_H
#define MT_PY_NUMPY_H
#include "python/py_core.h"

/* An array as it was read; the pointers are the array's. */
typedef struct {
    int dtype, ndim;
    bool writable, aligned;
    char *data; /* of the first element */
    const int64_t *shape, *strides;
} mt_py_array_fields;

/* Finds NumPy's functions; false: an exception. */
bool mt_py_numpy_ready(void);

/* Returns NumPy's dtype of a code, borrowed; NULL: an exception. */
PyObject *mt_py_numpy_dtype(int code);

/* Returns a tensor's memory as an array, for a host task: valid while the tensor is held, and no
 * other thread is at work on it. */
PyObject *mt_py_array(mt_tensor *t, bool writable);

/* Returns an array of a dtype on memory that is `base`'s, which the array takes over, or without a
 * base the caller's.  strides NULL: in C order.  NumPy lets a program make such an array writable
 * only if the base, or that there is none, allows it. */
PyObject *mt_py_new_array(int dtype, int ndim, const int64_t *shape, const int64_t *strides,
                          char *data, bool writable, PyObject *base);

/* Reads an array; false: `object` is no numpy.ndarray (but a subclass, for example), or no tensor
 * holds its dtype or byte order. */
bool mt_py_read_array(PyObject *object, mt_py_array_fields *fields);

#endif
