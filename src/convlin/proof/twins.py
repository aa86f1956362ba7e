"""The same module with other numbers in it.

A twin is a deep copy whose parameters, buffers and tensor attributes are views of new storage,
laid out as the old ones were: what was tied or aliased, within a module or between two, still
is, and strides are kept. Storage that holds no parameter is each twin's own, so that a module
that updates its statistics does not update another twin's. The given modules are never touched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlin.internals.storages import storage_id
from convlin.proof.algebra import Value
from convlin.proof.draws import Draws
from convlin.proof.residues import Spread, residues, spread
from convlin.proof.watch import Watch

__all__ = ["Region", "Twins", "home", "mark_weights", "named_tensors", "shadow"]

HEAVY = 2**22
"""With more weights, later draws are handed over in one way: 32 MiB in float64 are in no cache.
Half of it says "each once" of layers that take seconds; twice of it tries all ways on larger ones,
for minutes."""


@dataclass(frozen=True)
class Region:
    """A stretch of storage that modules hold: its numbers, and where a twin's shall be.

    learned: a parameter lies there. natural: what lies there is never negative, as a variance or
    a count, and other numbers must not be either.
    """

    source: Tensor
    target: Tensor
    learned: bool = True
    natural: bool = False

    @cached_property
    def here(self) -> Tensor:
        """The source on the CPU."""
        return self.source.cpu()

    @cached_property
    def powers(self) -> Spread:
        """Between which powers of two the source's numbers lie."""
        return spread(self.here)

    def reduce(self, prime: int) -> None:
        """Write the residues of the source's numbers modulo a prime into the target."""
        residues(self.here, self.target, prime, self.powers)

    def draw(self, draws: Draws, largest: int) -> None:
        """Draw the target's numbers from {-largest, …, largest}, or their magnitudes."""
        here = self.target if self.target.device.type == "cpu" else self.target.cpu()
        draws.fill(here, largest)
        if self.natural:
            here.abs_()
        if here is not self.target:
            self.target.copy_(here)


