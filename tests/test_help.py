"""help() of each public name: one sentence, its arguments, its result, its errors, an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import minitensor
from minitensor import Tensor, context, dataset, ops, runtime

VERB = re.compile(r"[A-Z][a-z]+(?=[ ,])")
NOUNS = {"The", "A", "An", "This", "True", "False", "It", "What", "Whether"}
SECTIONS = ("Args", "Returns", "Raises", "Example")


def members(of: Any) -> dict[str, Any]:
    return {name: getattr(of, name) for name in dir(of) if not name.startswith("_")}


def functions() -> dict[str, Callable[..., Any]]:
    found = {f"ops.{name}": getattr(ops, name) for name in ops.__all__}
    methods = {f"Tensor.{name}": it for name, it in members(Tensor).items() if callable(it)}
    of_package = {name: getattr(minitensor, name) for name in minitensor.__all__}
    found |= methods | {n: f for n, f in of_package.items() if inspect.isfunction(f)}
    for kind in (dataset.Dataset, dataset.TupleIterator):
        named = {f"{kind.__name__}.{name}": it for name, it in members(kind).items()}
        found |= {name: it for name, it in named.items() if callable(it)}
    for module in (context, runtime, dataset.config):
        for name in module.__all__:
            if inspect.isfunction(getattr(module, name)):
                found.setdefault(
                    f"{module.__name__.rpartition('.')[2]}.{name}", getattr(module, name)
                )
    return found


FUNCTIONS = functions()


def sections(text: str) -> dict[str, str]:
    """Return the text of each section by its title."""
    parts = re.split(r"^(\w+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's parameters, without a method's object."""
    names = list(inspect.signature(function).parameters)
    return [name for name in names if name != "self"]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_help_has_its_sections(name: str) -> None:
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    sentence = text.split("\n\n")[0]
    assert "\n" not in sentence and sentence.endswith("."), sentence
    verb = VERB.match(sentence)
    assert verb and verb[0] not in NOUNS, f"begin with a verb: {sentence}"
    assert [line for line in text.splitlines() if len(line) > 96] == []

    found = sections(text)
    assert list(found) == [title for title in SECTIONS if title in found], "sections in this order"
    wanted = parameters(function)
    if wanted:
        described = re.findall(r"^    (\w+): ", found["Args"], re.MULTILINE)
        listed = [n for n in described if n in wanted]
        own = wanted if set(described) >= set(wanted) else wanted[1:]  # the object of a method
        assert sorted(listed) == sorted(own), f"describes {described}, takes {wanted}"
        assert re.search(r"^    \w+: ", found["Raises"], re.MULTILINE)
    if inspect.signature(function).return_annotation not in (None, "None"):
        assert found["Returns"].strip().endswith("."), "say what it returns"
    assert ">>> " in found["Example"]


@pytest.mark.parametrize("name", sorted(n for n, it in members(Tensor).items() if not callable(it)))
def test_each_property_has_a_sentence(name: str) -> None:
    text = inspect.getdoc(inspect.getattr_static(Tensor, name)) or ""
    assert text.split("\n\n")[0].endswith("."), f"Tensor.{name}: {text!r}"
