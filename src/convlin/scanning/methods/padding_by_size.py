"""Layers whose padding follows the size of what they are given, as "same" padding by hand does.

A network for the whole image pads as the model does at its window; the model's own code would pad
a larger image otherwise. Such layers are found by running that code at the window and at one pixel
more, without numbers, and comparing what it pads by.
"""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from convlin.errors import Refused
from convlin.models.dense.rules.all_rules import TABLE
from convlin.models.graph.operations import name_of
from convlin.models.graph.traced import site_of, trace

__all__ = ["padding_by_size"]

PADS = ("pad", "conv1d", "conv2d", "conv3d", "max_pool1d", "max_pool2d", "max_pool3d",
        "avg_pool1d", "avg_pool2d", "avg_pool3d")  # fmt: skip


def padding_by_size(model: nn.Module, window: tuple[int, ...]) -> list[str]:
    """Return the sites that pad otherwise at one pixel more; none of a model of one size alone.

    >>> padding_by_size(nn.Conv2d(3, 4, 3, padding=1).eval(), (3, 8, 8))
    []
    """
    channels, *size = window
    try:
        own, larger = (
            _paddings(trace(model, (channels, *(n + more for n in size)), TABLE.wanted).graph)
            for more in (0, 1)
        )
    except Refused:  # a head that takes one size: what is before it may pad as it likes
        return []
    if len(own) != len(larger):
        return [site for site, _ in own]
    return [site for (site, by), (_, other) in zip(own, larger, strict=True) if by != other]


def _paddings(graph: fx.Graph) -> list[tuple[str, Any]]:
    """Return site and numbers of every operation that may pad, in order."""
    found = []
    for node in graph.nodes:
        if node.op == "call_function" and name_of(node.target) in PADS:
            numbers = [arg for arg in node.args if not isinstance(arg, fx.Node)]
            found.append((site_of(node), (numbers, dict(node.kwargs))))
    return found
