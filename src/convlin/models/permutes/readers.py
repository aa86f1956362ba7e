"""What the operations of a graph ask of layouts, and who reads a tensor in which order.

| operation | asks |
|---|---|
| transpose, permute, view, squeeze, … | nothing: it is a `Relabelling` |
| elementwise: gelu, add, mul by a constant, … | that its operands lie alike |
| all else: convolutions, LayerNorm, attention, … | for the layout that the model's code gives it |
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import fx

from convlin.models.graph.operations import is_random, name_of
from convlin.models.permutes.captured import Sizes, tensor_of
from convlin.models.permutes.relabelling import Relabelling

__all__ = ["ORDERS", "Readers", "order_of", "site_of"]

ORDERS = {"mT", "movedim", "numpy_T", "permute", "swapaxes", "swapdims", "t", "transpose"}
RESHAPES = {
    "_unsafe_view", "alias", "contiguous", "detach", "flatten", "reshape", "squeeze", "unflatten",
    "unsqueeze", "view",
}  # fmt: skip
OFF = {"alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout"}  # where not training
ELEMENTWISE = {"_to_copy", "hardswish"}  # which PyTorch does not mark

Orders = dict[Relabelling, fx.Node]


class Readers:
    """Who reads what a node gives, and in which order of its elements.

    `orders` has the first reader of each order. An elementwise operation reads in any order, so
    those who read its result count in its place. `certain` has the orders that do not depend on it.
    """

    def __init__(self, graph: fx.Graph, sizes: Sizes) -> None:
        self._sizes = sizes
        self._relabellings: dict[fx.Node, Relabelling | None] = {}
        self.orders: dict[fx.Node, Orders] = {}
        self.certain: dict[fx.Node, Orders] = {}
        for node in reversed(graph.nodes):
            self.orders[node] = self._reads(node, self.orders, through=True)
            self.certain[node] = self._reads(node, self.certain, through=False)

    def _reads(self, node: fx.Node, known: dict[fx.Node, Orders], through: bool) -> Orders:
        found: Orders = {}
        for user in node.users if self._is_tensor(node) else ():
            for order, reader in self._read_by(user, node, known[user], through):
                found[order] = min(reader, found.get(order, reader))
        return found

    def _read_by(
        self, user: fx.Node, node: fx.Node, known: Orders, through: bool
    ) -> Iterator[tuple[Relabelling, fx.Node]]:
        if (own := self.relabelling(user)) is not None:
            reads = ((order.after(own), reader) for order, reader in known.items())
            yield from ((read.runs, reader) for read, reader in reads if read is not None)
        elif not self.is_elementwise(user):
            yield self._identity(node).runs, user
        elif through and self._identity(user) == self._identity(node):
            yield from known.items()

    def relabelling(self, node: fx.Node) -> Relabelling | None:
        """Return what a node gives as its operand under other indices; None: it computes."""
        if node not in self._relabellings:
            self._relabellings[node] = self._relabels(node)
        return self._relabellings[node]

    def is_elementwise(self, node: fx.Node) -> bool:
        """Whether each element of what it gives is computed of the operands' elements there."""
        tags = getattr(node.target, "tags", ())
        marked = torch.Tag.pointwise in tags or name_of(node.target) in ELEMENTWISE
        return marked and not is_random(node.target) and self._is_calculable(node)

    def _relabels(self, node: fx.Node) -> Relabelling | None:
        name = name_of(node.target)
        if not _only_relabels(node, name) or not self._is_calculable(node):
            return None
        source = self._identity(node.all_input_nodes[0])
        if name in ORDERS:
            return source.permuted(order_of(node))
        return source.reshaped(self._identity(node).shape)

    def _identity(self, node: fx.Node) -> Relabelling:
        return Relabelling.identity(self._sizes.of(node.meta["val"]))

    def _is_calculable(self, node: fx.Node) -> bool:
        """Whether a node makes a tensor with axes, of tensors of known sizes."""
        tensor = tensor_of(node)
        operands = [n for n in node.all_input_nodes if tensor_of(n) is not None]
        return (
            node.op == "call_function"
            and tensor is not None
            and tensor.dim() > 0
            and all(map(self._is_tensor, [node, *operands]))
        )

    def _is_tensor(self, node: fx.Node) -> bool:
        """Whether it gives a tensor of sizes that one can calculate with."""
        tensor = tensor_of(node)
        return tensor is not None and self._sizes.known(self._sizes.of(tensor))


def _only_relabels(node: fx.Node, name: str) -> bool:
    if name == "clone":  # the copy of a reshape; others have been asked for
        return all(name_of(user.target) == "_unsafe_view" for user in node.users)
    return name in ORDERS | RESHAPES or (name in OFF and node.args[2] is False)


def order_of(node: fx.Node) -> tuple[int, ...]:
    """Return the permutation that an operation of `ORDERS` is: axes of 2, 3, … show it."""
    tensor, *rest = node.args
    sizes = range(2, 2 + tensor.meta["val"].dim())  # type: ignore[union-attr]
    turned = node.target(torch.empty(*sizes, device="meta"), *rest, **node.kwargs)  # type: ignore[operator]
    return tuple(size - 2 for size in turned.shape)


def site_of(node: fx.Node) -> str:
    """Return the dotted name of the module whose code called an operation; "": the model's own."""
    stack = node.meta.get("nn_module_stack") or {"": ("", None)}
    return str(list(stack.values())[-1][0])
