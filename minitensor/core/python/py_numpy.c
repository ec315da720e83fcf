/* NumPy's arrays, made and read by its C interface.
 *
 * The problem.  numpy.ndarray(...) takes a memoryview, two tuples and four numbers, all of which
 * have to be made first, and an array tells about itself by objects, too.  That is some 0.7 us for
 * an array, and a host op has several.
 *
 * The solution.  NumPy has a table of its functions and a struct of its arrays for C.  NumPy
 * guarantees both: a place in the table, and the fields up to `flags` (of a dtype, up to
 * `type_num`), stay what they are.  NumPy's headers do not appear here, because the core is built
 * where there is no NumPy, and since they need more of CPython than the stable ABI.
 *
 * The guarantee.  The import compares the version of NumPy's ABI, as NumPy's headers do. */
#include "python/py_numpy.h"

enum { ABI_VERSION = 0, NEW_FROM_DESCR = 94, SET_BASE_OBJECT = 282 }; /* places in the table */
enum { NUMPY_1 = 0x1000009, NUMPY_2 = 0x2000000 };                    /* versions of the ABI */
enum { ALIGNED = 0x100, WRITEABLE = 0x400 };                          /* flags of an array */

typedef struct {
    PyObject_HEAD char *data;
    int nd;
    intptr_t *dimensions, *strides;
    PyObject *base;
    struct array_dtype *descr;
    int flags;
} array_object;

typedef struct array_dtype {
    PyObject_HEAD PyTypeObject *typeobj;
    char kind, type, byteorder, former_flags;
    int type_num;
} array_dtype;

static PyObject *(*new_from_descr)(PyTypeObject *type, PyObject *dtype, int nd,
                                   const intptr_t *shape, const intptr_t *strides, void *data,
                                   int flags, PyObject *from);
static int (*set_base_object)(PyObject *array, PyObject *base);

bool mt_py_numpy_ready(void) {
    PyObject *module = PyImport_ImportModule("numpy._core._multiarray_umath");
    if (!module && PyErr_ExceptionMatches(PyExc_ModuleNotFoundError)) {
        PyErr_Clear(); /* NumPy 1 */
        module = PyImport_ImportModule("numpy.core._multiarray_umath");
    }
    PyObject *capsule = module ? PyObject_GetAttrString(module, "_ARRAY_API") : NULL;
    void **table = capsule ? PyCapsule_GetPointer(capsule, NULL) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(capsule);
    if (!table) return false;
    unsigned version = ((unsigned (*)(void))table[ABI_VERSION])();
    if (version != NUMPY_1 && version != NUMPY_2) {
        PyErr_Format(PyExc_ImportError,
                     "[import] NumPy's ABI must be %x or %x, got %x; install a NumPy before 3",
                     NUMPY_1, NUMPY_2, version);
        return false;
    }
    memcpy(&new_from_descr, &table[NEW_FROM_DESCR], sizeof new_from_descr);
    memcpy(&set_base_object, &table[SET_BASE_OBJECT], sizeof set_base_object);
    return true;
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

PyObject *mt_py_new_array(int dtype, int ndim, const int64_t *shape, const int64_t *strides,
                          char *data, bool writable, PyObject *base) {
    PyObject *type = mt_py_numpy_dtype(dtype), *array = NULL;
    Py_XINCREF(type); /* the function takes it over */
    if (type)
        array = new_from_descr((PyTypeObject *)python.ndarray, type, ndim, (const intptr_t *)shape,
                               (const intptr_t *)strides, data, writable ? WRITEABLE : 0, NULL);
    if (array && base) {
        if (set_base_object(array, base) < 0) Py_CLEAR(array); /* takes it over in any case */
    } else Py_XDECREF(base);
    return array;
}

PyObject *mt_py_array(mt_tensor *t, bool writable) {
    static char nothing[16];
    static PyObject *read_only; /* a base by which NumPy keeps an array read-only */
    if (!read_only && !(read_only = PyBytes_FromStringAndSize(NULL, 0))) return NULL;
    bool lies = t->storage && t->storage->data; /* one without elements needs no memory */
    char *data = lies ? mt_tensor_data(t) : t->storage ? nothing : (char *)&t->value;
    if (!writable) Py_INCREF(read_only);
    return mt_py_new_array(t->dtype, t->ndim, t->shape, t->size ? t->strides : NULL, data, writable,
                           writable ? NULL : read_only);
}

/* Returns the code of one of NumPy's own dtypes; -1: no tensor holds it. */
static int code_of(int type_num) {
    enum { TYPES = 24, LONG = sizeof(long) == 8 };
    static const int8_t CODES[TYPES] = {/* each one more than the code */
                                        [0] = MT_DT_bool + 1,
                                        [1] = MT_DT_int8 + 1,
                                        [2] = MT_DT_uint8 + 1,
                                        [3] = MT_DT_int16 + 1,
                                        [4] = MT_DT_uint16 + 1,
                                        [5] = MT_DT_int32 + 1,
                                        [6] = MT_DT_uint32 + 1,
                                        [7] = (LONG ? MT_DT_int64 : MT_DT_int32) + 1,
                                        [8] = (LONG ? MT_DT_uint64 : MT_DT_uint32) + 1,
                                        [9] = MT_DT_int64 + 1,
                                        [10] = MT_DT_uint64 + 1,
                                        [11] = MT_DT_float32 + 1,
                                        [12] = MT_DT_float64 + 1,
                                        [14] = MT_DT_complex64 + 1,
                                        [15] = MT_DT_complex128 + 1,
                                        [23] = MT_DT_float16 + 1};
    return type_num >= 0 && type_num < TYPES ? CODES[type_num] - 1 : -1;
}

bool mt_py_read_array(PyObject *object, mt_py_array_fields *fields) {
    if (Py_TYPE(object) != (PyTypeObject *)python.ndarray) return false;
    const array_object *a = (array_object *)object;
    int code = code_of(a->descr->type_num);
    if (code < 0 || a->nd > MT_MAX_NDIM) return false;
    if (a->descr->byteorder != '=' && a->descr->byteorder != '|') return false;
    *fields = (mt_py_array_fields){.dtype = code,
                                   .ndim = a->nd,
                                   .writable = a->flags & WRITEABLE,
                                   .aligned = a->flags & ALIGNED,
                                   .data = a->data,
                                   .shape = (const int64_t *)a->dimensions,
                                   .strides = (const int64_t *)a->strides};
    return true;
}
