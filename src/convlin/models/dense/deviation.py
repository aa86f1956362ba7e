"""How far the dense map is from the classifier slid over the same images: run both, compare."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused
from convlin.models.dense.network import FullyConvolutional, at_cells, crops
from convlin.models.dense.report import Deviation
from convlin.models.trace import tensors_in

__all__ = ["Images", "measure"]

Images = Tensor | Iterable[Tensor]
# Windows compared per image, spread evenly over its cells: what differs on one of 64 is seen as a
# rule, and the model runs 64 times; half sees half, double takes twice the time.
WINDOWS = 64
BATCH = 16  # windows run at once: VGG-16's first map takes 205 MB then, and twice that at 32


@torch.inference_mode()
def measure(
    model: nn.Module,
    network: FullyConvolutional,
    images: Images,
    progress: Callable[[str, int, int], None] | None = None,
) -> Deviation:
    """Return the largest differences on up to 64 windows of every image."""
    absolute = relative = torch.zeros(())  # tensors, since torch.maximum does not lose a NaN
    other_argmax = compared = 0
    batches = list(_batches(images, network))
    for done, batch in enumerate(batches, 1):
        dense = tensors_in(network(batch.clone()))  # a first layer may work in place
        largest = [leaf.abs().max() for leaf in dense]
        cells = _some_of(network.cells(tuple(batch.shape[2:])))
        for some in (cells[i : i + BATCH] for i in range(0, len(cells), BATCH)):
            other = torch.zeros(len(some) * len(batch), dtype=torch.bool, device=batch.device)
            slid = tensors_in(model(crops(batch, network.field, some)))
            for own, leaf, top in zip(slid, dense, largest, strict=True):
                there = at_cells(leaf, some)
                own = own.reshape(there.shape)
                difference = (own - there).abs().max().cpu()
                scale = torch.maximum(top, own.abs().max()).cpu()
                absolute = torch.maximum(absolute, difference)
                relative = torch.maximum(relative, difference / scale if difference else difference)
                other |= own.argmax(1) != there.argmax(1)
            other_argmax += int(other.sum())
            compared += len(other)
        if progress is not None:
            progress("images compared", done, len(batches))
    return Deviation(float(absolute), float(relative), other_argmax / compared, compared)


def _batches(images: Images, network: FullyConvolutional) -> Iterator[Tensor]:
    """Yield batches (N, C, H, W) in the network's dtype, on its device."""
    rank = len(network.window) + 1
    like = next(network.parameters(), torch.empty(0))
    try:
        several = iter([images] if isinstance(images, Tensor) else images)
    except Exception:  # whatever an object of others raises
        allowed = "a tensor, or several"
        raise Refused(Refusal("images", "images", shown(images), allowed)) from None
    image = None
    for image in several:
        if (
            not isinstance(image, Tensor)
            or image.is_meta
            or image.is_nested
            or image.layout != torch.strided
        ):
            raise Refused(Refusal("images", "images", shown(image), "tensors of plain numbers"))
        batch = image if image.ndim == rank else image[None]
        if batch.ndim != rank or len(batch) == 0:
            allowed = f"{rank} axes, or {rank - 1} for one image"
            raise Refused(Refusal("images", "shape", tuple(image.shape), allowed))
        yield batch.to(like.device, like.dtype)
    if image is None:
        raise Refused(
            Refusal("images", "images", Description("none"), "one or more, or images=None")
        )


def _some_of(cells: tuple[int, ...]) -> list[Any]:
    """Return up to 64 cells, evenly spread, the first and the last among them."""
    every = list(itertools.product(*(range(n) for n in cells)))
    count = min(WINDOWS, len(every))
    return [every[i * (len(every) - 1) // max(count - 1, 1)] for i in range(count)]
