"""`fully_convolutional`: a trained classifier as a network for images of any size."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, SupportsIndex

from torch import fx, nn

from convlin.backends.pytorch.fully_convolutional.deviation import Images, measure
from convlin.backends.pytorch.fully_convolutional.network import FullyConvolutional
from convlin.backends.pytorch.fully_convolutional.report import Report, Row
from convlin.backends.pytorch.fully_convolutional.rules import (  # noqa: F401 - fill the registry
    joins,
    linear,
    never,
    normalisation,
    outputs,
    pointwise,
    pooling,
    reshapes,
    windows,
)
from convlin.backends.pytorch.fully_convolutional.tracing import trace, twin
from convlin.backends.pytorch.fully_convolutional.walk import Walk
from convlin.errors import Refusal, Refused

__all__ = ["fully_convolutional"]

Progress = Callable[[str, int, int], None]


def fully_convolutional(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    images: Images | None = None,
    *,
    allow_inexact: bool = False,
    head: Literal["conv", "linear"] = "conv",
    proofs: bool = True,
    progress: Progress | None = None,
) -> FullyConvolutional:
    """Return the classifier `model` as a network for images of any size ≥ the window.

    `window` is the input shape (C, *spatial), in pixels, the model classifies; it must be in eval
    mode. The result gives, for every window of an image, what the model gives for that crop:
    its (N, K) outputs become (N, K, *cells), window w starting at pixel w·stride. Weights are
    shared with the model, which itself stays as it is.

    The first Linear becomes a convolution with a kernel as large as its map (`head="linear"`: the
    same as windows through a Linear), later ones 1×1 convolutions. Each of these exchanges is
    proved, unless `proofs` is False; `progress` is called with (what, done, total). `images`
    ((N, C, H, W), or several such) measure how far the result is from the sliding model.

    Identity: a window's map is a part of the image's map wherever no layer reads padding, cut
    cells or statistics over space (Long, Shelhamer and Darrell, "Fully convolutional networks",
    2015; Sermanet et al., "OverFeat", 2014).

    Raises `Refused` with everything that stands against it: layers that no network for larger
    images can do alike, and, unless `allow_inexact`, layers that make the result differ from the
    sliding model. Then the report names them.

    >>> import torch
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
    ...     torch.nn.Linear(4 * 8 * 6, 5),
    ... ).eval()
    >>> fully_convolutional(model, window=(3, 8, 6))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: 0: padding = ((1, 1), (1, 1)); fits: 0 ...
    >>> network = fully_convolutional(model, window=(3, 8, 6), allow_inexact=True)
    >>> print(network.report.rows[2].exchange)
    Linear 192→5 ⇒ Conv2d 4→5 k8×6
    """
    shape = _window(window)
    if head not in ("conv", "linear"):
        raise Refused(Refusal("fully_convolutional", "head", repr(head), "'conv' or 'linear'"))
    walk = Walk(trace(twin(model), shape), shape, head)
    walk.run()
    broken = frozenset().union(*(place.culprits for place in walk.places))
    refusals = list(walk.refusals)
    if not allow_inexact:
        refusals += [walk.breaks[site] for site in walk.breaks if site in broken]
    if refusals:
        raise Refused(refusals)
    for node in reversed(walk.graph.nodes):
        if node.op == "get_attr" and not node.users:
            walk.graph.erase_node(node)
    graph = fx.GraphModule(walk.modules, walk.graph, type(model).__name__).eval()
    report = Report(
        _rows(walk, broken, proofs, progress),
        exact=not broken,
        deviation=None,
        parameters_before=sum(parameter.numel() for parameter in model.parameters()),
        parameters_after=sum(parameter.numel() for parameter in graph.parameters()),
    )
    network = FullyConvolutional(graph, shape, walk.stride, report).eval()
    if images is not None:
        deviation = measure(model, network, images, progress)
        network.report = replace(report, deviation=deviation)
    return network


def _rows(
    walk: Walk, broken: frozenset[str], proofs: bool, progress: Progress | None
) -> tuple[Row, ...]:
    """Return the report's rows, proving every exchange."""
    total = sum(layer.prove is not None for layer in walk.layers) if proofs else 0
    rows, done = [], 0
    for layer in walk.layers:
        verdict = None
        if proofs and layer.prove is not None:
            verdict, done = layer.prove(), done + 1
            if progress is not None:
                progress(layer.site, done, total)
        equal, why = layer.site not in broken, ""
        if layer.site in walk.breaks:
            reason = walk.breaks[layer.site]
            why = f"{reason.field} {reason.value}: {reason.reason}"
            if equal:
                why = f"{reason.field} {reason.value}, but no later layer reads those cells"
        rows.append(Row(layer.site, layer.operation, layer.exchange, verdict, equal, why))
    return tuple(rows)


def _window(window: Sequence[SupportsIndex]) -> tuple[int, ...]:
    shape = tuple(operator.index(n) for n in window)
    if len(shape) not in (2, 3, 4) or min(shape) < 1:
        raise Refused(
            Refusal("fully_convolutional", "window", shape, "(C, L), (C, H, W) or (C, D, H, W)")
        )
    return shape
