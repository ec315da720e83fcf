/* The end of a call of the core: its task is queued, or its error raised. */
#include "python/py_core.h"

enum { SITES = 256 };

/* Lines that queued work of late: by their code objects, which are held so that no other one can
 * come to lie where one was. */
static struct {
    PyObject *code;
    int line;
    uint32_t site;
} sites[SITES];

bool mt_py_site(uint32_t *site) {
    *site = 0;
    PyFrameObject *frame = PyEval_GetFrame();
    if (!frame) return true; /* no line of Python: a thread of C calls */
    PyObject *code = (PyObject *)PyFrame_GetCode(frame);
    int line = PyFrame_GetLineNumber(frame),
        i = (int)(((uintptr_t)code / 32 + (unsigned)line) % SITES);
    if (sites[i].code != code || sites[i].line != line) {
        PyObject *number = PyObject_CallFunctionObjArgs(python.site, (PyObject *)frame, NULL);
        long n = number ? PyLong_AsLong(number) : 0;
        Py_XDECREF(number);
        if (!number || n < 0) Py_DECREF(code);
        if (!number) return false;
        *site = (uint32_t)(n < 0 ? -1 - n : n);
        if (n < 0) return true;
        PyObject *before = sites[i].code;
        sites[i].code = code, sites[i].line = line, sites[i].site = *site;
        Py_XDECREF(before);
        return true;
    }
    *site = sites[i].site;
    Py_DECREF(code);
    return true;
}

mt_ref mt_py_end_of(mt_ref call) {
    uint32_t site;
    int status = mt_call_status(call) == MT_QUEUE && python.synchronous != Py_True
                     ? MT_TIMEOUT
                     : MT_RUNTIME_ERROR;
    if (status == MT_TIMEOUT && !mt_py_site(&site)) {
        mt_call_drop(call);
        return 0;
    }
    while (status == MT_TIMEOUT) {
        Py_BEGIN_ALLOW_THREADS status = mt_submit(call, site, MT_SLICE_MS);
        Py_END_ALLOW_THREADS if (status == MT_TIMEOUT && PyErr_CheckSignals() < 0) {
            Py_BEGIN_ALLOW_THREADS mt_call_drop(call);
            Py_END_ALLOW_THREADS return 0;
        }
    }
    if (status == MT_OK) return mt_call_end(call);
    PyObject *end = PyObject_CallFunction(python.complete, "L", (long long)call);
    mt_ref ref = end ? PyLong_AsLongLong(end) : 0;
    Py_XDECREF(end);
    return PyErr_Occurred() ? 0 : ref;
}

PyObject *mt_py_finished(mt_ref ref) {
    if (ref < 0) ref = mt_py_end_of(ref);
    return ref ? mt_py_wrap(ref) : NULL;
}

void mt_py_give_back(mt_ref ref) {
    if (mt_keeps_gil() && mt_release_promptly(mt_t(ref))) return;
    PyObject *kind, *error,
        *where; /* what is on its way up is not for a function that Python runs for the core */
    PyErr_Fetch(&kind, &error, &where);
    Py_BEGIN_ALLOW_THREADS mt_release(ref);
    Py_END_ALLOW_THREADS PyErr_Restore(kind, error, where);
}
