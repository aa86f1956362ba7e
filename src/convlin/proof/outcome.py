"""What a program does with an input: its outputs, what else it changed, or how it failed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convlin.errors import one_line
from convlin.internals.trees import tree_flatten
from convlin.proof.algebra import Value
from convlin.proof.storage import identity, sample
from convlin.proof.verdict import Counterexample
from convlin.proof.watch import Watch
from convlin.proof.ways import PLAIN, Way

__all__ = ["Outcome", "run"]


@dataclass(frozen=True)
class Outcome:
    """The outputs of one run, flattened; `error` if it raised.

    effects: what the run changed, as it is afterwards: "its input", and the program's own tensors.
    """

    leaves: tuple[Any, ...] = ()
    structure: Any = None
    value: Value = field(default_factory=Value)
    effects: dict[str, Tensor] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def cut(self) -> Outcome:
        """The same without what its outputs were made of, a large layer's weights among them."""
        leaves = (leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in self.leaves)
        return replace(self, leaves=tuple(leaves))

    @property
    def outputs(self) -> list[Tensor]:
        """The outputs that are tensors."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]

    @property
    def tensors(self) -> list[Tensor]:
        """The outputs that are tensors, then the floats that the run changed."""
        return self.outputs + [t for t in self.effects.values() if t.is_floating_point()]

    @property
    def numbers(self) -> Tensor:
        """All elements of all these tensors, flat, in float64 on the CPU."""
        parts = [t.detach().to("cpu", torch.float64).reshape(-1) for t in self.tensors]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64)

    @property
    def changes_itself(self) -> bool:
        """Whether the run changed the program's own tensors."""
        return any(name != "its input" for name in self.effects)

    def index_of(self, position: int) -> tuple[int, ...]:
        """Return the index of an element of `numbers`: preceded by the output's number if many."""
        for number, tensor in enumerate(self.tensors):
            if position < tensor.numel():
                index = []  # row-major order counts in mixed radix, the last axis fastest
                for size in reversed(tensor.shape):
                    position, rest = divmod(position, size)
                    index.append(rest)
                prefix = () if len(self.tensors) == 1 else (number,)
                return (*prefix, *reversed(index))
            position -= tensor.numel()
        raise IndexError(position)

    def decides(self, other: Outcome) -> bool:
        """Whether both returned; where both failed alike there is nothing to compare."""
        return self.error is None and other.error is None

    def gives(self, other: Outcome) -> bool:
        """Whether the other outcome has the very same outputs, or failed alike; NaN equals NaN."""
        bare, others = Outcome(self.leaves, self.structure), Outcome(other.leaves, other.structure)
        if type(self.error) is not type(other.error) or bare.parts_from(others):
            return False
        return bool(torch.isclose(bare.numbers, others.numbers, 0, 0, equal_nan=True).all())

    def parts_from(self, other: Outcome, note: str = "") -> Counterexample | None:
        """Return how the other outcome's error, structure, shapes or dtypes differ from this."""
        if type(self.error) is not type(other.error):
            expected, got = _ending(self.error), _ending(other.error)
            return Counterexample("exception", expected, got, field="the outcome", note=note)
        for name in ("its input", "its own tensors"):
            changed = [_changed(side, name) for side in (self, other)]
            if changed[0] != changed[1]:
                expected, got = ("changed" if shapes else "left alone" for shapes in changed)
                if all(changed):
                    expected, got = map(str, changed)
                return Counterexample("contract", expected, got, field=name, note=note)
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


def _changed(side: Outcome, name: str) -> list[tuple[int, ...]]:
    """Return the shapes of what a run changed: of its input, or of the program's own tensors."""
    kind = name == "its input"
    return [tuple(t.shape) for key, t in side.effects.items() if (key == "its input") == kind]


def run(
    program: Callable[[Tensor], Any], x: Tensor, watch: Watch | None = None, way: Way = PLAIN
) -> Outcome:
    """Call a program on a copy of `x` in some way, watched or not; an exception is an outcome.

    What fails under the watch alone, as code that is compiled when it is called, runs without.
    """
    before = _samples(program)
    with way.grad_mode():
        handed = way.hand(x)
        intact = handed.detach().clone()
        if watch is not None:
            watch.look_into(program)
            watch.mark(handed, Value(inputs=1, coefficient=1))
        so_far = watch.so_far if watch is not None else Value()
        try:
            with watch if watch is not None else nullcontext():
                tree = program(handed)
        except Exception as error:
            if watch is not None:  # nothing came of this run, nor can it steer another
                watch.so_far = so_far
                alone = run(program, x, way=way)
                if alone.error is None:
                    watch.disqualify(
                        f"what fails where it is watched ({one_line(error)})", exact=False
                    )
                    return replace(alone, value=watch.value(alone.tensors))
            return Outcome(error=error)
    own = _registered(program)
    changed = {
        name: own[name] for name, now in _samples(program).items() if now != before.get(name)
    }
    if handed.shape != intact.shape or not (handed.is_meta or torch.equal(handed, intact)):
        changed = {"its input": handed, **changed}
    leaves, structure = tree_flatten(tree)
    value = watch.value((leaves, changed)) if watch is not None else Value()
    effects = {name: tensor.detach().clone() for name, tensor in changed.items()}
    return Outcome(tuple(leaves), structure, value, effects)


def _registered(program: Any) -> dict[str, Tensor]:
    """Return the parameters and buffers of a module, by name."""
    if not isinstance(program, nn.Module):
        return {}
    return {**dict(program.named_parameters()), **dict(program.named_buffers())}


def _samples(program: Any) -> dict[str, bytes]:
    return {
        name: sample(tensor)
        for name, tensor in _registered(program).items()
        if identity(tensor) is not None
    }


def _ending(error: Exception | None) -> str:
    return "no exception" if error is None else one_line(error)
