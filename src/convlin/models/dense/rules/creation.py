"""Tensors that forward makes in the likeness of a value: of its dtype, on its device."""

# ruff: noqa: A002 - ATen calls it `input`

from __future__ import annotations

from typing import Any

from convlin.models.dense.dense_call import DenseCall
from convlin.models.graph.rule import Rule
from convlin.models.graph.value import Constant


def made_like(call: DenseCall, input: Any, *args: Any, **kwargs: Any) -> Constant:
    """Keep what takes no more of a value than its dtype and device."""
    call.value(input)
    return call.constant(call.keep())


RULES = (
    Rule(made_like, "numbers that are no image's", ("new_zeros", "new_ones", "new_full"),
         kind="reshape"),
)  # fmt: skip
