"""The model's operations on real tensors: what a step asks for while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlin.models.cells.analysis import Analysis
from convlin.models.graph.fake_model import named_tensors
from convlin.models.graph.varying import MODEL_DTYPE, Batch, mapped

__all__ = ["Running"]


class Running:
    """One run on some images: the model's tensors as they are now, each constant computed once."""

    def __init__(self, analysis: Analysis, model: nn.Module, images: Tensor) -> None:
        self._analysis = analysis
        self._model = model
        self._images = images
        self._tensors = named_tensors(model)
        self._constants: dict[fx.Node, Any] = {}

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
        return operation(*args, **kwargs)

    def _attribute(self, node: fx.Node) -> Tensor:
        """Return a tensor of the model, or one that its code made."""
        name = str(node.target)
        if name in self._tensors:
            return self._tensors[name]
        tensor = self._analysis.trace.tensors[name].to(self._images.device)
        follows = node.meta.get("numbers") is MODEL_DTYPE
        return tensor.to(self._images.dtype) if follows else tensor


def _each(number: Batch) -> int:
    assert number.each is not None
    return number.each
