"""One operation of the model, as the rules for cells see it: what it reads, and what it makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, fx

from convlin.models.cells.cell_map import CellMap, Compute, Numbers, Runs, Source, Stored
from convlin.models.cells.chains import Reads
from convlin.models.cells.names import Name, Names
from convlin.models.graph.known_numbers import known_numbers
from convlin.models.graph.operations import name_of
from convlin.models.graph.traced import shape_of
from convlin.models.graph.varying import Batch, mapped

__all__ = ["CellCall"]

SAME = Reads()


class CellCall:
    """One operation: `values` knows what is shared and what is a tensor of the model (None).

    products: its multiply-adds for one window. tensors: those that the model's code makes.
    """

    def __init__(
        self, node: fx.Node, values: dict[fx.Node, CellMap | None], names: Names,
        products: int = 0, tensors: Mapping[str, Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.node = node
        self.names = names
        self.values = values
        self._products = products
        self._tensors = dict(tensors or {})

    @property
    def name(self) -> str:
        """ATen's name of the operation; empty for a layer that is several."""
        return "" if self.node.op == "call_module" else name_of(self.node.target)

    @property
    def args(self) -> tuple[Any, ...]:
        """The operation's arguments, nodes and numbers, in ATen's order."""
        return self.node.args

    def arg(self, place: int, default: Any = None, name: str = "") -> Any:
        """Return an argument by its place, or by its name."""
        if place < len(self.node.args):
            return self.node.args[place]
        return self.node.kwargs.get(name, default)

    @property
    def shape(self) -> tuple[int, ...]:
        """The result's shape at the window, without the batch."""
        return tuple(shape_of(self.node)[1:])

    @property
    def maps(self) -> list[tuple[fx.Node, CellMap]]:
        """The shared values that it reads, each once."""
        found = ((node, self.values[node]) for node in self.node.all_input_nodes)
        return [(node, value) for node, value in found if value is not None]

    @property
    def constants(self) -> list[fx.Node]:
        """The tensors of the model that it reads, each once."""
        return [node for node in self.node.all_input_nodes if self.values[node] is None]

    def map(self, arg: Any) -> CellMap | None:
        """Return the shared value behind an argument; None if it is none."""
        return self.values[arg] if isinstance(arg, fx.Node) else None

    def numbers_of(self, constant: fx.Node) -> list[Any] | None:
        """Return the numbers of a tensor that the model's code makes; None if it is another."""
        try:
            made: Tensor = known_numbers(constant, self._tensors)
        except KeyError:  # of the model's own tensors, which may change
            return None
        return None if made.is_meta else made.tolist()

    @property
    def depends_on_batch(self) -> bool:
        """Whether an argument grows with the batch."""
        found: list[Any] = []
        mapped((self.node.args, self.node.kwargs), found.append)
        return any(isinstance(arg, Batch) for arg in found)

    def alike(self, roles: tuple[int | None, ...], at: dict[int, Any] | None = None) -> CellMap:
        """Return what the operation itself makes of every cell of the one map that it reads."""
        ((operand, value),) = self.maps
        node = self.node

        def compute(numbers: Numbers, blocks: Sequence[Tensor], apart: Any) -> Any:
            return numbers.run(node, {operand: blocks[0]}, len(blocks[0]), at)

        return self.made([Source(value, (SAME,) * len(value.axes))], value.axes, roles, compute)

    def made(
        self, sources: Sequence[Source], axes: tuple[tuple[Name, ...], ...],
        roles: tuple[int | None, ...], compute: Compute, *, rest: tuple[int, ...] | None = None,
        multiply_adds: int | None = None, runs: Runs = "alone",
    ) -> CellMap:  # fmt: skip
        """Return a value with these cells, made of those sources.

        rest: the sizes of its dimensions that are no axis; multiply_adds: of one cell. Both are the
        operation's result's by default. runs: as `Stored` has it.
        """
        if rest is None:
            pairs = zip(self.shape, roles, strict=True)
            rest = tuple(size for size, role in pairs if role is None)
        if multiply_adds is None:
            cells = math.prod(map(len, axes))
            multiply_adds, left = divmod(self._products, cells)
            assert not left, "every cell takes as many"
        axes = tuple(tuple(map(self._computed, names)) for names in axes)
        stored = Stored(self.node, axes, roles, tuple(sources), compute, rest, multiply_adds, runs)
        return CellMap(stored, axes)

    def _computed(self, name: Name) -> Name:
        """Return the name of a cell that is computed: of padding alone, it holds no padding."""
        pads = name in self.names.paddings or name == self.names.outside
        return self.names.mark("computed", self.node.name, name) if pads else name

    def read(
        self, value: CellMap, reads: Sequence[Reads], sizes: Sequence[int]
    ) -> tuple[tuple[Name, ...], ...]:
        """Return the names of cells that read neighbours."""
        outside = self.names.outside
        axes = []
        for names, its, size in zip(value.axes, reads, sizes, strict=True):
            made = []
            for cell in range(size):
                places = [its.start(cell) + tap for tap in its.taps]
                parts = [names[p] if 0 <= p < len(names) else outside for p in places]
                made.append(self.names.of(parts))
            axes.append(tuple(made))
        return tuple(axes)
