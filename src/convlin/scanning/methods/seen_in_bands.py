"""Bands are seen, not only derived: a network is run in bands beside itself on a whole image."""

from __future__ import annotations

import copy
import time

import torch

from convlin.errors import Description, Refusal, Refused
from convlin.layers.unchanged import same_random_numbers
from convlin.models.bands import BandedNetwork
from convlin.models.dense import FullyConvolutional
from convlin.scanning.methods.output_names import named_outputs

__all__ = ["seen_in_bands"]

ALLOWED = 1e-10  # of the largest output, in float64
STRIDES = 3  # that the image is larger than a window: rows are kept, skipped and queued by then


def seen_in_bands(network: FullyConvolutional) -> str:
    """Return what running both has shown, in float64 on noise; raise `Refused` if they differ."""
    started = time.perf_counter()
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        return "not seen in bands: weights on the meta device have no values"
    twin = copy.deepcopy(network).to(torch.float64)
    sides = zip(network.window[1:], network.stride, strict=True)
    size = tuple(n + STRIDES * s + (n + s) % 3 for n, s in sides)
    device = next((tensor.device for tensor in twin.parameters()), torch.device("cpu"))
    with same_random_numbers(), torch.inference_mode():
        torch.manual_seed(0)
        image = torch.randn(1, network.window[0], *size, dtype=torch.float64).to(device)
        whole = named_outputs(twin(image))
        run = BandedNetwork(twin).start(size)
        bands = [run.push(rows) for rows in _bands(image, network.stride[0])]
    worst = 0.0
    for number, (name, expected) in enumerate(whole.items()):
        rows = expected.ndim - len(size)
        found = torch.cat([outputs[number] for outputs in bands], rows)
        largest = float(expected.abs().max()) or 1.0
        same = found.shape == expected.shape
        difference = float((found - expected).abs().max()) / largest if same else torch.inf
        if not difference <= ALLOWED:
            value = Description(f"off by {difference:.2g} of the largest output")
            raise Refused(Refusal(name, "bands", value, f"within {ALLOWED}"))
        worst = max(worst, difference)
    seconds = time.perf_counter() - started
    return f"in bands within {worst:.1e} of the network on a whole image ({seconds:.1f} s)"


def _bands(image: torch.Tensor, step: int) -> list[torch.Tensor]:
    """Return an image cut into bands of a stride, then two, then one again, and so on."""
    rows = image.shape[2]
    sizes: list[int] = []
    while (left := rows - sum(sizes)) > 0:
        sizes.append(min(left, step * (1 + len(sizes) % 2)))
    return list(torch.split(image, sizes, 2))
