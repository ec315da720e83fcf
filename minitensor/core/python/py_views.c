/* Views: the fast ways of reshape, transpose and their like (see py_fast.c).  A view is arithmetic
 * on shape and strides; it waits for nothing. */
#include "python/py_views.h"

bool mt_py_int(PyObject *o, int64_t *value) {
    if (!PyLong_CheckExact(o)) return false;
    int beyond;
    *value = PyLong_AsLongLongAndOverflow(o, &beyond);
    return !beyond;
}

bool mt_py_axis(PyObject *o, int ndim, int *axis) {
    int64_t value;
    if (!mt_py_int(o, &value) || value < -ndim || value >= ndim) return false;
    *axis = (int)(value < 0 ? value + ndim : value);
    return true;
}

int mt_py_read_ints(PyObject *const *given, Py_ssize_t n, int64_t *values) {
    bool tuple = n == 1 && PyTuple_CheckExact(given[0]),
         list = n == 1 && PyList_CheckExact(given[0]);
    Py_ssize_t count = tuple ? PyTuple_Size(given[0]) : list ? PyList_Size(given[0]) : n;
    if (count > MT_MAX_NDIM) return -1;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!mt_py_int(tuple  ? PyTuple_GetItem(given[0], i)
                       : list ? PyList_GetItem(given[0], i)
                              : given[i],
                       &values[i]))
            return -1;
    return (int)count;
}

PyObject *mt_py_view(const mt_tensor *t, int ndim, const int64_t *shape, const int64_t *strides,
                     int64_t offset) {
    if (ndim > MT_MAX_NDIM) return NULL;
    mt_ref view = mt_view(mt_ref_of((mt_tensor *)t), t->dtype, ndim, shape, strides, offset);
    return view > 0 ? mt_py_wrap(view) : mt_py_finished(view);
}

/* Returns the tensor that is the first of at least `least` and at most `most` arguments by
 * position; NULL: the call is another one. */
static const mt_tensor *first(PyObject *const *given, Py_ssize_t n, PyObject *names, int least,
                              int most) {
    if (n < least || n > most || (names && PyTuple_Size(names))) return NULL;
    mt_ref ref = mt_py_ref(given[0]);
    return ref ? mt_t(ref) : NULL;
}

/* --- other shapes ----------------------------------------------------------------------------- */

/* Stores strides that give the elements, in C order, another shape of as many elements.  Both
 * shapes are cut into runs of equal size; the old dimensions of a run must be mergeable into one
 * dimension, whose stride is then divided.  Returns false if no strides exist. */
static bool reshaped_strides(const mt_tensor *t, int ndim, const int64_t *shape, int64_t *strides) {
    int i = 0, j = 0;
    while (j < ndim) {
        if (shape[j] == 1) {
            strides[j++] = MT_ITEMSIZE[t->dtype];
            continue;
        }
        while (t->shape[i] == 1) i++;
        int64_t size_new = shape[j], size_old = t->shape[i], step = t->strides[i];
        int start = j;
        while (size_new != size_old) {
            if (size_new < size_old) {
                size_new *= shape[++j];
                continue;
            }
            int next = i + 1;
            while (t->shape[next] == 1) next++;
            if (step != t->shape[next] * t->strides[next]) return false;
            i = next, step = t->strides[i];
            size_old *= t->shape[i];
        }
        for (int k = j; k >= start; k--) strides[k] = step, step *= shape[k];
        i++, j++;
    }
    return true;
}

/* Returns a view in a shape, in which one length may be -1. */
static PyObject *reshape_to(const mt_tensor *t, int ndim, int64_t *shape) {
    int64_t strides[MT_MAX_NDIM], known = 1;
    int open = -1;
    if (ndim < 0 || t->size == 0) return NULL;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] == -1 && open < 0) open = d;
        else if (shape[d] <= 0 || __builtin_mul_overflow(known, shape[d], &known)) return NULL;
    }
    if (open >= 0 && t->size % known == 0) shape[open] = t->size / known, known = t->size;
    if (known != t->size || !reshaped_strides(t, ndim, shape, strides)) return NULL;
    return mt_py_view(t, ndim, shape, strides, t->offset);
}

