"""What `merge` returns: the layer, and what is certain of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import nn

from convlin.display.blocks import Block
from convlin.display.numbers import count
from convlin.display.shown import Shown
from convlin.geometry import ConvGeometry
from convlin.geometry.conv import Sizes
from convlin.layers.forms.branch_sum import BranchSum
from convlin.layers.merge_identity import proved_identity
from convlin.layers.merge_parts import children_of, part_of
from convlin.layers.merged_layer import border_size, tap_size
from convlin.layers.without_padding import without_padding
from convlin.proof import Measured, Proved, Rounded, Verdict, prove

__all__ = ["Merged"]


@dataclass(frozen=True, eq=False, repr=False)
class Merged(Shown):
    """Layers as one: `layer`, drop-in for `original`, a module of the very layers given.

    geometry: of the merged convolution; of a Linear (`rows`), that of kernel 1 on its rows.

    >>> from convlin.layers.merge import merge
    >>> merge(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 7, 1)).multiply_adds((8, 9))
    (2688, 10584)
    """

    layer: nn.Module
    original: nn.Module
    geometry: ConvGeometry
    rows: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the inputs that the identity is about: both borders and an inside."""
        size = () if self.rows else border_size(self.geometry)
        return (self.geometry.in_channels, *size)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether `layer` is `original`, up to the rounding of its weights.

        *Proved* where nothing was rounded. *Rounded*, with its `identity`, where every weight is
        the nearest number to the exact one. *Measured* where that cannot be told, as in float64, in
        which the exact ones are summed, or where taps of several branches read one pixel.
        """
        if next(self.layer.parameters()).is_complex():
            return Measured("the inputs drawn are real, and these layers take complex ones", None)
        size = () if self.rows else tap_size(self.geometry)
        found = prove(self.original, self.layer, (self.geometry.in_channels, *size))
        if isinstance(found, Measured | Rounded) and isinstance(self.identity, Proved):
            found = self._of_one_window(found) if isinstance(found, Measured) else found
            if isinstance(found, Rounded):
                return found.with_identity(self.identity)
        return found

    def _of_one_window(self, found: Measured) -> Verdict:
        """Return the verdict on the weights alone, if that is one: the identity does the rest."""
        if self.rows or self.geometry.transposed or isinstance(self.original, BranchSum):
            return found
        sides = without_padding(self.original), without_padding(self.layer)
        bare = prove(sides[0], sides[1], (self.geometry.in_channels, *self.geometry.extent))
        return replace(bare, rounding=found.rounding) if isinstance(bare, Rounded) else found

    @cached_property
    def identity(self) -> Verdict:
        """Whether layers so merged are equal for all weights, biases, scales, shifts and inputs."""
        return proved_identity(
            self.original, self.layer, self.geometry, self.rows, self.input_shape
        )

    def multiply_adds(self, input_size: Sizes | None = None) -> tuple[int, int]:
        """Return the multiply-adds for one input, before and after; of a Linear for one row.

        input_size: in pixels; None for that of `input_shape`.
        """
        size = self.geometry.sizes(
            (self.input_shape[1:] or 1) if input_size is None else input_size
        )
        return _multiply_adds(self.original, size)[0], self.geometry.connections(size)

    def _blocks(self, width: int | None = None) -> list[Block]:
        before, after = self.multiply_adds()
        held, holds = (
            sum(parameter.numel() for parameter in module.parameters())
            for module in (self.original, self.layer)
        )
        size = "a row" if self.rows else f"an input {self.input_shape}"
        costs = (
            f"{count(held)} → {count(holds)} parameters, "
            f"{count(before)} → {count(after)} multiply-adds for {size}"
        )
        more = ": more than before" if after > before else ""
        return [str(self.layer), costs + more, self.verdict.words]

    def __repr__(self) -> str:
        return f"<Merged: {self.layer}>"


def _multiply_adds(module: nn.Module, size: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Return the multiply-adds of layers on one input, and the size of their outputs."""
    if isinstance(module, nn.Identity):
        return 0, size
    if not isinstance(module, nn.Sequential | BranchSum):
        geometry = part_of(module, "", lambda numbers: numbers).geometry
        return geometry.connections(size), geometry.output_size(size)
    total, after = 0, size
    for _, child in children_of(module):
        products, after = _multiply_adds(child, size if isinstance(module, BranchSum) else after)
        total += products
    return total, after
