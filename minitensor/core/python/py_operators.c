/* The way from Python to an op: the type under Tensor, its operators, and the functions of single
 * elements.
 *
 * The problem.  An op of one element takes the core some 0.2 us.  A method in Python, a call
 * through cffi, an object with a finalizer and another call to give back what it held cost three
 * times that; nothing in Python makes them cheaper, because each is a step that the interpreter
 * takes.
 *
 * The solution.  The path of every call is in C, and short: an operator is a slot of the type, so
 * `x + y` comes here without a look-up; the result is an object of Tensor whose only content is its
 * reference; it is given back where the object dies.  All else (an operand that is no tensor,
 * number, array or list, a full queue, an error) leaves for Python: `dispatch_slow` and `complete`,
 * as the other ops do.
 *
 * One module more in the shared object of the core, minitensor.backend._operators, against the
 * stable ABI of 3.10.  What it defines comes from the op table: operators_gen.h has one line for
 * each op and one for each operator.
 *
 * The GIL.  Releasing it and taking it back costs a fifth of a small op, so a small op keeps it
 * here (cffi releases it for every call).  A thread that keeps the GIL may take a lock of the core
 * if no thread holds that lock while it waits for the GIL.  One does: a thread that forks holds the
 * locks while other hooks of its fork run.  It announces that before it takes the locks, while it
 * has the GIL itself (fork_prepare).  A thread that has the GIL and reads no announcement
 * (mt_may_block) can therefore take any lock until it releases the GIL: all other owners release
 * the locks after a few instructions.  Code that may call Python, or takes long, always runs
 * without the GIL. */
#include "python/py_core.h"

#include "api/matmul.h"

static bool keeps_gil(mt_ref x) { return mt_t(x)->size <= MT_PY_LITTLE && mt_keeps_gil(); }

/* --- calls of ops ----------------------------------------------------------------------------- */

static PyObject *dispatch_slow(int op, bool is_operator, int n, PyObject *const *operands) {
    PyObject *arguments = PyTuple_New(n + 2), *result = NULL;
    if (!arguments) return NULL;
    PyTuple_SetItem(arguments, 0, PyLong_FromLong(op));
    PyTuple_SetItem(arguments, 1, PyBool_FromLong(is_operator));
    for (int i = 0; i < n; i++) {
        Py_INCREF(operands[i]);
        PyTuple_SetItem(arguments, i + 2, operands[i]);
    }
    if (!PyErr_Occurred()) result = PyObject_CallObject(python.dispatch_slow, arguments);
    Py_DECREF(arguments);
    return result;
}

/* Returns the operand's reference: a tensor's, or that of `number`, which is given a bool, an int
 * or a float; 0: it is neither, or an int beyond 64 bits. */
static mt_ref reference(PyObject *operand, mt_tensor *number) {
    mt_ref ref = mt_py_ref(operand);
    if (ref) return ref;
    *number = (mt_tensor){.size = 1, .device = -1, .weak = MT_ON_STACK};
    int beyond = 0;
    if (PyFloat_CheckExact(operand)) {
        number->dtype = MT_DT_float64, number->value.f = PyFloat_AsDouble(operand);
    } else if (PyLong_CheckExact(operand)) {
        number->dtype = MT_DT_int64;
        number->value.i = PyLong_AsLongLongAndOverflow(operand, &beyond);
    } else if (operand == Py_True || operand == Py_False) {
        number->dtype = MT_DT_bool, number->value.b = operand == Py_True;
    } else return 0;
    return beyond ? 0 : mt_ref_of(number);
}

static PyObject *unary(int op, PyObject *a, bool is_operator) {
    mt_ref x = mt_py_ref(a), result;
    if (!x) return dispatch_slow(op, is_operator, 1, &a);
    MT_PY_CALL(keeps_gil(x), result = mt_unary(op, x))
    return mt_py_finished(result);
}

/* Returns a new tensor of data (an array, a list) that is the other operand of x; 0: it is not such
 * data, or x is a number. */
static mt_ref data_beside(mt_ref x, PyObject *data) {
    return x && !mt_t(x)->weak ? mt_py_from_data(data, -1, mt_t(x)->device) : 0;
}

