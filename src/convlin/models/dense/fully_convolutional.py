"""`fully_convolutional`: a trained classifier as a network for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, SupportsIndex, overload

from torch import fx, nn

from convlin.arguments import Progress, choice, elements, flag, listener, shown, wholes
from convlin.errors import Refusal, Refused
from convlin.layers.stock_layer import require_module
from convlin.models.cells import SlidingWindow, sliding_window
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


@overload
def fully_convolutional(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    images: Images | None = None,
    *,
    stride: None = None,
    allow_inexact: bool = False,
    head: Literal["conv", "linear"] = "conv",
    proofs: bool = True,
    check: bool = True,
    progress: Progress | None = None,
) -> FullyConvolutional: ...
@overload
def fully_convolutional(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    images: Images | None = None,
    *,
    stride: SupportsIndex | Sequence[SupportsIndex],
    allow_inexact: bool = False,
    head: Literal["conv", "linear"] = "conv",
    proofs: bool = True,
    check: bool = True,
    progress: Progress | None = None,
) -> FullyConvolutional | SlidingWindow: ...
def fully_convolutional(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    images: Images | None = None,
    *,
    stride: SupportsIndex | Sequence[SupportsIndex] | None = None,
    allow_inexact: bool = False,
    head: Literal["conv", "linear"] = "conv",
    proofs: bool = True,
    check: bool = True,
    progress: Progress | None = None,
) -> FullyConvolutional | SlidingWindow:
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

    `stride`: pixels from window to window, a number or one per dimension. None: the network's own,
    the product of its layers'. Where the network has another one, or is not equal to the model on
    every crop, a `SlidingWindow` comes back, which is at every stride.

    Identity: a window's map is a part of the image's map wherever no layer reads padding, cut
    cells or statistics over space (Long, Shelhamer and Darrell, "Fully convolutional networks",
    2015; Sermanet et al., "OverFeat", 2014).

    Raises `Refused` with everything that stands against it: layers that no network for larger
    images can do alike, and, unless `allow_inexact`, layers that make the result differ from the
    sliding model. Then the report names them. It says what would be granted instead.

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
    >>> windows = fully_convolutional(model, window=(3, 8, 6), stride=2)
    >>> images = torch.rand(1, 3, 12, 11)
    >>> scores = windows(images)
    >>> scores.shape, torch.allclose(scores[..., 2, 1], model(images[..., 4:12, 2:8]), atol=1e-6)
    (torch.Size([1, 5, 3, 3]), True)
    """
    require_module("fully_convolutional", "model", model)
    shape = _window(window)
    strides = None if stride is None else _stride(stride, len(shape) - 1)
    choice("fully_convolutional", "head", head, ("conv", "linear"))
    allow_inexact = flag("fully_convolutional", "allow_inexact", allow_inexact)
    proofs = flag("fully_convolutional", "proofs", proofs)
    check = flag("fully_convolutional", "check", check)
    progress = listener("fully_convolutional", progress)
    graph, own, facts, broken = _written(model, shape, head)
    breaks = [reason for site, reason in facts.breaks.items() if site in broken]
    against = [*facts.refusals, *(() if allow_inexact else breaks)]
    if strides is not None and (against or strides != own):
        _require_defaults(strides, images, head, allow_inexact)
        return sliding_window(model, shape, stride=strides, check=check, progress=progress)
    if graph is None or against:
        raise Refused(against, _way_out(model, shape, facts))
    report = Report(
        tuple(_row(facts, layer, broken) for layer in facts.layers),
        exact=not broken,
        deviation=None,
        parameters_before=sum(parameter.numel() for parameter in model.parameters()),
        parameters_after=sum(parameter.numel() for parameter in graph.parameters()),
    )
    network = FullyConvolutional(graph, shape, own, report).eval()
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
    model: nn.Module, window: tuple[int, ...], head: str
) -> tuple[fx.GraphModule | None, tuple[int, ...], DenseFacts, frozenset[str]]:
    """Return the network and its stride, what is known of its layers, and which make it inexact.

    Where a layer is refused there is neither network nor stride.
    """
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
    graph = None if facts.refusals else writer.finish(result, traced.model)
    return graph, stride, facts, frozenset().union(*(value.culprits for value in values))


def _way_out(model: nn.Module, window: tuple[int, ...], facts: DenseFacts) -> str:
    """Return what would be granted instead; nothing if windows would be refused too."""
    exact = (
        f"convlin.sliding_window(model, {window}, stride=…) (convlin slide) is exactly the "
        "classifier on every crop"
    )
    if not facts.refusals:
        return (
            f"{exact}; allow_inexact=True (--allow-inexact) converts it all the same, equal at the "
            "window alone: on larger images every score may be off, and the report says how far"
        )
    try:
        sliding_window(model, window, stride=1, check=False)
    except Refused:  # it draws random numbers, for one
        return ""
    return f"{exact}: what cannot be converted runs window by window there"


def _require_defaults(
    stride: tuple[int, ...], images: Images | None, head: str, allow_inexact: bool
) -> None:
    """Refuse what a `SlidingWindow` has no use for."""
    given = [
        ("images", images, None, images is not None),
        ("head", head, "conv", head != "conv"),
        ("allow_inexact", allow_inexact, False, allow_inexact),
    ]
    why = f"stride {stride} gives a SlidingWindow, which is exact and runs the model's own layers"
    refusals = [
        Refusal("fully_convolutional", name, shown(value), repr(default), why)
        for name, value, default, is_given in given
        if is_given
    ]
    if refusals:
        raise Refused(refusals)


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


def _stride(stride: SupportsIndex | Sequence[SupportsIndex], ndim: int) -> tuple[int, ...]:
    steps = (stride,) * ndim if elements(stride) is None else stride
    allowed = f"one whole number ≥ 1, or {ndim}, one per dimension"
    numbers = wholes("fully_convolutional", "stride", steps, 1, allowed=allowed)
    if len(numbers) != ndim:
        raise Refused(Refusal("fully_convolutional", "stride", numbers, allowed))
    return numbers
