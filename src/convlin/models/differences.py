"""How far the outputs of two runs are apart, and how precisely they were computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from convlin.numerics.roundoff import unit

__all__ = ["Dtypes", "relative"]


def relative(mine: Tensor, theirs: Tensor) -> float:
    """Return the largest difference over the largest number; infinite where one alone is finite.

    >>> relative(torch.tensor([4.0, float("nan")]), torch.tensor([5.0, float("nan")]))
    0.2
    """
    if mine.shape != theirs.shape:
        return inf
    mine, theirs = (
        torch.view_as_real(side.to(torch.complex128)) if side.is_complex() else side.double()
        for side in (mine.detach(), theirs.detach())
    )
    finite = mine.isfinite() & theirs.isfinite()
    a, b = mine[~finite], theirs[~finite]
    if not torch.equal(a, b) and not torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)):
        return inf
    if not finite.any():
        return 0.0
    mine, theirs = mine[finite], theirs[finite]
    difference = float((mine - theirs).abs().max())
    return difference and difference / float(torch.maximum(mine.abs(), theirs.abs()).max())


class Dtypes(TorchFunctionMode):
    """Notes the dtype of everything that PyTorch's functions return."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and (result.is_floating_point() or result.is_complex()):
            with suppress(KeyError):
                dtype = result.dtype.to_real()
                unit(dtype)
                self.seen.add(dtype)
        return result