static PyObject *reshape(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    int64_t shape[MT_MAX_NDIM];
    const mt_tensor *t = first(given, n, names, 2, MT_MAX_NDIM);
    return t ? reshape_to(t, mt_py_read_ints(given + 1, n - 1, shape), shape) : NULL;
}

static PyObject *ravel(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 1, 1);
    return t ? reshape_to(t, 1, (int64_t[]){t->size}) : NULL;
}

static PyObject *broadcast(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 2, MT_MAX_NDIM);
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM];
    int ndim = t ? mt_py_read_ints(given + 1, n - 1, shape) : -1, ahead = t ? ndim - t->ndim : 0;
    if (ndim < 0 || ahead < 0) return NULL;
    for (int d = 0; d < ndim; d++) {
        int64_t length = d < ahead ? 1 : t->shape[d - ahead];
        if (shape[d] == -1 && d >= ahead) shape[d] = length;
        if (shape[d] < 0 || (length != 1 && length != shape[d])) return NULL;
        strides[d] = d < ahead || (length == 1 && shape[d] != 1) ? 0 : t->strides[d - ahead];
    }
    return mt_size(ndim, shape) < 0 ? NULL : mt_py_view(t, ndim, shape, strides, t->offset);
}

/* broadcast_to takes one argument for its shape, expand several. */
static PyObject *broadcast_to(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return n == 2 ? broadcast(given, n, names) : NULL;
}

/* --- other orders of the dimensions ----------------------------------------------------------- */

/* Returns a view with dimension order[d] of the tensor as its dimension d. */
static PyObject *permute_by(const mt_tensor *t, const int *order) {
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM];
    for (int d = 0; d < t->ndim; d++)
        shape[d] = t->shape[order[d]], strides[d] = t->strides[order[d]];
    return mt_py_view(t, t->ndim, shape, strides, t->offset);
}

static PyObject *swap(const mt_tensor *t, int a, int b) {
    int order[MT_MAX_NDIM];
    for (int d = 0; d < t->ndim; d++) order[d] = d == a ? b : d == b ? a : d;
    return permute_by(t, order);
}

static PyObject *permute(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 2, MT_MAX_NDIM);
    int64_t axes[MT_MAX_NDIM];
    int order[MT_MAX_NDIM], seen = 0;
    if (!t || mt_py_read_ints(given + 1, n - 1, axes) != t->ndim) return NULL;
    for (int d = 0; d < t->ndim; d++) {
        if (axes[d] < -t->ndim || axes[d] >= t->ndim) return NULL;
        order[d] = (int)(axes[d] < 0 ? axes[d] + t->ndim : axes[d]);
        seen |= 1 << order[d];
    }
    return seen == (1 << t->ndim) - 1 ? permute_by(t, order) : NULL;
}

static PyObject *swapaxes(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 3, 3);
    int a, b;
    if (!t || !mt_py_axis(given[1], t->ndim, &a) || !mt_py_axis(given[2], t->ndim, &b)) return NULL;
    return swap(t, a, b);
}

static PyObject *flip(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 2, 2);
    int64_t axes[MT_MAX_NDIM], strides[MT_MAX_NDIM], offset;
    int count = t ? mt_py_read_ints(given + 1, 1, axes) : -1, seen = 0;
    if (count < 0) return NULL;
    offset = t->offset;
    memcpy(strides, t->strides, (size_t)t->ndim * sizeof *strides);
    for (int i = 0; i < count; i++) {
        if (axes[i] < -t->ndim || axes[i] >= t->ndim) return NULL;
        int d = (int)(axes[i] < 0 ? axes[i] + t->ndim : axes[i]);
        if (seen >> d & 1) return NULL;
        seen |= 1 << d;
        if (t->shape[d] > 1) offset += (t->shape[d] - 1) * strides[d];
        strides[d] = -strides[d];
    }
    return mt_py_view(t, t->ndim, t->shape, strides, offset);
}

PyObject *mt_py_reversed(const mt_tensor *t) {
    int order[MT_MAX_NDIM];
    for (int d = 0; d < t->ndim; d++) order[d] = t->ndim - 1 - d;
    return permute_by(t, order);
}

PyObject *mt_py_matrix_transposed(const mt_tensor *t) {
    return t->ndim < 2 ? NULL : swap(t, t->ndim - 2, t->ndim - 1);
}

