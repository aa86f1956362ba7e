"""Which method a model, a stride and a meaning of the scores leave.

| the scores are | the model | they are computed |
|---|---|---|
| the classifier on each window | equals its network on every window, at its own stride | in bands |
| the classifier on each window | any other | by cells |
| the network on the whole image | any that has one, at its own stride | in bands |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from convlin.arguments import Progress
from convlin.errors import Description, Refusal, Refused
from convlin.models.bands import BandedNetwork
from convlin.models.cells import SlidingWindow, sliding_window
from convlin.models.dense import FullyConvolutional, fully_convolutional
from convlin.models.trace import sample
from convlin.scanning.methods.by_cells import ByCells
from convlin.scanning.methods.in_bands import InBands
from convlin.scanning.methods.output_names import named_outputs
from convlin.scanning.methods.padding_by_size import padding_by_size
from convlin.scanning.methods.seen_in_bands import seen_in_bands
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.method_contract import Method, Output, Semantics
from convlin.scanning.plan.settings import Settings

__all__ = ["Chosen", "choose", "method_of"]


@dataclass(frozen=True)
class Chosen:
    """A model as it will be run; `why` it is run so, `seen` what a run beside the model showed."""

    net: BandedNetwork | SlidingWindow
    why: str
    seen: str
    outputs: tuple[Output, ...]
    notes: tuple[str, ...] = ()

    @property
    def method(self) -> Literal["bands", "cells"]:
        """Which method runs it."""
        return "cells" if isinstance(self.net, SlidingWindow) else "bands"

    @property
    def module(self) -> nn.Module:
        """The module whose tensors are read."""
        return self.net if isinstance(self.net, SlidingWindow) else self.net.network

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels from window to window."""
        return self.net.stride if isinstance(self.net, SlidingWindow) else self.net.network.stride


def choose(
    model: nn.Module, window: tuple[int, ...], stride: tuple[int, ...] | None,
    semantics: Semantics, *, method: str | None = None, check: bool = True,
    progress: Progress | None = None,
) -> Chosen:  # fmt: skip
    """Return the model as it will be run, checked against itself unless `check` is False.

    method: the one that a plan has named; None: the better one. Raises `Refused`.
    """
    if semantics == "image":
        network = fully_convolutional(
            model, window, allow_inexact=True, proofs=False, check=check, progress=progress
        )
        _require_stride(network, stride)
        why = "the network on the whole image, padded at the image's border alone"
        sized = padding_by_size(model, window) if check else []
        return replace(_banded(network, why, check), notes=_by_size(sized))
    why = "windows share what they can, each with its own padding"
    if method != "cells":
        try:
            network = fully_convolutional(
                model, window, proofs=False, check=check, progress=progress
            )
            if stride in (None, network.stride):
                why = "equal to the classifier on every window: window and image semantics coincide"
                return _banded(network, why, check)
        except Refused as refused:
            if method == "bands":
                raise
            reason = refused.refusals[0]
            why = f"{why} ({reason.site}: {reason.field} {reason.value})"
    windows = sliding_window(model, window, stride=stride, check=check, progress=progress)
    return Chosen(windows, why, str(windows.seen or ""), _outputs(windows, windows.model, window))


def _banded(network: FullyConvolutional, why: str, check: bool) -> Chosen:
    banded = BandedNetwork(network)
    seen = f"{network.report.seen}; {seen_in_bands(network)}" if check else ""
    return Chosen(banded, why, seen, _outputs(network, network, network.window))


def _outputs(windows: nn.Module, model: nn.Module, window: tuple[int, ...]) -> tuple[Output, ...]:
    """Return what a model gives of each window: one black window says it."""
    with torch.inference_mode():
        named = named_outputs(windows(sample(model, (1, *window))))
    ndim = len(window) - 1
    return tuple(
        Output(name, tuple(tensor.shape[1 : tensor.ndim - ndim])) for name, tensor in named.items()
    )


def _by_size(sites: list[str]) -> tuple[str, ...]:
    if not sites:
        return ()
    more = f" and {len(sites) - 1} more" if sites[1:] else ""
    said = "would pad by the image's size: here they pad as at the window, at the image's border"
    return (f"{sites[0]}{more} {said}",)


def _require_stride(network: FullyConvolutional, stride: tuple[int, ...] | None) -> None:
    if stride in (None, network.stride):
        return
    allowed = f"{network.stride}, the network's own"
    why = 'of semantics="image"; semantics="window" takes any stride'
    raise Refused(Refusal("scan", "stride", Description(stride), allowed, why))


def method_of(chosen: Chosen, grid: CellGrid, settings: Settings) -> Method:
    """Return the method that runs a model on a grid of windows."""
    if isinstance(chosen.net, SlidingWindow):
        return ByCells(chosen.net.within(settings.memory), grid, chosen.outputs)
    return InBands(chosen.net, grid, chosen.outputs, settings.band)
