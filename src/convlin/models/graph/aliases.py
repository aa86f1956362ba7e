"""Who shares memory with whom: every write becomes a new value under all the old names.

`skip = y; y += 1` changes what `skip` reads, `y[:, 0] = 0` a part of `y` and of whatever `y` is a
view of. A graph without memory says the same by values alone: a tensor is the block of memory that
it was first a name of, and the views that lead from there to it. A write goes back along these
views, each undone by the operation that puts a part into its whole; who reads the block later, by
whatever name, goes along its own views again.

This is functionalisation (`torch.func.functionalize`), which in PyTorch takes composite operations
apart too, and so cannot be had for a graph of layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

__all__ = ["Aliases", "Value", "View"]

aten = torch.ops.aten

SAME = ("alias", "contiguous", "detach", "lift_fresh", "to", "type_as", "dropout", "alpha_dropout",
        "feature_dropout", "feature_alpha_dropout")  # fmt: skip
RESHAPED = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_unsafe_view",
            "view_as", "reshape_as", "ravel")  # fmt: skip
TURNED = ("transpose", "swapaxes", "swapdims", "t")


@dataclass(frozen=True)
class Value:
    """What a node of the graph stands for, as far as it is known without numbers."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> Value:
        """Return it for a tensor as it is now."""
        return cls(tuple(tensor.shape), tensor.dtype)


@dataclass(frozen=True)
class View:
    """A step from a tensor to a part of its memory: `operation(tensor, *args)`."""

    operation: Any
    args: tuple[Any, ...]
    whole: Value
    part: Value

    def undone(self, old: fx.Node, new: fx.Node) -> tuple[Any, tuple[Any, ...]] | None:
        """Return the operation and its arguments that put `new` in this part's place in `old`.

        The operation None stands for `new` itself; None alone: ATen has no such operation.
        """
        name = self.operation.overloadpacket.__name__
        if self.whole.dtype != self.part.dtype:  # the same bits as other numbers
            return None
        if name in SAME:
            return None, (new,)
        if name in RESHAPED:
            return aten.reshape.default, (new, list(self.whole.shape))
        if name in TURNED:
            return self.operation, (new, *self.args)
        if name == "permute":
            order = [dim % len(self.whole.shape) for dim in self.args[0]]
            back = [order.index(dim) for dim in range(len(order))]
            return aten.permute.default, (new, back)
        if name in ("slice", "select"):
            scatter = aten.slice_scatter if name == "slice" else aten.select_scatter
            return scatter.default, (old, new, *self.args)
        if name == "narrow":
            dim, start, length = self.args
            return aten.slice_scatter.default, (old, new, dim, start, start + length)
        return None


# (operation, arguments, what results) -> a new node
Write = Callable[[Any, tuple[Any, ...], Value], fx.Node]


@dataclass
class _Block:
    """Memory: the node that holds what it is now, and how often it was written to."""

    first: fx.Node
    node: fx.Node
    writes: int = 0


@dataclass
class _Name:
    """A tensor of the run: its block, the views from there, its node when it was last asked."""

    tensor: Tensor  # kept, so that no other tensor gets its id
    block: _Block
    views: tuple[View, ...]
    node: fx.Node
    read: int


@dataclass
class Aliases:
    """The tensors of a run, by identity; `write` adds an operation to the graph.

    >>> graph = fx.Graph()
    >>> y, part = torch.zeros(4), torch.zeros(2)
    >>> names = Aliases(lambda operation, args, _: graph.call_function(operation, args))
    >>> names.new(y, graph.placeholder("y"))
    >>> head = View(aten.slice.Tensor, (0, 0, 2), Value.of(y), Value.of(part))
    >>> names.view(part, y, head, graph.call_function(aten.slice.Tensor, (names.node(y), 0, 0, 2)))
    >>> names.overwrite(part, graph.call_function(aten.neg.default, (names.node(part),)))
    >>> names.node(y).target
    <OpOverload(op='aten.slice_scatter', overload='default')>
    """

    write: Write
    _names: dict[int, _Name] = field(default_factory=dict)

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._names

    def new(self, tensor: Tensor, node: fx.Node) -> None:
        """Name a tensor with memory of its own."""
        self._names[id(tensor)] = _Name(tensor, _Block(node, node), (), node, 0)

    def view(self, tensor: Tensor, of: Tensor, view: View, node: fx.Node) -> None:
        """Name a tensor that is a view of another one, or let the same tensor become one."""
        whole = self._names[id(of)]
        views = (*whole.views, view)
        self._names[id(tensor)] = _Name(tensor, whole.block, views, node, whole.block.writes)

    def same(self, tensor: Tensor, other: Tensor) -> None:
        """Name a tensor that is another one."""
        self._names[id(tensor)] = replace(self._names[id(other)], tensor=tensor)

    def node(self, tensor: Tensor) -> fx.Node:
        """Return the node that holds what the tensor is now."""
        name = self._names[id(tensor)]
        if name.read != name.block.writes:
            name.node, name.read = self._way(name)[-1], name.block.writes
        return name.node

    def first(self, tensor: Tensor) -> fx.Node:
        """Return the node that the tensor's memory held at first."""
        return self._names[id(tensor)].block.first

    def overwrite(self, tensor: Tensor, new: fx.Node) -> View | None:
        """Let all names read what was written to this one; return the view that has no way back."""
        name = self._names[id(tensor)]
        value = new
        for view, old in reversed(list(zip(name.views, self._way(name), strict=False))):
            undone = view.undone(old, value)
            if undone is None:
                return view
            operation, args = undone
            if operation is not None:
                value = self.write(operation, args, view.whole)
        name.block.node = value
        name.block.writes += 1
        name.node, name.read = new, name.block.writes
        return None

    def _way(self, name: _Name) -> list[fx.Node]:
        """Return what the block is now, and what lies from there to the name."""
        way = [name.block.node]
        for view in name.views:
            way.append(self.write(view.operation, (way[-1], *view.args), view.part))
        return way
