"""The same module with other numbers in it.

A twin is a deep copy whose parameters, buffers and tensor attributes are views of new storage,
laid out as the old ones were: what was tied or aliased, within a module or between two, still
is, and strides are kept. The given modules are never touched.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlin.proof.algebra import Value
from convlin.proof.watch import Watch

__all__ = ["Holdings", "Region", "mark_weights", "named_tensors", "shadow"]


@dataclass(frozen=True)
class Region:
    """A stretch of storage that modules hold: its numbers, and where a twin's shall be."""

    source: Tensor
    target: Tensor


class Holdings:
    """All float tensors of some modules, and the float64 CPU memory that their twins use.

    >>> layer = nn.Linear(2, 3)
    >>> holdings = Holdings([layer])
    >>> for region in holdings.regions:
    ...     _ = region.target.fill_(7)
    >>> holdings.twin(layer).bias.tolist()
    [7.0, 7.0, 7.0]
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        tensors = {
            id(tensor): tensor
            for module in modules
            for tensor in named_tensors(module).values()
            if tensor.is_floating_point()
        }
        self._tensors = list(tensors.values())
        spans: dict[tuple[int, torch.dtype], list[int]] = {}
        for tensor in self._tensors:
            start, stop = _extent(tensor)
            span = spans.setdefault(_memory(tensor), [start, stop])
            span[:] = min(span[0], start), max(span[1], stop)
        self._regions: dict[tuple[int, torch.dtype], tuple[int, Region]] = {}
        for tensor in self._tensors:
            start, stop = spans[_memory(tensor)]
            if _memory(tensor) not in self._regions:
                source = torch.as_strided(tensor.detach(), (stop - start,), (1,), start)
                # numpy asks the system for large pages, torch does not: faster to fill
                target = torch.from_numpy(np.empty(stop - start))
                self._regions[_memory(tensor)] = (start, Region(source, target))

    @property
    def regions(self) -> list[Region]:
        """Every stretch of memory, once."""
        return [region for _, region in self._regions.values()]

    def twin(self, module: Any, channels_last: bool = False) -> Any:
        """Return a deep copy of a module that holds the numbers of the regions' targets.

        channels_last: lay 4-D and 5-D tensors out with the channels innermost instead.
        """
        memo: dict[int, Any] = {}
        for tensor in self._tensors:
            view = self._view(tensor, channels_last)
            if isinstance(tensor, nn.Parameter):
                view = nn.Parameter(view, requires_grad=tensor.requires_grad)
            memo[id(tensor)] = view
        return copy.deepcopy(module, memo)

    def _view(self, tensor: Tensor, channels_last: bool) -> Tensor:
        start, region = self._regions[_memory(tensor)]
        strides = tensor.stride()
        if channels_last and tensor.ndim in (4, 5):
            layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
            like = torch.empty(tensor.shape, device="meta", memory_format=layouts[tensor.ndim])
            strides = like.stride()
        offset = tensor.storage_offset() - start
        return torch.as_strided(region.target, tensor.shape, strides, offset)


def shadow(module: Any) -> Any:
    """Return a deep copy that shares the parameters, and owns its buffers and its state."""
    memo: dict[int, Any] = {
        id(tensor): tensor if isinstance(tensor, nn.Parameter) else tensor.detach().clone()
        for tensor in named_tensors(module).values()
    }
    return copy.deepcopy(module, memo)


def named_tensors(module: Any) -> Mapping[str, Tensor]:
    """Return the parameters, buffers and plain tensor attributes of a module, by name."""
    if not isinstance(module, nn.Module):
        return {}
    found: dict[str, Tensor] = {}
    for prefix, child in module.named_modules(remove_duplicate=False):
        for group in (child._parameters, child._buffers, vars(child)):
            for name, tensor in group.items():
                if isinstance(tensor, Tensor):
                    found[f"{prefix}.{name}".lstrip(".")] = tensor
    return found


def mark_weights(watch: Watch, program: Any) -> None:
    """Tell a watch which tensors are weights."""
    for tensor in named_tensors(program).values():
        if tensor.is_floating_point():
            watch.mark(tensor, Value(weights=1, coefficient=1))


def _memory(tensor: Tensor) -> tuple[int, torch.dtype]:
    return tensor.untyped_storage()._cdata, tensor.dtype


def _extent(tensor: Tensor) -> tuple[int, int]:
    """Return the first and behind the last element of its storage that a tensor reads."""
    start = int(tensor.storage_offset())
    if not tensor.numel():
        return start, start
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return start, start + 1 + sum((int(n) - 1) * int(s) for n, s in steps)
