"""`BandedNetwork`: a fully convolutional network that is fed an image in bands of rows.

Its graph is looked at once: what each operation reads along rows, and what of that lies in other
rows. What needs the whole map, or has no rule, is refused by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from convlin.geometry import ReceptiveField
from convlin.models.bands.band_costs import BandCosts, costs
from convlin.models.bands.band_run import BandRun
from convlin.models.bands.network_steps import steps_of
from convlin.models.dense.network import FullyConvolutional
from convlin.models.window_crops import require_fit

__all__ = ["BandedNetwork"]


class BandedNetwork:
    """The network in bands: rows are the first axis of space, the others are always whole.

    `field` is what a cell of an output reads, `names` are those of the outputs, `channels` their
    shapes per cell.

    Raises `Refused`, naming every layer that needs the whole map or has no rule.

    >>> import torch
    >>> from convlin import fully_convolutional
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(4 * 8 * 6, 5)
    ... ).eval()
    >>> network = fully_convolutional(model, window=(3, 8, 6), allow_inexact=True)
    >>> run = BandedNetwork(network).start((20, 11))
    >>> image = torch.rand(1, 3, 20, 11)
    >>> bands = [run.push(band)[0] for band in image.split(7, dim=2)]
    >>> [band.shape[2] for band in bands]
    [0, 6, 7]
    >>> torch.allclose(torch.cat(bands, dim=2), network(image), atol=1e-6)
    True
    """

    def __init__(self, network: FullyConvolutional) -> None:
        self.network = network
        self._steps = steps_of(network)
        self.field: ReceptiveField = self._steps.field
        self.names: tuple[str, ...] = tuple(name for name, _ in self._steps.outputs)
        leads = {step.node: step.lead for step in self._steps.steps}
        self.channels: tuple[tuple[int, ...], ...] = tuple(
            leads[node] for _, node in self._steps.outputs
        )

    def cells(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the number of windows per dimension in an image of this size."""
        return self.network.cells(size)

    def start(self, size: Sequence[int]) -> BandRun:
        """Return the run of an image of this size, from its first row on."""
        require_fit(self.network.window, (1, self.network.window[0], *size))
        return BandRun(self._steps, tuple(size))

    def costs(self, size: Sequence[int], band: int, dtype: torch.dtype) -> BandCosts:
        """Return what one image of this size costs in bands of so many rows, in this dtype."""
        require_fit(self.network.window, (1, self.network.window[0], *size))
        return costs(self._steps, tuple(size), band, dtype)
