"""GPT-2's `Conv1D` of transformers: a fully connected layer whose weight is (in, out).

convlin never imports transformers by itself: a layer of that class can only come from a program
that did.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from convlin.errors import Description, Refusal
from convlin.layers.behaviour import IN, OUT, denied, denied_bias, misdescribed, rows_differ
from convlin.layers.stock_layer import require_stock_layer

__all__ = ["gpt2_class", "gpt2_layer", "is_gpt2_layer", "require_gpt2_layer"]

MODULE, NAME = "transformers.pytorch_utils", "Conv1D"


def gpt2_class() -> type[nn.Module] | None:
    """Return transformers' class; None where no program has imported it."""
    cls = getattr(sys.modules.get(MODULE), NAME, None)
    return cls if isinstance(cls, type) else None


def is_gpt2_layer(layer: Any) -> bool:
    """Return whether this is a `Conv1D` of transformers, or of a class derived from it."""
    cls = gpt2_class()
    return cls is not None and isinstance(layer, cls)


def require_gpt2_layer(layer: nn.Module) -> None:
    """Raise `Refused`, listing everything that keeps `layer` from being just such a layer."""
    require_stock_layer(layer, _conv1d())


def gpt2_layer(weight: nn.Parameter, bias: nn.Parameter | None) -> nn.Module:
    """Return a `Conv1D` around a weight (in, out) and bias; nothing is allocated."""
    with torch.device("meta"):
        layer = _conv1d()(weight.shape[1], weight.shape[0])
    layer.weight = weight
    layer.register_parameter("bias", bias)
    return layer


@functools.cache
def _conv1d() -> type[nn.Module]:
    """Return transformers' class, and say how a layer of it is asked whether it is what it says."""
    cls: type[nn.Module] = getattr(importlib.import_module(MODULE), NAME)
    misdescribed.register(cls, _misdescribed)
    return cls


def _misdescribed(
    layer: Any, base: type[nn.Module], weight: Tensor, bias: Tensor | None
) -> Iterable[Refusal]:
    site, odd = type(layer).__name__, []
    if weight.ndim != 2:
        odd.append(Refusal(site, "weight.shape", tuple(weight.shape), "(in, out)"))
    odd += denied(layer, dict(zip(("nx", "nf"), weight.shape, strict=False)), weight)
    odd += denied_bias(layer, layer.nf, bias)
    if bias is None:
        odd.append(
            Refusal(site, "bias", Description("None"), "an nn.Parameter: it always adds one")
        )
    return odd or rows_differ(layer, base, in_first=True, nx=IN, nf=OUT)
