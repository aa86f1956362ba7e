"""The model's operations on real tensors: what a step asks for while it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.internals.onednn import linear
from convlin.models.cells.analysis import Analysis
from convlin.models.graph.fake_model import named_tensors
from convlin.models.graph.operations import name_of
from convlin.models.graph.varying import MODEL_DTYPE, Batch, mapped

__all__ = ["Running"]

# Operations whose result is memory of its own, whatever they take.
FRESH = frozenset({
    "conv1d", "conv2d", "conv3d", "linear", "batch_norm", "layer_norm", "max_pool1d", "max_pool2d",
    "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "cat", "add", "sub", "mul", "div",
    "relu", "relu6", "hardtanh", "hardswish", "silu", "gelu", "sigmoid", "elu", "leaky_relu",
})  # fmt: skip
# Operations that may write their result over what they take.
OVERWRITES = frozenset({
    "relu", "relu6", "hardtanh", "hardswish", "silu", "gelu", "sigmoid", "elu", "leaky_relu",
    "tanh",
})  # fmt: skip

# The same result, faster, or of maps that lie with their channels last.
ELSE = {"linear": linear, "view": torch.reshape, "_unsafe_view": torch.reshape}


class Running:
    """One run on some images: the model's tensors as they are now, each constant computed once.

    free: nodes whose values nobody reads but the operation that runs next. aliases: nodes whose
    values are another one's memory.
    """

    def __init__(self, analysis: Analysis, model: nn.Module, images: Tensor) -> None:
        self._analysis = analysis
        self._model = model
        self._images = images
        self._tensors = named_tensors(model)
        self._constants: dict[fx.Node, Any] = {}
        self.free: Collection[fx.Node] = ()
        self.aliases: set[fx.Node] = set()

    def freed(self, nodes: Iterable[fx.Node]) -> Collection[fx.Node]:
        """Return those of nodes, read once in all, whose memory may be written to."""
        if torch.is_grad_enabled():
            return ()
        calls = (node for node in nodes if node.op == "call_function")
        return {node for node in calls if name_of(node.target) in FRESH} - self.aliases

    @property
    def dilates(self) -> bool:
        """Whether wide images are faster than many narrow ones, where neighbours must lie apart.

        They are where oneDNN runs convolutions; others unfold them, or have no fast dilated ones.
        """
        narrow = (torch.float32, torch.bfloat16, torch.float16)
        return self._images.device.type == "cpu" and self._images.dtype in narrow

    def made(self, values: Sequence[float]) -> Tensor:
        """Return numbers as a tensor like the images."""
        return torch.tensor(values, dtype=self._images.dtype, device=self._images.device)

    def tensor(self, node: fx.Node) -> Any:
        """Return what a node is that is made of the model's tensors alone."""
        if node not in self._constants:
            if node.op == "get_attr":
                self._constants[node] = self._attribute(node)
            else:
                self._constants[node] = self.run(node, {}, 0)
        return self._constants[node]

    def run(
        self, node: fx.Node, instead: Mapping[fx.Node, Any], batch: int,
        at: Mapping[int, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Run a node's operation on a batch; `instead` has what is not made of constants alone."""

        def real(arg: Any) -> Any:
            if isinstance(arg, fx.Node):
                return instead[arg] if arg in instead else self.tensor(arg)
            if isinstance(arg, Batch):
                return _each(arg) * batch
            if isinstance(arg, torch.device):
                return self._images.device
            return self._images.dtype if arg is MODEL_DTYPE else arg

        places = dict(enumerate(node.args)) | dict(at or {})
        args, kwargs = mapped((tuple(places.values()), dict(node.kwargs)), real)
        operation: Any = node.target
        if node.op == "call_module":
            operation = self._model.get_submodule(operation)
        elif self._may_overwrite(node):
            operation = overwriting(operation)
        elif (name := name_of(operation)) in ELSE:
            operation = ELSE[name]
        return operation(*args, **kwargs)

    def _may_overwrite(self, node: fx.Node) -> bool:
        """Whether a result may take the memory of the first argument: free, and as large."""
        first = node.args[0] if node.args else None
        if not isinstance(first, fx.Node) or first not in self.free:
            return False
        return bool(first.meta["value"] == node.meta["value"])

    def _attribute(self, node: fx.Node) -> Tensor:
        """Return a tensor of the model, or one that its code made."""
        name = str(node.target)
        if name in self._tensors:
            return self._tensors[name]
        tensor = self._analysis.trace.tensors[name].to(self._images.device)
        follows = node.meta.get("numbers") is MODEL_DTYPE
        return tensor.to(self._images.dtype) if follows else tensor


@cache
def overwriting(operation: Any) -> Any:
    """Return the operation that writes over its first argument, if that is safe."""
    name = name_of(operation)
    if name not in OVERWRITES:
        return operation
    return getattr(getattr(torch.ops.aten, f"{name}_"), operation.__name__.partition(".")[2])


def _each(number: Batch) -> int:
    assert number.each is not None
    return number.each
