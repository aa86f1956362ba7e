"""Watch every operation that really runs, and know what its result is.

A dispatch mode sees each operation behind all Python, whatever module, function or method asked
for it; `convlin.proof.algebra` says what its result is. What is known belongs to a *storage*, so
that views, in-place copies and `Parameter(view)` keep it. A function mode beside it sees what
leaves the operations: a tensor's numbers read by numpy, or turned into Python numbers that may
steer the program. Uninitialised memory is handed out filled with NaN, so cells that are never
written cannot pass for equal.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from convlin.proof.algebra import INDEX_ARGUMENT, MOVES, PIECEWISE, RULES, Value, constant
from convlin.proof.storage import fills, identity, sample, spoil, whole_constant

__all__ = ["Watch"]

EMPTY = frozenset(
    {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
)
ESCAPES = frozenset(
    {
        "__array__",
        "__cuda_array_interface__",
        "__dlpack__",
        "__reduce_ex__",
        "_typed_storage",
        "apply_",
        "as_subclass",
        "data_ptr",
        "map2_",
        "map_",
        "numpy",
        "set_",
        "storage",
        "tolist",
        "untyped_storage",
    }
)
"""Methods through which numbers leave the sight of the dispatcher."""
STEERING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
LIBRARY = str(Path(torch.__file__).parent)


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

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.escape = ""
        self._busy = False
        self.constants: set[bytes] = set()
        self._known: dict[int, _Known] = {}
        self._guard = _Guard(self)

    def __enter__(self) -> Watch:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._guard.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        self._guard.__exit__(*error)  # type: ignore[no-untyped-call]
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def mark(self, tensor: Tensor, value: Value) -> None:
        """Say what the elements of a tensor, and of all that shares its storage, are."""
        with torch._C.DisableTorchFunction(), self._aside():
            self._store(tensor, value, whole=True)

    def value(self, tree: Any) -> Value:
        """Return what is known of all tensors of a tree together, escapes included."""
        with torch._C.DisableTorchFunction(), self._aside():
            value = Value().join(*map(self._of, _tensors(tree)))
            return value.left(self.escape, exact=True) if self.escape else value

    def leave(self, operation: str, tree: Any) -> None:
        """Note that an operation carried the numbers of these tensors out of sight."""
        with torch._C.DisableTorchFunction(), self._aside():
            if not self._constant(tree):
                self._escaped(operation)

    # -- one operation ---------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._busy:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            base = func._schema.name.removeprefix("aten::").removesuffix("_")
            if base not in RULES and base not in MOVES and base not in PIECEWISE:
                parts = self._decomposed(func, args, kwargs)
                if parts is not NotImplemented:
                    return parts
            value = self._result(func, base, args, kwargs)
            known = self._constant((args, kwargs))
            try:
                out = func(*args, **kwargs)
            except Exception:
                if not known:
                    self._escaped(f"{_title(func)} raised an exception")
                raise
            self._record(func, base, value, known, out, args, kwargs)
            return out

    def _decomposed(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run a composite operation (whole only in inference mode) as its parts."""
        if func._schema.is_mutable:
            return NotImplemented
        with self:
            return func.decompose(*args, **kwargs)

    def _result(self, func: Any, base: str, args: Any, kwargs: Any) -> Value:
        """Return what the results of `func` will be."""
        operands = [self._of(t) for t in _tensors((args, kwargs))]
        steering = INDEX_ARGUMENT.get(base)
        if steering is not None:
            where = args[steering] if len(args) > steering else kwargs.get("index")
            if not self._constant(where):
                return Value().join(*operands).left(f"{_title(func)} at computed places")
            operands = [
                self._of(t) for i, a in enumerate(args) if i != steering for t in _tensors(a)
            ]
        if base == "index_put" and any(a is True for a in (*args[3:4], kwargs.get("accumulate"))):
            return Value().join(*operands).left(_title(func))
        if base in RULES:
            return RULES[base](args, kwargs, self._operand)
        if base in MOVES:
            return Value().join(*operands)
        if base in PIECEWISE:
            numbers = [a for a in pytree.tree_leaves((args, kwargs)) if isinstance(a, int | float)]
            return Value().join(*operands, *map(constant, numbers)).left(_title(func), exact=True)
        return Value().join(*operands).left(_title(func))

    def _operand(self, argument: Any) -> Value:
        return self._of(argument) if isinstance(argument, Tensor) else constant(argument)

    def _record(
        self, func: Any, base: str, value: Value, known: bool, out: Any, args: Any, kwargs: Any
    ) -> None:
        """Store what is known of everything `func` made or wrote; `known`: all was constant."""
        sources, results = _tensors((args, kwargs)), _tensors(out)
        written = _written(func, args, kwargs)
        listed = base in RULES or base in MOVES
        steers = not listed and not STEERING.isdisjoint(func.tags)
        if not known and (steers or base == "set" or not (results or written)):
            self._escaped(_title(func))
        if listed:
            value = _held(value, (*written, *results), sources)
        certain = known and not listed and torch.Tag.nondeterministic_seeded not in func.tags
        for tensor in written:
            kept = whole_constant(tensor) if certain else value
            self._store(tensor, kept, whole=listed and fills(tensor))
        for tensor in results:
            if any(tensor is w for w in written):
                continue
            if base in EMPTY:
                spoil(tensor)
                self._store(tensor, Value(), whole=True)
            elif certain:
                self._store(tensor, whole_constant(tensor), whole=True)
            else:
                self._store(tensor, value, whole=identity(tensor) not in self._known)

    # -- what is known ---------------------------------------------------------------------

    def _of(self, tensor: Tensor) -> Value:
        """Return what is known of a tensor; of one from elsewhere, what its numbers show."""
        key = identity(tensor)
        if key is None:
            return Value().left(f"a tensor of layout {tensor.layout}")
        if key not in self._known:
            self.constants.add(sample(tensor))
            self._store(tensor, whole_constant(tensor), whole=True)
        known = self._known[key]
        if known.sample != sample(tensor):
            self._escaped("a tensor changed by no operation that was seen")
        return known.value

    def _constant(self, tree: Any) -> bool:
        """Whether no tensor of a tree depends on weights or inputs."""
        return all(self._of(tensor).constant for tensor in _tensors(tree))

    def _escaped(self, operation: str) -> None:
        self.escape = self.escape or operation

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Let operations of the watch's own pass unseen."""
        self._busy, before = True, self._busy
        try:
            yield
        finally:
            self._busy = before

    def _store(self, tensor: Tensor, value: Value, whole: bool) -> None:
        key = identity(tensor)
        if key is None:
            return
        if not whole and key in self._known:
            value = self._known[key].value.join(value)
        storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._known[key] = _Known(storage, value, sample(tensor))


