/* What the core's two files for CPython share: py_operators.c, whose essay tells of both, and
 * py_tensor.c.  Against the stable ABI of 3.10. */
#ifndef MT_PYTHON_H
#define MT_PYTHON_H
#undef Py_LIMITED_API
#define Py_LIMITED_API 0x030A0000
#include <Python.h>
#include <structmember.h>

#include "base/host.h"
#include "tensor/tensor.h"

typedef struct {
    PyObject_HEAD mt_ref ref; /* `_h`; 0: it has none, since its making failed */
    PyObject *shape, *dtype;  /* NULL until they are read */
    PyObject *weak;
} tensor_object;

/* What Python tells by bind(), under the GIL. */
typedef struct {
    PyObject *tensor; /* the class Tensor */
    PyObject *dtypes; /* its dtypes, a tuple by code */
    PyObject *numpy
        /* NumPy's of these, each when it is first asked for: bfloat16's is a module more to
         * import */
        [MT_NUM_DTYPES];
    PyObject *ndarray;  /* numpy.ndarray */
    PyObject *complete; /* complete(ref): brings a call to its end */
    PyObject *
        /* dispatch_slow(op, operator, *operands): with operands that are not all tensors and
         * numbers */
        dispatch_slow;
    PyObject *
        /* site(frame): the number of the user's line; less than 0, -1 - number: the line is not
         * that frame's */
        site;
    PyObject *host_raised; /* host_raised(error): what the core keeps of it, as an int */
    PyObject *host_ended;  /* host_ended(tensor): raises now, if a Ctrl-C came in its task */
    PyObject *synchronous; /* True: each op fails at its call */
} mt_python;
extern mt_python python;

/* TensorBase. */
extern PyTypeObject *mt_tensor_base;

/* Tensor's. */
extern allocfunc mt_tensor_alloc;

/* py_core.c */

/* The Tensor of a reference, which it takes over. */
PyObject *mt_py_wrap(mt_ref ref);

/* Returns a tuple of ints. */
PyObject *mt_py_ints(int n, const int64_t *values);

/* Returns the code of a dtype: one of ours, its name, or float, int or bool; -1: another object. */
int mt_py_dtype(PyObject *dtype);

/* Sorts the arguments of a call: values[i] is that of parameters[i] (up to a NULL), or NULL; the
 * first `positional` may be given by position.  False: Python has to say what is wrong. */
bool mt_py_arguments(PyObject *const *given, Py_ssize_t n, PyObject *names, int positional,
                     const char *const *parameters, PyObject **values);

/* py_operators.c */

enum {
    /* Elements of an operand, up to which a call keeps the GIL: some 2 us at most; a second thread
     * that wants the GIL asks for it after 5,000. */
    MT_PY_LITTLE = 1024
};

/* Runs a statement that calls the core, without the GIL unless `keep`. */
#define MT_PY_CALL(keep, statement)                                                                \
    if (keep) statement;                                                                           \
    else {                                                                                         \
        Py_BEGIN_ALLOW_THREADS statement;                                                          \
        Py_END_ALLOW_THREADS                                                                       \
    }

/* py_calls.c */

/* Finds the number of the user's line; false: an exception. */
bool mt_py_site(uint32_t *site);

/* Brings a call to its end: queues it, if that is all there is to do, and else as `complete` does.
 * Returns a reference; 0: an exception. */
mt_ref mt_py_end_of(mt_ref call);

/* Returns the Tensor of what a call of the core has returned; NULL: an exception. */
PyObject *mt_py_finished(mt_ref ref);

/* Releases a count, and keeps an exception that is on its way. */
void mt_py_give_back(mt_ref ref);

/* py_operators.c */
PyObject *mt_py_cast(PyObject *module, PyObject *const *given, Py_ssize_t n);

/* py_fast.c */

/* A fast way of a function: computes a call with the usual arguments (`names`: of the keywords,
 * whose values follow the n arguments by position).  Returns NULL without an exception for a call
 * that Python has to compute. */
typedef PyObject *(*mt_py_fast)(PyObject *const *given, Py_ssize_t n, PyObject *names);
typedef struct {
    const char *name;
    mt_py_fast function;
} mt_py_fast_entry;