static PyObject *binary(int op, PyObject *a, PyObject *b, bool is_operator) {
    mt_tensor numbers[2];
    mt_ref x = reference(a, &numbers[0]), y = reference(b, &numbers[1]), made = 0, result;
    if (!x) x = made = data_beside(y, a);
    else if (!y) y = made = data_beside(x, b);
    if (PyErr_Occurred()) return NULL;
    if (!x || !y || (mt_t(x)->weak && mt_t(y)->weak))
        return dispatch_slow(op, is_operator, 2, (PyObject *[]){a, b});
    MT_PY_CALL(keeps_gil(x) && keeps_gil(y), result = mt_binary(op, x, y))
    PyObject *end = mt_py_finished(result);
    if (made) mt_py_give_back(made);
    return end;
}

static PyObject *ternary(int op, PyObject *const *operands) {
    mt_tensor numbers[3];
    mt_ref refs[3], result;
    bool slow = false, all_numbers = true, keep = true;
    for (int i = 0; i < 3 && !slow; i++) {
        slow = !(refs[i] = reference(operands[i], &numbers[i]));
        all_numbers &= !slow && mt_t(refs[i])->weak;
        keep &= !slow && keeps_gil(refs[i]);
    }
    if (slow || all_numbers) return dispatch_slow(op, false, 3, operands);
    MT_PY_CALL(keep, result = mt_ternary(op, refs[0], refs[1], refs[2]))
    return mt_py_finished(result);
}

/* a += b and its like: by a task that writes to a; else the result is computed and then assigned
 * (ops/elementwise.py), which also refuses results that do not fit. */
static PyObject *in_place(int op, PyObject *a, PyObject *b) {
    mt_tensor number;
    mt_ref x = mt_py_ref(a), y = reference(b, &number), made = 0, result = 0;
    if (!y) y = made = data_beside(x, b);
    if (PyErr_Occurred()) return NULL;
    bool keep = x && y && keeps_gil(x) && keeps_gil(y), failed = false;
    if (x && y) {
        MT_PY_CALL(keep, result = mt_binary_in_place(op, x, y))
    }
    if (result < 0) result = mt_py_end_of(result), failed = !result;
    if (made) mt_py_give_back(made);
    if (failed) return NULL;
    if (!result) {
        PyObject *value = binary(op, a, b, true), *end = value;
        if (value && value != Py_NotImplemented) {
            end = PyObject_CallMethod(a, "_take_result", "iO", op, value);
            Py_DECREF(value);
        } else if (value && op == MT_OP_add) {
            /* CPython takes nb_inplace_add for the += of sequences, too, whose NotImplemented it
             * would return to the program. */
            Py_DECREF(value);
            end = PyNumber_Add(a, b);
        }
        return end;
    }
    MT_PY_CALL(keep, mt_release(result))
    Py_INCREF(a);
    return a;
}

/* cast(tensor, code of the dtype) */
PyObject *mt_py_cast(PyObject *module, PyObject *const *given, Py_ssize_t n) {
    (void)module;
    mt_ref x = n == 2 ? mt_py_ref(given[0]) : 0, result;
    long dtype = x ? PyLong_AsLong(given[1]) : -1;
    if (dtype < 0 || dtype >= MT_NUM_DTYPES)
        return PyErr_Format(PyExc_TypeError, "[cast] takes a tensor and the code of a dtype");
    MT_PY_CALL(keeps_gil(x), result = mt_cast(x, (int)dtype))
    return mt_py_finished(result);
}

/* Raise that a call has its operands wrong: `before` what it `got` (a reference that goes) `after`.
 * Return false. */
static bool wrong_operands(const char *op, int n, const char *const *names, const char *before,
                           PyObject *got, const char *after) {
    char list[64] = "";
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s'%s'",
                 i == 0       ? ""
                 : i == n - 1 ? " and "
                              : ", ",
                 names[i]);
    }
    if (got) PyErr_Format(PyExc_TypeError, "[%s] takes %s, %s%R%s", op, list, before, got, after);
    Py_XDECREF(got);
    return false;
}

/* The operands of a call f(a, b), f(a, other=b): borrowed, in order.  The first `bound` have been
 * given by the method's object. */
static bool operands_of(const char *op, int n, const char *const *names, PyObject *const *given,
                        Py_ssize_t positional, PyObject *keywords, int bound, PyObject **operands) {
    Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;
    if (bound + positional > n)
        return wrong_operands(op, n, names, "got ", PyLong_FromSsize_t(bound + positional),
                              " operands");
    for (int i = bound; i < n; i++) operands[i] = i - bound < positional ? given[i - bound] : NULL;
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GetItem(keywords, k);
        int i = 0;
        while (i < n && PyUnicode_CompareWithASCIIString(name, names[i]) != 0) i++;
        if (i == n || operands[i]) {
            Py_INCREF(name);
            return wrong_operands(op, n, names, i == n ? "not the keyword " : "got ", name,
                                  i == n ? "" : " twice");
        }
        operands[i] = given[positional + k];
    }
    for (int i = 0; i < n; i++)
        if (!operands[i])
            return wrong_operands(op, n, names, "got no ", PyUnicode_FromString(names[i]), "");
    return true;
}