@dataclass(frozen=True)
class _Known:
    """What is known of a storage; the weak reference keeps its identity from being used again."""

    storage: StorageWeakRef
    value: Value
    sample: bytes


class _Guard(TorchFunctionMode):
    """Tell the watch of every call through which numbers leave the dispatcher's sight."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        if name in ESCAPES:
            self._watch.leave(f"Tensor.{name}", (args, kwargs))
        elif _foreign(func):
            self._watch.leave(f"{name} outside torch", (args, kwargs))
        return func(*args, **kwargs)


def _title(func: Any) -> str:
    """Return an operation's name for people: aten.relu_."""
    return str(func._schema.name).replace("::", ".")


def _name(func: Any) -> str:
    """Return a function's name; a property's is its own, not __get__."""
    owner = getattr(func, "__self__", None)
    if getattr(func, "__name__", "") in ("__get__", "__set__") and owner is not None:
        return str(getattr(owner, "__name__", ""))
    return str(getattr(func, "__name__", func))


def _foreign(func: Any) -> bool:
    """Whether a Python function that asks for torch's override protocol is not torch's own."""
    return isinstance(func, types.FunctionType) and not func.__code__.co_filename.startswith(
        LIBRARY
    )


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """Return the tensors that an operation writes into."""
    found: list[Tensor] = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = kwargs.get(argument.name, args[position] if position < len(args) else None)
            found += _tensors(given)
    return found


def _held(value: Value, results: Iterable[Tensor], sources: Iterable[Tensor]) -> Value:
    """Return `value`, off the list if a result cannot hold every number of the sources."""
    if value.constant:
        return value
    for result in results:
        for source in sources:
            if source.is_floating_point() and not (
                result.is_floating_point()
                and torch.promote_types(source.dtype, result.dtype) == result.dtype
            ):
                return value.left(f"a change of dtype from {source.dtype} to {result.dtype}")
    return value
