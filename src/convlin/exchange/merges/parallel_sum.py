"""Convolutions of one input whose outputs are added, as one convolution.

::

    y[o, r] = Σ_i Σ_c Σ_t w_i[o, c, t] · x[c, r·s + t·d_i - p_i] + b_i[o]

Padding gives a pixel outside its value by its position alone, whatever the kernel: the branches
read one and the same padded input, and tap t of branch i is the merged tap at position
t·d_i + (p - p_i), p the largest p_i. All that is asked: one stride, one padding mode among those
that pad, and one output size at every input size, which is n + (before + after - extent) with one
sum in the brackets. A 3×3 kernel with padding 1 fits a 1×1 without, and both fit the identity.
Taps between are 0, as is what joins groups that were apart.
Transposed convolutions are transposes of these, of the same weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from array_api_compat import device
from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange.array_functions import array_namespace
from convlin.exchange.merges.border import padding_mode
from convlin.exchange.merges.fewer_groups import in_fewer_groups
from convlin.exchange.merges.transposition import (
    adjoint_geometry,
    adjoint_weight,
    is_pixelwise,
    transposed_again,
)
from convlin.geometry import ConvGeometry
from convlin.geometry.conv import PaddingMode

__all__ = ["ParallelSum"]


@dataclass(frozen=True)
class ParallelSum:
    """Two convolutions or more of one number of dimensions, on one input.

    >>> branches = ConvGeometry(4, 4, (3,), padding=1), ConvGeometry(4, 4, (1,), groups=4)
    >>> ParallelSum(branches).geometry == branches[0]
    True
    """

    branches: tuple[ConvGeometry, ...]

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Everything that keeps the branches from being one; a branch is compared to the first."""
        return tuple(self._refusals())

    def _refusals(self) -> Iterator[Refusal]:
        one, *others = self.branches
        for index, branch in enumerate(others, 1):
            site = f"branch {index}"
            for field in ("in_channels", "out_channels", "stride", "output_padding"):
                value, allowed = getattr(branch, field), getattr(one, field)
                if value != allowed:
                    yield Refusal(site, field, value, f"{allowed}, as of branch 0")
            fits = [
                sum(sides) - had + own
                for sides, had, own in zip(one.padding, one.extent, branch.extent, strict=True)
            ]
            if list(map(sum, branch.padding)) != fits:
                allowed = f"{tuple(fits)}, before and after together"
                reason = "for as many outputs as branch 0 has"
                yield Refusal(site, "padding", branch.padding, allowed, reason)
        mode = padding_mode(*self.branches)
        for index, branch in enumerate(self.branches):
            if self._transposed and not (branch.transposed or is_pixelwise(branch)):
                yield Refusal(f"branch {index}", "transposed", False, "True, as of another branch")
            if padding_mode(branch, *self.branches) != mode:
                allowed = f"{mode}, as of another branch"
                yield Refusal(f"branch {index}", "padding_mode", branch.padding_mode, allowed)

    @property
    def _transposed(self) -> bool:
        return any(branch.transposed for branch in self.branches)

    @property
    def _adjoint(self) -> ParallelSum:
        return ParallelSum(tuple(map(adjoint_geometry, self.branches)))

    @property
    def geometry(self) -> ConvGeometry:
        """The merged convolution; ask `refusals` first."""
        one = self.branches[0]
        if self._transposed:
            return transposed_again(self._adjoint.geometry, one.output_padding)
        dims = range(one.ndim)
        units = [self._unit(dim) for dim in dims]
        return ConvGeometry(
            one.in_channels, one.out_channels,
            [max(map(max, self._positions(dim))) // unit + 1 for dim, unit in enumerate(units)],
            one.stride,
            [[max(b.padding[dim][side] for b in self.branches) for side in (0, 1)] for dim in dims],
            units,
            math.gcd(*(branch.groups for branch in self.branches)),
            cast("PaddingMode", padding_mode(*self.branches)),
        )  # fmt: skip

    def _positions(self, dim: int) -> list[range]:
        """Return where each branch's taps lie along `dim`, counted from the first of all."""
        most = max(branch.padding[dim][0] for branch in self.branches)
        starts = [most - branch.padding[dim][0] for branch in self.branches]
        return [
            range(start, start + branch.extent[dim], branch.dilation[dim])
            for start, branch in zip(starts, self.branches, strict=True)
        ]

    def _unit(self, dim: int) -> int:
        """Return the largest step that meets every tap; 1 where there is one tap."""
        return math.gcd(*(tap for taps in self._positions(dim) for tap in taps)) or 1

    def weight(self, weights: Sequence[Shaped[Any, "o c *kernels"]]) -> Shaped[Any, "o c *kernel"]:
        """Return the merged weight, as a new array; exact on whole numbers."""
        if self._transposed:
            turned = map(adjoint_weight, self.branches, weights)
            return self._adjoint.weight(list(turned))
        one, merged = weights[0], self.geometry
        xp = array_namespace(one)
        total = xp.zeros(merged.weight_shape, dtype=one.dtype, device=device(one))
        for index, (branch, weight) in enumerate(zip(self.branches, weights, strict=True)):
            taps = (slice(None), slice(None), *(self._taps(index, d) for d in range(merged.ndim)))
            total[taps] = total[taps] + in_fewer_groups(weight, branch.groups, merged.groups)
        return total

    def _taps(self, branch: int, dim: int) -> slice:
        """Return where a branch's taps lie in the merged kernel."""
        taps, unit = self._positions(dim)[branch], self._unit(dim)
        return slice(taps[0] // unit, taps[-1] // unit + 1, max(1, taps.step // unit))

    def bias(self, biases: Sequence[Shaped[Any, " o"] | None]) -> Shaped[Any, " o"] | None:
        """Return the sum of the biases that there are; None if there is none."""
        there = [bias for bias in biases if bias is not None]
        return sum(there[1:], there[0]) if there else None
