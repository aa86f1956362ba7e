"""Watch every operation that really runs, and know what its result is.

A dispatch mode sees each operation behind all Python, whatever module, function or method asked
for it; `convlin.proof.listed` says what its result is. What is known belongs to a *storage*, so
that views, in-place copies and `Parameter(view)` keep it. Uninitialised memory is handed out
filled with NaN, so cells that are never written cannot pass for equal.

An operation off the list on numbers that depend on weights or inputs takes the *whole run* off
the list, its result used or not: what came out of it may have become a shape, a Python number or
a branch, and steered everything else. `convlin.proof.guard` sees what goes past the dispatcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convlin.internals.dispatch import (
    TorchDispatchMode,
    is_operator,
    overrides_are_disabled,
    run_as_parts,
    without_overrides,
)
from convlin.internals.storages import StorageWeakRef, weak
from convlin.internals.trees import tree_leaves
from convlin.proof.algebra import Value, constant
from convlin.proof.guard import Guard
from convlin.proof.listed import CHOICE, COUNTED, MOVES, PIECEWISE, RULES, SHAPE_ONLY
from convlin.proof.operation import Operation, tensors
from convlin.proof.remembered import hidden
from convlin.proof.storage import fills, identity, memory, poison, sample, whole_constant
from convlin.proof.torch_kernel import composite, own

__all__ = ["Watch"]

LISTS = RULES.keys() | COUNTED.keys() | MOVES | PIECEWISE | SHAPE_ONLY
OPAQUE = Value(weights=1, inputs=1, exact=False)
STEERING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
RANDOM = torch.Tag.nondeterministic_seeded


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Know the `Value` of every tensor made while it is entered.

    >>> weight, image = torch.ones(4, 3), torch.ones(3)
    >>> with Watch() as watch:
    ...     watch.mark(weight, Value(weights=1, coefficient=1))
    ...     watch.mark(image, Value(inputs=1, coefficient=1))
    ...     y = weight @ image + 2
    >>> (v := watch.value(y)).degree, v.coefficient
    (2, 5)
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.constants: set[bytes] = set()
        self.so_far = Value()
        self._busy = self._inside = False
        self._known: dict[int, _Known] = {}
        self._kernels: dict[tuple[Any, str], bool] = {}
        self._guard = Guard(self)
        self._seen: list[Any] = []

    def __enter__(self) -> Watch:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._guard.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._guard.__exit__(*error)
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def mark(self, tensor: Tensor, value: Value) -> None:
        """Say what the elements of a tensor, and of all that shares its storage, are."""
        with without_overrides(), self._aside():
            self._store(tensor, value, whole=True)

    def look_into(self, program: Any) -> None:
        """Take a program off the list that holds what no watch can see into."""
        if not any(program is one for one in self._seen):
            self._seen.append(program)
            step = hidden(program)
            if step:
                self.disqualify(step, exact=True)

    def value(self, tree: Any) -> Value:
        """Return what is known of all tensors of a tree together, and of the whole run."""
        with without_overrides(), self._aside():
            value = Value().join(*map(self._of, tensors(tree)))
            if not self.so_far.off:
                return value
            return replace(value.join(self.so_far), off=self.so_far.off)

    def out_of_sight(self, step: str, tree: Any) -> None:
        """Note a step that carried the numbers of these tensors out of sight, if any has some."""
        with without_overrides(), self._aside():
            value = Value().join(*map(self._of, tensors(tree)))
            if not value.constant:
                self.disqualify(step, value.exact)

    def disqualify(self, step: str, exact: bool) -> None:
        """Take the whole run off the list; not `exact`: a rounded number may have steered it."""
        self._part(OPAQUE.off_the_list(step), exact)

    def _part(self, value: Value, exact: bool) -> None:
        """Take the whole run off the list as far as a value is."""
        so_far = self.so_far.counted(value.off, exact)
        bent = so_far.bent or value.bent or value.random
        self.so_far = replace(so_far, rough=so_far.rough or value.rough, bent=bent)

    # -- one operation ---------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._busy:
            return func(*args, **kwargs)
        if overrides_are_disabled() and not self._inside:
            self.out_of_sight(f"{func} behind disabled overrides", (args, kwargs))
        with without_overrides():
            if not is_operator(func):  # torch.cond and its kind
                self.disqualify(str(func), exact=False)
                return func(*args, **kwargs)
            call = Operation(func, args, kwargs)
            if call.name not in LISTS and composite(func, call.device):
                with self, self._within():
                    return run_as_parts(func, args, kwargs)
            before = Value().join(*map(self._of, call.operands))
            value, step = self._judged(call, before)
            try:
                out = func(*args, **kwargs)
            except Exception:
                if not before.constant:
                    self.disqualify(f"{call.title} raised an exception", before.exact)
                raise
            if step:
                self._off_the_list(call, value, before, out)
            self._record(call, value, before, step, out)
            return out

    def _judged(self, call: Operation, before: Value) -> tuple[Value, str]:
        """Return what the results of an operation will be; and its name, if it is off the list."""
        choice = CHOICE.get(call.name)
        if not self._own(call):
            step = f"{call.title} with a kernel that is not PyTorch's"
            return before.off_the_list(step), step
        if choice and not self._constant(call.arguments[choice]):
            step = f"{call.title} at computed positions"
            return before.off_the_list(step, exact=call.name in PIECEWISE), step
        if call.name in SHAPE_ONLY:
            return Value(), ""
        if call.name in RULES:
            return RULES[call.name](call.arguments, self._operand), ""
        if call.name in MOVES and not call.arguments.get("accumulate"):
            moved = [argument for name, argument in call.arguments.items() if name != choice]
            return Value().join(*map(self._of, tensors(moved))), ""
        if call.name in PIECEWISE:
            leaves = tree_leaves((call.args, call.kwargs))
            numbers = [leaf for leaf in leaves if isinstance(leaf, int | float)]
            value = before.join(*map(constant, numbers))
            return value.off_the_list(call.title, exact=True), call.title
        value = replace(before, random=before.random or RANDOM in call.func.tags)
        counted = (
            COUNTED[call.name](call.arguments, self._operand) if call.name in COUNTED else None
        )
        if counted is not None:
            return counted.counted(call.title), call.title
        return value.off_the_list(call.title), call.title

    def _off_the_list(self, call: Operation, value: Value, before: Value, out: Any) -> None:
        """Take the whole run off the list with an operation that saw what it depends on."""
        steers = (
            not STEERING.isdisjoint(call.func.tags)
            or call.name in CHOICE
            or not (tensors(out) or call.written)
        )
        if before.degree or (before.random and steers):
            self._part(value, exact=before.exact or not steers)

    def _record(self, call: Operation, value: Value, before: Value, step: str, out: Any) -> None:
        """Store what is known of everything that an operation made or wrote."""
        written = call.written
        made = [t for t in tensors(out) if not any(t is w for w in written)]
        narrowed = _narrowed(call.operands, (*written, *made)) if value.degree and not step else ""
        if narrowed:
            value = _rounded(value, narrowed, (*written, *made))
            self._part(value, exact=True)
        # Of constants alone the numbers themselves are read off: sharper than any rule, and all we
        # have where none holds (integers wrap around, a step off the list gives whole numbers).
        certain = before.constant and not value.random and call.name not in SHAPE_ONLY
        for number, tensor in enumerate((*made, *written)):
            if call.name in SHAPE_ONLY:
                poison(tensor)
            # A storage keeps what was known of it unless all of it is new or overwritten: the
            # elements beside the written ones have the degree and size that they had.
            anew = identity(tensor) not in self._known
            if certain and (step or not tensor.is_floating_point()):
                self._store(tensor, whole_constant(tensor), whole=anew)
            else:
                overwritten = number >= len(made) and not step and fills(tensor)
                self._store(tensor, value, whole=anew or overwritten)

    # -- what is known ---------------------------------------------------------------------

    def _of(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor; of one from elsewhere, what its numbers show."""
        key = identity(tensor)
        if key is None:
            return OPAQUE.off_the_list(f"a {type(tensor).__name__} of layout {tensor.layout}")
        if key not in self._known:
            self._met(tensor)
        # Every operation that was seen noted a sample of what it wrote: if the numbers are others
        # now, somebody wrote them through an address of their own.
        known = self._known[key]
        if known.sample != sample(tensor):
            self.disqualify("a tensor changed by no operation that was seen", exact=False)
        if known.dtype == tensor.dtype:
            return known.value
        if known.value.constant:
            return whole_constant(tensor)
        return known.value.off_the_list(f"bits read as {tensor.dtype}")

    def _met(self, tensor: Tensor) -> None:
        """Take a tensor that was made out of sight for a constant, unless its memory is known."""
        addresses = memory(tensor)
        for known in self._known.values():
            if known.overlaps(addresses) and not known.value.constant:
                self.disqualify("memory under another name", exact=False)
        self.constants.add(sample(tensor))
        self._store(tensor, whole_constant(tensor), whole=True)

    def _operand(self, argument: Any) -> Value:
        return self._of(argument) if isinstance(argument, Tensor) else constant(argument)

    def _constant(self, tree: Any) -> bool:
        """Whether no tensor of a tree depends on weights, inputs or chance."""
        return all(self._of(tensor).constant for tensor in tensors(tree))

    def _own(self, call: Operation) -> bool:
        """Whether an operation off all lists, or of PyTorch's own making, is what its name says."""
        key = call.func, call.device
        if key not in self._kernels:
            self._kernels[key] = call.name not in LISTS or own(*key)
        return self._kernels[key]

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Run the parts of an operation."""
        self._inside, before = True, self._inside
        try:
            yield
        finally:
            self._inside = before

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Let operations of the watch's own pass unseen."""
        self._busy, before = True, self._busy
        try:
            yield
        finally:
            self._busy = before

    def _store(self, tensor: Tensor, value: Value, whole: bool) -> None:
        # Of a storage with numbers of two dtypes no dtype is noted: nobody knows which bits are
        # which, and `_of` takes every tensor of it off the list.
        key = identity(tensor)
        if key is None:
            return
        dtype: torch.dtype | None = tensor.dtype
        if not whole and key in self._known:
            known = self._known[key]
            value = known.value.join(value)
            dtype = dtype if dtype == known.dtype else None
        self._known[key] = _Known(weak(tensor), value, sample(tensor), dtype, memory(tensor))


