"""Two runs of a model, side by side: where they differ, and what that says of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from convlin.models.graph.operations import name_of
from convlin.models.graph.recorder import Recorder

__all__ = ["Both", "side_by_side"]

# (node of the first run, what the first has there, what the other has) -> what stands for both
Both = Callable[[fx.Node, Any, Any], Any]


def side_by_side(first: Recorder, other: Recorder, both: Both) -> dict[fx.Node, fx.Node]:
    """Write into the first run's arguments what `both` says of those that the other has not.

    Returns the other's node for each of the first's.

    `both` is asked about numbers, dtypes and the like, about tensors that the model's code made,
    and about operations, in the order of the first run; it raises where none can stand for both.
    """
    same: dict[fx.Node, fx.Node] = {}
    written: list[tuple[fx.Node, Any]] = []
    tensors: dict[str, Tensor] = {}
    for node, beside in zip(first.graph.nodes, other.graph.nodes, strict=False):
        if (node.op, node.target) != (beside.op, beside.target):
            both(node, _called(node), _called(beside))
        elif node.op == "get_attr":
            numbers = [run.tensors[str(node.target)] for run in (first, other)]
            if not _equal(*numbers):
                tensors[str(node.target)] = both(node, *numbers)
        mine, theirs = (node.args, node.kwargs), (beside.args, beside.kwargs)
        written.append((node, _zipped(node, mine, theirs, same, both)))
        same[node] = beside
    if len(first.graph.nodes) != len(other.graph.nodes):
        last = list(first.graph.nodes)[-1]
        both(last, *(f"{len(run.graph.nodes)} operations" for run in (first, other)))
    first.tensors.update(tensors)
    for node, (args, kwargs) in written:
        node.args, node.kwargs = args, kwargs
    return same


def _zipped(node: fx.Node, a: Any, b: Any, same: dict[fx.Node, fx.Node], both: Both) -> Any:
    """Return the structure that two runs have in common, `both` of the leaves that differ."""
    if isinstance(a, fx.Node):
        return a if same.get(a) is b else both(node, str(a), str(b))
    if isinstance(a, tuple | list) and isinstance(b, tuple | list) and len(a) == len(b):
        return type(a)([_zipped(node, x, y, same, both) for x, y in zip(a, b, strict=True)])
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        return {key: _zipped(node, a[key], b[key], same, both) for key in a}
    if isinstance(a, slice) and isinstance(b, slice):
        return slice(*(_zipped(node, getattr(a, n), getattr(b, n), same, both) for n in _SLICE))
    return a if type(a) is type(b) and (a == b or a != a) else both(node, a, b)


_SLICE = ("start", "stop", "step")


def _called(node: fx.Node) -> str:
    return name_of(node.target) if callable(node.target) else str(node.target)


def _equal(a: Tensor, b: Tensor) -> bool:
    if a is b:
        return True
    alike = a.shape == b.shape and a.dtype == b.dtype
    return alike and torch.equal(a.nan_to_num(), b.nan_to_num()) and torch.equal(a == a, b == b)
