"""Arguments with which each function of `minitensor.ops` and each method of it has to work."""

from __future__ import annotations

import numpy as np

from minitensor import Tensor
from minitensor.ops import _LATER
from minitensor.ops.ufuncs import ROWS
from minitensor.optable import ELEMENTWISE

FUNCTIONS = {
    "addmm": "m, m, m", "all": "b", "allclose": "m, m", "amax": "m", "amin": "m", "any": "b",
    "arange": "3", "argmax": "m", "argmin": "m",
    "argsort": "m", "argwhere": "m", "bernoulli": "h", "binary_cross_entropy": "h, h",
    "binary_cross_entropy_with_logits": "m, h",
    "bincount": "i", "bmm": "c, c", "broadcast_tensors": "m, v", "broadcast_to": "v, (2, 2)",
    "cast": "m, 'int8'", "cat": "[m, m]",
    "celu": "m", "cholesky": "m", "chunk": "m, 2", "clamp": "m, 0, 1", "clip": "m, 0, 1",
    "concat": "[m, m]", "contiguous": "m",
    "cosine_similarity": "m, m", "count_nonzero": "m", "cross_entropy": "m, i", "cumprod": "m",
    "cumsum": "m", "dense": "m, m", "det": "m",
    "diag": "v", "diagonal": "m", "div": "m, m", "divide": "m, m", "dot": "v, v", "dropout": "m",
    "einsum": "'ij->ji', m", "elu": "m",
    "embedding": "i, m", "empty": "2", "empty_like": "m", "expand": "v, 2, 2",
    "expand_dims": "m, 0", "eye": "2", "flatten": "m",
    "flip": "m, 0", "full": "2, 1", "full_like": "m, 1", "gather": "m, i, 0", "gather_d": "m, 0, n",
    "gather_elements": "m, 0, n",
    "gather_nd": "m, n", "gelu": "m", "get_rng_state": "", "get_seed": "", "hardsigmoid": "m",
    "hardswish": "m", "hardtanh": "m",
    "host_call": "np.negative, [m], shape=(2, 2), dtype='float32'", "index_add": "m, i, m, 0",
    "index_select": "m, 0, i",
    "initial_seed": "", "inner": "v, v", "inverse": "m", "is_tensor": "m", "isclose": "m, m",
    "kron": "m, m", "l1_loss": "m, m",
    "layer_norm": "m, 2", "leaky_relu": "m", "linear": "m, m", "linspace": "0, 1, 3",
    "log_softmax": "m", "logsigmoid": "m",
    "logspace": "0, 1, 3", "logsumexp": "m", "manual_seed": "1", "masked_fill": "m, b, 0",
    "masked_select": "m, b", "matmul": "m, m",
    "max": "m", "mean": "m", "median": "m", "meshgrid": "v, v", "min": "m", "mish": "m",
    "mm": "m, m", "moveaxis": "m, 0, 1",
    "mse_loss": "m, m", "multinomial": "h, 1", "mv": "m, v", "nan_to_num": "m", "nll_loss": "m, i",
    "nonzero": "m", "norm": "m",
    "normal": "2", "normalize": "m", "one_hot": "i, 2", "ones": "2", "ones_like": "m",
    "outer": "v, v", "pad": "m, (1, 1)",
    "permute": "m, (1, 0)", "prod": "m", "ptp": "m", "qr": "m", "rand": "2", "rand_like": "m",
    "randint": "0, 5, 2",
    "randint_like": "m, 0, 5", "randn": "2", "randn_like": "m", "randperm": "3", "range": "3",
    "ravel": "m", "relu": "m", "relu6": "m",
    "repeat_interleave": "m, 2", "reshape": "m, 4", "roll": "m, 1", "round": "m",
    "scatter": "m, 0, n, m", "scatter_add": "m, 0, n, m",
    "searchsorted": "v, v", "seed": "", "select": "b, m, m", "selu": "m",
    "set_rng_state": "ops.get_rng_state()", "set_seed": "1",
    "silu": "m", "smooth_l1_loss": "m, m", "softmax": "m", "softmin": "m", "softplus": "m",
    "softsign": "m", "solve": "m, m", "sort": "m",
    "split": "m, 1", "squeeze": "m", "stack": "[m, m]", "standard_normal": "2", "std": "m",
    "sum": "m", "svd": "m",
    "swapaxes": "m, 0, 1", "take": "m, i", "take_along_dim": "m, n, 0",
    "tensor_scatter_update": "m, n, v", "tensordot": "m, m",
    "tile": "m, 2", "topk": "m, 1", "trace": "m", "transpose": "m", "tri": "2", "tril": "m",
    "triu": "m", "unbind": "m", "uniform": "2",
    "unique": "m", "unsqueeze": "m, 0", "var": "m", "view": "m, 4", "zeros": "2", "zeros_like": "m",
}  # fmt: skip
for _op in ELEMENTWISE:
    _operands = {"where": "b, m, m", "lerp": "m, m, m", "clamp": "m, 0, 1"}.get(
        _op.name, ", ".join(["n" if _op.rule == "bitwise" else "m"] * _op.inputs)
    )
    FUNCTIONS.update(dict.fromkeys((_op.name, *_op.aliases), _operands))

