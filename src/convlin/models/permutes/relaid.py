"""A graph in which layouts are only changed where an operation needs another one.

What a value is, and how it lies, are told apart. A chain of transposes, reshapes and singleton axes
computes nothing: it is noted how the value that it gives is read off a tensor that was computed.

An elementwise operation runs on whichever layout takes the fewest permutes. Every other one gets
the layout that the model's code gives it, and gives the layout that it gives there.

A layout that was made once serves all that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from convlin.errors import Description, Refusal, Refused
from convlin.models.graph.operations import by_layout, name_of
from convlin.models.permutes.captured import Sizes, emit, tensor_of
from convlin.models.permutes.readers import Readers, site_of
from convlin.models.permutes.relabelling import Relabelling

__all__ = ["Relaid"]

aten = torch.ops.aten

Arranged = dict[fx.Node, Relabelling]  # operands, each laid to be broadcast with the others


@dataclass(frozen=True)
class Value:
    """What a node of the model's graph gives, read off a tensor that is computed."""

    base: fx.Node
    axes: Relabelling


class Relaid:
    """The pass. `keepers` says of every permute that it wrote which node needs it.

    Where two layouts of an elementwise result take as many permutes, `early` has the one that those
    who read it need: it serves them all, but what the result is added to may lie otherwise.
    """

    def __init__(self, graph: fx.Graph, exchanged: Callable[[fx.Node], bool], early: bool) -> None:
        self._early = early
        self.keepers: dict[fx.Node, fx.Node] = {}
        self._graph = graph
        self._sizes = Sizes(graph)
        self._readers = Readers(graph, self._sizes)
        self._exchanged = exchanged
        self._values: dict[fx.Node, Value] = {}
        self._made: dict[fx.Node, dict[Relabelling, fx.Node]] = {}  # the layouts of a tensor so far
        self._certain: dict[fx.Node, set[Relabelling]] = {}  # those that will be made anyway
        self._origin: dict[fx.Node, fx.Node] = {}  # whose layout an elementwise result has
        for node in list(graph.nodes):
            with graph.inserting_before(node):
                self._visit(node)
        graph.eliminate_dead_code()
        self.keepers = {permute: node for permute, node in self.keepers.items() if permute.users}

    def _visit(self, node: fx.Node) -> None:
        value = None
        if (own := self._readers.relabelling(node)) is not None:
            source = self._value(node.all_input_nodes[0])
            if (axes := own.after(source.axes)) is not None:
                value = Value(source.base, axes)
        elif self._readers.is_elementwise(node):
            value = self._elementwise(node)
        if value is not None:
            self._values[node] = value
        elif name_of(node.target) == "_assert_tensor_metadata":
            self._graph.erase_node(node)  # a value has the dtype that it has in any layout
        else:
            self._as_written(node)

    def _shape(self, node: fx.Node) -> tuple[int, ...]:
        return self._sizes.of(node.meta["val"])

    def _value(self, node: fx.Node) -> Value:
        if node not in self._values:
            itself = Relabelling.identity(self._shape(node))
            self._values[node] = self._computed(node, node, itself)
        return self._values[node]

    def _computed(self, node: fx.Node, base: fx.Node, layout: Relabelling) -> Value:
        """Return what a node gives, as a tensor that holds it in a layout."""
        axes = layout.inverse()
        reads = (order.after(axes) for order in self._readers.certain[node])
        self._made[base] = {Relabelling.identity(layout.shape): base}
        self._certain[base] = {read.runs for read in reads if read is not None}
        return Value(base, axes)

    def _elementwise(self, node: fx.Node) -> Value | None:
        """Run it on the layout that takes the fewest permutes of its operands."""
        operands = [n for n in node.all_input_nodes if (t := tensor_of(n)) is not None and t.dim()]
        choices = [
            (self._cost(node, layout, arranged), layout, arranged)
            for layout in self._layouts(node, operands)
            if (arranged := self._arranged(operands, layout)) is not None
        ]
        if not operands or not choices:
            return None
        _, layout, arranged = min(choices, key=lambda choice: choice[0])
        keeper = self._keeper(node, layout, arranged)
        laid = {n: self._lay(self._value(n).base, axes, keeper) for n, axes in arranged.items()}
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: laid.get(n, n))
        base = self._emit(node, node.target, args, kwargs)
        self._origin[base] = keeper
        return self._computed(node, base, layout)

    def _keeper(self, node: fx.Node, layout: Relabelling, arranged: Arranged) -> fx.Node:
        """Return who a layout of an elementwise result is for: who reads it, or whose it was."""
        for need, reader in self._readers.orders[node].items():
            if not _moves(need, layout):
                return reader
        bases = (self._value(n).base for n, axes in arranged.items() if not axes.moves)
        return next((self._origin.get(base, base) for base in bases), node)

    def _layouts(self, node: fx.Node, operands: list[fx.Node]) -> Iterable[Relabelling]:
        """Return the layouts in which there are operands of the result's shape, and its own."""
        shape = self._shape(node)
        layouts: dict[Relabelling, None] = {}
        for value in map(self._value, operands):
            if value.axes.shape == shape:
                inverse = value.axes.inverse()
                for made in [*self._made[value.base], *self._certain[value.base]]:
                    if (layout := made.after(inverse)) is not None:
                        layouts[layout] = None
        choices = [*layouts, *self._readers.orders[node], Relabelling.identity(shape)]
        # A tensor without axes would count as a number where dtypes are promoted.
        return [layout for layout in choices if layout.axes]

    def _arranged(self, operands: list[fx.Node], layout: Relabelling) -> Arranged | None:
        """Return operands that can be broadcast to a layout of the result; None: not all can."""
        arranged = {}
        for operand in operands:
            own = layout.broadcast(self._shape(operand))
            axes = None if own is None else own.after(self._value(operand).axes)
            if axes is None:
                return None
            arranged[operand] = axes
        return arranged

    def _cost(self, node: fx.Node, layout: Relabelling, arranged: Arranged) -> tuple[int, ...]:
        """Return how many permutes a layout of a result costs, and how many other operations.

        Permutes of operands that were not made yet, and of the result for those who read it.
        """
        permutes = new = 0
        for operand, axes in arranged.items():
            base = self._value(operand).base
            new += axes not in self._made[base]
            permutes += axes.moves and axes.runs not in self._certain[base].union(self._made[base])
        later = sum(_moves(order, layout) for order in self._readers.orders[node])
        return permutes + later, later * self._early, new

    def _as_written(self, node: fx.Node) -> None:
        """Run it on the layouts that the model's code gives it."""
        name = name_of(node.target)
        if by_layout(node.target) or name == "view_as_complex":
            raise Refused(Refusal(
                site_of(node) or "the model", "operation", Description(name),
                "one of elements by their indices", "it reads memory as it lies",
            ))  # fmt: skip
        if name in ("view", "_unsafe_view"):
            node.target = aten.reshape.default  # of what is no longer in one piece, perhaps

        def laid(operand: fx.Node) -> fx.Node:
            if (value := self._values.get(operand)) is None:
                return operand
            return self._lay(value.base, value.axes, node)

        node.args, node.kwargs = fx.map_arg((node.args, node.kwargs), laid)
        if node.op == "output":
            node.args = fx.map_arg(node.args, self._whole)

    def _whole(self, output: fx.Node) -> fx.Node:
        """Return an output in one piece: code behind may ask for views of it."""
        if tensor_of(output) is None or output.op in ("placeholder", "get_attr"):
            return output
        return self._emit(output, aten.contiguous.default, (output,))

    def _lay(self, base: fx.Node, axes: Relabelling, reader: fx.Node) -> fx.Node:
        """Return a tensor in a layout that somebody reads, made here if it was not yet."""
        made = self._made[base]
        if axes.moves and (runs := axes.runs) not in made:
            shape, order = runs.split
            split = self._reshaped(base, shape)
            made[runs] = self._emit(split, aten.permute.default, (split, order))
            origin = self._origin.get(base, base)
            self.keepers[made[runs]] = origin if self._exchanged(reader) else reader
        if axes not in made:
            made[axes] = self._reshaped(made[axes.runs] if axes.moves else base, axes.shape)
        return made[axes]

    def _reshaped(self, tensor: fx.Node, shape: tuple[int, ...]) -> fx.Node:
        if self._shape(tensor) == shape:
            return tensor
        sizes = [self._sizes.node(size) for size in shape]
        return self._emit(tensor, aten.reshape.default, (tensor, sizes))

    def _emit(self, like: fx.Node, target: Any, args: Any, kwargs: Any = None) -> fx.Node:
        node = emit(self._graph, target, tuple(args), kwargs)
        if "nn_module_stack" in like.meta:
            node.meta["nn_module_stack"] = like.meta["nn_module_stack"]
        return node


def _moves(need: Relabelling, layout: Relabelling) -> bool:
    """Whether a tensor must be put into another order, of those of one value."""
    read = need.after(layout.inverse())
    return read is None or read.moves
