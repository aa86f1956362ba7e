"""Base classes of layers, hooks on all modules, and what a convolution noted of its padding.

Private: `_ConvNd`, `_ConvTransposeNd`, `_ConstantPadNd` and `_NormBase` of torch.nn.modules, the
hooks in `torch.nn.modules.module` and `_ConvNd._reversed_padding_repeated_twice`. Seen in torch
2.13 and 2.14.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules import module
from torch.nn.modules.batchnorm import _NormBase as NormBase
from torch.nn.modules.conv import _ConvNd as ConvBase
from torch.nn.modules.conv import _ConvTransposeNd as TransposedConvBase
from torch.nn.modules.padding import _ConstantPadNd as ConstantPadBase

__all__ = [
    "ConstantPadBase", "ConvBase", "NormBase", "TransposedConvBase",
    "global_hooks", "noted_padding",
]  # fmt: skip

GLOBAL_HOOKS = (
    "_global_forward_hooks", "_global_forward_pre_hooks",
    "_global_backward_hooks", "_global_backward_pre_hooks",
)  # fmt: skip


def global_hooks() -> Iterator[tuple[str, dict[int, Any]]]:
    """Yield the hooks that run on every module there is, by what PyTorch calls them."""
    for name in GLOBAL_HOOKS:
        yield name, getattr(module, name)


def noted_padding(layer: nn.Module) -> tuple[tuple[int, int], ...] | None:
    """Return the (before, after) that a convolution noted when it was made; None if it did not.

    Every padding mode but zeros pads by these, whatever the attribute `padding` says later.

    >>> noted_padding(nn.Conv2d(1, 1, 3, padding=(0, 1), padding_mode="circular"))
    ((0, 0), (1, 1))
    """
    noted = getattr(layer, "_reversed_padding_repeated_twice", None)
    return None if noted is None else tuple(zip(noted[-2::-2], noted[::-2], strict=True))
