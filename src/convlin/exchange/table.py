"""The exchanges of one convolution, in the order in which they are tried.

The first that refuses nothing is taken. The rows go from the cheapest form to the dearest, so a
layer that is pointwise stays so at a fixed size too.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeAlias

from convlin.arguments import shown
from convlin.errors import Refusal, Refused
from convlin.exchange.covering_kernel import CoveringKernel, covered_size
from convlin.exchange.dense_at_size import DenseAtSize
from convlin.exchange.exchange import Exchange
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.exchange.patchify import Patchify
from convlin.exchange.pointwise import Pointwise
from convlin.exchange.unpatchify import Unpatchify
from convlin.exchange.windows import Windows
from convlin.geometry import ConvGeometry

__all__ = ["TABLE", "choose", "choose_conv"]

TABLE: tuple[type[Exchange], ...] = (
    Pointwise,       # conv, one tap             <-> linear on every pixel, or on every row
    Patchify,        # conv, disjoint windows    <-> linear on every patch
    Unpatchify,      # transposed, disjoint outputs <-> linear on every pixel
    CoveringKernel,  # conv, kernel = input      <-> linear on the flattened input
    DenseAtSize,     # any conv, at one size     <-> linear on the flattened input, dense A(w)
    Windows,         # any conv                  <-> linear on all windows
)  # fmt: skip

Sizes: TypeAlias = SupportsIndex | Sequence[SupportsIndex]

FORMER = {"full_size": "covering_kernel", "fixed_size": "dense_at_size"}  # still taken


def choose(
    geometry: ConvGeometry,
    input_size: Sizes | None = None,
    name: str | None = None,
) -> Exchange:
    """Return the exchange of a convolution: the one that `name` asks for, or the first that fits.

    Raises `Refused` with everything that does not fit, and `GeometryError` where the input is too
    small for the convolution.

    >>> choose(ConvGeometry(3, 8, kernel=(4, 4), stride=4))
    <Patchify: Conv2d 3→8 k4 s4>
    """
    names = [row.name for row in TABLE]
    name = FORMER.get(name, name) if isinstance(name, str) else name
    if name is not None and not (isinstance(name, str) and name in names):
        raise Refused(Refusal("to_linear", "exchange", shown(name), f"None, {', '.join(names)}"))
    size = None
    if input_size is not None:
        geometry.output_size(input_size)
        size = geometry.sizes(input_size)
    refusals: tuple[Refusal, ...] = ()
    for row in TABLE:
        if row.by_default if name is None else row.name == name:
            refusals = row.refusals(geometry, size)
            if not refusals:
                return row(geometry, size)
    raise Refused(refusals if name else _nothing_fits(geometry))


def choose_conv(
    features: int,
    outputs: int,
    feature_size: Sequence[int] | None = None,
    order: Any = None,
    ndim: int = 2,
    stride: Sizes = 1,
) -> KernelMatrix:
    """Return the exchange of a fully connected layer, on its rows or on the map that it reads.

    >>> choose_conv(60, 7, feature_size=(3, 4, 5))
    <CoveringKernel: Conv2d 3→7 k4×5 on (4, 5)>
    >>> choose_conv(60, 7, ndim=1)
    <Pointwise: Conv1d 60→7 k1>
    """
    if feature_size is None:
        return Pointwise(ConvGeometry(features, outputs, (1,) * ndim))
    return CoveringKernel.of_map(feature_size, outputs, order, stride)


def _nothing_fits(geometry: ConvGeometry) -> tuple[Refusal, ...]:
    """Return what a convolution of any input size lacks, and what would fit instead."""
    ways = ["any size, for one dense Linear"]
    sliding = Unpatchify if geometry.transposed else Patchify
    covered = covered_size(geometry)
    fits = all(map(operator.ge, covered, geometry.smallest_input))
    if fits and not CoveringKernel.refusals(geometry, covered):
        ways.insert(0, f"{covered}, which the kernel covers")
    if not Windows.refusals(geometry):
        ways.append("None with exchange='windows'")
    return (
        *sliding.refusals(geometry),
        Refusal(geometry.kind, "input_size", None, "; ".join(ways)),
    )
