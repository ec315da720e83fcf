/* What all floors of the core know: the face (core.h) as C reads it, and the tables that are made
 * from dtype.py and optable.py. */
#ifndef MT_TYPES_H
#define MT_TYPES_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* What Python need not see of the public structs (core.h has `...;` in their place). */
#define MT_TENSOR_PRIVATE                                                                          \
    _Atomic int64_t refs;                                                                          \
    union {                                                                                        \
        uint8_t b;                                                                                 \
        int64_t i;                                                                                 \
        double f;                                                                                  \
        double c[2];                                                                               \
    } value;        /* of a weak scalar */                                                         \
    uint32_t born;  /* its storage's count of assignments when it was made */                      \
    int64_t dims[]; /* shape, then strides */
#define MT_ERROR_PRIVATE                                                                           \
    _Atomic int64_t refs;                                                                          \
    /* Guarded by the executor's lock: */                                                          \
    int32_t stream; /* the account it stands in; 0: it was read or told */                         \
    bool kept;      /* in the account's list; else counted, if its batch is the stream's */        \
    uint32_t batch;                                                                                \
    struct mt_error *previous, *next; /* in that list */

/* Made by build/_build.py: core.h as C reads it; dtypes, promotion and the op table, from dtype.py
 * and optable.py. */
#include "generated/core_c.h"
#include "generated/generated.h"

#endif
