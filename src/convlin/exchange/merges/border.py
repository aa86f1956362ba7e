"""Where the border lets a second convolution be merged into the first.

Along one dimension let the first have extent e, stride s and padding (b, a), and let x̂ be its
padded input, continued as its padding mode says. Its output j, of n₁, is ::

    y[j] = Σ_t w₁[t] · x̂[j·s + t·d - b] + bias

The second reads ŷ, which is y for 0 ≤ j < n₁ and what *its own* padding says elsewhere. The merged
kernel reads x̂ at j·s + t·d - b for every j, so as if y were continued by the same formula. Inside
both agree, so **without padding of the second every merge is exact**. Outside, they agree for all
weights iff ŷ[j] is that sum, tap by tap. Before the first output (j ≤ -1) and behind the last
(j ≥ n₁) that is, in the padding mode of the second, for every input size n:

zeros
    ŷ[j] = 0: no bias, and no tap reads a pixel. The last tap of j = -1 reads -s + e - 1 - b, which
    is < 0 iff b ≥ e - s. The first tap of j = n₁ reads n₁·s - b = n + a - e + s - r, where r pixels
    are left over of the input; that is ≥ n iff a ≥ e - s + r, for every r < s iff a ≥ e - 1.
replicate
    ŷ[j] = y[0]: every tap of output 0 reads x[0] already, e - 1 - b ≤ 0; and every tap of the last
    output, at n - 1 + a - (e - 1) - r at least, reads x[n - 1] already: a ≥ e - 1 + r.
reflect
    ŷ[-j] = y[j]: the taps would have to lie the other way round. So there is one, e = 1, which lies
    on the pixel about which x̂ is reflected: b = 0; and a = 0 with s = 1.
circular
    ŷ[j] = y[j mod n₁]: n₁ outputs must be as many steps as one turn of n: s = 1, b + a = e - 1.

So a first kernel of 1 at every pixel, without padding, is always merged, but for its bias where the
second pads with zeros. Both layers pad alike where both pad, since the merged one has one mode.
"""

from __future__ import annotations

from collections.abc import Iterator

from convlin.errors import Refusal
from convlin.geometry import ConvGeometry

__all__ = ["border_refusals", "padding_mode"]


def border_refusals(
    first: ConvGeometry,
    second: ConvGeometry,
    bias: bool,
    leftover: tuple[int, ...] | None = None,
) -> Iterator[Refusal]:
    """Yield what makes the merged convolution another one at the border; `bias`: of the first.

    leftover: how many pixels of its input the first layer drops, where that is the same number at
    every size.

    >>> conv = ConvGeometry(2, 2, (3,), padding=1)
    >>> print(*border_refusals(conv, conv, bias=False))
    second Conv1d: padding is ((1, 1),), expected 0 (or padding of the first ≥ (2,) and no bias)
    >>> list(border_refusals(conv, ConvGeometry(2, 2, (3,)), bias=True))
    []
    """
    if not _pads(second):
        return
    if _pads(first) and first.padding_mode != second.padding_mode:
        yield Refusal(
            f"second {second.kind}", "padding_mode", second.padding_mode, first.padding_mode,
            "a merged convolution pads in one way",
        )  # fmt: skip
    elif not all(
        _continued(first, second, dim, first.stride[dim] - 1 if leftover is None else leftover[dim])
        for dim in range(first.ndim)
    ):
        yield Refusal(
            f"second {second.kind}", "padding", second.padding, "0", _way_out(first, second)
        )
    elif bias and second.padding_mode == "zeros":
        yield Refusal(
            f"second {second.kind}", "padding", second.padding, "0",
            "or a first layer without bias or shift: the second pads with 0, not with the bias",
        )  # fmt: skip


def padding_mode(*layers: ConvGeometry) -> str:
    """Return the padding mode of the layers that pad: one for all of them."""
    return next((layer.padding_mode for layer in layers if _pads(layer)), "zeros")


def _pads(layer: ConvGeometry) -> bool:
    return any(map(any, layer.padding))


def _continued(first: ConvGeometry, second: ConvGeometry, dim: int, leftover: int) -> bool:
    """Return whether the first layer's formula gives what the second pads with, along `dim`."""
    if not any(second.padding[dim]):
        return True
    extent, stride = first.extent[dim], first.stride[dim]
    before, after = first.padding[dim]
    match second.padding_mode:
        case "zeros":
            low, high = before >= extent - stride, after >= extent - stride + leftover
        case "replicate":
            low, high = before >= extent - 1, after >= extent - 1 + leftover
        case "reflect":
            low, high = extent == 1 and not before, extent == stride == 1 and not after
        case _:
            return stride == 1 and before + after == extent - 1
    asks_before, asks_after = second.padding[dim]
    return (low or not asks_before) and (high or not asks_after)


def _way_out(first: ConvGeometry, second: ConvGeometry) -> str:
    """Return which first layer would go with the padding of the second."""
    match second.padding_mode:
        case "zeros":
            return f"or padding of the first ≥ {tuple(e - 1 for e in first.extent)} and no bias"
        case "replicate":
            fits = tuple(e + s - 2 for e, s in zip(first.extent, first.stride, strict=True))
            return f"or replicate padding of the first ≥ {fits}"
        case "reflect":
            return "or a first kernel of 1, stride 1, padding 0"
        case _:
            return "or a circular first layer of stride 1 that keeps the size"
