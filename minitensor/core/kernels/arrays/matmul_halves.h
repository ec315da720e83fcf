/* Products of float16 and bfloat16: the operands become float32, and each result is rounded once.
 * Included by matmul.h. */

/* Returns an array in float32 at `data`, in C order, of the shape of `like`; its strides go to
 * `strides`. */
static mt_array wide_array(const mt_array *like, char *data, int64_t *strides) {
    mt_array wide = *like;
    wide.data = data, wide.dtype = MT_DT_float32, wide.strides = strides;
    int64_t step = sizeof(float);
    for (int d = like->ndim - 1; d >= 0; step *= like->shape[d--]) strides[d] = step;
    return wide;
}

static void cast_array(const mt_array *to, const mt_array *from) {
    mt_operand out = {.data = to->data, .dtype = to->dtype},
               in = {.data = from->data, .dtype = from->dtype};
    for (int d = 0; d < to->ndim; d++)
        out.strides[d] = to->strides[d], in.strides[d] = from->strides[d];
    mt_run_copy(to->ndim, to->shape, &out, &in);
}

static int multiply_halves(const mt_arrays *a) {
    const mt_array *x = &a->in[0], *y = &a->in[1], *out = &a->out[0];
    int64_t strides[3][MT_MAX_NDIM];
    size_t size = sizeof(float) * (size_t)(x->size + y->size + out->size);
    char *memory = malloc(size > 0 ? size : 1);
    if (!memory) return MT_MEMORY_ERROR;
    mt_array in[2] = {wide_array(x, memory, strides[0]),
                      wide_array(y, memory + sizeof(float) * (size_t)x->size, strides[1])};
    mt_array product =
        wide_array(out, memory + sizeof(float) * (size_t)(x->size + y->size), strides[2]);
    cast_array(&in[0], x);
    cast_array(&in[1], y);
    mt_arrays wide = *a;
    wide.in = in, wide.out = &product;
    int status = MT_ARRAY_KERNEL_OF(MT_LOOPS, matmul)(&wide);
    if (status == MT_OK) cast_array(out, &product);
    free(memory);
    return status;
}
