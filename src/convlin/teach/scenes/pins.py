"""What is pinned on the page: an output, an input, a tap, or an entry of the matrix.

::

    output:c,y,x   input:c,y,x   tap:o,i,ty,tx   entry:row,column

All indices count from 0; `o` and `i` are channels of the output and the input.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from convlin.errors import Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.teach.scenes.decimals import shortened

__all__ = ["Pin"]

PATTERN = re.compile(r"(output|input|tap|entry):([0-9]{1,6}(?:,[0-9]{1,6})*)")


@dataclass(frozen=True)
class Pin:
    """One pinned thing; `str` is how a link writes it.

    >>> print(Pin.read("output:0,2,1", ConvGeometry(1, 1, (3, 3)), (6, 6)))
    output:0,2,1
    """

    kind: str
    indices: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(str, self.indices))}"

    @classmethod
    def read(cls, text: str, geometry: ConvGeometry, size: tuple[int, int]) -> Pin:
        """Return what a link pins; `Refused` where there is no such thing."""
        match = PATTERN.fullmatch(text)
        if match is None:
            allowed = "output:c,y,x, input:c,y,x, tap:o,i,ty,tx or entry:row,column"
            raise Refused(Refusal("explore", "at", shortened(text), allowed))
        pin = cls(match[1], tuple(map(int, match[2].split(","))))
        sizes = _sizes(pin.kind, geometry, size)
        if len(pin.indices) != len(sizes) or any(
            n >= most for n, most in zip(pin.indices, sizes, strict=True)
        ):
            raise Refused(Refusal("explore", "at", text, f"indices below {sizes}"))
        if pin.kind == "tap":
            o, i = pin.indices[:2]
            group = o // (geometry.out_channels // geometry.groups)
            if i // (geometry.in_channels // geometry.groups) != group:
                reason = f"groups = {geometry.groups}: these channels are not connected"
                raise Refused(Refusal("explore", "at", text, "channels of one group", reason))
        return pin

    def output(self, output_shape: tuple[int, ...]) -> int:
        """Return the row of the output this is about, 0 where it is about none."""
        if self.kind == "entry":
            return self.indices[0]
        if self.kind != "output":
            return 0
        # C order: (c, y, x) of a C×H×W map is (c·H + y)·W + x, by Horner's rule.
        row = 0
        for n, most in zip(self.indices, output_shape, strict=True):
            row = row * most + n
        return row


def _sizes(kind: str, geometry: ConvGeometry, size: tuple[int, int]) -> tuple[int, ...]:
    """Return how many there are of a kind along each of its indices."""
    inputs = (geometry.in_channels, *size)
    outputs = (geometry.out_channels, *geometry.output_size(size))
    channels = (geometry.out_channels, geometry.in_channels)
    return {
        "input": inputs,
        "output": outputs,
        "tap": (*channels, *geometry.kernel),
        "entry": (math.prod(outputs), math.prod(inputs)),
    }[kind]
