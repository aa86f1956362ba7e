"""A model's inference as a graph of ATen operations, for any batch where the model allows it.

The sizes in such a graph are numbers or symbols (the batch). The algebra of layouts is one of
whole numbers, so a symbol stands in it as a large prime: products and quotients of sizes come out
as those of the symbols do, and no size of a model equals or divides one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import mul
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, ShapesCollection

from convlin.errors import Description, Refusal, Refused, first_line
from convlin.internals.trees import tree_leaves

__all__ = ["Sizes", "captured", "emit", "tensor_of"]

# The ten largest primes below 2⁶⁴. A symbol that finds none is 0, a size of which nothing is known.
PRIMES = tuple(2**64 - n for n in (59, 83, 95, 179, 189, 257, 279, 323, 353, 363))
LARGE = 2**48  # no tensor in memory has an axis as long


def captured(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> fx.GraphModule:
    """Return what the model runs in eval mode, without writing to tensors that it made itself.

    The batch is free where the example's is more than 1 and the model's code does not fix it.
    """
    with _evaluating(model), torch.no_grad():
        try:
            program = _exported(model, args, kwargs, Dim.AUTO)
        except Exception:  # whatever its code asks of a batch without a number
            program = _exported(model, args, kwargs, None)
    module = program.run_decompositions({}).module()
    assert isinstance(module, fx.GraphModule)
    return module


def _exported(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], batch: Any
) -> ExportedProgram:
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]
    for leaf in tree_leaves((args, kwargs)) if batch is not None else []:
        if isinstance(leaf, Tensor) and leaf.dim():
            shapes[leaf] = {0: batch}
    try:
        return torch.export.export(
            model, tuple(args), dict(kwargs), dynamic_shapes=shapes, strict=False
        )
    except Exception as error:
        name = type(model).__name__
        refusal = Refusal(
            name, "code", Description("what torch.export does not take"),
            "a model that it takes, for a graph", first_line(error),
        )  # fmt: skip
        raise Refused(refusal) from error


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def tensor_of(node: Any) -> Tensor | None:
    """Return a tensor without values of what a node gives; None where that is not one tensor."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value if isinstance(value, Tensor) else None


class Sizes:
    """Sizes in a graph as whole numbers, and as what the graph computes them from."""

    def __init__(self, graph: fx.Graph) -> None:
        self._graph = graph
        self._unused = iter(PRIMES)
        self._primes: dict[Any, int] = {}
        self._nodes: dict[int, fx.Node] = {}  # what gives the number that a prime stands for
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        for node in inputs:
            if (tensor := tensor_of(node)) is not None:
                with graph.inserting_after(inputs[-1]):
                    self._read(node, tensor)

    def of(self, tensor: Tensor) -> tuple[int, ...]:
        """Return a shape in which primes stand for symbols; 0: nothing is known of the size."""
        return tuple(map(self._number, tensor.shape))

    def known(self, shape: tuple[int, ...]) -> bool:
        """Whether these are numbers, or symbols times numbers, and none is 0."""
        return all(0 < self._factors(size)[0] < LARGE for size in shape)

    def node(self, size: int) -> Any:
        """Return a size as an argument of an operation."""
        number, primes = self._factors(size)
        product: Any = number
        for prime in primes:
            factor = self._nodes[prime]
            product = factor if product == 1 else emit(self._graph, mul, (product, factor))
        return product

    def _read(self, placeholder: fx.Node, tensor: Tensor) -> None:
        for axis, size in enumerate(tensor.shape):
            number = self._number(size)
            if number in self._primes.values() and number not in self._nodes:
                read = torch.ops.aten.sym_size.int, (placeholder, axis)
                self._nodes[number] = emit(self._graph, *read)

    def _number(self, size: Any) -> int:
        if isinstance(size, int):
            return size
        expression = size.node.expr
        for symbol in expression.free_symbols:
            if symbol not in self._primes:
                self._primes[symbol] = next(self._unused, 0)
        return int(expression.subs(self._primes))

    def _factors(self, size: int) -> tuple[int, list[int]]:
        primes = []
        for prime in self._nodes:
            while size and size % prime == 0:
                size //= prime
                primes.append(prime)
        return size, primes


def emit(graph: fx.Graph, target: Any, args: tuple[Any, ...], kwargs: Any = None) -> fx.Node:
    """Append a call to a graph, with what it gives as a tensor without values."""
    kwargs = kwargs or {}
    node = graph.call_function(target, args, kwargs)
    values = fx.map_arg((args, kwargs), lambda operand: operand.meta["val"])
    node.meta["val"] = target(*values[0], **values[1])
    return node
