"""One pass through the model's graph, in order, that writes the network for large images.

Every node is answered by its rule (`registry`, `rules/`). What a rule refuses is noted, what is
made from it is lost, and the walk goes on, so that all refusals come together.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from convlin.errors import Refusal, Refused
from convlin.models.dense import registry
from convlin.models.dense.axis import Axis
from convlin.models.dense.call import Call, Layer
from convlin.models.dense.place import Constant, Known, Lost, Place
from convlin.models.dense.seen import Refold
from convlin.models.dense.tracing import native_shape

__all__ = ["Walk"]


class Walk:
    """The walk's state: the graph being written, its modules, and what is known so far."""

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
        self.places: list[Place] = []  # one for each output
        self.stride: tuple[int, ...] = ()
        self.images: fx.Node | None = None
        self._leaves = {node.target for node in traced.graph.nodes if node.op == "call_module"}
        self._order = {node: index for index, node in enumerate(traced.graph.nodes)}

    def run(self) -> None:
        """Walk through the whole graph."""
        for node in self.traced.graph.nodes:
            try:
                self.values[node] = self._value(node)
            except Refused as refused:
                self.refusals.extend(refused.refusals)
                self.values[node] = Lost()

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._input(node)
        if node.op == "get_attr":
            return self._constant(node)
        operands = [self.values[operand] for operand in node.all_input_nodes]
        if any(isinstance(operand, Lost) for operand in operands):
            return self._lost(node)
        if operands and all(isinstance(operand, Known) for operand in operands):
            return self._known(node)
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        call = Call(self, node, module)
        made_of_images = any(isinstance(operand, Place | tuple) for operand in operands)
        if operands and not made_of_images and node.meta["dtype"] is not None:
            return Constant(call.keep(), tuple(native_shape(node)))
        if module is not None and (hooks := _foreign_hooks(module)):
            raise call.refused(
                "hooks", ", ".join(hooks), "none", "they may change what it computes"
            )
        rule = registry.find(node, module)
        if rule is None:
            known = "convlin has no rule for it" if module or registry.name_of(node) else (
                "it is no function of PyTorch's")  # fmt: skip
            raise call.refused("operation", call.operation, "a layer known to act alike on every "
                               "window", known)  # fmt: skip
        return call.answer(rule)

    def _input(self, node: fx.Node) -> Place | Known:
        if self.images is not None:
            return Known.fixed(node.args[0])
        self.images = self.graph.placeholder(str(node.target))
        axes = tuple(Axis.image(pixels) for pixels in self.window[1:])
        roles = tuple(range(len(self.window)))
        return Place(self.images, self.window[0], axes, roles, node, self.images)

    def _constant(self, node: fx.Node) -> Constant | Known:
        value: Any = self.traced
        for name in str(node.target).split("."):
            value = getattr(value, name)
        if not isinstance(value, Tensor):
            return Known.fixed(value)
        target = str(node.target)
        if target.rpartition(".")[0] in self._leaves:  # that name may hold another layer now
            target = target.replace(".", "_")
        self.modules[target] = value
        return Constant(self.graph.get_attr(target), tuple(value.shape), str(node.target))

    def _known(self, node: fx.Node) -> Known:
        """Compute a value without images, at both batches."""

        def run(batch: str) -> Any:
            args, kwargs = map_aggregate(
                (node.args, node.kwargs),
                lambda arg: getattr(self.values[arg], batch) if isinstance(arg, fx.Node) else arg,
            )
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            assert callable(node.target)
            return node.target(*args, **kwargs)

        return Known(run("at2"), run("at3"))

    def _lost(self, node: fx.Node) -> Lost:
        """Refuse what would be refused whatever it takes, behind something lost."""
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        rule = registry.find(node, module)
        if rule is not None and registry.KINDS[rule] == "never":
            Call(self, node, module).answer(rule)
        return Lost()

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


def _foreign_hooks(module: nn.Module) -> list[str]:
    """Return the names of forward hooks that are not PyTorch's own (weight_norm has such)."""
    hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
    kinds = [hook if hasattr(hook, "__qualname__") else type(hook) for hook in hooks]
    return [kind.__qualname__ for kind in kinds if not kind.__module__.startswith("torch.nn.utils")]
