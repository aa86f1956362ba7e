"""One dimension of a map: where the window's own cells lie on the dense grid. Integers only.

The classifier at its window sees a map of `size` cells. The network for large images has that map
on a grid of its own: cell i of window w, which starts at pixel w·S, is grid cell

    w·S/stride + i·step

`stride` is in pixels. `step` is 1 until an adaptive pool: that becomes a pool with stride 1, whose
results for one window lie apart, and everything behind it is dilated. Every layer here turns
⌊(H + a)/s⌋ cells into ⌊(⌊(H + a)/s⌋ + b)/t⌋ = ⌊(H + a + b·s)/(s·t)⌋, so the size of the grid for an
image of H pixels is ⌊(H + slack)/stride⌋ with one whole number, for every H.

`broken[i]` names the layers because of which cell i is not what the large image has there: their
padding, the cut cell of a ceil_mode, statistics over space. A cell that reads a broken cell is
broken; a cell that no later layer reads breaks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Axis", "Broken"]

Broken = frozenset[str]


@dataclass(frozen=True)
class Axis:
    """Cells of one map along one dimension; `stride` 0 marks a value pooled over the whole image.

    >>> Axis.image(24).windowed(3, 1).windowed(3, 2, ceil=True, site="pool").dense(24)
    11
    """

    size: int
    stride: int
    step: int
    slack: int
    broken: tuple[Broken, ...]

    @classmethod
    def image(cls, pixels: int) -> Axis:
        """Return the pixels of the window themselves."""
        return cls(pixels, 1, 1, 0, (frozenset(),) * pixels)

    @classmethod
    def whole(cls, site: str) -> Axis:
        """Return the one cell of a value pooled by `site` over whatever image there is."""
        return cls(1, 0, 1, 0, (frozenset({site}),))

    @property
    def is_whole(self) -> bool:
        """Whether the value is one for the whole image."""
        return self.stride == 0

    @property
    def culprits(self) -> Broken:
        """All layers that break some cell."""
        return frozenset().union(*self.broken)

    def dense(self, pixels: int) -> int:
        """Return the size of the grid for an image of so many pixels."""
        return self.size if self.is_whole else (pixels + self.slack) // self.stride

    def windowed(
        self,
        kernel: int,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        dilation: int = 1,
        ceil: bool = False,
        site: str = "",
    ) -> Axis:
        """Return the axis behind a convolution or pool; what it reads outside breaks it."""
        # Window o reads o·stride + t·dilation - before for taps t; the last one that fits has
        # o·stride ≤ size + before + after - dilation·(kernel - 1) - 1 = size + spare.
        before, after = padding
        spare = before + after - dilation * (kernel - 1) - 1
        if ceil:  # PyTorch drops a last window that would begin behind the input
            spare = min(spare + stride - 1, before - 1)
        size = (self.size + spare) // stride + 1
        reads = [
            [o * stride + t * dilation - before for t in range(kernel)] for o in range(max(size, 0))
        ]
        if self.step == 1:
            # ⌊(G + spare)/stride⌋ + 1 = ⌊(G + spare + stride)/stride⌋ cells of G = ⌊(H + slack)/S⌋:
            # the rule in the module's docstring, with b = spare + stride.
            slack, grid, step = self.slack + self.stride * (spare + stride), stride, 1
        else:
            # Padded and dilated by step, with stride 1, the G cells become
            # G + step·(before + after - dilation·(kernel - 1)) = G + step·(spare + 1).
            slack, grid = self.slack + self.stride * self.step * (spare + 1), 1
            step = self.step * stride
        return replace(
            self, size=size, stride=self.stride * grid, step=1 if size == 1 else step, slack=slack,
            broken=self._read(reads, site),
        )  # fmt: skip

    def pooled(self, kernel: int) -> Axis:
        """Return the axis behind a pool of `kernel` cells beside each other, stride 1 on the grid.

        The classifier's own pool has stride = kernel; here every window is computed.
        """
        # kernel cells that lie step apart reach over step·(kernel - 1) more: so many cells fewer on
        # the grid. The pool's own neighbours are kernel cells apart, step·kernel on the grid.
        size = self.size // kernel
        reads = [range(o * kernel, (o + 1) * kernel) for o in range(size)]
        return replace(
            self, size=size, step=1 if size == 1 else self.step * kernel,
            slack=self.slack - self.stride * self.step * (kernel - 1), broken=self._read(reads),
        )  # fmt: skip

    def taken(self, start: int, count: int, every: int = 1) -> Axis:
        """Return the axis of the cells start, start + every, … (`count` of them)."""
        # Without start cells in front and tail behind, G - start - tail remain; each n-th of those
        # makes ⌊(G - start - tail + n - 1)/n⌋. Where cells lie apart, both are cut step-fold.
        cells = [start + i * every for i in range(count)]
        tail = self.size - 1 - cells[-1]
        broken = tuple(self.broken[cell] for cell in cells)
        if self.step == 1:
            return replace(
                self, size=count, stride=self.stride * every, broken=broken,
                slack=self.slack + self.stride * (every - 1 - start - tail),
            )  # fmt: skip
        return replace(
            self, size=count, step=1 if count == 1 else self.step * every, broken=broken,
            slack=self.slack - self.stride * self.step * (start + tail),
        )  # fmt: skip

    def coarsened(self, stride: int) -> Axis | None:
        """Return the same cells on a grid of that `stride`; None if they do not all lie on it."""
        # Every n-th of G cells, the first among them, is ⌊(G + n - 1)/n⌋; cells of the window stay
        # on the grid if n divides the step between them.
        every, rest = divmod(stride, self.stride)
        if rest or (self.size > 1 and self.step % every):
            return None
        step = 1 if self.size == 1 else self.step // every
        return replace(self, stride=stride, step=step, slack=self.slack + self.stride * (every - 1))

    def at_most(self, slack: int) -> Axis:
        """Return the axis without the grid cells beyond ⌊(H + slack)/stride⌋."""
        return replace(self, slack=min(self.slack, slack))

    def breaking(self, sites: Broken) -> Axis:
        """Return the axis with every cell broken by `sites` too."""
        return replace(self, broken=tuple(cell | sites for cell in self.broken))

    def clean(self) -> Axis:
        """Return the same cells with nothing broken."""
        return replace(self, broken=(frozenset(),) * self.size)

    def mixed(self, other: Axis) -> Axis:
        """Return the axis of a value computed cell by cell from this one and `other`."""
        return replace(
            self, broken=tuple(a | b for a, b in zip(self.broken, other.broken, strict=True))
        )

    def _read(self, reads: Sequence[Sequence[int]], site: str = "") -> tuple[Broken, ...]:
        """Return what breaks each output, given the cells it reads; `site` if some lie outside."""
        outside = frozenset({site})
        return tuple(
            frozenset().union(*(self.broken[i] if 0 <= i < self.size else outside for i in cells))
            for cells in reads
        )
