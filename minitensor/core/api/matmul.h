/* Products of matrices and vectors. */
#ifndef MT_API_MATMUL_H
#define MT_API_MATMUL_H
#include "tensor/tensor.h"

/* Returns the product of two tensors as numpy.matmul computes it; 0: NumPy has to, or to say what
 * is wrong with them. */
mt_ref mt_matmul(mt_tensor *a, mt_tensor *b);

#endif
