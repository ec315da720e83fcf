"""Each public name of ops and method of Tensor takes right arguments and names itself in errors."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from calls import FUNCTIONS, METHODS, arguments

from minitensor import Tensor, ops, runtime

PUBLIC = sorted(name for name in dir(ops) if not name.startswith("_") and callable(getattr(ops,
    name))
                and name not in ("Any", "Tensor", "import_module"))  # fmt: skip
OWN = sorted(
    name for name in dir(Tensor) if not name.startswith("_") and callable(getattr(Tensor, name))
)


def method_call(name: str) -> str:
    """Return a call of the method on the first argument of its function, with the others."""
    first, _, rest = (METHODS.get(name) or FUNCTIONS[name]).partition(", ")
    return f"Tensor.{name}({first})" if name.startswith("from_") else f"{first}.{name}({rest})"


@pytest.fixture
def scope() -> dict[str, object]:
    return {**arguments(), "ops": ops, "Tensor": Tensor}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_function_works(name: str, scope: dict[str, object]) -> None:
    eval(f"ops.{name}({FUNCTIONS[name]})", scope)
    runtime.synchronize()


@pytest.mark.parametrize("name", OWN)
def test_every_method_works(name: str, scope: dict[str, object]) -> None:
    eval(method_call(name), scope)
    runtime.synchronize()


@pytest.mark.parametrize(
    "name", sorted(set(OWN) & set(PUBLIC) - {"flatten", "max", "min", "where"})
)
def test_methods_mean_what_the_functions_do(name: str, scope: dict[str, object]) -> None:
    ops.set_seed(1)
    ours = eval(f"ops.{name}({FUNCTIONS[name]})", scope)
    ops.set_seed(1)
    of_method = eval(method_call(name), scope)
    for a, b in zip(*(r if isinstance(r, (tuple, list)) else [r] for r in (ours, of_method))):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        assert getattr(a, "dtype", None) is getattr(b, "dtype", None)


def wrong_calls(name: str) -> list[str]:
    """Return calls that must fail: an unknown keyword, no argument, a string, a dtype, an axis."""
    given = (
        [a.strip() for a in re.split(r",(?![^\[(]*[\])])", FUNCTIONS[name])]
        if FUNCTIONS[name]
        else []
    )
    calls = [", ".join([*given, "nonsense=1"])]
    signature = inspect.signature(getattr(ops, name)).parameters
    required = [
        p for p in signature.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    if required:
        calls.append("")
    kinds = [p.kind for p in signature.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds and not any("=" in g for g in given):
        calls.append(", ".join([*given, *["m"] * (len(kinds) + 1 - len(given))]))
    for k in range(len(given)):
        if "=" not in given[k]:
            calls.append(", ".join([*given[:k], "{}", *given[k + 1 :]]))
    for parameter, value in (
        ("dtype", "'float77'"), ("axis", "77"), ("dim", "77"), ("dims", "77"),
        ("reduction", "'most'"),
    ):  # fmt: skip
        if parameter in signature:
            position = list(signature).index(parameter)
            before = (
                given
                if signature[parameter].kind is inspect.Parameter.KEYWORD_ONLY
                else given[:position]
            )
            if not any(g.startswith(f"{parameter}=") for g in before):
                calls.append(", ".join([*before, f"{parameter}={value}"]))
    return calls


ANYTHING = {  # right after all
    "is_tensor({})", "tile(m, dims=77)", "stop_gradient({})", "depend({}, m)", "depend(m, {})",
    "partial(abs, m, nonsense=1)", "partial(abs, {})",
}  # fmt: skip


def odd_calls(name: str) -> list[str]:
    """Return calls that may fail: a complex tensor, or one of an odd shape, for each argument."""
    given = [a.strip() for a in re.split(r",(?![^\[(]*[\])])", FUNCTIONS[name])]
    return [
        ", ".join([*given[:k], odd, *given[k + 1 :]])
        for k in range(len(given))
        for odd in ("z", "w", "e", "None")
        if "=" not in given[k]
    ]


@pytest.mark.parametrize("name", PUBLIC)
def test_mistakes_name_the_function(name: str, scope: dict[str, object]) -> None:
    canonical = getattr(ops, name).__name__  # `subtract` is `sub`
    for call in wrong_calls(name):
        if f"{name}({call})" in ANYTHING:
            continue
        with pytest.raises((TypeError, ValueError, IndexError)) as raised:
            eval(f"ops.{name}({call})", scope)
        assert str(raised.value).startswith((f"[{canonical}] ", f"{canonical}() ")), (
            f"ops.{name}({call}): {raised.value}"
        )


@pytest.mark.parametrize("name", OWN)
def test_mistakes_name_the_method(name: str, scope: dict[str, object]) -> None:
    """Wrong values for each argument and an unknown keyword raise; so does a device's name."""
    canonical = getattr(Tensor, name).__name__
    object_, _, rest = (METHODS.get(name) or FUNCTIONS[name]).partition(", ")
    given = [a.strip() for a in re.split(r",(?![^\[(]*[\])])", rest)] if rest else []
    if name.startswith("from_"):
        object_, given = "Tensor", [object_]
    calls = [", ".join([*given[:k], "{}", *given[k + 1 :]]) for k in range(len(given))]
    for call in [", ".join([*given, "nonsense=1"]), *calls]:
        with pytest.raises((TypeError, ValueError, IndexError)) as raised:
            eval(f"{object_}.{name}({call})", scope)
        named = (rf"(\[{canonical}\] |(\w+\.)?{canonical}\(\) )", r"\[device\] device must be")
        assert re.match(named[name == "to" and "nonsense" not in call], str(raised.value)), call
    if name == "astype":
        with pytest.raises(TypeError, match=r"^\[astype\] "):
            scope["z"].astype("int8")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PUBLIC)
def test_errors_name_the_function(name: str, scope: dict[str, object]) -> None:
    canonical = getattr(ops, name).__name__
    for call in odd_calls(name):
        try:
            eval(f"ops.{name}({call})", scope)
        except Exception as error:
            assert str(error).startswith((f"[{canonical}] ", f"{canonical}() ")), (
                f"ops.{name}({call}): {type(error).__name__}: {error}"
            )
