"""From a layer that breaks a conversion to the smallest one that breaks it in the same way.

Greedy, as Hypothesis and QuickCheck shrink: of the simpler layers beside the present one, the first
that still fails is the next, until none of them does. Simplest is what people read as such:
arguments that are not written at all come before small numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from convlin.errors import GeometryError
from convlin.testing.case import Case

__all__ = ["cost", "shrunk"]

FIELDS = (
    "subclassed", "memory", "dtype", "frozen", "frozen_bias", "training", "bias", "padding_mode",
    "padding", "output_padding", "dilation", "stride",
)  # fmt: skip
"""Fields that have a usual value, whatever the others are."""
MOST = 200
"""Layers tried: the seconds that a test may take. Half of it leaves a kernel of 3-D unshrunk that
differs in every field, twice of it finds none smaller."""


def shrunk(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a smallest case that fails, from one that does.

    >>> from torch import nn
    >>> case = Case(nn.Conv2d, (4, 6), (2, 3), dilation=(2, 3), groups=2, bias=False, size=(7, 9))
    >>> print(shrunk(case, lambda case: case.dilation != (1, 1) and case.groups > 1))
    nn.Conv2d(2, 2, 1, dilation=2, groups=2)
    """
    tried = {case}
    while len(tried) < MOST:
        for simpler in _simpler(case):
            if simpler in tried or len(tried) >= MOST or cost(simpler) >= cost(case):
                continue
            tried.add(simpler)
            if fails(simpler):
                case = simpler
                break
        else:
            break
    return case


def cost(case: Case) -> tuple[int, ...]:
    """Return how far a case is from the simplest: arguments that are written, then their numbers.

    A subclass comes behind every layer of PyTorch's own: it is the last that people think of.

    >>> from torch import nn
    >>> cost(Case(nn.Conv1d, (1, 1), (1,), size=(1,))) < cost(Case(nn.Conv1d, (1, 1), (2,), size=(1,)))
    True
    """  # noqa: E501
    usual = Case(case.kind, (1, 1), case.kernel)
    unusual = sum(getattr(case, field) != getattr(usual, field) for field in (*FIELDS, "groups"))
    numbers = [case.stride, case.dilation, case.output_padding]
    numbers += [case.padding] if isinstance(case.padding, tuple) else []
    uneven = sum(len(set(sizes)) > 1 for sizes in numbers)
    total = sum(map(sum, numbers)) + case.groups + sum(case.channels) + sum(case.kernel)
    return case.subclassed, unusual, uneven, total, sum(case.size) + len(case.size)


def _simpler(case: Case) -> Iterator[Case]:
    """Yield simpler layers that PyTorch has, the boldest first, each at an input that it takes."""
    for simpler in _changed(case):
        if not case.ndim:
            yield simpler
            continue
        try:
            least = simpler.geometry.smallest_input
        except GeometryError:
            continue
        yield replace(simpler, size=tuple(map(max, simpler.size, least)))


def _changed(case: Case) -> Iterator[Case]:
    usual = Case(case.kind, (1, 1), case.kernel)
    unusual = [field for field in FIELDS if getattr(case, field) != getattr(usual, field)]
    if unusual:
        yield replace(case, **{field: getattr(usual, field) for field in unusual})
    for field in unusual:
        yield replace(case, **{field: getattr(usual, field)})
    yield from _channels(case)
    if case.ndim:
        yield from _kernels(case, range(case.ndim))
    for dim in range(case.ndim):
        yield from _kernels(case, [dim])
    if case.stride == case.kernel:  # patches: square ones, if their shape does not matter
        for side in sorted({*case.kernel}):
            square = (side,) * case.ndim
            yield replace(case, kernel=square, stride=square)
    yield from (replace(case, stride=sizes) for sizes in _smaller(case.stride))
    yield from (replace(case, padding=sizes) for sizes in _smaller(case.padding))
    yield from (replace(case, dilation=sizes) for sizes in _smaller(case.dilation))
    yield from _sizes(case)


def _channels(case: Case) -> Iterator[Case]:
    """Yield fewer groups and channels: one for each group."""
    inputs, outputs = case.channels
    for g in sorted({1, 2, case.groups}):
        if g <= case.groups:
            for channels in ((g, g), (g, 2 * g), (2 * g, g), (inputs, g), (g, outputs)):
                yield replace(case, groups=g, channels=channels)


def _kernels(case: Case, dims: Collection[int]) -> Iterator[Case]:
    """Yield kernels that are smaller along `dims`; the stride and the input may follow them."""
    most = max(case.kernel[dim] for dim in dims)
    for taps in sorted({1, 2, most - 1}):
        if not 0 < taps < most:
            continue
        kernel = tuple(min(k, taps) if d in dims else k for d, k in enumerate(case.kernel))
        lost = zip(case.size, case.kernel, kernel, case.dilation, strict=True)
        size = tuple(max(1, n - (old - new) * dilation) for n, old, new, dilation in lost)
        sides = zip(case.stride, case.kernel, kernel, strict=True)
        stride = tuple(new if s == old else s for s, old, new in sides)
        for other in (replace(case, kernel=kernel), replace(case, kernel=kernel, stride=stride)):
            yield replace(other, size=size)
            yield other


def _smaller(sizes: tuple[int, ...] | str) -> Iterator[tuple[int, ...]]:
    """Yield fields of the same number everywhere, then each number smaller by itself."""
    if isinstance(sizes, str):
        return
    for number in sorted({1, 2, *sizes, max(sizes, default=1) - 1}):
        yield (number,) * len(sizes)
    for dim, number in enumerate(sizes):
        yield from (_put(sizes, dim, fewer) for fewer in (0, 1, number - 1) if 0 <= fewer < number)


def _sizes(case: Case) -> Iterator[Case]:
    """Yield smaller inputs; of a Linear also those with fewer axes."""
    if not case.ndim:
        yield from (replace(case, size=case.size[axes:]) for axes in range(len(case.size), 0, -1))
    yield replace(case, size=(1,) * len(case.size))
    for dim, size in enumerate(case.size):
        yield from (
            replace(case, size=_put(case.size, dim, fewer))
            for fewer in sorted({1, 2, size // 2, size - max(case.stride, default=1), size - 1})
            if 0 < fewer < size
        )


def _put(sizes: Any, dim: int, number: int) -> tuple[int, ...]:
    return (*sizes[:dim], number, *sizes[dim + 1 :])
