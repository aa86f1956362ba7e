"""The network for images of any size, and what it knows about its windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, fx, nn

from convlin.geometry import ReceptiveField
from convlin.layers.scripting import TracedOnly
from convlin.models.dense.report import Report
from convlin.models.graph.writer import name_groups
from convlin.models.window_crops import crop_of, require_fit

__all__ = ["FullyConvolutional", "at_cells", "crops"]


class FullyConvolutional(TracedOnly, nn.Module):
    """A classifier as a network for images of any size: one output cell for every window.

    Takes images (N, C, *size) with size ≥ window; returns what the classifier returns, each
    (N, K) as (N, K, *cells). `network` is the rewritten graph, `report` says what was exchanged.
    Raises `GeometryError` for images that are smaller than the window or have other channels.

    >>> import torch
    >>> from convlin import fully_convolutional
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.Flatten(), torch.nn.Linear(4 * 3 * 3, 5)
    ... )
    >>> network = fully_convolutional(model.eval(), window=(3, 8, 8))
    >>> network.stride, network.cells((13, 8)), network.window_of((2, 0))
    ((2, 2), (3, 1), ((4, 12), (0, 8)))
    >>> network(torch.zeros(2, 3, 13, 8)).shape
    torch.Size([2, 5, 3, 1])
    """

    unscriptable = (
        "its forward checks images of any rank against the window, which TorchScript has no type "
        "for; .network, which checks nothing, can be scripted if its layers can"
    )

    def __init__(
        self,
        network: fx.GraphModule,
        window: tuple[int, ...],
        stride: tuple[int, ...],
        report: Report,
    ) -> None:
        super().__init__()
        self.network = network
        self.window = window
        self.field = ReceptiveField(window[1:], stride, (0,) * len(stride))
        self.report = report

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels from one window to the next."""
        return self.field.stride

    @property
    def offset(self) -> tuple[int, ...]:
        """Pixel at which the first window starts."""
        return self.field.offset

    def cells(self, input_size: Sequence[int]) -> tuple[int, ...]:
        """Return the number of windows, ⌊(H - P)/S⌋ + 1 per dimension, in an image of this size."""
        return self.field.cells(tuple(input_size))

    def window_of(self, cell: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Return the pixels [start, stop) per dimension that the output `cell` stands for."""
        return self.field.reads(tuple(cell))

    def crop(self, cell: Sequence[int]) -> tuple[Any, ...]:
        """Return the index that cuts the window of `cell` out of images (N, C, *size)."""
        return crop_of(self.field, cell)

    def forward(self, images: Shaped[Tensor, "n c *size"]) -> Any:
        """Return the classifier's outputs for every window of the images."""
        require_fit(self.window, images.shape)
        return self.network(images)

    def __repr__(self) -> str:
        name_groups(self.network)
        return super().__repr__()

    def extra_repr(self) -> str:
        """Return window and stride."""
        return f"window={self.window}, stride={self.stride}"


def crops(
    images: Shaped[Tensor, "n c *size"], field: ReceptiveField, cells: Iterable[Sequence[int]]
) -> Shaped[Tensor, "wn c *window"]:
    """Return the windows of these cells, all images' first, then all images' second, and so on."""
    return torch.cat([images[crop_of(field, cell)] for cell in cells])


def at_cells(
    output: Shaped[Tensor, n * k_cells], cells: Iterable[Sequence[int]]
) -> Shaped[Tensor, wn * k]:
    """Return what a network's output says of the windows of these cells, in the order of `crops`.

    >>> at_cells(torch.arange(12).reshape(1, 2, 2, 3), [(0, 2), (1, 0)])
    tensor([[2, 8],
            [3, 9]])
    """
    indices: list[Any] = [(..., *cell) for cell in cells]
    return torch.cat([output[index] for index in indices])
