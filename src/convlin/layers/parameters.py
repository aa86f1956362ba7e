"""Parameters that share storage, and layers made to hold them without allocating any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from convlin.matrix import require_own_memory

__all__ = ["alias", "layer_with", "same_bias"]

Layer = TypeVar("Layer", bound=nn.Module)


def alias(parameter: Tensor, view: Callable[[Tensor], Tensor], copy: bool = False) -> nn.Parameter:
    """Return a parameter on `view` of this one's storage (a copy of it, if asked).

    It asks for a gradient iff the given one does; that gradient is its own.
    """
    if copy:
        require_own_memory("copy=True", "parameter", parameter)
    seen = view(parameter.detach())
    return nn.Parameter(seen.clone() if copy else seen, requires_grad=parameter.requires_grad)


def same_bias(bias: Tensor | None, copy: bool = False) -> nn.Parameter | None:
    """Return the very same parameter, so that ties stay ties (a copy of it, if asked)."""
    if copy and bias is not None:
        return alias(bias, lambda whole: whole, copy=True)
    return cast("nn.Parameter | None", bias)  # torch declares biases as Tensor


def layer_with(
    cls: type[Layer], *sizes: Any, weight: nn.Parameter, bias: nn.Parameter | None, **options: Any
) -> Layer:
    """Return a `cls` (nn.Linear, nn.Conv2d, …) around these parameters; nothing is allocated."""
    layer = cls(*sizes, bias=bias is not None, device="meta", dtype=weight.dtype, **options)
    layer.weight = weight
    layer.register_parameter("bias", bias)
    return layer