static PyObject *transpose(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 1, MT_MAX_NDIM);
    if (!t) return NULL;
    return n == 1   ? mt_py_reversed(t)
           : n == 3 ? swapaxes(given, n, names)
                    : permute(given, n, names);
}

/* --- dimensions of length 1 ------------------------------------------------------------------- */

static PyObject *expand_dims(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 2, 2);
    int64_t shape[MT_MAX_NDIM + 1], strides[MT_MAX_NDIM + 1];
    int place;
    if (!t || !mt_py_axis(given[1], t->ndim + 1, &place)) return NULL;
    for (int d = 0; d <= t->ndim; d++) {
        int old = d - (d > place);
        shape[d] = d == place ? 1 : t->shape[old];
        strides[d] = d == place ? MT_ITEMSIZE[t->dtype] : t->strides[old];
    }
    return mt_py_view(t, t->ndim + 1, shape, strides, t->offset);
}

static PyObject *squeeze(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 1, 2);
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM];
    int gone = -1, ndim = 0;
    if (!t || (n == 2 && (!mt_py_axis(given[1], t->ndim, &gone) || t->shape[gone] != 1)))
        return NULL;
    for (int d = 0; d < t->ndim; d++) {
        if (n == 2 ? d == gone : t->shape[d] == 1) continue;
        shape[ndim] = t->shape[d], strides[ndim++] = t->strides[d];
    }
    return mt_py_view(t, ndim, shape, strides, t->offset);
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* Returns a tuple of views of `length` elements of an axis each, the last of what remains; without
 * the axis if `drop`. */
static PyObject *pieces(const mt_tensor *t, int axis, int64_t length, bool drop) {
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM], whole = t->shape[axis],
                                                      count = whole ? (whole - 1) / length + 1 : 1;
    int ndim = 0, at = -1;
    for (int d = 0; d < t->ndim; d++) {
        if (drop && d == axis) continue;
        if (d == axis) at = ndim;
        shape[ndim] = t->shape[d], strides[ndim++] = t->strides[d];
    }
    if (drop && !whole) count = 0;
    PyObject *all = PyTuple_New(count);
    for (int64_t i = 0; all && i < count; i++) {
        int64_t begin = i * length;
        if (at >= 0) shape[at] = whole - begin < length ? whole - begin : length;
        PyObject *one = mt_py_view(t, ndim, shape, strides, t->offset + begin * t->strides[axis]);
        if (!one) Py_CLEAR(all);
        else PyTuple_SetItem(all, i, one);
    }
    return all;
}

static PyObject *split(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 2, 3);
    int64_t length;
    int axis = 0;
    if (!t || !t->ndim || !mt_py_int(given[1], &length) || length <= 0) return NULL;
    if (n == 3 && !mt_py_axis(given[2], t->ndim, &axis)) return NULL;
    return pieces(t, axis, length, false);
}

static PyObject *chunk(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 2, 3);
    int64_t count;
    int axis = 0;
    if (!t || !t->ndim || !mt_py_int(given[1], &count) || count <= 0) return NULL;
    if (n == 3 && !mt_py_axis(given[2], t->ndim, &axis)) return NULL;
    int64_t length = (t->shape[axis] + count - 1) / count;
    return pieces(t, axis, length > 0 ? length : 1, false);
}

static PyObject *unbind(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    const mt_tensor *t = first(given, n, names, 1, 2);
    int axis = 0;
    if (!t || !t->ndim || (n == 2 && !mt_py_axis(given[1], t->ndim, &axis))) return NULL;
    return pieces(t, axis, 1, true);
}

const mt_py_fast_entry mt_py_fast_views[] = {{"reshape", reshape},
                                             {"view", reshape},
                                             {"ravel", ravel},
                                             {"Tensor.flatten", ravel},
                                             {"broadcast_to", broadcast_to},
                                             {"expand", broadcast},
                                             {"permute", permute},
                                             {"transpose", transpose},
                                             {"swapaxes", swapaxes},
                                             {"flip", flip},
                                             {"expand_dims", expand_dims},
                                             {"unsqueeze", expand_dims},
                                             {"squeeze", squeeze},
                                             {"split", split},
                                             {"chunk", chunk},
                                             {"unbind", unbind},
                                             {NULL, NULL}};
