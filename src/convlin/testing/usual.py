"""The commonest layers of trained networks, whose fields differ in threes.

A conversion that takes everything meets any two levels together, but `3×3, stride 2, padding 1`
are three. A conversion that is wrong on these is wrong in nearly every network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from convlin.testing.case import Case

__all__ = ["USUAL", "usual"]

Numbers: TypeAlias = int | tuple[int, int, int]


class Usual(NamedTuple):
    """One layer, and why it is here; numbers for any number of dimensions."""

    why: str
    kernel: Numbers
    stride: int = 1
    padding: Numbers = 0
    dilation: int = 1
    channels: tuple[int, int] = (2, 3)
    groups: int = 1
    output_padding: int = 0
    state: tuple[str, ...] = ()
    square: bool = False


USUAL = (
    Usual("ResNet halves with it", 3, 2, 1),
    Usual("ResNet's stem", 7, 2, 3),
    Usual("DeepLab's atrous layers", 3, 1, 2, dilation=2),
    Usual("EfficientNet's depthwise ones", 5, 1, 2, channels=(3, 3), groups=3),
    Usual("MobileNet halves with it", 3, 2, 1, channels=(3, 3), groups=3),
    Usual("ConvNeXt's depthwise ones", 7, 1, 3, channels=(2, 2), groups=2),
    Usual("Inception's factors, R(2+1)D in time", (3, 1, 1), 1, (1, 0, 0)),
    Usual("the other factor, R(2+1)D in space", (1, 3, 3), 1, (0, 1, 1)),
    Usual("grey images", 5, channels=(1, 3)),
    Usual("ResNeXt's groups", 3, 1, 1, channels=(4, 8), groups=4),
    Usual("square images, as nearly all are", 3, 1, 1, square=True),
    Usual("a GAN's up and down", 4, 2, 1),
    Usual("a decoder's doubling", 3, 2, 1, output_padding=1),
    Usual("fine-tuning with frozen biases", 3, 1, 1, state=("frozen_bias",)),
)
LINEAR = (
    Case(nn.Linear, (1, 3)),  # one feature
    Case(nn.Linear, (3, 1)),  # a score
    Case(nn.Linear, (3, 2), size=(3,)),  # as many tokens as features
    Case(nn.Linear, (3, 2), frozen_bias=True),
)


def usual(kind: type[nn.Module]) -> Iterator[Case]:
    r"""Yield the usual layers of a class.

    >>> from itertools import islice
    >>> print(*islice(usual(nn.Conv2d), 2), sep="\n")
    nn.Conv2d(2, 3, 3, stride=2, padding=1)
    nn.Conv2d(2, 3, 7, stride=2, padding=3)
    """
    if kind is nn.Linear:
        yield from LINEAR
        return
    ndim, transposed = int(kind.__name__[-2]), "Transpose" in kind.__name__
    for row in USUAL:
        if (ndim == 1 and isinstance(row.kernel, tuple)) or (row.output_padding and not transposed):
            continue
        kernel = _each(row.kernel, ndim)
        fields: dict[str, Any] = dict.fromkeys(row.state, True)
        for name in ("stride", "padding", "dilation", "output_padding"):
            fields[name] = _each(getattr(row, name), ndim)
        if transposed:
            sizes = (3,) * ndim if row.square else (3, 4, 2)[:ndim]
        else:  # the least that fills the kernel without padding, and some more
            more = (1,) * 3 if row.square else (1, 2, 0)
            sizes = tuple(
                row.dilation * (k - 1) + 1 + m for k, m in zip(kernel, more[:ndim], strict=True)
            )
        yield Case(kind, row.channels, kernel, groups=row.groups, size=sizes, **fields)


def _each(numbers: Numbers, ndim: int) -> tuple[int, ...]:
    return numbers[:ndim] if isinstance(numbers, tuple) else (numbers,) * ndim
