"""Which identity exchanges a site, or everything that stands against each.

| to | layer | identity |
|---|---|---|
| linear | convolution | pointwise, patchify, unpatchify, covering_kernel |
| conv, conv2d | Linear, GPT-2's Conv1D | pointwise |
| conv2d | Conv1d, ConvTranspose1d | line |
| conv2d | Conv3d | frames |
| linear | GPT-2's Conv1D | transposed |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from convlin.errors import ConvlinError, Refusal, Refused
from convlin.exchange import choose
from convlin.exchange.as_conv2d import as_conv2d
from convlin.exchange.covering_kernel import CoveringKernel, covered_size
from convlin.exchange.kernel_matrix import column_order
from convlin.exchange.patchify import Patchify
from convlin.exchange.unpatchify import Unpatchify
from convlin.geometry import ConvGeometry
from convlin.internals.modules import ConvBase
from convlin.models.rewrite.sites import Target

__all__ = ["identity_of"]

COPIES = ("dense_at_size",)  # with the zeros as weights: another layer, at one size


def identity_of(
    name: str, layer: nn.Module, base: type[nn.Module], target: Target,
    inputs: Sequence[tuple[int, ...]],
) -> str:  # fmt: skip
    """Return the name of the identity that exchanges a layer.

    inputs: the shapes that the layer was seen to take, if it was seen; a kernel covers its whole
    input at one of them only. Raises `Refused`, in the site's name, for everything in the way.

    >>> identity_of("stem", nn.Conv2d(3, 5, 4, stride=4), nn.Conv2d, "linear", ())
    'patchify'
    """
    if not issubclass(base, ConvBase):
        return "pointwise" if issubclass(base, nn.Linear) or target != "linear" else "transposed"
    try:
        geometry = ConvGeometry.of(layer)
        return (_to_linear if target == "linear" else _to_conv2d)(layer, geometry, inputs)
    except ConvlinError as error:
        refusals = getattr(error, "refusals", ())
        raise Refused(replace(r, site=name or r.site) for r in refusals) from error


def _to_conv2d(layer: nn.Module, geometry: ConvGeometry, inputs: Sequence[tuple[int, ...]]) -> str:
    exchange = as_conv2d(geometry)
    if isinstance(exchange, tuple):
        raise Refused(exchange)
    return exchange.name


def _to_linear(layer: nn.Module, geometry: ConvGeometry, inputs: Sequence[tuple[int, ...]]) -> str:
    sizes = {shape[-geometry.ndim :] for shape in inputs}
    size = sizes.pop() if len(sizes) == 1 else None
    try:
        exchange = choose(geometry, size)
    except Refused as refused:
        if size is not None:
            raise
        raise Refused(_neither_apart_nor_whole(geometry, size)) from refused
    if exchange.name in COPIES:  # the last resort
        raise Refused(_neither_apart_nor_whole(geometry, size))
    weight = layer._parameters.get("weight")
    if weight is not None and column_order(weight) is None:
        allowed = "steps of which a view is a matrix: weight.contiguous()"
        raise Refused(Refusal(geometry.kind, "weight.stride()", tuple(weight.stride()), allowed))
    return exchange.name


def _neither_apart_nor_whole(
    geometry: ConvGeometry, size: tuple[int, ...] | None
) -> Iterator[Refusal]:
    """Yield why windows overlap, and why none is the whole input, if sizes were seen."""
    apart = Unpatchify if geometry.transposed else Patchify
    yield from apart.refusals(geometry)
    if not geometry.transposed and size is not None:
        yield from CoveringKernel.refusals(geometry, size)
    elif not geometry.transposed and min(covered_size(geometry)) > 0:
        allowed = f"one on which its input is {covered_size(geometry)}, which the kernel covers"
        yield Refusal(geometry.kind, "example", None, allowed)
