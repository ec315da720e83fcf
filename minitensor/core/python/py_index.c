/* t[...] by ints, slices, None and Ellipsis; the numbers of single elements.
 *
 * Other indices, and whatever is wrong, go to the methods `_getitem` and `_setitem`
 * (ops/indexing.py), and numbers that are not there yet to `_float`, `_int` ... (tensor.py). */
#include "python/py_views.h"
#include "api/create.h"

/* --- views ------------------------------------------------------------------------------------ */

/* The view that an index makes so far. */
typedef struct {
    const mt_tensor *t;
    int64_t shape[MT_MAX_NDIM], strides[MT_MAX_NDIM], offset;
    int taken, ndim; /* dimensions of the tensor that are done; of the view */
} view;

static bool add(view *v, int64_t length, int64_t stride) {
    if (v->ndim == MT_MAX_NDIM) return false;
    v->shape[v->ndim] = length, v->strides[v->ndim++] = stride;
    return true;
}

/* Applies an int or a slice to the next dimension, or adds one for None.  Returns false for
 * another index, or a wrong one. */
static bool apply(view *v, PyObject *part) {
    if (part == Py_None) return add(v, 1, 0);
    if (v->taken == v->t->ndim) return false;
    int64_t length = v->t->shape[v->taken], stride = v->t->strides[v->taken], i;
    v->taken++;
    if (PySlice_Check(part)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(part, &start, &stop, &step) < 0) {
            PyErr_Clear();
            return false;
        }
        int64_t count = PySlice_AdjustIndices(length, &start, &stop, step);
        if (count) v->offset += start * stride;
        return add(v, count, stride * step);
    }
    if (!mt_py_int(part, &i) || i < -length || i >= length) return false;
    v->offset += (i < 0 ? i + length : i) * stride;
    return true;
}

static void keep(view *v, int dims) {
    for (; dims > 0; dims--, v->taken++) add(v, v->t->shape[v->taken], v->t->strides[v->taken]);
}

/* Returns the view t[key]; NULL without an exception: the key is another one, or is wrong. */
static PyObject *basic(const mt_tensor *t, PyObject *key) {
    view v = {.t = t, .offset = t->offset};
    Py_ssize_t n = PyTuple_CheckExact(key) ? PyTuple_Size(key) : -1;
    bool dots = false;
    if (n < 0 && key != Py_Ellipsis && !apply(&v, key)) return NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *part = PyTuple_GetItem(key, i);
        if (part != Py_Ellipsis) {
            if (!apply(&v, part)) return NULL;
            continue;
        }
        int after = 0; /* dimensions that the rest of the index takes */
        for (Py_ssize_t k = i + 1; k < n; k++) after += PyTuple_GetItem(key, k) != Py_None;
        if (dots || v.taken + after > t->ndim || v.ndim + t->ndim - v.taken - after > MT_MAX_NDIM)
            return NULL;
        dots = true;
        keep(&v, t->ndim - v.taken - after);
    }
    if (v.ndim + t->ndim - v.taken > MT_MAX_NDIM) return NULL;
    keep(&v, t->ndim - v.taken);
    return mt_py_view(t, v.ndim, v.shape, v.strides, v.offset);
}

PyObject *mt_py_getitem(PyObject *self, PyObject *key) {
    mt_ref ref = ((tensor_object *)self)->ref;
    PyObject *found = ref ? basic(mt_t(ref), key) : NULL;
    if (!found && !PyErr_Occurred()) found = mt_py_by_tensor(self, key, 0);
    if (found || PyErr_Occurred()) return found;
    return PyObject_CallMethod(self, "_getitem", "(O)", key);
}

/* --- assignment ------------------------------------------------------------------------------- */

/* Fills in a number on the stack of a call; false: the value is no number of 64 bits. */
static bool number_of(PyObject *value, mt_tensor *number) {
    int64_t i = 0;
    *number = (mt_tensor){.size = 1, .device = -1, .weak = MT_ON_STACK, .dtype = MT_DT_int64};
    if (PyFloat_CheckExact(value)) {
        number->dtype = MT_DT_float64;
        number->value.f = PyFloat_AsDouble(value);
    } else if (value == Py_True || value == Py_False) {
        number->dtype = MT_DT_bool;
        number->value.b = value == Py_True;
    } else if (mt_py_int(value, &i)) number->value.i = i;
    else return false;
    return true;
}

