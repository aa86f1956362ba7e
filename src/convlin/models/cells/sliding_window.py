"""`sliding_window`: exactly the classifier on every window of an image, without paying for each."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, SupportsIndex

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from convlin.arguments import Progress, byte_count, flag, index, listener, shown, wholes
from convlin.errors import Description, GeometryError, Refusal, Refused, one_line
from convlin.geometry import ReceptiveField
from convlin.layers.scripting import TracedOnly
from convlin.layers.stock_layer import require_module
from convlin.models.cells.against_crops import run_against_crops
from convlin.models.cells.analysis import Analysis, analysed
from convlin.models.cells.cell_map import Stored
from convlin.models.cells.chains import Windows
from convlin.models.cells.laid_out import laid_out, worth_sharing
from convlin.models.cells.running import Running
from convlin.models.cells.scores import Scores, batches
from convlin.models.cells.shared_run import run_shared, run_windows
from convlin.models.cells.window_plan import Tiles, WindowPlan, plan_of, planned
from convlin.models.seen_run import AgainstModel
from convlin.models.trace import sample

__all__ = ["SlidingWindow", "sliding_window"]

LARGEST = 10_000_000  # pixels a side: more than any image, sound or volume has
MANY = 64  # windows along each axis: what these share, larger images share too
MEMORY = 4 * 2**30  # bytes; a quarter of a laptop's. Half cuts 1024² into tiles for VGG-16.


def sliding_window(
    model: nn.Module,
    window: Sequence[SupportsIndex] = (3, 224, 224),
    *,
    stride: SupportsIndex | Sequence[SupportsIndex] | None = None,
    memory: int | str | None = None,
    check: bool = True,
    progress: Progress | None = None,
) -> SlidingWindow:
    """Return the classifier `model` slid over images: its outputs on every window, exactly.

    `window` is the input shape (C, *spatial), in pixels, the model classifies; `stride` the pixels
    from one window to the next, one number or one per dimension, whatever the model's own strides;
    None: the model's own, from cell to cell of the last map that windows share.
    Padding, ceil_mode and whatever else a window ends with are those of each window: the result is
    the model's on each crop, up to rounding.

    Cells that several windows share are computed once; from the first layer on that mixes all of
    a window's cells, or whose cells hardly any two windows share, windows are run one by one, in
    batches. `plan` says for an image size what that takes. `memory` is what a run may take beyond
    weights, images and scores, in bytes or as text such as "2GB"; None: 4 GiB. Larger images are
    cut into tiles.

    Unless `check` is False, a few windows are run in float64 against the model on each crop alone;
    `progress` is called with (what, done, total). Gradients flow to images and weights; what they
    need is kept, beyond `memory`: run under `torch.inference_mode()` where nothing is trained.

    Identity: a window's cell is what it reads; cells of two windows that read the same are one
    (for nets without padding: Giusti et al., "Fast image scanning with deep max-pooling
    convolutional neural networks", 2013).

    Raises `Refused` for models that no window alone decides: in training mode, with BatchNorm by
    batch statistics, that draw, count or ask the images for numbers.

    >>> import torch
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(),
    ...     torch.nn.Linear(4 * 8 * 6, 5),
    ... ).eval()
    >>> windows = sliding_window(model, window=(3, 8, 6), stride=2)
    >>> images = torch.rand(1, 3, 20, 21)
    >>> scores = windows(images)
    >>> scores.shape
    torch.Size([1, 5, 7, 8])
    >>> torch.allclose(scores[..., 2, 3], model(images[:, :, 4:12, 6:12]), atol=1e-6)
    True
    >>> round(windows.plan((20, 21)).ratio, 2)
    2.01
    """
    require_module("sliding_window", "model", model)
    shape = _window(window)
    limit = MEMORY if memory is None else byte_count("sliding_window", "memory", memory)
    check = flag("sliding_window", "check", check)
    progress = listener("sliding_window", progress)
    analysis = analysed(model, shape)
    strides = _own_stride(analysis) if stride is None else _strides(stride, len(shape) - 1)
    windows = SlidingWindow(model, analysis, shape, strides, limit)
    if check:
        windows.check(progress)
    return windows


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
    def stride(self) -> tuple[int, ...]:
        """Pixels from one window to the next."""
        return self.field.stride

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
        return (..., *(slice(start, stop) for start, stop in self.window_of(cell)))

    def plan(
        self, image_size: SupportsIndex | Sequence[SupportsIndex], images: int = 1
    ) -> WindowPlan:
        """Return what an image of this size takes, before anything runs; integers only.

        image_size: pixels per dimension, one number repeats. Raises `GeometryError` if it is
        smaller than the window, `Refused` if no tile of it fits into `memory`.
        """
        size = self._size(image_size)
        many = wholes("plan", "images", (images,), 1)[0]
        self._require_fit((many, self.window[0], *size))
        tiles = self._planned(size, many, sample(self.model, (0,)).dtype)
        return plan_of(self._analysis, tiles, self.field, self.window, size, many)

    def forward(self, images: Shaped[Tensor, "n c *size"], progress: Progress | None = None) -> Any:
        """Return the classifier's outputs for every window of the images.

        `progress` is called with (what, done, total): the layer that runs, and how many windows are
        done.
        """
        progress = listener("sliding_window", progress)
        self._require_images(images)
        size = tuple(images.shape[2:])
        tiles = self._planned(size, len(images), images.dtype)
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
        model = copy.deepcopy(self.model, memo)
        made = SlidingWindow(model, self._analysis, self.window, self.stride, self.memory)
        made.seen = self.seen
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

    def _planned(self, size: tuple[int, ...], images: int, dtype: torch.dtype) -> Tiles:
        key = (size, images, dtype)
        known = self._tiles.get(key)
        if known is None:
            cells = self.field.cells(size)
            made = planned(self._analysis, cells, self.stride, dtype, images, self.memory)
            self._tiles = {key: made}  # the last one: images of one size come one after another
            return made
        return known

    def _require_images(self, images: Any) -> None:
        """Raise unless these are images that the model takes."""
        if torch.compiler.is_exporting():
            value, why = Description("torch.export"), "which cells coincide depends on the size"
            raise Refused(Refusal("SlidingWindow", "export", value, "a run in Python", why))
        if not isinstance(images, Tensor) or images.is_nested:
            raise GeometryError(Refusal("images", "type", shown(images), "a tensor (N, C, *size)"))
        self._require_fit(tuple(images.shape))

    def _require_fit(self, shape: tuple[int, ...]) -> None:
        """Raise `GeometryError` unless images of this shape have a window."""
        pairs = zip(shape[2:], self.window[1:], strict=False)
        if (
            len(shape) != len(self.window) + 1
            or shape[1] != self.window[0]
            or any(size < least for size, least in pairs)
        ):
            sizes = ", ".join((str(self.window[0]), *(f"≥{n}" for n in self.window[1:])))
            raise GeometryError(Refusal("images", "shape", shape, f"(N, {sizes})"))


def scores_of(
    analysis: Analysis, running: Running, images: Tensor, tiles: Tiles, field: ReceptiveField,
    progress: Progress | None = None,
) -> Any:  # fmt: skip
    """Return the outputs for every window, some images at a time, tile by tile, batch by batch."""
    cells = field.cells(tuple(images.shape[2:]))
    scores = Scores(len(images), cells)
    done, total = 0, len(images) * math.prod(cells)

    def note(layer: str) -> None:
        if progress is not None:
            progress(layer, done, total)

    for start in range(0, max(len(images), 1), tiles.images):
        some = slice(start, start + tiles.images)
        for first, layout in tiles:
            counts = [windows.count for windows in layout.windows]
            last = [a + n - 1 for a, n in zip(first, counts, strict=True)]
            ends = zip(field.reads(first), field.reads(tuple(last)), strict=True)
            part: Any = (some, ..., *(slice(begin, end) for (begin, _), (_, end) in ends))
            made = run_shared(layout, running, images[part], note)
            for ranges in batches(counts, tiles.at_once):
                outputs = run_windows(layout, running, made, ranges, analysis.output)
                pairs = zip(first, ranges, strict=True)
                scores.add(outputs, some, [slice(a + r.start, a + r.stop) for a, r in pairs])
                done += len(images[some]) * math.prod(map(len, ranges))
                note("windows")
    container = analysis.output.meta["container"]
    return container.closed(scores.whole, lambda kind, *args, **named: kind(*args, **named))


def _restored(
    model: nn.Module, window: tuple[int, ...], stride: tuple[int, ...], memory: int,
    seen: AgainstModel | None,
) -> SlidingWindow:  # fmt: skip
    """Return an unpickled model slid again, as it was."""
    windows = SlidingWindow(model, analysed(model, window), window, stride, memory)
    windows.seen = seen
    return windows


def _own_stride(analysis: Analysis) -> tuple[int, ...]:
    """Return the pixels from cell to cell of the last map of several cells that windows share."""
    maps = [value for value in analysis.values.values() if value is not None]
    steps: dict[Stored, tuple[int, ...]] = {}
    for value in maps:
        _note_steps(value.stored, steps)
    strides = []
    for axis in range(len(maps[0].axes)):
        several = [value for value in maps if len(value.axes[axis]) > 1] or maps[:1]
        strides.append(steps[several[-1].stored][axis])
    return tuple(strides)


def _note_steps(stored: Stored, steps: dict[Stored, tuple[int, ...]]) -> None:
    """Note the pixels from cell to cell along each axis: the product of the layers' strides."""
    if stored in steps:
        return
    own: tuple[int, ...] = (1,) * len(stored.axes)
    for source in stored.sources:
        _note_steps(source.map.stored, steps)
        its = zip(own, steps[source.map.stored], source.reads, source.map.stored.axes, strict=True)
        # what has one cell is broadcast: to where the next one would be says nothing
        own = tuple(max(n, step * reads.step if len(names) > 1 else 1)
                    for n, step, reads, names in its)  # fmt: skip
    steps[stored] = own


def _strides(stride: Any, ndim: int) -> tuple[int, ...]:
    allowed = f"a whole number ≥ 1, or {ndim} of them"
    one = index(stride)
    listed = (one,) * ndim if one is not None else stride
    numbers = wholes("sliding_window", "stride", listed, 1, allowed=allowed)
    if len(numbers) != ndim:
        raise Refused(Refusal("sliding_window", "stride", shown(stride), allowed))
    return numbers


def _window(window: Sequence[SupportsIndex]) -> tuple[int, ...]:
    allowed = "(C, L), (C, H, W) or (C, D, H, W)"
    shape = wholes("sliding_window", "window", window, 1, allowed=allowed)
    if len(shape) not in (2, 3, 4):
        raise Refused(Refusal("sliding_window", "window", shape, allowed))
    return shape
