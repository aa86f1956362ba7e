"""Numbers of what a graph makes of the model's own tensors, and of nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from convlin.models.graph.varying import MODEL_DTYPE, Batch, mapped

__all__ = ["known_numbers"]


def known_numbers(value: Any, tensors: dict[str, Tensor], dtype: torch.dtype | None = None) -> Any:
    """Return nested arguments with numbers for nodes, as they are at a batch of the window.

    `tensors` are those behind `get_attr` nodes; `dtype` is the model's. What is made of the images
    has only a shape and a dtype, which operations may ask for that compute nothing of it.

    >>> graph = fx.Graph()
    >>> node = graph.call_function(torch.ops.aten.neg.default, (graph.get_attr("w"),))
    >>> known_numbers([node, 3], {"w": torch.tensor([2.0])})
    [tensor([-2.]), 3]
    """
    known: dict[fx.Node, Any] = {}

    def of(arg: Any) -> Any:
        if not isinstance(arg, fx.Node):
            return dtype if arg is MODEL_DTYPE else arg.smaller if isinstance(arg, Batch) else arg
        if arg not in known:
            known[arg] = computed(arg)
        return known[arg]

    def computed(node: fx.Node) -> Any:
        if node.op == "get_attr":
            return tensors[str(node.target)]
        if "images" in node.meta:
            return torch.zeros(node.meta["value"].shape, dtype=node.meta["value"].dtype)
        operation: Any = node.target
        args, kwargs = mapped((node.args, node.kwargs), of)
        return operation(*args, **kwargs)

    with torch.no_grad():
        return mapped(value, of)
