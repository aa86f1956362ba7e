"""Which class computes the form of a kind for layers of a base class."""

from __future__ import annotations

from torch import nn

from convlin.layers.reclassed.convs_as_conv2d import (
    Conv1dAsConv2d,
    Conv3dAsConv2d,
    ConvTranspose1dAsConv2d,
)
from convlin.layers.reclassed.convs_as_linear import (
    Conv1dAsLinear,
    Conv2dAsLinear,
    Conv3dAsLinear,
    ConvTranspose1dAsLinear,
    ConvTranspose2dAsLinear,
    ConvTranspose3dAsLinear,
)
from convlin.layers.reclassed.linears_as_conv import LinearAsConv, LinearAsConv2d
from convlin.layers.reclassed.reclassed import Reclassed, combined

__all__ = ["reclass"]

FORMS: tuple[type[Reclassed], ...] = (
    Conv1dAsLinear, Conv2dAsLinear, Conv3dAsLinear,
    ConvTranspose1dAsLinear, ConvTranspose2dAsLinear, ConvTranspose3dAsLinear,
    LinearAsConv, LinearAsConv2d, Conv1dAsConv2d, ConvTranspose1dAsConv2d,
    Conv3dAsConv2d,
)  # fmt: skip


def reclass(layer: nn.Module, base: type[nn.Module], target: str) -> nn.Module:
    """Let a layer of class `base` compute the form `target`, in place; return it.

    >>> reclass(nn.Conv2d(3, 5, 1), nn.Conv2d, "linear")
    Conv2dAsLinear(3, 5, kernel_size=(1, 1), stride=(1, 1))
    """
    forms = FORMS if base.__module__.startswith("torch.") else _gpt2()
    (form,) = (f for f in forms if f.base_class is base and f.target == target)
    layer.__class__ = combined(form, type(layer))
    return layer


def _gpt2() -> tuple[type[Reclassed], ...]:
    from convlin.layers.reclassed.gpt2_conv1d import (
        Conv1DAsConv,
        Conv1DAsConv2d,
        Conv1DAsLinear,
    )

    return Conv1DAsConv, Conv1DAsConv2d, Conv1DAsLinear
