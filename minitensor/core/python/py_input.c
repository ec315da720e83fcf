/* New tensors of a program's data: `Tensor(data)` and `tensor(data)`.
 *
 * Arrays, numbers, and lists of numbers are read here.  Whatever else holds values, whatever NumPy
 * warns of, and whatever is wrong is for Python (tensor_input.py): the functions give up without
 * an exception, and have left nothing behind. */
#include <float.h>
#include <math.h>

#include "python/py_numpy.h"

/* --- lists ------------------------------------------------------------------------------------ */

/* Nested lists as they are read: lists of one level have one length, and leaves are numbers. */
typedef struct {
    int ndim;
    int64_t shape[MT_MAX_NDIM], size;
    char kind; /* of all leaves: the greatest of 'b', 'f', 'i' in the order b, i, f; 0: none yet */
} list_data;

static bool is_list(PyObject *o) { return PyList_CheckExact(o) || PyTuple_CheckExact(o); }
static Py_ssize_t length_of(PyObject *o) {
    return PyList_CheckExact(o) ? PyList_Size(o) : PyTuple_Size(o);
}
static PyObject *at(PyObject *o, Py_ssize_t i) {
    return PyList_CheckExact(o) ? PyList_GetItem(o, i) : PyTuple_GetItem(o, i);
}

/* Returns the kind of a number; 0: it is none. */
static char kind_of(PyObject *number) {
    return PyFloat_CheckExact(number)  ? 'f'
           : PyLong_CheckExact(number) ? 'i'
           : PyBool_Check(number)      ? 'b'
                                       : 0;
}

/* Reads the shape by the first element of each level.  Returns false for an empty list, or lists
 * that are too deep. */
static bool read_shape(list_data *l, PyObject *data) {
    l->ndim = 0, l->size = 1;
    for (; is_list(data); data = at(data, 0)) {
        if (l->ndim == MT_MAX_NDIM || length_of(data) == 0) return false;
        l->shape[l->ndim] = length_of(data);
        if (__builtin_mul_overflow(l->size, l->shape[l->ndim++], &l->size)) return false;
    }
    return kind_of(data) != 0;
}

/* Reads the kind of the leaves, and compares the lengths.  The depth is bounded by the shape's. */
static bool read_kind(list_data *l, PyObject *data, int depth) {
    if (depth == l->ndim) {
        char kind = kind_of(data);
        if (kind == 'f' || !l->kind || (kind == 'i' && l->kind == 'b')) l->kind = kind;
        return kind != 0;
    }
    if (!is_list(data) || length_of(data) != l->shape[depth]) return false;
    for (Py_ssize_t i = 0; i < l->shape[depth]; i++)
        if (!read_kind(l, at(data, i), depth + 1)) return false;
    return true;
}

/* A number in the widest dtype of its kind. */
typedef union {
    double f;
    int64_t i;
    uint8_t b;
} number;

static const struct {
    char kind;
    int wide, natural; /* dtypes */
} KINDS[] = {{'f', MT_DT_float64, MT_DT_float32},
             {'i', MT_DT_int64, MT_DT_int64},
             {'b', MT_DT_bool, MT_DT_bool}};

/* Stores a leaf as a number of a kind that holds it.  False: it is beyond the kind. */
static bool read_leaf(PyObject *leaf, char kind, bool to_float32, number *to) {
    int beyond = 0;
    if (PyFloat_CheckExact(leaf)) {
        to->f = PyFloat_AsDouble(leaf);
        return !(to_float32 && isfinite(to->f) && isinf((float)to->f)); /* NumPy warns */
    }
    int64_t i = PyBool_Check(leaf) ? leaf == Py_True : PyLong_AsLongLongAndOverflow(leaf, &beyond);
    if (kind == 'f') to->f = (double)i;
    else if (kind == 'i') to->i = i;
    else to->b = (uint8_t)i;
    return !beyond;
}

/* Stores the leaves in C order, `step` bytes apart.  Returns where the next one belongs; NULL: one
 * is beyond the kind. */
static char *read_leaves(const list_data *l, PyObject *data, int depth, bool to_float32, int step,
                         char *to) {
    number leaf;
    if (depth < l->ndim) {
        for (Py_ssize_t i = 0; to && i < l->shape[depth]; i++)
            to = read_leaves(l, at(data, i), depth + 1, to_float32, step, to);
        return to;
    }
    if (!read_leaf(data, l->kind, to_float32, &leaf)) return NULL;
    memcpy(to, &leaf, (size_t)step);
    return to + step;
}

