"""From a model to its graph, by torch.fx, and the shape of every value in it; nothing is copied.

The *twin* is the model's tree of modules made anew around parameters that share the model's
storage: what is built from it can be trained, moved or cast without touching the model's modules.
Shapes are those of a batch of two windows.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from convlin.errors import Description, Refusal, Refused, one_line
from convlin.models.trace import sample, shapes_alone

__all__ = ["BATCH", "native_shape", "site_of", "trace", "twin"]

BATCH = 2  # one image alone cannot be mixed with another; more would show no more


def twin(model: nn.Module) -> nn.Module:
    """Return the model with new modules, and new parameters on the same storage; ties stay ties."""
    shared: dict[int, Any] = {}
    for module in model.modules():
        for value in {**module._parameters, **module._buffers, **vars(module)}.values():
            if isinstance(value, nn.Parameter):
                alias = nn.Parameter(value.detach(), requires_grad=value.requires_grad)
                shared.setdefault(id(value), alias)
            elif isinstance(value, Tensor):
                shared.setdefault(id(value), value.detach())
    try:
        return copy.deepcopy(model, shared)
    except Exception as error:  # whatever its attributes raise
        kind, reason = type(model).__name__, one_line(error)
        raise Refused(
            Refusal("model", "type", Description(kind), "a module that can be copied", reason)
        ) from error


def trace(model: nn.Module, window: tuple[int, ...]) -> fx.GraphModule:
    """Return the model's graph, each node's shapes in `native_shape`. Raises `Refused`."""
    _require_eval(model)
    tracer = _Tracer()
    try:
        graph = tracer.trace(model, concrete_args=_defaults(model))
    except Exception as error:
        raise Refused(
            Refusal(tracer.where or type(model).__name__, "forward", Description(one_line(error)),
                    "what torch.fx can trace")
        ) from error  # fmt: skip
    traced = fx.GraphModule(model, graph)
    with shapes_alone(model):
        _Shapes(traced).run(sample(model, (BATCH, *window)))
    return traced


def native_shape(node: fx.Node) -> Any:
    """Return the node's shape at the window (batch first); a structure of them, or None."""
    return node.meta["native"]


def site_of(node: fx.Node) -> str:
    """Return the layer's qualified name; for a function, the module it is called in and its own."""
    if node.op in ("call_module", "get_attr"):
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(stack), "")
    return f"{path}.{node.name}" if path else node.name


class _Tracer(fx.Tracer):
    """The ordinary tracer; `where` is the module it was in."""

    def __init__(self) -> None:
        super().__init__()
        self.where = ""

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        outer, self.where = self.where, self.path_of_module(m)
        result = super().call_module(m, forward, args, kwargs)
        self.where = outer  # only on success: a failure leaves the innermost module's name
        return result


class _Shapes(fx.Interpreter):
    """Runs the graph and notes every shape."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        try:
            result = super().run_node(n)
        except Exception as error:
            shapes = [str(native_shape(source)) for source in n.all_input_nodes]
            raise Refused(
                Refusal(site_of(n), "input", Description(", ".join(shapes)),
                        "a window that this layer can take", f"at batch {BATCH}: {one_line(error)}")
            ) from error  # fmt: skip
        n.meta["native"] = map_aggregate(
            result, lambda value: tuple(value.shape) if isinstance(value, Tensor) else None
        )
        n.meta["dtype"] = result.dtype if isinstance(result, Tensor) else None
        return result


def _require_eval(model: nn.Module) -> None:
    training = [name or type(model).__name__ for name, m in model.named_modules() if m.training]
    if training:
        some = ", ".join(training[:3]) + (f" and {len(training) - 3} more" if training[3:] else "")
        raise Refused(
            Refusal(type(model).__name__, "training", Description(f"True in {some}"),
                    "model.eval()", "dropout and batch statistics make no function of one window")
        )  # fmt: skip
    hooks = {**model._forward_hooks, **model._forward_pre_hooks}
    if hooks:
        raise Refused(
            Refusal(type(model).__name__, "forward hooks", len(hooks), "none on the whole model",
                    "torch.fx does not see them")
        )  # fmt: skip


def _defaults(model: nn.Module) -> dict[str, Any]:
    """Return the defaults of all arguments but the first, the images."""
    rest = list(inspect.signature(model.forward).parameters.values())[1:]
    missing = [p.name for p in rest if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if missing:
        raise Refused(
            Refusal(type(model).__name__, "forward",
                    Description(f"a function that needs {', '.join(missing)} too"),
                    "a function of the images alone")
        )  # fmt: skip
    return {p.name: p.default for p in rest if p.default is not p.empty}
