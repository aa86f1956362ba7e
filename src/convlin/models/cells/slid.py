"""`SlidingWindow`: a classifier slid over images, what that takes, and what was seen of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, SupportsIndex

import torch
from jaxtyping import Shaped
from torch import Tensor, fx, nn

from convlin.arguments import Progress, index, listener, shown, wholes
from convlin.errors import Description, GeometryError, Refusal, Refused, one_line
from convlin.geometry import ReceptiveField
from convlin.layers.scripting import TracedOnly
from convlin.models.cells.against_crops import run_against_crops
from convlin.models.cells.analysis import Analysis, analysed
from convlin.models.cells.chains import Windows
from convlin.models.cells.every_window import scores_of
from convlin.models.cells.laid_out import laid_out, worth_sharing
from convlin.models.cells.running import Running
from convlin.models.cells.tiles import Tiles, planned
from convlin.models.cells.window_plan import WindowPlan, plan_of
from convlin.models.seen_run import AgainstModel
from convlin.models.trace import sample
from convlin.models.window_crops import crop_of, require_fit

__all__ = ["SlidingWindow"]

LARGEST = 10_000_000  # pixels a side: more than any image, sound or volume has
SIZES = 16  # of images whose tiles are remembered: twice as many as a grid of tasks in 3-D has
MANY = 64  # windows along each axis: what these share, larger images share too


class SlidingWindow(TracedOnly, nn.Module):
    """A classifier slid over images: one output cell for every window, each computed exactly.

    Takes images (N, C, *size) with size ≥ window; returns what the classifier returns, each
    (N, K) as (N, K, *cells), maps (N, C, h, w) as (N, C, h, w, *cells). `model` is the classifier:
    its tensors are read at every run, its code was read when it was slid, and is that of eval mode.
    `seen` is what the check showed. Raises `GeometryError` for images that are smaller than
    the window or have other channels.
    """

    unscriptable = "it runs the model's graph on shared cells, which TorchScript has no type for"

    def __init__(
        self, model: nn.Module, analysis: Analysis, window: tuple[int, ...],
        stride: tuple[int, ...], memory: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.model = model
        self.window = window
        self.field = ReceptiveField(window[1:], stride, (0,) * len(stride))
        self.memory = memory
        self.seen: AgainstModel | None = None
        self._analysis = analysis
        self._tiles: dict[object, Tiles] = {}
        self.eval()

    @property
    def graph(self) -> fx.Graph:
        """What the model does to a window, operation by operation."""
        return self._analysis.trace.graph

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels from one window to the next."""
        return self.field.stride

    def within(self, memory: int) -> SlidingWindow:
        """Return the same windows of the same model, for runs that may take so many bytes."""
        made = SlidingWindow(self.model, self._analysis, self.window, self.stride, memory)
        made.seen = self.seen
        return made

    def train(self, mode: bool = True) -> SlidingWindow:
        """Stay in eval mode."""
        return super().train(False)

    def cells(self, image_size: SupportsIndex | Sequence[SupportsIndex]) -> tuple[int, ...]:
        """Return the number of windows, ⌊(H - P)/S⌋ + 1 per dimension, in an image of this size."""
        return self.field.cells(self._size(image_size))

    def window_of(self, cell: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Return the pixels [start, stop) per dimension that the output `cell` stands for."""
        return self.field.reads(wholes("SlidingWindow", "cell", cell, 0))

    def crop(self, cell: Sequence[int]) -> tuple[Any, ...]:
        """Return the index that cuts the window of `cell` out of images (N, C, *size)."""
        return crop_of(self.field, wholes("SlidingWindow", "cell", cell, 0))

    def plan(
        self, image_size: SupportsIndex | Sequence[SupportsIndex], images: int = 1
    ) -> WindowPlan:
        """Return what an image of this size takes, before anything runs; integers only.

        image_size: pixels per dimension, one number repeats. Raises `GeometryError` if it is
        smaller than the window, `Refused` if no tile of it fits into `memory`.
        """
        size = self._size(image_size)
        many = wholes("plan", "images", (images,), 1)[0]
        require_fit(self.window, (many, self.window[0], *size))
        tiles = self.tiles(size, many, sample(self.model, (0,)).dtype)
        return plan_of(self._analysis, tiles, self.field, self.window, size, many)

    def tiles(self, size: tuple[int, ...], images: int, dtype: torch.dtype) -> Tiles:
        """Return the windows of so many images of this size in tiles that fit into `memory`."""
        key = (size, images, dtype)
        if key not in self._tiles:
            cells = self.field.cells(size)
            if len(self._tiles) >= SIZES:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[key] = planned(
                self._analysis, cells, self.stride, dtype, images, self.memory
            )
        return self._tiles[key]

    def forward(self, images: Shaped[Tensor, "n c *size"], progress: Progress | None = None) -> Any:
        """Return the classifier's outputs for every window of the images.

        `progress` is called with (what, done, total): the layer that runs, and how many windows are
        done.
        """
        progress = listener("sliding_window", progress)
        self._require_images(images)
        size = tuple(images.shape[2:])
        tiles = self.tiles(size, len(images), images.dtype)
        running = Running(self._analysis, self.model, images)
        try:
            return scores_of(self._analysis, running, images, tiles, self.field, progress)
        except RuntimeError as error:
            own = sample(self.model, (0,)).dtype
            if images.dtype == own:
                raise
            reason = one_line(error)
            refusal = Refusal("images", "dtype", images.dtype, f"{own}, the model's", reason)
            raise GeometryError(refusal) from error

    def check(self, progress: Progress | None = None) -> None:
        """Run a few windows against the model on each crop alone, and note what that showed."""
        # windows that lie further apart than one pixel share no more than those
        sides = zip(self.stride, self.window[1:], strict=True)
        field = replace(self.field, stride=tuple(min(step, size + 1) for step, size in sides))
        many = tuple(Windows(MANY, step) for step in field.stride)
        worth = worth_sharing(self._analysis, many)

        def slide(model: nn.Module, images: Tensor) -> Any:
            counts = field.cells(tuple(images.shape[2:]))
            layout = laid_out(self._analysis, tuple(map(Windows, counts, field.stride)), worth)
            tiles = Tiles(
                tuple((n,) for n in counts), {counts: layout}, len(images), math.prod(counts), 0
            )
            running = Running(self._analysis, model, images)
            return scores_of(self._analysis, running, images, tiles, field)

        self.seen = run_against_crops(self.model, slide, field, self.window[0], progress)

    def extra_repr(self) -> str:
        """Return window and stride."""
        return f"window={self.window}, stride={self.stride}"

    def __deepcopy__(self, memo: dict[int, Any]) -> SlidingWindow:
        """Copy the model; what is known of it holds of the copy too."""
        made = self.within(self.memory)
        made.model = copy.deepcopy(self.model, memo)
        memo[id(self)] = made
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the model, which is analysed again when it is loaded."""
        return _restored, (self.model, self.window, self.stride, self.memory, self.seen)

    def _size(self, image_size: Any) -> tuple[int, ...]:
        one = index(image_size)
        listed = image_size if one is None else (one,) * len(self.stride)
        size = wholes("SlidingWindow", "image_size", listed, 1)
        if max(size, default=0) > LARGEST:
            allowed = f"at most {LARGEST:,} pixels a side"
            raise GeometryError(Refusal("SlidingWindow", "image_size", size, allowed))
        return size

    def _require_images(self, images: Any) -> None:
        """Raise unless these are images that the model takes."""
        if torch.compiler.is_exporting():
            value, why = Description("torch.export"), "which cells coincide depends on the size"
            raise Refused(Refusal("SlidingWindow", "export", value, "a run in Python", why))
        if not isinstance(images, Tensor) or images.is_nested:
            raise GeometryError(Refusal("images", "type", shown(images), "a tensor (N, C, *size)"))
        require_fit(self.window, images.shape)


def _restored(
    model: nn.Module, window: tuple[int, ...], stride: tuple[int, ...], memory: int,
    seen: AgainstModel | None,
) -> SlidingWindow:  # fmt: skip
    """Return an unpickled model slid again, as it was."""
    windows = SlidingWindow(model, analysed(model, window), window, stride, memory)
    windows.seen = seen
    return windows
