"""The oracle: the classifier itself, slid over the image crop by crop."""

import dataclasses
import itertools

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rounding import gamma

EQUAL = gamma(2**19)
"""Relative differences of whole networks: up to 2⁵ layers, of sums of up to 2¹⁴ products."""


def photograph(channels, size, *, batch=1, seed=0):
    """Return real pixels (scikit-image's cat) as float64 images, each from another place."""
    from skimage.data import chelsea

    pixels = torch.from_numpy(chelsea().copy()).double().div(127.5).sub(1).permute(2, 0, 1)
    tall, wide = -(-size[0] // pixels.shape[1]), -(-size[-1] // pixels.shape[2])
    pixels = pixels.repeat(1, tall + 1, wide + 1)
    generator = torch.Generator().manual_seed(seed)
    images = []
    for _ in range(batch):
        y, x = (int(torch.randint(0, 40, (), generator=generator)) for _ in range(2))
        if len(size) == 2:
            images.append(pixels[:, y : y + size[0], x : x + size[1]])
        elif len(size) == 1:
            images.append(pixels[:, y, x : x + size[0]])
        else:  # a volume: pixels of neighbouring rows, one plane a depth
            planes = [pixels[:, y + d : y + d + size[1], x : x + size[2]] for d in range(size[0])]
            images.append(torch.stack(planes, 1))
    stack = torch.stack(images)
    return torch.cat([stack + 0.1 * i for i in range(-(-channels // 3))], 1)[:, :channels].clone()


def leaves(outputs):
    if dataclasses.is_dataclass(outputs):
        outputs = vars(outputs)
    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


@torch.inference_mode()
def worst(model: nn.Module, network, images, cells=None, fresh=False):
    """Return the largest relative difference over all windows (or `cells`), counting cells too.

    A map of several cells, (N, C, h, w), becomes (N, C, h, w, *cells); every other output (N, C)
    becomes (N, C, *cells). `fresh`: each call gets a copy, for models that write into their input.
    """
    handed = torch.clone if fresh else lambda given: given
    model, network = model.double(), network.double()
    size = tuple(images.shape[2:])
    grid = tuple(
        (n - p) // s + 1 for n, p, s in zip(size, network.window[1:], network.stride, strict=True)
    )
    outputs = network(handed(images))
    assert network.cells(size) == grid
    largest = 0.0
    for cell in cells or itertools.product(*map(range, grid)):
        corner = [i * s for i, s in zip(cell, network.stride, strict=True)]
        crop = images[
            (..., *(slice(c, c + p) for c, p in zip(corner, network.window[1:], strict=True)))
        ]
        assert network.window_of(cell) == tuple(
            (c, c + p) for c, p in zip(corner, network.window[1:], strict=True)
        )
        own = model(handed(crop))
        assert pytree.tree_structure(own) == pytree.tree_structure(outputs)
        assert leaves(own)
        for expected, dense in zip(leaves(own), leaves(outputs), strict=True):
            own_axes, cell_axes = dense.shape[: -len(grid)], dense.shape[-len(grid) :]
            assert tuple(cell_axes) == grid
            if expected[0].numel() > expected.shape[1:2].numel():
                assert own_axes == expected.shape
            else:
                assert len(own_axes) == 2
            there = dense[(..., *cell)].reshape(expected.shape)
            scale = expected.abs().max()
            difference = ((expected - there).abs().max() / (scale if scale > 0 else 1)).item()
            assert difference == difference  # no NaN
            largest = max(largest, difference)
    return largest
