"""The ops, by family.

The package has every function under its name (`ops.log`, `ops.reshape`).  Its import also gives
Tensor its operators and methods.

The import's time matters to short programs and pool workers, so the families that many programs
never use are imported later: all together, at the first access to a name that the package or Tensor
does not have yet.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from minitensor import errors
from minitensor.tensor import Tensor

_FIRST = ("elementwise", "reduce", "shape", "indexing")
_LATER = {  # and those of their functions that are also methods of Tensor
    "joining": "tile repeat_interleave roll tril triu",
    "creation": "diag",
    "selection": "gather gather_elements gather_nd take index_select masked_fill masked_select "
                 "nonzero argwhere sort argsort topk scatter scatter_add index_add take_along_dim "
                 "unique where bincount searchsorted",
    "linalg": "matmul mm bmm mv dot inner outer addmm trace diagonal inverse det cholesky qr svd "
              "__imatmul__",
    "random": "bernoulli multinomial",
    "nn": "relu softmax log_softmax",
    "ufuncs": "conj sgn frac deg2rad rad2deg sinc signbit isneginf isposinf isreal erfc lgamma i0 "
              "digamma erfinv copysign nextafter ldexp fmax fmin gcd lcm heaviside logaddexp "
              "logaddexp2 xlogy xdivy igamma igammac",
    "arithmetic": "addcdiv addcmul approximate_equal diff float_power is_complex "
                  "is_floating_point logit mvlgamma",
    "complex": "angle imag real",
    "losses": "",
    "stacking": "dsplit hsplit tensor_split vsplit",
    "arranging": "adjoint expand_as fliplr flipud movedim narrow numel reshape_as reverse "
                 "reverse_sequence rot90 swapdims t type_as view_as",
    "spectral": "",
    "windows": "",
    "host": "",
    "in_place": "abs_ add_ addcdiv_ addcmul_ addmm_ bitwise_not_ ceil_ clamp_ copy_ cos_ digamma_ "
                "div_ erf_ erfc_ erfinv_ exp_ fill_ floor_ floor_divide_ fmod_ frac_ index_add_ "
                "lerp_ lgamma_ log10_ log1p_ log2_ log_ logical_not_ logit_ masked_fill_ mul_ "
                "nan_to_num_ neg_ normal_ pow_ reciprocal_ relu_ remainder_ round_ rsqrt_ "
                "scatter_ scatter_add_ sigmoid_ sign_ sin_ sqrt_ square_ sub_ tan_ tanh_ tril_ "
                "triu_ trunc_ uniform_ zero_",
}  # fmt: skip
_published = False


def _publish(family: str) -> None:
    module = import_module(f"{__name__}.{family}")
    globals().update({name: getattr(module, name) for name in module.__all__})
    make = getattr(module, "method", None)  # of a family whose methods are no functions
    for name in _LATER.get(family, "").split():
        if name in module.__all__:
            setattr(Tensor, name, getattr(module, name))
        elif make is not None:
            setattr(Tensor, name, make(name))
    getattr(module, "install", lambda: None)()


def _publish_the_rest() -> None:
    global _published
    for family in _LATER:  # two threads may run this: publishing a family twice is harmless
        _publish(family)
    _published = True


def _public() -> list[str]:
    _publish_the_rest()
    modules = [import_module(f"{__name__}.{family}") for family in (*_FIRST, *_LATER)]
    return sorted({public for module in modules for public in module.__all__})


def __getattr__(name: str) -> Any:
    if name == "__all__":  # for `from minitensor.ops import *`
        return _public()
    if not _published and not name.startswith("__"):
        _publish_the_rest()
        if name in globals():
            return globals()[name]
    raise errors.no_name(__name__, name, _public)


def __dir__() -> list[str]:
    return sorted([*_public(), *(name for name in globals() if name.startswith("__"))])


def _stand_in(name: str) -> Any:
    """Return a method that imports the later families and calls the method that replaces it.

    A `__getattr__` of Tensor would do the same, but slow down each access to an attribute.
    """

    def method(self: Tensor, *arguments: Any, **keywords: Any) -> Any:
        _publish_the_rest()  # replaces this method
        return getattr(Tensor, name)(self, *arguments, **keywords)

    return method


def _first_matmul(left: Any, right: Any) -> Any:
    _publish_the_rest()  # gives the operator another function than this one
    return left @ right


for _family in _FIRST:
    _publish(_family)
for _names in _LATER.values():
    for _name in _names.split():
        setattr(Tensor, _name, _stand_in(_name))
Tensor._matmul = staticmethod(_first_matmul)  # type: ignore[attr-defined]
