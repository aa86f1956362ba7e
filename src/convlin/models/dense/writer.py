"""The network being written: its graph and modules, and what the walk has come to know so far."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from convlin.errors import Refusal
from convlin.models.dense.against_model import Refold
from convlin.models.dense.layer_met import Layer
from convlin.models.dense.value import MapValue

__all__ = ["Writer"]


class Writer:
    """What rules write to, and look up what was written before them."""

    def __init__(self, traced: fx.GraphModule, window: tuple[int, ...], head: str) -> None:
        self.traced = traced
        self.window = window
        self.head = head
        self.graph = fx.Graph()
        self.modules: dict[str, Any] = {}
        self.values: dict[fx.Node, Any] = {}
        self.layers: list[Layer] = []
        self.refusals: list[Refusal] = []
        self.breaks: dict[str, Refusal] = {}
        self.shared: dict[Any, nn.Parameter] = {}
        self.refolds: list[Refold] = []
        self.outputs: list[MapValue] = []  # one for each output
        self.stride: tuple[int, ...] = ()
        self.images: fx.Node | None = None
        self._leaves = {node.target for node in traced.graph.nodes if node.op == "call_module"}
        self._order = {node: index for index, node in enumerate(traced.graph.nodes)}

    def later_users(self, node: fx.Node, after: fx.Node) -> bool:
        """Whether some node behind `after` uses the value of `node`."""
        return any(self._order[user] > self._order[after] for user in node.users)

    def module(self, name: str, module: nn.Module, *inputs: Any, **options: Any) -> fx.Node:
        """Write a call of a module, under its name or, if another one has that, the next free."""
        free, count = name, 1
        while self.modules.get(free, module) is not module:
            count += 1
            free = f"{name}_{count}"
        self.modules[free] = module
        return self.graph.call_module(free, inputs, options)

    def function(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Write a call of a function."""
        return self.graph.call_function(target, args, kwargs)