/* Assigns a tensor or a number on the stack to a view: 0; -1: an exception; 1: Python has to. */
static int assign(PyObject *target, mt_ref from) {
    mt_ref to = ((tensor_object *)target)->ref, result;
    const mt_tensor *a = mt_t(to), *b = mt_t(from);
    if (!b->weak) {
        if (a->storage == b->storage || a->device != b->device) return 1;
        mt_assigns(to, from);
    }
    bool keep =
        mt_keeps_gil() && mt_t(to)->size <= MT_PY_LITTLE && mt_t(from)->size <= MT_PY_LITTLE;
    MT_PY_CALL(keep, result = mt_copy(to, from))
    if (result < 0) result = mt_py_end_of(result);
    if (!result) return -1;
    MT_PY_CALL(keep, mt_release(result))
    return 0;
}

int mt_py_setitem(PyObject *self, PyObject *key, PyObject *value) {
    mt_ref ref = ((tensor_object *)self)->ref;
    if (!value) {
        PyErr_Format(PyExc_TypeError, "[setitem] a tensor's elements can't be deleted");
        return -1;
    }
    mt_tensor number;
    mt_ref from = mt_py_ref(value), made = 0;
    if (!from && number_of(value, &number)) from = mt_ref_of(&number);
    if (!from && ref) from = made = mt_py_from_data(value, -1, mt_t(ref)->device);
    PyObject *target = ref && from ? basic(mt_t(ref), key) : NULL, *done = NULL;
    int status = target ? assign(target, from) : PyErr_Occurred() ? -1 : 1;
    if (status > 0 && from) done = mt_py_by_tensor(self, key, from);
    if (status > 0 && !done && !PyErr_Occurred())
        done = PyObject_CallMethod(self, "_setitem", "(OO)", key, value);
    if (status > 0) status = done ? 0 : -1;
    Py_XDECREF(target);
    Py_XDECREF(done);
    if (made) mt_py_give_back(made);
    return status;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* Reads the only element, if that needs no wait. */
static mt_number element(PyObject *self) {
    mt_ref ref = ((tensor_object *)self)->ref;
    mt_number number = {.kind = 0};
    if (!ref || mt_t(ref)->size != 1) return number;
    if (mt_keeps_gil()) number = mt_item_now(ref);
    if (!number.kind) {
        Py_BEGIN_ALLOW_THREADS number = mt_item(ref);
        Py_END_ALLOW_THREADS
    }
    return number;
}

static PyObject *item(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    if (n != 1 || (names && PyTuple_Size(names)) || !mt_py_ref(given[0])) return NULL;
    mt_number number = element(given[0]);
    switch (number.kind) {
    case 'f': return PyFloat_FromDouble(number.f);
    case 'i': return PyLong_FromLongLong(number.i);
    case 'u': return PyLong_FromUnsignedLongLong(number.u);
    case 'b': return PyBool_FromLong(number.i != 0);
    default: return NULL;
    }
}

const mt_py_fast_entry mt_py_fast_numbers[] = {{"item", item}, {NULL, NULL}};

PyObject *mt_py_float(PyObject *self) {
    mt_number number = element(self);
    switch (number.kind) {
    case 'f': return PyFloat_FromDouble(number.f);
    case 'b':
    case 'i': return PyFloat_FromDouble((double)number.i);
    case 'u': return PyFloat_FromDouble((double)number.u);
    default: return PyObject_CallMethod(self, "_float", NULL);
    }
}

PyObject *mt_py_whole(PyObject *self) {
    mt_number number = element(self);
    switch (number.kind) {
    case 'f': return PyLong_FromDouble(number.f);
    case 'b':
    case 'i': return PyLong_FromLongLong(number.i);
    case 'u': return PyLong_FromUnsignedLongLong(number.u);
    default: return PyObject_CallMethod(self, "_int", NULL);
    }
}

PyObject *mt_py_index(PyObject *self) {
    mt_number number = element(self);
    switch (number.kind) {
    case 'b':
    case 'i': return PyLong_FromLongLong(number.i);
    case 'u': return PyLong_FromUnsignedLongLong(number.u);
    default: return PyObject_CallMethod(self, "_index", NULL);
    }
}

int mt_py_bool(PyObject *self) {
    mt_number number = element(self);
    switch (number.kind) {
    case 'f': return number.f != 0;
    case 'b':
    case 'i': return number.i != 0;
    case 'u': return number.u != 0;
    }
    PyObject *found = PyObject_CallMethod(self, "_bool", NULL);
    int truth = found ? PyObject_IsTrue(found) : -1;
    Py_XDECREF(found);
    return truth;
}

Py_ssize_t mt_py_length(PyObject *self) {
    mt_ref ref = ((tensor_object *)self)->ref;
    if (ref && mt_t(ref)->ndim) return mt_t(ref)->shape[0];
    PyErr_Format(PyExc_TypeError, "[len] the tensor must have a dimension, got shape ()");
    return -1;
}
