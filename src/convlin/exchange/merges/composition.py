"""One convolution behind another, as one convolution.

::

    y[m, q] = Σ_c Σ_t w₁[m, c, t] · x[c, q·s₁ + t·d₁ - p₁] + b₁[m]
    z[o, r] = Σ_m Σ_u w₂[o, m, u] · y[m, r·s₂ + u·d₂ - p₂] + b₂[o]
            = Σ_c Σ_T  W[o, c, T] · x[c, r·s₁·s₂ + T - (p₁ + s₁·p₂)] + b[o]

    W[o, c, T] = Σ_m Σ w₂[o, m, u] · w₁[m, c, t]   over all t, u with t·d₁ + u·d₂·s₁ = T
    b[o] = Σ_m Σ_u w₂[o, m, u] · b₁[m] + b₂[o]

Stride s₁·s₂, padding p₁ + s₁·p₂ on each side; the taps T lie on multiples of the greatest common
divisor of their positions, which is the merged dilation. An input group of the merged layer is
what is one in both: gcd(groups₁, groups₂) groups. Sizes agree, as ⌊⌊n/s₁⌋/s₂⌋ = ⌊n/(s₁·s₂)⌋. Where
the second pads, the border decides (`border.py`).

Transposed convolutions are transposes of these (`transposition.py`), in the other order; the output
padding, which lies behind all, becomes o₂ + s₂·o₁.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, cast

from array_api_compat import device
from jaxtyping import Shaped

from convlin.errors import Description, Refusal
from convlin.exchange.array_functions import array_namespace
from convlin.exchange.merges.border import border_refusals, padding_mode
from convlin.exchange.merges.fewer_groups import in_fewer_groups
from convlin.exchange.merges.transposition import (
    adjoint_geometry,
    adjoint_weight,
    is_pixelwise,
    transposed_again,
)
from convlin.geometry import ConvGeometry
from convlin.geometry.conv import PaddingMode

__all__ = ["Composition"]


@dataclass(frozen=True)
class Composition:
    """Two convolutions of one number of dimensions, the second on the first one's outputs.

    >>> Composition(ConvGeometry(3, 8, (3,), stride=2), ConvGeometry(8, 5, (2,))).geometry.kernel
    (5,)
    """

    first: ConvGeometry
    second: ConvGeometry

    def refusals(self, bias: bool) -> tuple[Refusal, ...]:
        """Return everything that keeps the two from being one; `bias`: whether the first adds any.

        >>> norm, conv = ConvGeometry(2, 2, (1,), groups=2), ConvGeometry(2, 2, (3,), padding=1)
        >>> [len(Composition(*pair).refusals(True)) for pair in ((conv, norm), (norm, conv))]
        [0, 1]
        """
        return self.unfit or self.border(bias)

    @property
    def unfit(self) -> tuple[Refusal, ...]:
        """What no convolution is, at no pixel; `geometry` and `weight` ask for none of it."""
        first, second = self.first, self.second
        if first.out_channels != second.in_channels:
            allowed = f"{first.out_channels}, the channels that it is given"
            site = f"second {second.kind}"
            return (Refusal(site, "in_channels", second.in_channels, allowed),)
        if not self._transposed:
            return ()
        return tuple(
            Refusal(f"{place} {layer.kind}", "kernel, stride, padding",
                    (layer.kernel, layer.stride, layer.padding), "1, 1, 0",
                    "beside a transposed convolution")
            for place, layer in (("first", first), ("second", second))
            if not (layer.transposed or is_pixelwise(layer))
        )  # fmt: skip

    def border(self, bias: bool) -> tuple[Refusal, ...]:
        """Return what makes the merged convolution another one at the border."""
        first, second = self.first, self.second
        if not self._transposed:
            return tuple(border_refusals(first, second, bias))
        site = f"first {first.kind}"
        # The second of the transposes pads where the first layer crops; the first of them drops
        # what output padding had put behind.
        cropped = tuple(
            Refusal(site, "padding", first.padding, "0", "the second would read what it crops")
            for _ in border_refusals(*self._adjoints, bias=False, leftover=second.output_padding)
        )
        one_tap = second.taps == max(second.stride) == 1 and not any(second.output_padding)
        if bias and not one_tap:
            reason = "a transposed convolution makes no constant of a constant"
            return (*cropped, Refusal(site, "bias", Description("there"), "none, or 0", reason))
        return cropped

    @property
    def _transposed(self) -> bool:
        return self.first.transposed or self.second.transposed

    @property
    def _adjoints(self) -> tuple[ConvGeometry, ConvGeometry]:
        return adjoint_geometry(self.second), adjoint_geometry(self.first)

    @property
    def geometry(self) -> ConvGeometry:
        """The merged convolution, right away from the border; ask `refusals` first."""
        if self._transposed:
            extras = zip(
                self.first.output_padding, self.second.stride, self.second.output_padding,
                strict=True,
            )  # fmt: skip
            behind = tuple(step * extra + own for extra, step, own in extras)
            return transposed_again(Composition(*self._adjoints).geometry, behind)
        first, second = self.first, self.second
        dims = range(first.ndim)
        pads = [
            [own + first.stride[dim] * side for own, side in zip(*pair, strict=True)]
            for dim, pair in enumerate(zip(first.padding, second.padding, strict=True))
        ]
        dilation = tuple(map(self._dilation, dims))
        return ConvGeometry(
            first.in_channels, second.out_channels,
            [self._last(dim) // dilation[dim] + 1 for dim in dims],
            [first.stride[dim] * second.stride[dim] for dim in dims],
            pads, dilation, math.gcd(first.groups, second.groups),
            cast("PaddingMode", padding_mode(first, second)),
        )  # fmt: skip

    def _last(self, dim: int) -> int:
        """Return the position of the last tap along `dim`."""
        first, second = self.first, self.second
        return first.extent[dim] - 1 + first.stride[dim] * (second.extent[dim] - 1)

    def _dilation(self, dim: int) -> int:
        """Return the largest step that meets every tap; 1 where there is one tap."""
        first, second = self.first, self.second
        steps = first.dilation[dim] if first.kernel[dim] > 1 else 0
        jumps = first.stride[dim] * second.dilation[dim] if second.kernel[dim] > 1 else 0
        return math.gcd(steps, jumps) or 1

    def weight(
        self, first: Shaped[Any, "m c *k1"], second: Shaped[Any, "o m *k2"]
    ) -> Shaped[Any, "o c *kernel"]:
        """Return the merged weight W, as a new array; exact on whole numbers."""
        if self._transposed:
            turned = Composition(*self._adjoints)
            return turned.weight(
                adjoint_weight(self.second, second), adjoint_weight(self.first, first)
            )
        xp, merged = array_namespace(first), self.geometry
        weight = xp.zeros(merged.weight_shape, dtype=first.dtype, device=device(first))
        for tap in itertools.product(*map(range, self.second.kernel)):
            taps = (slice(None), slice(None), *map(self._taps, range(merged.ndim), tap))
            weight[taps] = weight[taps] + self._product(first, second[(..., *tap)])
        return weight

    def _taps(self, dim: int, tap: int) -> slice:
        """Return where the first kernel's taps lie in the merged one, for one tap of the second."""
        first, unit = self.first, self._dilation(dim)
        start = tap * self.second.dilation[dim] * first.stride[dim] // unit
        step = max(1, first.dilation[dim] // unit)
        return slice(start, start + step * (first.kernel[dim] - 1) + 1, step)

    def _product(
        self, first: Shaped[Any, "m c *k1"], second: Shaped[Any, "o m"]
    ) -> Shaped[Any, "o c *k1"]:
        """Return Σ_m second[o, m]·first[m, c, t]: one product of matrices a group.

        Channels m lie in blocks, as many as the larger number of groups, each within one group of
        both layers. A block joins its outputs (of its group of the second layer) to its inputs (of
        its group of the first); zeros between groups are not computed, unless neither number of
        groups divides the other.
        """
        xp = array_namespace(first)
        g1, g2 = self.first.groups, self.second.groups
        if g1 % g2 and g2 % g1:
            fewer = math.gcd(g1, g2)
            second, g2 = in_fewer_groups(second, g2, fewer), fewer
        blocks, (middle, inputs, *kernel) = max(g1, g2), first.shape
        outputs, each = second.shape[0] // g2, middle // blocks
        left = xp.reshape(second, (g2, outputs, blocks // g2, each))
        left = xp.reshape(xp.permute_dims(left, (0, 2, 1, 3)), (blocks, outputs, each))
        right = xp.reshape(first, (blocks, each, inputs * math.prod(kernel)))
        product = xp.reshape(left @ right, (g2, blocks // g2, outputs, right.shape[-1]))
        shape = (g2 * outputs, blocks // g2 * inputs, *kernel)
        return xp.reshape(xp.permute_dims(product, (0, 2, 1, 3)), shape)

    def bias(
        self,
        first: Shaped[Any, " m"] | None,
        weight: Shaped[Any, "o m *k2"],
        second: Shaped[Any, " o"] | None,
    ) -> Shaped[Any, " o"] | None:
        """Return the merged bias, of both biases and the second weight; None if there is none."""
        if first is None:
            return second
        xp, g = array_namespace(first), self.second
        if g.transposed:  # (in, out): of one tap, if it is to be right
            weight = adjoint_weight(adjoint_geometry(g), weight)
        rows = xp.reshape(weight, (g.groups, g.out_channels // g.groups, -1, g.taps))
        parts = xp.reshape(first, (g.groups, -1, 1))
        carried = xp.reshape(xp.sum(rows, axis=-1) @ parts, (g.out_channels,))
        return carried if second is None else carried + second