@dataclass(frozen=True)
class _Known:
    """What is known of a storage; the weak reference keeps its identity from being used again."""

    storage: StorageWeakRef
    value: Value
    sample: bytes
    dtype: torch.dtype | None  # None: the same bits were numbers of two dtypes
    memory: range

    def overlaps(self, addresses: range) -> bool:
        """Whether a storage that still exists lies, in part, at these addresses."""
        # half-open ranges: two are apart if one ends before, or where, the other begins
        apart = addresses.stop <= self.memory.start or self.memory.stop <= addresses.start
        return not apart and not self.storage.expired()  # type: ignore[no-untyped-call]


def _rounded(value: Value, step: str, results: Iterable[Tensor]) -> Value:
    """Return a value rounded to another dtype: a rounding that is counted, of weights to float32.

    In 16 bits roundings are counted as results, and of those none is a weight.
    """
    wide = all(result.dtype in (torch.float32, torch.float64) for result in results)
    if value.inputs or not wide:
        return value.off_the_list(step)
    return replace(value, terms=value.terms + 1).counted(step, exact=True)


def _narrowed(sources: Iterable[Tensor], results: Iterable[Tensor]) -> str:
    """Return how results cannot hold every number of the sources, "" if they can."""
    for result in results:
        for source in sources:
            if source.is_floating_point() and not (
                result.is_floating_point()
                and torch.promote_types(source.dtype, result.dtype) == result.dtype
            ):
                return f"a change of dtype from {source.dtype} to {result.dtype}"
    return ""
