"""What a program does with an input: its outputs, or the exception it ended with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from convlin.proof.algebra import Value
from convlin.proof.verdict import Counterexample
from convlin.proof.watch import Watch

__all__ = ["UNBATCHED", "Layout", "Outcome", "column_major", "layouts", "run", "words"]

Layout = Callable[[Tensor], Tensor]
UNBATCHED = "one unbatched input"


@dataclass(frozen=True)
class Outcome:
    """The outputs of one run, flattened; `error` if it raised."""

    leaves: tuple[Any, ...] = ()
    structure: Any = None
    value: Value = field(default_factory=Value)
    input_kept: bool = True
    error: Exception | None = None

    @property
    def tensors(self) -> list[Tensor]:
        """The outputs that are tensors."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]

    @property
    def numbers(self) -> Tensor:
        """All elements of all outputs, flat, in float64 on the CPU."""
        parts = [t.detach().to("cpu", torch.float64).reshape(-1) for t in self.tensors]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64)

    def place(self, position: int) -> tuple[int, ...]:
        """Return the index of an element of `numbers`: preceded by the output's number if many."""
        for number, tensor in enumerate(self.tensors):
            if position < tensor.numel():
                index = []
                for size in reversed(tensor.shape):
                    position, rest = divmod(position, size)
                    index.append(rest)
                prefix = () if len(self.tensors) == 1 else (number,)
                return (*prefix, *reversed(index))
            position -= tensor.numel()
        raise IndexError(position)

    def parts_from(self, other: Outcome, note: str = "") -> Counterexample | None:
        """Return how the other outcome's error, structure, shapes or dtypes differ from this."""
        if self.error or other.error:
            expected, got = words(self.error), words(other.error)
            return Counterexample("exception", expected, got, field="the outcome", note=note)
        if not other.input_kept:
            return Counterexample("contract", "left alone", "changed", field="its input", note=note)
        if self.structure != other.structure:
            expected, got = str(self.structure), str(other.structure)
            return Counterexample("shape", expected, got, field="the output structure", note=note)
        for mine, theirs in zip(self.leaves, other.leaves, strict=True):
            if not isinstance(mine, Tensor) or not isinstance(theirs, Tensor):
                if not _alike(mine, theirs):
                    return Counterexample("value", mine, theirs, field="an output", note=note)
            elif mine.shape != theirs.shape:
                shapes = tuple(mine.shape), tuple(theirs.shape)
                return Counterexample("shape", *shapes, field="the output shape", note=note)
            elif mine.dtype != theirs.dtype:
                dtypes = mine.dtype, theirs.dtype
                return Counterexample("dtype", *dtypes, field="the output dtype", note=note)
        return None


def _alike(mine: Any, theirs: Any) -> bool:
    """Return whether two outputs that are no tensors are the same; arrays compare as a whole."""
    if type(mine) is not type(theirs):
        return False
    try:
        return mine is theirs or bool(np.all(mine == theirs))
    except Exception:  # objects that cannot be compared
        return False


def run(
    program: Callable[[Tensor], Any], x: Tensor, watch: Watch | None = None, grad: bool = False
) -> Outcome:
    """Call a program on a copy of `x`, watched or not; exceptions become part of the outcome."""
    given = x.clone()
    if watch is not None:
        watch.mark(given, Value(inputs=1, coefficient=1))
    mode = torch.enable_grad() if grad else torch.no_grad()
    try:
        with mode, watch if watch is not None else nullcontext():
            tree = program(given)
    except Exception as error:
        return Outcome(error=error)
    kept = given.shape == x.shape and (given.is_meta or torch.equal(given, x))
    leaves, structure = pytree.tree_flatten(tree)
    value = watch.value(leaves) if watch is not None else Value()
    return Outcome(tuple(leaves), structure, value, kept)


def layouts(x: Tensor) -> Iterable[tuple[str, Layout]]:
    """Yield the other ways to hand a batch of inputs over, by name.

    Each is a function of the batch, so that a counterexample can be boiled down in that layout.
    """
    yield "a batch of 1", lambda batch: batch[:1]
    yield "a batch of 2", lambda batch: batch[:2]
    yield "an empty batch", lambda batch: batch[:0]
    yield UNBATCHED, lambda batch: batch[0]
    if x.ndim in (4, 5):
        layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        yield "channels_last input", lambda batch: batch[:1].contiguous(memory_format=layout)
    yield "non-contiguous input", column_major


def column_major(batch: Tensor) -> Tensor:
    """Return the batch with its last two axes the other way round in memory.

    Dense, so that a clone keeps it.
    """
    return batch.mT.contiguous().mT


def words(error: Exception | None) -> str:
    """Return an exception in one line."""
    if error is None:
        return "no exception"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
