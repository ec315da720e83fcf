#include "fusion/reduction_layout.h"

#include "kernels/isa.h"

mt_operand mt_reduced_operand(const mt_tensor *out, const mt_tensor *in, uint64_t axes) {
    mt_operand result = {.data = mt_tensor_data(out), .dtype = out->dtype};
    bool keepdims = out->ndim == in->ndim;
    for (int d = 0, k = 0; d < in->ndim; d++) {
        bool gone = axes >> d & 1;
        result.strides[d] = gone ? 0 : out->strides[k];
        if (!gone || keepdims) k++;
    }
    return result;
}

int mt_fold_result(const mt_task *task) {
    int dtype = task->out[0]->dtype;
    return mt_fold_dtype(task->op, task->compute) == task->compute ? dtype : MT_COMPUTE[dtype];
}

int mt_dims_kept(const mt_task *task) {
    int kept = 0;
    for (int d = 0; d < task->in[0]->ndim; d++) kept += !(task->axes >> d & 1);
    return kept;
}

void mt_reduction_order(const mt_task *task, int *order) {
    const mt_tensor *in = task->in[0];
    int kept = mt_dims_kept(task), stay = 0, go = kept;
    for (int d = 0; d < in->ndim; d++)
        if (task->axes >> d & 1) order[go++] = d;
        else order[stay++] = d;
    mt_sort_dims(kept, order, in->strides);
    bool position = task->op == MT_OP_argmin || task->op == MT_OP_argmax;
    if (!position)
        mt_sort_dims(in->ndim - kept, order + kept,
                     in->strides); /* positions count in C order, so argmax keeps it */
}

double mt_divisor(const mt_task *task, int64_t count) {
    if (task->op == MT_OP_mean) return (double)count;
    if (task->op != MT_OP_var && task->op != MT_OP_std) return 1;
    double divisor = (double)count - task->param[0].f;
    return divisor > 0 ? divisor : 0;
}
