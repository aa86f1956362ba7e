"""The exchanges of one convolution, in the order in which they are tried.

Each row is a name and a precondition; the first that refuses nothing is taken. The rows go from
the cheapest form to the dearest, so a layer that is pointwise stays so at a fixed size too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

from convlin.arguments import shown
from convlin.errors import Refusal, Refused
from convlin.exchange import fixed_size, full_size, patchify, pointwise, windows
from convlin.geometry import ConvGeometry

__all__ = ["TABLE", "Exchange", "choose"]


@dataclass(frozen=True)
class Exchange:
    """A name, its precondition, and whether it is tried without being asked for."""

    name: str
    refusals: Callable[[ConvGeometry, tuple[int, ...] | None], tuple[Refusal, ...]]
    by_default: bool = True

    def __str__(self) -> str:
        return self.name


TABLE: tuple[Exchange, ...] = (
    Exchange("pointwise", pointwise.refusals),    # conv, one tap           -> linear on every pixel
    Exchange("patchify", patchify.refusals),      # conv, disjoint windows  -> linear on every patch
    Exchange("full_size", full_size.refusals),    # conv, kernel = input    -> linear on the input
    Exchange("fixed_size", fixed_size.refusals),  # any conv, at one size   -> linear, dense A(w)
    Exchange("windows", windows.refusals, by_default=False),  # conv -> linear on all windows
)  # fmt: skip


def choose(
    geometry: ConvGeometry,
    input_size: SupportsIndex | Sequence[SupportsIndex] | None = None,
    name: str | None = None,
) -> Exchange:
    """Return the exchange to make: the one that `name` asks for, or the first that fits.

    Raises `Refused` with everything that does not fit, and `GeometryError` where the input is too
    small for the convolution.

    >>> print(choose(ConvGeometry(3, 8, kernel=(4, 4), stride=4)))
    patchify
    """
    names = [row.name for row in TABLE]
    if name is not None and not (isinstance(name, str) and name in names):
        raise Refused(Refusal("to_linear", "exchange", shown(name), f"None, {', '.join(names)}"))
    size = None
    if input_size is not None:
        geometry.output_size(input_size)
        size = geometry.sizes(input_size)
    rows = [row for row in TABLE if (row.by_default if name is None else row.name == name)]
    answers = [(row, row.refusals(geometry, size)) for row in rows]
    for row, refusals in answers:
        if not refusals:
            return row
    raise Refused(answers[0][1] if name else _nothing_fits(geometry))


def _nothing_fits(geometry: ConvGeometry) -> tuple[Refusal, ...]:
    """Return what a convolution of any input size lacks, and what would fit instead."""
    ways = ["any size, for one dense Linear"]
    covered = full_size.covered_size(geometry)
    fits = all(map(operator.ge, covered, geometry.smallest_input))
    if fits and not full_size.refusals(geometry, covered):
        ways.insert(0, f"{covered}, which the kernel covers")
    if not windows.refusals(geometry):
        ways.append("None with exchange='windows'")
    return (
        *patchify.refusals(geometry),
        Refusal(geometry.kind, "input_size", None, "; ".join(ways)),
    )
