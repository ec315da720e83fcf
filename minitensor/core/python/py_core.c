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
