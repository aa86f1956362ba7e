"""Hostile layers: those on which conversions of layers are known to break, and all pairs of fields.

A conversion usually takes one family (pointwise, patches, the full size, sliding windows,
depthwise) and breaks where a field that it never looked at is not the usual one. So every family
is tried with every other field changed. What only two fields together show (`"same"` with an
even kernel, a dilation with groups) comes behind: a covering array, in which any two levels of any
two factors occur in some layer (Cohen, Dalal, Fredman and Patton, "The AETG system", 1997).

Channels and sizes are pairwise different wherever the layer allows it, since equal ones hide what
is transposed; a level of their own are equal ones, which hide it from the shapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, TypeAlias

import torch
from torch import nn

from convlin.geometry import ConvGeometry
from convlin.testing.case import BUFFER, CONTIGUOUS, LAST, Case

__all__ = ["KINDS", "covering", "families", "sweep"]

Levels: TypeAlias = dict[str, str]
Pair: TypeAlias = tuple[tuple[str, str], tuple[str, str]]

KINDS: tuple[type[nn.Module], ...] = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.Linear,
)  # fmt: skip
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
CANDIDATES = 12
"""Rows tried for each row of the covering array. Half of it makes a row or two more; twice of it
takes twice the time for none less."""

# Factors and their levels; the first of each is what the others are changed from.
CONVOLUTION = {
    "kernel": ("odd", "one", "even", "uneven", "row", "full"),
    "stride": ("1", "kernel", "2", "mixed", "wider"),
    "padding": ("0", "1", "mixed", "wide", "same", "valid"),
    "dilation": ("1", "2", "mixed"),
    "groups": ("1", "some", "depthwise"),
    "mode": ("zeros", "reflect", "replicate", "circular"),
    "channels": ("differ", "equal"),
    "bias": ("yes", "no"),
    "dtype": tuple(DTYPES),
    "memory": (CONTIGUOUS, LAST, BUFFER),
    "learns": ("yes", "no"),
    "training": ("train", "eval"),
    "size": ("fits", "remainder"),
    "output_padding": ("0", "1"),
    "class": ("stock", "subclass"),
}
LINEAR = {
    "size": ("features", "tokens", "map"),
    "channels": ("differ", "equal", "one"),
    "bias": ("yes", "no"),
    "dtype": tuple(DTYPES),
    "memory": (CONTIGUOUS, BUFFER),
    "learns": ("yes", "no"),
    "training": ("train", "eval"),
    "class": ("stock", "subclass"),
}
FAMILIES: dict[str, Levels] = {
    "pointwise": {"kernel": "one"},
    "patches": {"kernel": "even", "stride": "kernel"},
    "full size": {"kernel": "full"},
    "sliding": {"kernel": "uneven"},
    "three by three": {"padding": "1"},
    "depthwise": {"groups": "depthwise", "channels": "equal", "padding": "1"},
}
CHANGES: tuple[Levels, ...] = (
    {"stride": "2"},
    {"padding": "1"},
    {"padding": "same"},
    {"dilation": "2"},
    {"groups": "some"},
    {"padding": "1", "mode": "reflect"},
    {"output_padding": "1", "stride": "2"},
    # How its numbers lie and learn changes in twos: shrinking says which one it is.
    {"bias": "no", "memory": LAST},
    {"dtype": "float64", "learns": "no"},
    {"dtype": "bfloat16", "training": "eval"},
    {"channels": "equal", "memory": BUFFER},
)
KNOWN: tuple[Levels, ...] = (
    {"kernel": "even", "stride": "kernel", "dilation": "2"},  # right shape, other pixels
    {"kernel": "even", "stride": "kernel", "size": "remainder"},
    {"kernel": "even", "padding": "same"},  # the odd pixel lies behind
    {"kernel": "one", "stride": "2", "padding": "1"},  # cells of nothing but bias
    {"groups": "depthwise", "channels": "differ"},  # a multiplier
)
"""What broke published conversions, and is no family with one change."""


def sweep(kind: type[nn.Module] = nn.Conv2d, seed: int = 0) -> tuple[Case, ...]:
    r"""Return all hostile layers of one class, the usual ones first; the same for the same seed.

    >>> cases = sweep(nn.Conv2d)
    >>> print(*cases[:3], sep="\n")
    nn.Conv2d(3, 5, 1)
    nn.Conv2d(3, 5, 2, stride=2)
    nn.Conv2d(3, 5, (3, 4))
    >>> any(case.padding == "same" and case.dilation != (1, 1) for case in cases)
    True
    """
    return tuple(dict.fromkeys((*families(kind), *covering(kind, seed))))


def families(kind: type[nn.Module]) -> tuple[Case, ...]:
    """Return what conversions of one family may take: every family, and each with one change."""
    factors = _factors(kind)
    every = FAMILIES.values() if "kernel" in factors else [{}]
    changed = (family | change for change in CHANGES for family in every)
    return _cases(kind, _possible(factors, [*every, *changed]))


def covering(kind: type[nn.Module], seed: int = 0) -> tuple[Case, ...]:
    """Return what broke conversions before, subclasses, and all pairs of levels.

    A conversion that takes all of these has met every pair of fields in the families, too.
    """
    factors = _factors(kind)
    subclasses = [family | {"class": "subclass"} for family in ({}, *FAMILIES.values())]
    rows = _possible(factors, [{}, *KNOWN, *subclasses])
    missing = {
        _pair((one, level), (two, beside))
        for (one, levels), (two, others) in itertools.combinations(factors.items(), 2)
        for level, beside in itertools.product(levels, others)
        if "class" not in (one, two) and _fits({one: level, two: beside})
    }
    for row in rows:
        missing -= _pairs(row)
    return _cases(kind, [*rows, *_possible(factors, _array(factors, missing, Random(seed)))])


def _possible(factors: Mapping[str, tuple[str, ...]], rows: Iterable[Levels]) -> list[Levels]:
    """Return the rows that a class of layers has, with the usual levels where they say nothing."""
    usual = {name: levels[0] for name, levels in factors.items()}
    there = (row for row in rows if all(v in factors.get(k, ()) for k, v in row.items()))
    return [usual | row for row in there if _fits(usual | row)]


def _factors(kind: type[nn.Module]) -> dict[str, tuple[str, ...]]:
    """Return the factors of a class of layers, with those of their levels that it has."""
    if kind is nn.Linear:
        return LINEAR
    ndim, transposed = int(kind.__name__[-2]), "Transpose" in kind.__name__
    absent = {"row", "mixed", LAST} if ndim == 1 else set()
    absent |= {"same", "valid", "reflect", "replicate", "circular"} if transposed else set()
    factors = {
        name: tuple(level for level in levels if level not in absent)
        for name, levels in CONVOLUTION.items()
    }
    return factors | {"size": ("fits",)} if transposed else factors | {"output_padding": ("0",)}


def _fits(row: Levels) -> bool:
    """Whether PyTorch has a layer with these levels, and no two of them are one."""
    if row.get("padding") == "same" and row.get("stride", "1") != "1":
        return False
    return not (row.get("kernel") == "one" and row.get("stride") == "kernel")


def _array(
    factors: Mapping[str, tuple[str, ...]], missing: set[Pair], random: Random
) -> Iterator[Levels]:
    """Yield rows until no pair of levels is missing."""
    while missing:
        first = min(missing)
        rows = [_row(factors, dict(first), missing, random) for _ in range(CANDIDATES)]
        best = max(rows, key=lambda row: len(missing & _pairs(row)))
        missing -= _pairs(best)
        yield best


def _row(
    factors: Mapping[str, tuple[str, ...]], row: Levels, missing: set[Pair], random: Random
) -> Levels:
    """Return a row that begins with a missing pair, each further level chosen for most others."""
    others = [name for name in factors if name not in (*row, "class")]
    random.shuffle(others)
    for name in others:
        levels = [level for level in factors[name] if _fits(row | {name: level})]
        random.shuffle(levels)
        row[name] = max(levels, key=partial(_new, missing, row, name))
    return row


def _new(missing: set[Pair], row: Levels, name: str, level: str) -> int:
    """Return how many missing pairs a further level makes in a row."""
    return sum(_pair((name, level), other) in missing for other in row.items())


def _pair(one: tuple[str, str], other: tuple[str, str]) -> Pair:
    return (one, other) if one < other else (other, one)


def _pairs(row: Levels) -> set[Pair]:
    return {_pair(*pair) for pair in itertools.combinations(row.items(), 2)}


def _cases(kind: type[nn.Module], rows: Iterable[Levels]) -> tuple[Case, ...]:
    return tuple(dict.fromkeys(_case(kind, row) for row in rows))


def _case(kind: type[nn.Module], row: Levels) -> Case:
    """Return a row as a layer: every level as numbers."""
    state: dict[str, Any] = {
        "bias": row["bias"] == "yes",
        "dtype": DTYPES[row["dtype"]],
        "memory": row["memory"],
        "frozen": row["learns"] == "no",
        "training": row["training"] == "train",
        "subclassed": row["class"] == "subclass",
    }
    if kind is nn.Linear:
        channels = {"differ": (3, 5), "equal": (4, 4), "one": (1, 1)}[row["channels"]]
        size = {"features": (), "tokens": (2,), "map": (2, 3)}[row["size"]]
        return Case(kind, channels, size=size, **state)
    ndim = int(kind.__name__[-2])
    kernel = {
        "one": (1, 1, 1), "even": (2, 2, 2), "odd": (3, 3, 3), "row": (1, 3, 1),
        "uneven": (4,) if ndim == 1 else (2, 3, 1), "full": (3, 4, 2),
    }[row["kernel"]][:ndim]  # fmt: skip
    stride = {
        "1": (1,) * ndim, "2": (2,) * ndim, "mixed": (1, 2, 3)[:ndim], "kernel": kernel,
        "wider": tuple(k + 1 for k in kernel),
    }[row["stride"]]  # fmt: skip
    dilation = {"1": (1,) * ndim, "2": (2,) * ndim, "mixed": (1, 3, 2)[:ndim]}[row["dilation"]]
    padding: Any = {
        "0": (0,) * ndim, "1": (1,) * ndim, "mixed": (0, 1, 2)[:ndim], "wide": kernel,
    }.get(row["padding"], row["padding"])  # fmt: skip
    channels, groups = {
        "1": {"differ": ((3, 5), 1), "equal": ((4, 4), 1)},
        "some": {"differ": ((4, 6), 2), "equal": ((4, 4), 2)},
        "depthwise": {"differ": ((2, 4), 2), "equal": ((3, 3), 3)},
    }[row["groups"]][row["channels"]]
    fields = {
        "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation,
        "groups": groups,
    }  # fmt: skip
    # An output padding has to be less than the stride or the dilation.
    extra = tuple(
        int(row["output_padding"] == "1" and max(s, d) > 1)
        for s, d in zip(stride, dilation, strict=True)
    )
    case = Case(kind, channels, **fields, padding_mode=row["mode"], output_padding=extra, **state)
    size = _size(case.geometry, row["kernel"] == "full", row["size"] == "remainder")
    return replace(case, size=size)


def _size(geometry: ConvGeometry, full: bool, remainder: bool) -> tuple[int, ...]:
    """Return an input size for two, three and four cells that read no padding.

    full: for one cell, which reads all of the padded input. A size of which the stride leaves
    nothing over, or, with `remainder`, as much as can be.
    """
    if geometry.transposed:
        return tuple(map(max, (1,) * 3 if full else (2, 3, 4), geometry.smallest_input))
    sizes = []
    for dim, least in enumerate(geometry.smallest_input):
        extent, stride, sides = geometry.extent[dim], geometry.stride[dim], geometry.padding[dim]
        size = extent - sum(sides) if full else extent + (1 + dim) * stride
        size = max(size, least)
        size += (extent - sum(sides) - size) % stride
        sizes.append(size + (stride - 1) * remainder)
    return tuple(sizes)