PyObject *mt_py_fast_function(PyObject *module, PyObject *const *given, Py_ssize_t n);

/* Up to one without a name. */
extern const mt_py_fast_entry mt_py_fast_views[], mt_py_fast_numbers[], mt_py_fast_input[],
    mt_py_fast_convert[], mt_py_fast_create[], mt_py_fast_host[], mt_py_fast_indexing[],
    mt_py_fast_joining[], mt_py_fast_sums[], mt_py_fast_products[];

/* py_index.c: slots of the type */
PyObject *mt_py_getitem(PyObject *self, PyObject *key);
int mt_py_setitem(PyObject *self, PyObject *key, PyObject *value);
PyObject *mt_py_float(PyObject *self);
PyObject *mt_py_whole(PyObject *self);
PyObject *mt_py_index(PyObject *self);
int mt_py_bool(PyObject *self);
Py_ssize_t mt_py_length(PyObject *self);
/* py_input.c */

/* Returns a reference of a new tensor of a program's data (an array, a number, lists of numbers) on
 * a device; dtype -1: the data's.  0 without an exception: Python has to convert it. */
mt_ref mt_py_from_data(PyObject *data, int dtype, int device);

/* py_host.c */
extern PyMethodDef mt_host_functions[];
bool mt_py_host_ready(PyObject *module);

/* py_packets.c */
bool mt_py_packets_ready(PyObject *module);

/* py_arrays.c */
PyObject *mt_py_array_op(PyObject *module, PyObject *const *given, Py_ssize_t n);
PyObject *mt_py_array_pair(PyObject *module, PyObject *const *given, Py_ssize_t n);
PyObject *mt_py_array_op_into(PyObject *module, PyObject *const *given, Py_ssize_t n);

/* py_joining.c */
PyObject *mt_py_join(PyObject *module, PyObject *const *given, Py_ssize_t n);
/* py_create.c */

/* Returns the number of the device of new tensors, one that has every dtype; -1: unknown. */
int mt_py_device(void);
PyObject *mt_py_current_device(PyObject *module, PyObject *number);
PyObject *mt_py_empty(PyObject *module, PyObject *const *given, Py_ssize_t n);
PyObject *mt_py_filled(PyObject *module, PyObject *const *given, Py_ssize_t n);
PyObject *mt_py_range(PyObject *module, PyObject *const *given, Py_ssize_t n);
PyObject *mt_py_make(PyObject *module, PyObject *const *given, Py_ssize_t n);
/* py_indexing.c */
PyObject *mt_py_index_op(PyObject *module, PyObject *const *given, Py_ssize_t n);
/* Computes t[key], or with a `value` (a tensor or a number on the stack) t[key] = value and returns
 * t, for a tensor of integers or bools as the key.  Returns NULL without an exception if Python has
 * to. */
PyObject *mt_py_by_tensor(PyObject *self, PyObject *key, mt_ref value);
PyObject *mt_py_mask_op(PyObject *module, PyObject *const *given, Py_ssize_t n);
/* py_reduce.c */

/* reductions(functions): a dict of function and method for each reduction, which call the function
 * of this name for all but the common calls. */
PyObject *mt_py_reductions(PyObject *module, PyObject *by_name);
extern PyMethodDef mt_op_functions[], mt_op_methods[];

/* Up to one that is 0. */
extern PyType_Slot mt_op_slots[];
PyObject *mt_op_compare(PyObject *a, PyObject *b, int code);

static inline mt_ref mt_py_ref(PyObject *o) { /* 0: it is no tensor, or one without a value */
    PyTypeObject *type = Py_TYPE(o);
    if (type == (PyTypeObject *)python.tensor || PyType_IsSubtype(type, mt_tensor_base))
        return ((tensor_object *)o)->ref;
    return 0;
}
static inline bool mt_keeps_gil(void) {
    return atomic_load_explicit(&mt_may_block, memory_order_relaxed) == 0;
}

#define AS_METHOD(function) (PyCFunction)(void (*)(void))(function)
#endif
