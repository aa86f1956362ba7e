"""Which unknowns meet which data: the weights as blocks, and a design matrix for each.

An output is a sum over taps and input channels, plus a bias. Outputs that use the same weights, or
read the same inputs, go together: the unknowns of a layer fall into *blocks* ::

    U_b · w_r = y_r        for each of the outputs r of block b, all with one design matrix U_b

- a convolution has one block a group; its outputs are the group's channels, and the rows of U_b
  the windows of the data (im2col), one for each sample and position;
- a locally connected layer has a block a position and group, with a row for each sample;
- a fully connected layer is a convolution of one tap over one pixel: its features are channels.

A bias is one unknown more for each output, and a column of ones in U_b.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from convlin.geometry import ConvGeometry
from convlin.matrix import connected

__all__ = ["DesignBlocks"]

CHUNK = 2**24  # numbers of matrices at a time: 128 MB. Half takes twice the steps, twice the memory


@dataclass(frozen=True, eq=False, repr=False)
class DesignBlocks:
    """Which outputs meet which inputs, and which of them share weights.

    `table` (positions, taps): the pixel that each tap of each output position reads, -1 for none.
    `shared`: one kernel for all positions (a convolution), or one for each (locally connected).
    `transposed`: the weight lies as (in, out/groups, *kernel), not as (out, in/groups, *kernel).
    """

    in_channels: int
    out_channels: int
    groups: int
    pixels: int
    table: Int[np.ndarray, "positions taps"]
    bias: bool
    shared: bool = True
    transposed: bool = False

    def __repr__(self) -> str:
        kernels = f"{self.blocks} blocks of {self.outputs} outputs"
        return f"<DesignBlocks: {kernels}, {self.unknowns} unknowns each; {self.pixels} pixels>"

    @classmethod
    def of_linear(cls, in_features: int, out_features: int, bias: bool) -> DesignBlocks:
        """Return the blocks of a fully connected layer.

        >>> design = DesignBlocks.of_linear(36, 16, bias=True)
        >>> design.blocks, design.outputs, design.unknowns
        (1, 16, 37)
        """
        return cls(in_features, out_features, 1, 1, np.zeros((1, 1), dtype=int), bias)

    @classmethod
    def of_conv(
        cls, geometry: ConvGeometry, input_size: tuple[int, ...], bias: bool, shared: bool = True
    ) -> DesignBlocks:
        """Return the blocks of a convolution, or, not `shared`, of a locally connected layer.

        >>> design = DesignBlocks.of_conv(ConvGeometry(4, 6, (3, 3), groups=2), (6, 6), bias=False)
        >>> design.blocks, design.outputs, design.unknowns
        (2, 3, 18)
        """
        positions = math.prod(geometry.output_size(input_size))
        table = np.full((positions, geometry.taps), -1)
        for tap, (reading, read) in enumerate(connected(geometry, input_size)):
            table[reading, tap] = read
        return cls(
            geometry.in_channels, geometry.out_channels, geometry.groups, math.prod(input_size),
            table, bias, shared, geometry.transposed,
        )  # fmt: skip

    @property
    def copies(self) -> int:
        """How many kernels there are: one, or one a position."""
        return 1 if self.shared else len(self.table)

    @property
    def blocks(self) -> int:
        """Number of blocks: kernels times groups."""
        return self.copies * self.groups

    @property
    def outputs(self) -> int:
        """Outputs a block: vectors of unknowns with the same design matrix."""
        return self.out_channels // self.groups

    @property
    def channels(self) -> int:
        """Input channels a block reads."""
        return self.in_channels // self.groups

    @property
    def taps(self) -> int:
        """Taps of a kernel, per pair of channels."""
        return int(self.table.shape[1])

    @property
    def weights(self) -> int:
        """Weights of one output of a block: channels times taps."""
        return self.channels * self.taps

    @property
    def unknowns(self) -> int:
        """Unknowns of one output of a block: its weights, and its bias."""
        return self.weights + self.bias

    @property
    def parameters(self) -> int:
        """All unknowns: the length of the layer's weight and bias, flattened."""
        return self.blocks * self.outputs * self.unknowns

    def split(
        self, flat: Shaped[np.ndarray, "*n parameters"]
    ) -> Shaped[np.ndarray, "*n blocks outputs unknowns"]:
        """Return the flattened parameters, weight then bias, block by block.

        >>> DesignBlocks.of_linear(3, 2, bias=True).split(np.arange(8)).tolist()
        [[[0, 1, 2, 6], [3, 4, 5, 7]]]
        """
        front = flat.shape[:-1]
        count = self.blocks * self.outputs * self.weights
        weight = flat[..., :count]
        if self.transposed:
            axes = (self.groups, self.channels, self.outputs, self.taps)
            weight = weight.reshape(*front, *axes).swapaxes(-3, -2)
        weight = weight.reshape(*front, self.blocks, self.outputs, self.weights)
        if not self.bias:
            return weight
        bias = flat[..., count:].reshape(*front, self.groups, self.outputs, self.copies)
        bias = np.moveaxis(bias, -1, -3).reshape(*front, self.blocks, self.outputs, 1)
        return np.concatenate([weight, bias], axis=-1)

    def join(
        self, blocks: Shaped[np.ndarray, "*n blocks outputs unknowns"]
    ) -> Shaped[np.ndarray, "*n parameters"]:
        """Return the parameters flattened again, weight then bias.

        >>> design = DesignBlocks.of_linear(3, 2, bias=True)
        >>> design.join(design.split(np.arange(8))).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7]
        """
        front = blocks.shape[:-3]
        weight = blocks[..., : self.weights]
        if self.transposed:
            axes = (self.groups, self.outputs, self.channels, self.taps)
            weight = weight.reshape(*front, *axes).swapaxes(-3, -2)
        flat = weight.reshape(*front, self.blocks * self.outputs * self.weights)
        if not self.bias:
            return flat
        bias = blocks[..., -1].reshape(*front, self.copies, self.groups, self.outputs)
        bias = np.moveaxis(bias, -3, -1).reshape(*front, self.blocks * self.outputs)
        return np.concatenate([flat, bias], axis=-1)

    def matrices(
        self, data: Shaped[np.ndarray, "n channels pixels"]
    ) -> Iterator[Float[np.ndarray, "blocks rows unknowns"]]:
        """Yield the design matrices of all blocks, some samples' rows at a time, in float64.

        >>> design = DesignBlocks.of_conv(ConvGeometry(1, 1, (2,), padding=1), (2,), bias=True)
        >>> next(design.matrices(np.array([[[5, 7]]]))).tolist()
        [[[0.0, 5.0, 1.0], [5.0, 7.0, 1.0], [7.0, 0.0, 1.0]]]
        """
        a_sample = self.groups * len(self.table) * self.unknowns
        step = max(1, CHUNK // a_sample)
        for start in range(0, len(data), step):
            yield self._matrices(data[start : start + step])

    def _matrices(
        self, data: Shaped[np.ndarray, "n channels pixels"]
    ) -> Float[np.ndarray, "blocks rows unknowns"]:
        # A pixel of zeros behind the others is what a tap reads that reads nothing: index -1.
        padded = np.zeros((*data.shape[:-1], data.shape[-1] + 1))
        padded[..., :-1] = data
        n, positions = len(data), len(self.table)
        # (n, groups, channels, positions, taps) → (copies·groups, rows, channels·taps): positions
        # are rows where they share a kernel, and blocks where each has its own.
        read = padded.reshape(n, self.groups, self.channels, -1)[..., self.table]
        order = (1, 0, 3, 2, 4) if self.shared else (3, 1, 0, 2, 4)
        rows = n * positions if self.shared else n
        design = np.empty((self.blocks, rows, self.unknowns))
        laid = read.transpose(order).reshape(self.blocks, rows, self.weights)
        design[..., : self.weights] = laid
        design[..., self.weights :] = 1.0
        return design