/* Makes the tensor of a number or of lists.  No other code of Python runs until all numbers are
 * read, so the lists stay what they are. */
static mt_ref from_lists(PyObject *data, int dtype, int device) {
    enum { FEW = 64 };
    number few[FEW];
    list_data l = {.kind = 0};
    if (!read_shape(&l, data) || !read_kind(&l, data, 0)) return 0;
    int k = l.kind == 'f' ? 0 : l.kind == 'i' ? 1 : 2, wide = KINDS[k].wide;
    bool natural = dtype < 0;
    if (natural) dtype = KINDS[k].natural;
    if (l.kind == 'f' && MT_KIND[dtype] != 'f') return 0;
    mt_cast_fn cast = mt_cast_find(wide, dtype);
    size_t step = MT_ITEMSIZE[wide];
    if (!cast || l.size > INT64_MAX / 16) return 0;
    char *buffer = l.size <= FEW ? (char *)few : PyMem_Malloc((size_t)l.size * step);
    mt_ref result = 0;
    if (buffer && read_leaves(&l, data, 0, natural && l.kind == 'f', (int)step, buffer)) {
        MT_PY_CALL(mt_keeps_gil(), result = mt_empty(device, dtype, l.ndim, l.shape))
        if (result < 0) result = mt_py_end_of(result);
        if (result)
            cast(mt_tensor_data(mt_t(result)), MT_ITEMSIZE[dtype], buffer, (int64_t)step, l.size);
    }
    if (buffer != (char *)few) PyMem_Free(buffer);
    return result;
}

/* --- arrays ----------------------------------------------------------------------------------- */

static mt_ref from_array(const mt_py_array_fields *a, int dtype, int device) {
    if (dtype < 0) dtype = a->dtype;
    int64_t size = mt_size(a->ndim, a->shape);
    if (!a->aligned || size <= 0 || (dtype != a->dtype && !mt_cast_find(a->dtype, dtype))) return 0;
    if (MT_KIND[dtype] != MT_KIND[a->dtype] && strchr("fc", MT_KIND[a->dtype])) return 0;
    mt_ref result;
    MT_PY_CALL(mt_keeps_gil(), result = mt_empty(device, dtype, a->ndim, a->shape))
    if (result < 0) result = mt_py_end_of(result);
    if (!result) return 0;
    mt_operand in = {.data = a->data, .dtype = a->dtype},
               out = {.data = mt_tensor_data(mt_t(result)), .dtype = dtype};
    for (int d = 0; d < a->ndim; d++)
        in.strides[d] = a->strides[d], out.strides[d] = mt_t(result)->strides[d];
    MT_PY_CALL(size <= MT_PY_LITTLE, mt_run_copy(a->ndim, mt_t(result)->shape, &out, &in))
    return result;
}

mt_ref mt_py_from_data(PyObject *data, int dtype, int device) {
    mt_py_array_fields a;
    if (device < 0 || !(mt_devices[device].flags & MT_DEVICE_NUMPY) ||
        atomic_load_explicit(&mt_devices[device].lost, memory_order_relaxed))
        return 0;
    if (mt_py_read_array(data, &a)) return from_array(&a, dtype, device);
    return is_list(data) || kind_of(data) ? from_lists(data, dtype, device) : 0;
}

/* --- fast ways -------------------------------------------------------------------------------- */

/* Reads the arguments (data, dtype=None) and makes the tensor. */
static mt_ref from_arguments(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    static const char *const PARAMETERS[] = {"input_data", "dtype", NULL};
    PyObject *values[2];
    if (!mt_py_arguments(given, n, names, 2, PARAMETERS, values) || !values[0]) return 0;
    int dtype = values[1] && values[1] != Py_None ? mt_py_dtype(values[1]) : -1;
    if (values[1] && values[1] != Py_None && dtype < 0) return 0;
    return mt_py_from_data(values[0], dtype, mt_py_device());
}

static PyObject *init(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    tensor_object *self = n > 0 ? (tensor_object *)given[0] : NULL;
    if (!self || !PyType_IsSubtype(Py_TYPE(given[0]), mt_tensor_base) || self->ref) return NULL;
    mt_ref ref = from_arguments(given + 1, n - 1, names);
    if (!ref) return NULL;
    self->ref = ref;
    Py_RETURN_NONE;
}

static PyObject *tensor(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    mt_ref ref = from_arguments(given, n, names);
    return ref ? mt_py_wrap(ref) : NULL;
}

const mt_py_fast_entry mt_py_fast_input[] = {{"__init__", init}, {"tensor", tensor}, {NULL, NULL}};
