"""`fully_convolutional`: a trained classifier as a network for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, SupportsIndex

from torch import fx, nn

from convlin.arguments import Progress, choice, flag, listener, wholes
from convlin.errors import Refusal, Refused
from convlin.layers.stock_layer import require_module
from convlin.models.claims import verdicts
from convlin.models.dense.against_model import run_against
from convlin.models.dense.axis import Axis
from convlin.models.dense.dense_call import DenseCall, DenseFacts
from convlin.models.dense.deviation import Images, measure
from convlin.models.dense.feature_map import FeatureMap
from convlin.models.dense.network import FullyConvolutional
from convlin.models.dense.report import Report, Row
from convlin.models.dense.rules.all_rules import TABLE
from convlin.models.dense.rules.outputs import output
from convlin.models.graph.facts import Layer
from convlin.models.graph.fake_model import names_of
from convlin.models.graph.traced import trace
from convlin.models.graph.value import NoValue
from convlin.models.graph.walk import walk
from convlin.models.graph.writer import Writer

__all__ = ["fully_convolutional"]

# Numbers of a window, 16 GiB in float32: a sheet of 2¹⁶ × 2¹⁶ pixels still fits. Half of it would
# refuse that; beyond, elements are numbered by tensors of more than 32 GiB.
LARGEST = 2**32

WAY_OUT = (
    "allow_inexact=True (--allow-inexact) converts it all the same, equal at the window alone, and "
    "reports how far off it is elsewhere"
)


def fully_convolutional(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    images: Images | None = None,
    *,
    allow_inexact: bool = False,
    head: Literal["conv", "linear"] = "conv",
    proofs: bool = True,
    check: bool = True,
    progress: Progress | None = None,
) -> FullyConvolutional:
    """Return the classifier `model` as a network for images of any size ≥ the window.

    `window` is the input shape (C, *spatial), in pixels, the model classifies; it must be in eval
    mode. The result gives, for every window of an image, what the model gives for that crop:
    its (N, K) outputs become (N, K, *cells), window w starting at pixel w·stride; maps (N, C, h, w)
    become (N, C, h, w, *cells). Weights are shared with the model, which itself stays as it is.

    The model's own code is run at the window, twice, on tensors without numbers; what it makes of
    the window's size is right for every window. What asks the images for numbers, counts or draws
    is refused, the line of code named.

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
    convlin.errors.Refused: 0: padding is ((1, 1), (1, 1)), expected 0 ...
    >>> network = fully_convolutional(model, window=(3, 8, 6), allow_inexact=True)
    >>> print(network.report.rows[2].exchange)
    Linear 192→5 ⇒ Conv2d 4→5 k8×6
    """
    require_module("fully_convolutional", "model", model)
    shape = _window(window)
    choice("fully_convolutional", "head", head, ("conv", "linear"))
    allow_inexact = flag("fully_convolutional", "allow_inexact", allow_inexact)
    proofs = flag("fully_convolutional", "proofs", proofs)
    check = flag("fully_convolutional", "check", check)
    progress = listener("fully_convolutional", progress)
    graph, values, stride, facts = _written(model, shape, head, allow_inexact)
    broken = frozenset().union(*(value.culprits for value in values))
    report = Report(
        tuple(_row(facts, layer, broken) for layer in facts.layers),
        exact=not broken,
        deviation=None,
        parameters_before=sum(parameter.numel() for parameter in model.parameters()),
        parameters_after=sum(parameter.numel() for parameter in graph.parameters()),
    )
    network = FullyConvolutional(graph, shape, stride, report).eval()
    if check:
        report = replace(
            report, seen=run_against(model, network, exact=not broken, refolds=facts.refolds)
        )
    if proofs:
        rows = _proved(facts, report.rows, progress)
        refuted = any(row.refuted for row in rows)
        report = replace(report, rows=rows, exact=report.exact and not refuted)
    if images is not None:
        report = replace(report, deviation=measure(model, network, images, progress))
    network.report = report
    return network


def _written(
    model: nn.Module, window: tuple[int, ...], head: str, allow_inexact: bool
) -> tuple[fx.GraphModule, list[FeatureMap], tuple[int, ...], DenseFacts]:
    """Return the network, what is known of its outputs, its stride, and of its layers."""
    traced = trace(model, window, TABLE.wanted)
    nodes = list(traced.graph.nodes)
    leaves = {node.meta["layer"] for node in nodes} - {None}
    writer = Writer(leaves, names_of(traced.model))
    facts = DenseFacts(window=window, head=head)
    axes = tuple(Axis.image(pixels) for pixels in window[1:])
    images = FeatureMap(writer.images, window[0], axes, tuple(range(len(window))), nodes[0])

    def call(node: fx.Node) -> DenseCall:
        return DenseCall(traced, writer, facts, node)

    walk(traced, TABLE, writer, facts, images, call)
    result: Any = None
    values: list[FeatureMap] = []
    stride: tuple[int, ...] = ()
    if not any(isinstance(facts.values[node], NoValue) for node in nodes[-1].all_input_nodes):
        try:
            end = call(nodes[-1])
            result, values, stride = output(end, *end.arguments()[0])
        except Refused as refused:
            facts.refusals.extend(refused.refusals)
    broken = frozenset().union(*(value.culprits for value in values))
    breaks = [reason for site, reason in facts.breaks.items() if site in broken]
    if facts.refusals:
        raise Refused([*facts.refusals, *(() if allow_inexact else breaks)])
    if breaks and not allow_inexact:
        raise Refused(breaks, WAY_OUT)
    return writer.finish(result, traced.model), values, stride, facts


def _row(facts: DenseFacts, layer: Layer, broken: frozenset[str]) -> Row:
    """Return a layer's row of the report."""
    equal, why = layer.site not in broken, ""
    if layer.site in facts.breaks:
        reason = facts.breaks[layer.site]
        why = f"{reason.field} {reason.value}: {reason.reason}"
        if equal:
            why = f"{reason.field} {reason.value}, but no later layer reads those cells"
    return Row(layer.site, layer.operation, layer.exchange, None, equal, why)


def _proved(facts: DenseFacts, rows: Sequence[Row], progress: Progress | None) -> tuple[Row, ...]:
    """Return the rows with the verdict on every exchange."""
    proved = list(rows)
    claims = {index: layer.claim() for index, layer in enumerate(facts.layers) if layer.claim}
    named = [(rows[index].layer, claim) for index, claim in claims.items()]
    for done, (index, verdict) in enumerate(zip(claims, verdicts(named), strict=True), 1):
        proved[index] = replace(rows[index], verdict=verdict)
        if progress is not None:
            progress(rows[index].layer, done, len(claims))
    return tuple(proved)


def _window(window: Sequence[SupportsIndex]) -> tuple[int, ...]:
    allowed = "(C, L), (C, H, W) or (C, D, H, W), at most 2³² numbers"
    shape = wholes("fully_convolutional", "window", window, 1, allowed=allowed)
    if len(shape) not in (2, 3, 4) or math.prod(shape) > LARGEST:
        raise Refused(Refusal("fully_convolutional", "window", shape, allowed))
    return shape
