"""Tensors that forward makes, of one number or of others over and over again."""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlin.models.dense.dense_call import DenseCall
from convlin.models.dense.rules.reshapes import reshape
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def uniform(call: DenseCall, *args: Any, **kwargs: Any) -> Constant:
    """Keep a tensor of one number, as that number: a larger image has more cells of it."""
    node = call.keep(at={1 if call.name.startswith("new") else 0: []})
    return call.expanded(node, ())


def expanded(call: DenseCall, input: Any, size: Sequence[int], **kwargs: Any) -> Any:
    """Know what a tensor of the model is expanded from; expand channels of the images."""
    if not isinstance(input, Constant):
        return reshape(call, input, size, **kwargs)
    node, shape = input.narrow or (input.node, input.shape)
    return call.expanded(node, shape)


def repeated(call: DenseCall, input: Any, repeats: Sequence[int]) -> Any:
    """Know what a tensor of the model is repeated from, along axes of size 1."""
    if not isinstance(input, Constant):
        return reshape(call, input, repeats)
    node, shape = input.narrow or (input.node, input.shape)
    padded = (*(1,) * (len(repeats) - len(shape)), *shape)
    if any(n > 1 and times != 1 for n, times in zip(padded, repeats, strict=True)):
        return call.constant(call.keep())
    return call.expanded(node, shape)


RULES = (
    Rule(uniform, "one number, wherever it is",
         ("zeros", "ones", "full", "new_zeros", "new_ones", "new_full"), kind="reshape",
         of_constants=True),
    Rule(expanded, "the same number, as often as there are cells", ("expand",), kind="reshape",
         of_constants=True),
    Rule(repeated, "the same number, as often as there are cells", ("repeat",), kind="reshape",
         of_constants=True),
)  # fmt: skip