class Twins:
    """All float tensors of some modules, and the memory (float64, CPU) that their twins use.

    >>> layer = nn.Linear(2, 3)
    >>> twins = Twins([layer])
    >>> for region in twins.regions:
    ...     _ = region.target.fill_(7)
    >>> twins.twin(layer).bias.tolist()
    [7.0, 7.0, 7.0]
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        tensors = {
            id(tensor): tensor
            for module in modules
            for tensor in named_tensors(module).values()
            if tensor.is_floating_point()
        }
        self.tensors = list(tensors.values())
        # One region for each storage and dtype, from the first to the last number that any of the
        # tensors reads: views that overlap are views of one region, and still overlap in a twin.
        spans: dict[tuple[int, torch.dtype], list[int]] = {}
        for tensor in self.tensors:
            start, stop = _extent(tensor)
            span = spans.setdefault(_memory(tensor), [start, stop])
            span[:] = min(span[0], start), max(span[1], stop)
        learned = {_memory(t) for t in self.tensors if isinstance(t, nn.Parameter)}
        self._regions: dict[tuple[int, torch.dtype], tuple[int, Region]] = {}
        for tensor in self.tensors:
            memory = _memory(tensor)
            start, stop = spans[memory]
            if memory not in self._regions:
                source = torch.as_strided(tensor.detach(), (stop - start,), (1,), start)
                target = _memory_for(stop - start, dtype, device)
                natural = memory not in learned and _natural(source)
                self._regions[memory] = (start, Region(source, target, memory in learned, natural))

    @property
    def regions(self) -> list[Region]:
        """Every stretch of memory, once."""
        return [region for _, region in self._regions.values()]

    @property
    def heavy(self) -> bool:
        """Whether there are so many numbers that not every draw goes through all ways."""
        return sum(len(region.target) for region in self.regions) > HEAVY

    @property
    def atom(self) -> int:
        """How many times likelier than 1/(2M + 1) a number of a region can be, at most."""
        # A magnitude m > 0 comes of two of the 2M + 1 numbers, m and -m.
        return 2 if any(region.natural for region in self.regions) else 1

    def regions_of(self, module: Any) -> list[Region]:
        """Return the stretches of memory that one of the modules holds."""
        floats = [t for t in named_tensors(module).values() if t.is_floating_point()]
        return [self._regions[memory][1] for memory in dict.fromkeys(map(_memory, floats))]

    def fill(self, draws: Draws, largest: int) -> None:
        """Draw every number from {-largest, …, largest}, or its magnitude where none is below 0."""
        for region in self.regions:
            region.draw(draws, largest)

    def take(self, of: Callable[[Tensor], Tensor] = Tensor.detach) -> None:
        """Take over every number as it is, or what is made of it."""
        for region in self.regions:
            region.target.copy_(of(region.source))

    def twin(self, module: Any, channels_last: bool = False) -> Any:
        """Return a deep copy of a module that holds the numbers of the regions' targets.

        channels_last: lay 4-D and 5-D tensors out with the channels innermost instead.
        """
        memo: dict[int, Any] = {}
        own = {
            memory: region.target if region.learned else region.target.clone()
            for memory, (_, region) in self._regions.items()
        }
        for tensor in self.tensors:
            view = self._view(tensor, own[_memory(tensor)], channels_last)
            if isinstance(tensor, nn.Parameter):
                view = nn.Parameter(view, requires_grad=tensor.requires_grad)
            memo[id(tensor)] = view
        return copy.deepcopy(module, memo)

    def _view(self, tensor: Tensor, target: Tensor, channels_last: bool) -> Tensor:
        start, _ = self._regions[_memory(tensor)]
        strides = tensor.stride()
        if channels_last and tensor.ndim in (4, 5):
            layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
            like = torch.empty(tensor.shape, device="meta", memory_format=layouts[tensor.ndim])
            strides = like.stride()  # a dense tensor's: another order of the same numbers
        offset = tensor.storage_offset() - start  # the target begins where the region does
        return torch.as_strided(target, tensor.shape, strides, offset)


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
    tensors: dict[str, Tensor] = {}
    for prefix, child in module.named_modules(remove_duplicate=False):
        for group in (child._parameters, child._buffers, vars(child)):
            for name, tensor in group.items():
                if isinstance(tensor, Tensor):
                    tensors[f"{prefix}.{name}".lstrip(".")] = tensor
    return tensors


def home(program: Any) -> tuple[torch.device, torch.dtype]:
    """Return the device and dtype of a program: its first float tensor's."""
    floats = [t for t in named_tensors(program).values() if t.is_floating_point()]
    return (floats[0].device, floats[0].dtype) if floats else (torch.device("cpu"), torch.float32)


def mark_weights(watch: Watch | None, program: Any) -> None:
    """Tell a watch, if there is one, which tensors are weights."""
    for tensor in named_tensors(program).values():
        if watch is not None and tensor.is_floating_point():
            below = bool((tensor.detach() < 0).any())
            watch.mark(tensor, Value(weights=1, coefficient=1, below=below))


def _memory_for(size: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return uninitialised memory; numpy asks the system for large pages: faster to fill."""
    if torch.device(device).type != "cpu" or dtype not in (torch.float64, torch.float32):
        return torch.empty(size, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(size, str(dtype).removeprefix("torch.")))


def _natural(numbers: Tensor) -> bool:
    """Whether no number is negative, and not all are 0."""
    return bool(numbers.numel() and (numbers >= 0).all() and (numbers > 0).any())


def _memory(tensor: Tensor) -> tuple[int, torch.dtype]:
    return storage_id(tensor), tensor.dtype


def _extent(tensor: Tensor) -> tuple[int, int]:
    """Return the first and behind the last element of its storage that a tensor reads."""
    start = int(tensor.storage_offset())
    if not tensor.numel():
        return start, start
    # The last element is (n - 1) steps along every axis: strides of PyTorch are never negative.
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return start, start + 1 + sum((int(n) - 1) * int(s) for n, s in steps)
