"""A network for images of any size as a `torch.export` program for images of any size."""

from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from convlin.backends.pytorch.fully_convolutional.network import FullyConvolutional

__all__ = ["export"]


def export(network: FullyConvolutional) -> ExportedProgram:
    """Return the network as a program that takes any batch of any images ≥ the window.

    An `nn.MaxPool1d` is no part of this: torch.export fixes the size that it takes.

    >>> import torch
    >>> from convlin import fully_convolutional
    >>> layers = torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 4, 5)
    >>> network = fully_convolutional(torch.nn.Sequential(*layers).eval(), (3, 8, 6), proofs=False)
    >>> export(network).module()(torch.zeros(3, 3, 8, 11)).shape
    torch.Size([3, 5, 1, 6])
    """
    channels, *window = network.window
    like = next(network.parameters(), torch.empty(0))
    sizes = [size + 3 * step + 1 for size, step in zip(window, network.stride, strict=True)]
    images = torch.zeros(2, channels, *sizes, dtype=like.dtype, device=like.device)
    names = ("depth", "height", "width")[3 - len(window) :]
    dims = {
        axis: Dim(name, min=least)
        for axis, (name, least) in enumerate(zip(names, window, strict=True), 2)
    }
    # Without this, sizes of 1 (an image that is one window) would be excluded by guards.
    with _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        program = torch.export.export(
            network, (images,), dynamic_shapes=({0: Dim("batch", min=1), **dims},),
            prefer_deferred_runtime_asserts_over_guards=True,
        )  # fmt: skip
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names files of the machine that exported
    return program
