"""One pass through the model's graph, in order, that writes the network for large images.

Every node is answered by its rule (`registry`, `rules/`). What a rule refuses is noted, what is
made from it is lost, and the walk goes on, so that all refusals come together.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from convlin.errors import Refused
from convlin.models.dense import registry
from convlin.models.dense.axis import Axis
from convlin.models.dense.call import Call
from convlin.models.dense.fx_graph import native_shape
from convlin.models.dense.value import Constant, MapValue, NoValue, PlainValue
from convlin.models.dense.writer import Writer

__all__ = ["Walk"]


class Walk(Writer):
    """The pass itself: every node of the traced graph, in order."""

    def run(self) -> None:
        """Walk through the whole graph."""
        for node in self.traced.graph.nodes:
            try:
                self.values[node] = self._value(node)
            except Refused as refused:
                self.refusals.extend(refused.refusals)
                self.values[node] = NoValue()

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._input(node)
        if node.op == "get_attr":
            return self._constant(node)
        operands = [self.values[operand] for operand in node.all_input_nodes]
        if any(isinstance(operand, NoValue) for operand in operands):
            return self._lost(node)
        if operands and all(isinstance(operand, PlainValue) for operand in operands):
            return self._known(node)
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        call = Call(self, node, module)
        made_of_images = any(isinstance(operand, MapValue | tuple) for operand in operands)
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

    def _input(self, node: fx.Node) -> MapValue | PlainValue:
        if self.images is not None:
            return PlainValue.fixed(node.args[0])
        self.images = self.graph.placeholder(str(node.target))
        axes = tuple(Axis.image(pixels) for pixels in self.window[1:])
        roles = tuple(range(len(self.window)))
        return MapValue(self.images, self.window[0], axes, roles, node, self.images)

    def _constant(self, node: fx.Node) -> Constant | PlainValue:
        value: Any = self.traced
        for name in str(node.target).split("."):
            value = getattr(value, name)
        if not isinstance(value, Tensor):
            return PlainValue.fixed(value)
        target = str(node.target)
        if target.rpartition(".")[0] in self._leaves:  # that name may hold another layer now
            target = target.replace(".", "_")
        self.modules[target] = value
        return Constant(self.graph.get_attr(target), tuple(value.shape), str(node.target))

    def _known(self, node: fx.Node) -> PlainValue:
        """Compute a value without images, at both batches."""

        def run(batch: str) -> Any:
            args, kwargs = map_aggregate(
                (node.args, node.kwargs),
                lambda arg: getattr(self.values[arg], batch) if isinstance(arg, fx.Node) else arg,
            )
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            if node.op == "call_module":
                return self.traced.get_submodule(str(node.target))(*args, **kwargs)
            assert callable(node.target)
            return node.target(*args, **kwargs)

        return PlainValue(run("smaller"), run("larger"))

    def _lost(self, node: fx.Node) -> NoValue:
        """Refuse what would be refused whatever it takes, behind something lost."""
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        rule = registry.find(node, module)
        if rule is not None and registry.KINDS[rule] == "never":
            Call(self, node, module).answer(rule)
        return NoValue()


def _foreign_hooks(module: nn.Module) -> list[str]:
    """Return the names of forward hooks that are not PyTorch's own (weight_norm has such)."""
    hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
    kinds = [hook if hasattr(hook, "__qualname__") else type(hook) for hook in hooks]
    return [kind.__qualname__ for kind in kinds if not kind.__module__.startswith("torch.nn.utils")]
