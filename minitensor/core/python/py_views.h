/* Views and the arguments that make them. */
#ifndef MT_PY_VIEWS_H
#define MT_PY_VIEWS_H
#include "python/py_core.h"

/* Stores an int's value; false: it is none, or does not fit into 64 bits. */
bool mt_py_int(PyObject *o, int64_t *value);

/* Stores an axis counted from the front; false: it is no int, or is out of range. */
bool mt_py_axis(PyObject *o, int ndim, int *axis);

/* Stores the ints of f(1, 2) or f((1, 2)), at most MT_MAX_NDIM; returns how many, or -1. */
int mt_py_read_ints(PyObject *const *given, Py_ssize_t n, int64_t *values);

/* Returns another view of the tensor's storage; NULL: an exception, or too many dimensions. */
PyObject *mt_py_view(const mt_tensor *t, int ndim, const int64_t *shape, const int64_t *strides,
                     int64_t offset);

/* Return t.T and t.mT; NULL without an exception: t has no two dimensions. */
PyObject *mt_py_reversed(const mt_tensor *t);
PyObject *mt_py_matrix_transposed(const mt_tensor *t);

#endif