FUNCTIONS |= {  # MindSpore's further names
    "fft": "m", "fft2": "m", "fftn": "m", "ifft": "m", "ifft2": "m", "ifftn": "m", "rfft": "m",
    "rfft2": "m", "rfftn": "m", "irfft": "m", "irfft2": "m", "irfftn": "m", "hfft": "m",
    "hfft2": "m", "hfftn": "m", "ihfft": "m", "ihfft2": "m", "ihfftn": "m", "fftfreq": "3",
    "rfftfreq": "3", "fftshift": "m", "ifftshift": "m", "stft": "v, 2, 1",
    **{f"{name}_window": "3" for name in ("bartlett", "blackman", "hamming", "hann", "kaiser")},
    "addcdiv": "m, m, m", "addcmul": "m, m, m", "addn": "[m, m]", "accumulate_n": "[m, m]",
    "approximate_equal": "m, m", "clip_by_global_norm": "[m, m]", "clip_by_norm": "m, 1.0",
    "clip_by_value": "m, 0, 1", "depend": "m, m", "diff": "m", "float_power": "m, m",
    "is_complex": "m", "is_floating_point": "m", "logit": "h", "mvlgamma": "m, 1",
    "partial": "abs, m", "polygamma": "1, m", "stop_gradient": "m",
    "angle": "m", "imag": "m", "real": "m", "polar": "m, m", "view_as_real": "z",
    "atleast_1d": "m", "atleast_2d": "m", "atleast_3d": "m", "block_diag": "m, m",
    "cartesian_prod": "v, v", "column_stack": "[v, v]", "combinations": "v", "dsplit": "c, 2",
    "dstack": "[m, m]", "hsplit": "m, 2", "hstack": "[m, m]", "row_stack": "[m, m]",
    "tensor_split": "m, 2", "vsplit": "m, 2", "vstack": "[m, m]",
    "adjoint": "m", "deepcopy": "m", "dyn_shape": "m", "expand_as": "v, m", "fliplr": "m",
    "flipud": "m", "is_nonzero": "one", "movedim": "m, 0, 1", "narrow": "m, 0, 0, 1",
    "numel": "m", "population_count": "n", "rank": "m", "repeat_elements": "m, 2",
    "reshape_as": "m, m", "reverse": "m, 0", "reverse_sequence": "m, i, 1", "rot90": "m",
    "sequence_mask": "i", "size": "m", "slice": "m, (0, 0), (1, 1)",
    "strided_slice": "m, (0,), (1,), (1,)", "swapdims": "m, 0, 1", "t": "m", "type_as": "m, m",
    "unstack": "m", "view_as": "m, m", "lerp": "m, m, m",
    "assign": "m, m", "assign_add": "m, m", "assign_sub": "m, m",
}  # fmt: skip
for _op in ROWS:
    FUNCTIONS[_op.name] = ", ".join(["n" if _op.kinds == "iu" else "h"] * _op.inputs)

METHODS = {  # those that are no function of the first argument, or another one
    "astype": "m, 'int8'", "contiguous": "m", "copy": "m", "is_contiguous": "m", "is_shared": "m",
    "item": "one", "numpy": "m", "asnumpy": "m",
    "share_memory_": "m.copy()", "to": "m, 'CPU'", "tolist": "m", "where": "m, b, m",
    "from_numpy": "np.zeros(2)", "from_dlpack": "np.zeros(2)",
    "copy_": "m, m", "fill_": "m, 1", "normal_": "m", "uniform_": "m", "zero_": "m",
}  # fmt: skip
for _name in _LATER["in_place"].split():
    if _name not in METHODS:
        METHODS[_name] = "n" if _name == "bitwise_not_" else FUNCTIONS[_name[:-1]]


def arguments() -> dict[str, object]:
    """Return the operands of the calls above, and odd ones: complex `z`, `w`, empty `e`."""
    matrix = np.array([[2, 1], [1, 3]], np.float32)
    return {
        "m": Tensor(matrix), "v": Tensor([1.0, 2.0]), "i": Tensor([0, 1]),
        "n": Tensor([[0, 1], [1, 0]]), "b": Tensor(matrix > 1),
        "c": Tensor(matrix[None]), "h": Tensor(matrix / 4), "one": Tensor([1.0]), "np": np,
        "z": Tensor(matrix * 1j), "w": Tensor(np.zeros((3, 5, 7), np.float32)),
        "e": Tensor(np.zeros((0, 3), np.float16)),
    }  # fmt: skip
