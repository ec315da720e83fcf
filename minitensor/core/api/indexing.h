/* Ops that index by tensors of integers. */
#ifndef MT_API_INDEXING_H
#define MT_API_INDEXING_H
#include "tensor/tensor.h"

/* t[index], or t[index] = value, and their relatives. */
typedef struct {
    int kernel; /* gather, scatter or scatter_add */
    const char *op;
    mt_tensor *base, *value; /* value: NULL for a gather */
    int n;
    mt_tensor **index;
    const int *dims; /* ascending: the dimension of base that each index replaces */
    /* The dimensions of the indices stand after so many of those that remain; -1: one index
     * replaces one dimension for each element of its shape (gather_elements). */
    int ahead;
} mt_index_call;

/* Returns a new tensor, or base with a new count; 0: the core has no kernel for these operands, or
 * they do not fit. */
mt_ref mt_index_op(const mt_index_call *call);
#endif
