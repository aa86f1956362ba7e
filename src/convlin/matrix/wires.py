"""What one output neuron reads: its row of the matrix, as a list of wires."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Shaped

from convlin.arguments import elements, index
from convlin.errors import Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.matrix.kernel_taps import by_group
from convlin.matrix.taps import sources

__all__ = ["Wire", "wires"]


class Wire(NamedTuple):
    """One connection of an output: the input (c, y, x) it reads, the tap (ty, tx), the weight."""

    input: tuple[int, ...]
    tap: tuple[int, ...]
    weight: Any


def wires(
    geometry: ConvGeometry,
    weight: Shaped[np.ndarray, "a b *kernel"],
    input_size: Sequence[int],
    output: SupportsIndex | Sequence[SupportsIndex],
) -> tuple[Wire, ...]:
    """Return the wires of one output, by input channel and tap.

    output: (channel, *position), or its row, counted from 0. Raises `Refused` where there is none.

    >>> wires(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[5, 7]]]), (2,), 0)
    (Wire(input=(0, 0), tap=(1,), weight=7),)
    """
    shape = (geometry.out_channels, *geometry.output_size(input_size))
    channel, *position = _index(output, shape)
    outputs = geometry.out_channels // geometry.groups
    group, own = divmod(channel, outputs)
    kernel = by_group(geometry, weight)[group, own]
    first = group * len(kernel)
    read = [
        sources(geometry, dim, n)[p]
        for dim, (n, p) in enumerate(zip(input_size, position, strict=True))
    ]
    row = []
    for c, *tap in np.ndindex(*kernel.shape):
        pixel = tuple(int(pixels[t]) for pixels, t in zip(read, tap, strict=True))
        if min(pixel) >= 0:
            row.append(Wire((first + c, *pixel), tuple(tap), kernel[(c, *tap)].item()))
    return tuple(row)


def _index(output: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return an output's channel and position, however it was named."""
    rows = math.prod(shape)
    several = elements(output)
    numbers = [index(number) for number in ((output,) if several is None else several)]
    known = tuple(number for number in numbers if number is not None)
    if several is None and len(known) == 1 and 0 <= known[0] < rows:
        return tuple(int(n) for n in np.unravel_index(known[0], shape))
    complete = several is not None and len(known) == len(numbers) == len(shape)
    if complete and all(0 <= n < size for n, size in zip(known, shape, strict=True)):
        return known
    allowed = f"(channel, *position) below {shape}, or a row below {rows}"
    raise Refused(Refusal("wires", "output", output, allowed))
