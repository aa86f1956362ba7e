"""How large a geometry may be on the page, and how far each slider goes given the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convlin.errors import Description, GeometryError, Refusal, Refused
from convlin.geometry import ConvGeometry

__all__ = ["ALONG", "BOUNDS", "PAIRS", "bounded", "divisors", "limits"]

BOUNDS = {
    "size": (1, 64),
    "in": (1, 8),
    "out": (1, 8),
    "kernel": (1, 11),
    "stride": (1, 8),
    "padding": (0, 16),
    "dilation": (1, 8),
    "groups": (1, 8),
}
PAIRS = ("size", "kernel", "stride", "padding", "dilation")  # height × width
# Output positions × taps: what the page holds of one pair of channels, and sends in some 2 MB. Half
# refuses 7×7 kernels on 64×64, twice is slower than a slider moves.
MOST_READS = 200_000
# Outputs, of which the page draws every one: a transposed layer would have millions.
MOST_OUTPUTS = 100_000
ALONG = (-10, 10)
NAMES = {
    "in_channels": "in", "out_channels": "out", "padding_mode": "mode",
    "input_size[0]": "size", "input_size[1]": "size",
}  # fmt: skip


def bounded(fields: Mapping[str, Any]) -> tuple[ConvGeometry, tuple[int, int]]:
    """Return the geometry of a state's fields and its input size; `Refused` where it cannot be.

    Refusals name the fields as links do.

    >>> square = {name: (1, 1) for name in PAIRS} | {"padding": (0, 0), "size": (5, 4)}
    >>> bounded(square | {"in": 2, "out": 4, "groups": 2, "mode": "zeros", "transposed": False})[1]
    (5, 4)
    """
    size = fields["size"]
    try:
        geometry = ConvGeometry(
            fields["in"], fields["out"], fields["kernel"], fields["stride"], fields["padding"],
            fields["dilation"], fields["groups"], fields["mode"], fields["transposed"],
        )  # fmt: skip
        outputs = geometry.output_size(size)
    except GeometryError as error:
        raise Refused(_renamed(refusal) for refusal in error.refusals) from None
    positions = math.prod(outputs)
    for count, most, what in (
        (positions * geometry.taps, MOST_READS, "output positions × taps"),
        (positions * geometry.out_channels, MOST_OUTPUTS, "outputs"),
    ):
        if count > most:
            raise Refused(
                Refusal("explore", "size", Description("x".join(map(str, size))), "a smaller layer",
                        f"{what}: {count:,}, at most {most:,}")
            )  # fmt: skip
    return geometry, size


def _renamed(refusal: Refusal) -> Refusal:
    """Return a refusal under the name that links have for its field."""
    name, allowed = refusal.field, refusal.allowed
    if name.startswith("input_size"):
        allowed = f"{'width' if name.endswith('[1]') else 'height'} {allowed}"
    return replace(refusal, site="explore", field=NAMES.get(name, name), allowed=allowed)


def limits(fields: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the smallest and largest value of every slider, all others being where they are.

    Of a pair, both sides move together where they are equal; else each by itself, and the range
    is that of both. Channels move by whole groups, the third number. Groups have `divisors`.
    """
    groups = fields["groups"]
    ranges = {name: _pair(fields, name) for name in PAIRS}
    for name in ("in", "out"):
        values = range(groups, BOUNDS[name][1] + 1, groups)
        ranges[name] = [*_around(fields, name, values, fields[name]), groups]
    return ranges


def divisors(fields: Mapping[str, Any]) -> list[int]:
    """Return every number of groups that divides the channels on both sides.

    >>> divisors({"in": 4, "out": 8}), divisors({"in": 3, "out": 5})
    ([1, 2, 4], [1])
    """
    common = math.gcd(fields["in"], fields["out"])
    return [groups for groups in range(1, common + 1) if common % groups == 0]


def _pair(fields: Mapping[str, Any], name: str) -> list[int]:
    high, wide = fields[name]
    low, most = BOUNDS[name]
    values = range(low, most + 1)
    if high == wide:
        return _around(fields, name, values, high, "both")
    ends = [
        end for side in (0, 1) for end in _around(fields, name, values, (high, wide)[side], side)
    ]
    return [min(ends), max(ends)]


def _around(
    fields: Mapping[str, Any], name: str, values: range, now: int, side: int | str | None = None
) -> list[int]:
    """Return the ends of the values around the present one that fit without a gap.

    side: of a pair, the one that moves, or "both"; None for a single number.
    """
    ends = []
    for step in (-values.step, values.step):
        end = now
        while end + step in values and _fits(fields, name, end + step, side):
            end += step
        ends.append(end)
    return ends


def _fits(fields: Mapping[str, Any], name: str, number: int, side: int | str | None) -> bool:
    value: Any = number
    if side is not None:
        value = tuple(
            number if side in (dim, "both") else old for dim, old in enumerate(fields[name])
        )
    try:
        bounded({**fields, name: value})
    except Refused:
        return False
    return True
