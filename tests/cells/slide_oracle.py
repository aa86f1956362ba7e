"""The oracle of window scores: the model on every crop, one by one, and what it computes there."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

CLOSE = 1e-10
"""Relative, in float64: wrong names were off by 1.4 and more where they were seen."""


def grid(size: Sequence[int], window: Sequence[int], stride: Sequence[int]) -> tuple[int, ...]:
    """Return the windows along each axis: `size`, `window` and `stride` are of space alone."""
    return tuple((n - p) // s + 1 for n, p, s in zip(size, window, stride, strict=True))


def crop(
    images: Tensor, cell: Sequence[int], window: Sequence[int], stride: Sequence[int]
) -> Tensor:
    places = zip(cell, window, stride, strict=True)
    return images[(..., *(slice(i * s, i * s + p) for i, p, s in places))]


def crops(images: Tensor, window: Sequence[int], stride: Sequence[int]) -> Iterator[Tensor]:
    """Yield the windows of all images, each as a batch of one; the last axis goes fastest."""
    cells = grid(images.shape[2:], window, stride)
    for image in images.split(1):
        for cell in itertools.product(*map(range, cells)):
            yield crop(image, cell, window, stride)


def slid(model: nn.Module, images: Tensor, window: Sequence[int], stride: Sequence[int]) -> Any:
    """Return what the model says of every window: (N, K) as (N, K, *cells), (N, K, h) likewise.

    A map of one cell is that cell.
    """
    cells = grid(images.shape[2:], window, stride)
    each = [model(window) for window in crops(images, window, stride)]

    def behind(*outputs: Tensor) -> Tensor:
        stacked = torch.cat([one_cell(own) for own in outputs]).unflatten(0, (len(images), *cells))
        return stacked.movedim(tuple(range(1, 1 + len(cells))), tuple(range(-len(cells), 0)))

    return pytree.tree_map(behind, *each)


def one_cell(own: Tensor) -> Tensor:
    """Return the outputs (N, K) of a map of one cell, (N, K, 1, 1); any others as they are."""
    return own.flatten(1) if own.ndim > 2 and own[0, 0].numel() == 1 else own


def off(outputs: Any, expected: Any) -> float:
    """Return the largest difference of any output over that output's largest number."""
    pairs = zip(pytree.tree_leaves(outputs), pytree.tree_leaves(expected), strict=True)
    assert pytree.tree_structure(outputs) == pytree.tree_structure(expected)
    largest = 0.0
    for one, other in pairs:
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert other.isfinite().all()
        assert other.abs().max() > 0
        relative = ((one - other).abs().max() / other.abs().max()).item()
        largest = relative if relative != relative else max(largest, relative)
        assert largest == largest  # no NaN
    return largest


def multiply_adds_of(run: Callable[[], Any]) -> int:
    """Return the multiply-adds that PyTorch counts while `run` runs."""
    with FlopCounterMode(display=False) as counter:
        run()
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@torch.no_grad()
def distinct_values(
    model: nn.Module, layer: str, images: Tensor, window: Sequence[int], stride: Sequence[int]
) -> tuple[int, int]:
    """Return how many cells the layer has over all windows, and how many of them differ.

    Cells of one name have one value, so no way of sharing them needs fewer. Channels are projected
    onto one number; rounding is 1e-15 of it, the gaps of thousands of random ones above 1e-11.
    """
    found = []
    module = model.get_submodule(layer)
    hook = module.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    for image in crops(images[:1], window, stride):
        model(image)
    hook.remove()
    values = torch.cat(found).movedim(1, -1).flatten(0, -2)
    weights = torch.randn(values.shape[-1], generator=torch.Generator().manual_seed(5)).double()
    ordered = (values @ weights).sort().values
    gaps = ordered.diff() > 1e-11 * ordered.abs().max()
    return len(ordered), 1 + int(gaps.sum())


# kernel, stride, (padding before, after), dilation
Axis = tuple[int, int, tuple[int, int], int]


def distinct_names(chain: Sequence[Axis], window: int, stride: int, size: int) -> list[int]:
    """Return how many cells of every layer of a chain differ in what they read, along one axis.

    By definition: a cell is the tuple of what its taps read, a pixel of the image in the end.
    """
    corners = range(0, size - window + 1, stride)
    maps: list[list[int]] = [list(range(at, at + window)) for at in corners]
    counts = []
    for kernel, step, (before, after), dilation in chain:
        numbers: dict[tuple[int, ...], int] = {}
        padded = [[-1] * before + cells + [-1] * after for cells in maps]
        reach = dilation * (kernel - 1)
        maps = [
            [
                numbers.setdefault(tuple(cells[i : i + reach + 1 : dilation]), len(numbers))
                for i in range(0, len(cells) - reach, step)
            ]
            for cells in padded
        ]
        counts.append(len(numbers))
    return counts


def row_of(plan: Any, layer: str) -> Any:
    """Return the row of a layer; one that pads by itself is several operations."""
    (row,) = (row for row in plan.rows if row.layer == layer or row.layer.startswith(layer + "."))
    return row


def shared(plan: Any, layer: str) -> Any:
    """Return the row of a layer that multiplies, having seen that windows share its cells."""
    row = row_of(plan, layer)
    assert row.share, (layer, row.why, plan.ends)
    assert row.multiply_adds < row.multiply_adds_windows, (layer, row)
    assert math.prod(row.cells) > 0
    return row