/* --- products of matrices --------------------------------------------------------------------- */

/* Returns the product of two tensors, 0 after an exception or if NumPy has to multiply. */
static mt_ref multiply(mt_ref x, mt_ref y) {
    mt_ref result;
    MT_PY_CALL(keeps_gil(x) && keeps_gil(y), result = mt_matmul(mt_t(x), mt_t(y)))
    return result < 0 ? mt_py_end_of(result) : result;
}

static mt_ref in_dtype(mt_ref x, int dtype) {
    mt_ref result;
    MT_PY_CALL(keeps_gil(x), result = mt_cast(x, dtype))
    return result < 0 ? mt_py_end_of(result) : result;
}

/* The product of halves: of float32, rounded once. */
static mt_ref multiply_halves(mt_ref x, mt_ref y) {
    mt_ref a = in_dtype(x, MT_DT_float32), b = a ? in_dtype(y, MT_DT_float32) : 0;
    mt_ref wide = b ? multiply(a, b) : 0, result = wide ? in_dtype(wide, mt_t(x)->dtype) : 0;
    if (a) mt_py_give_back(a);
    if (b) mt_py_give_back(b);
    if (wide) mt_py_give_back(wide);
    return result;
}

/* Returns NULL without an exception if NumPy has to multiply, or something is wrong. */
static PyObject *product(PyObject *a, PyObject *b) {
    enum { FEW = 1 << 14 }; /* elements of halves, beyond which NumPy multiplies in any case */
    mt_ref x = mt_py_ref(a), y = mt_py_ref(b);
    if (!x || !y) return NULL;
    const mt_tensor *t = mt_t(x), *u = mt_t(y);
    bool halves = t->dtype == u->dtype && t->device == u->device && t->ndim && u->ndim &&
                  MT_COMPUTE[t->dtype] == MT_DT_float32 && t->dtype != MT_DT_float32;
    mt_ref result = !halves                            ? multiply(x, y)
                    : t->size <= FEW && u->size <= FEW ? multiply_halves(x, y)
                                                       : 0;
    return result ? mt_py_wrap(result) : NULL;
}

static PyObject *matmul(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return n == 2 && !names ? product(given[0], given[1]) : NULL;
}

/* Returns the number of dimensions of a tensor; 0: it is none, or has none. */
static int rank(PyObject *o) {
    mt_ref ref = mt_py_ref(o);
    return ref ? mt_t(ref)->ndim : 0;
}

static PyObject *dot(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    if (n != 2 || names || !rank(given[0]) || !rank(given[1]) || rank(given[1]) > 2) return NULL;
    return product(given[0], given[1]);
}

static PyObject *mm(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return n == 2 && rank(given[0]) == 2 && rank(given[1]) == 2 ? matmul(given, n, names) : NULL;
}

static PyObject *mv(PyObject *const *given, Py_ssize_t n, PyObject *names) {
    return n == 2 && rank(given[0]) == 2 && rank(given[1]) == 1 ? matmul(given, n, names) : NULL;
}

const mt_py_fast_entry mt_py_fast_products[] = {
    {"matmul", matmul}, {"dot", dot}, {"mm", mm}, {"mv", mv}, {NULL, NULL}};

static PyObject *slot_matmul(PyObject *a, PyObject *b) {
    PyObject *result = product(a, b);
    if (result || PyErr_Occurred()) return result;
    return PyObject_CallMethod(mt_py_ref(a) ? a : b, "_matmul", "(OO)", a, b);
}

/* --- one function, one method and their entries for each op; one slot for each operator ------- */

