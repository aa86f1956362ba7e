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
    found = []
    for c, *tap in np.ndindex(*kernel.shape):
        pixel = tuple(int(row[t]) for row, t in zip(read, tap, strict=True))
        if min(pixel) >= 0:
            found.append(Wire((first + c, *pixel), tuple(tap), kernel[(c, *tap)].item()))
    return tuple(found)


def _index(output: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return an output's channel and position, however it was named."""
    rows = math.prod(shape)
    given = elements(output)
    numbers = [index(number) for number in ((output,) if given is None else given)]
    place = tuple(number for number in numbers if number is not None)
    if given is None and len(place) == 1 and 0 <= place[0] < rows:
        return tuple(int(n) for n in np.unravel_index(place[0], shape))
    complete = given is not None and len(place) == len(numbers) == len(shape)
    if complete and all(0 <= n < size for n, size in zip(place, shape, strict=True)):
        return place
    allowed = f"(channel, *position) below {shape}, or a row below {rows}"
    raise Refused(Refusal("wires", "output", output, allowed))