#define FAST PyObject *const *given, Py_ssize_t positional, PyObject *keywords
#define OPERANDS(name, n, bound, ...)                                                              \
    static const char *const names[] = {__VA_ARGS__};                                              \
    if (!operands_of(#name, n, names, given, positional, keywords, bound, o)) return NULL;
#define OP1(name, doc, a)                                                                          \
    static PyObject *function_##name(PyObject *module, FAST) {                                     \
        (void)module;                                                                              \
        PyObject *o[1];                                                                            \
        OPERANDS(name, 1, 0, a)                                                                    \
        return unary(MT_OP_##name, o[0], false);                                                   \
    }                                                                                              \
    static PyObject *method_##name(PyObject *self, PyObject *none) {                               \
        (void)none;                                                                                \
        return unary(MT_OP_##name, self, false);                                                   \
    }
#define OP2(name, doc, a, b)                                                                       \
    static PyObject *function_##name(PyObject *module, FAST) {                                     \
        (void)module;                                                                              \
        PyObject *o[2];                                                                            \
        OPERANDS(name, 2, 0, a, b)                                                                 \
        return binary(MT_OP_##name, o[0], o[1], false);                                            \
    }                                                                                              \
    static PyObject *method_##name(PyObject *self, FAST) {                                         \
        PyObject *o[2] = {self};                                                                   \
        OPERANDS(name, 2, 1, a, b)                                                                 \
        return binary(MT_OP_##name, self, o[1], false);                                            \
    }
#define OP3(name, doc, a, b, c)                                                                    \
    static PyObject *function_##name(PyObject *module, FAST) {                                     \
        (void)module;                                                                              \
        PyObject *o[3];                                                                            \
        OPERANDS(name, 3, 0, a, b, c)                                                              \
        return ternary(MT_OP_##name, o);                                                           \
    }
#define SLOT1(slot, name)                                                                          \
    static PyObject *slot_##name(PyObject *a) { return unary(MT_OP_##name, a, true); }
#define SLOT2(slot, name)                                                                          \
    static PyObject *slot_##name(PyObject *a, PyObject *b) {                                       \
        return binary(MT_OP_##name, a, b, true);                                                   \
    }                                                                                              \
    static PyObject *in_place_##name(PyObject *a, PyObject *b) {                                   \
        return in_place(MT_OP_##name, a, b);                                                       \
    }
#define SLOT3(slot, name)                                                                          \
    static PyObject *slot_##name(PyObject *a, PyObject *b, PyObject *modulus) {                    \
        if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;                                          \
        return binary(MT_OP_##name, a, b, true);                                                   \
    }                                                                                              \
    static PyObject *in_place_##name(PyObject *a, PyObject *b, PyObject *modulus) {                \
        (void)modulus;                                                                             \
        return in_place(MT_OP_##name, a, b);                                                       \
    }
#define COMPARE(code, name)
#include "generated/operators_gen.h"
#undef OP1
#undef OP2
#undef OP3
#undef SLOT1
#undef SLOT2
#undef SLOT3
#undef COMPARE

PyObject *mt_op_compare(PyObject *a, PyObject *b, int code) {
    static const int OPS[] = {
#define COMPARE(code, name) [Py_##code] = MT_OP_##name,
#include "generated/operators_gen.h"
#undef COMPARE
    };
    return binary(OPS[code], a, b, true);
}

PyMethodDef mt_op_functions[] = {
#define OP1(name, doc, a)                                                                          \
    {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS, #name "(" a ")\n--\n\n" doc},
#define OP2(name, doc, a, b)                                                                       \
    {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS,                             \
     #name "(" a ", " b ")\n--\n\n" doc},
#define OP3(name, doc, a, b, c)                                                                    \
    {#name, AS_METHOD(function_##name), METH_FASTCALL | METH_KEYWORDS,                             \
     #name "(" a ", " b ", " c ")\n--\n\n" doc},
#include "generated/operators_gen.h"
#undef OP1
#undef OP2
#undef OP3
    {NULL, NULL, 0, NULL}};
PyMethodDef mt_op_methods[] = {
#define OP1(name, doc, a) {#name, method_##name, METH_NOARGS, #name "($self)\n--\n\n" doc},
#define OP2(name, doc, a, b)                                                                       \
    {#name, AS_METHOD(method_##name), METH_FASTCALL | METH_KEYWORDS,                               \
     #name "($self, " b ")\n--\n\n" doc},
#define OP3(name, doc, a, b, c)
#include "generated/operators_gen.h"
#undef OP1
#undef OP2
#undef OP3
    {NULL, NULL, 0, NULL}};
PyType_Slot mt_op_slots[] = {{Py_nb_matrix_multiply, slot_matmul},
#define SLOT1(slot, name) {Py_nb_##slot, slot_##name},
#define SLOT2(slot, name) {Py_nb_##slot, slot_##name}, {Py_nb_inplace_##slot, in_place_##name},
#define SLOT3 SLOT2
#include "generated/operators_gen.h"
#undef SLOT1
#undef SLOT2
#undef SLOT3
                             {0, NULL}};
