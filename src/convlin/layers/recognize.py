"""`recognize`: the convolution in any matrix or fully connected layer, as a layer again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float

from convlin import structure
from convlin.errors import Refusal, Refused
from convlin.geometry import PaddingMode
from convlin.layers.conv_result import ConvResult
from convlin.layers.matrices import read_matrix

__all__ = ["RecognizedConv", "recognize"]


@dataclass(frozen=True, eq=False, repr=False)
class RecognizedConv(ConvResult):
    """The smallest convolution that a matrix is, and the layer that computes it."""

    on_arrays: structure.Recognized

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        return self.on_arrays.output_size

    @property
    def free(self) -> tuple[str, ...]:
        """Which of its numbers could be others with the same matrix, in words."""
        return self.on_arrays.free

    @property
    def unidentified(self) -> tuple[Float[np.ndarray, "directions taps"], ...]:
        """Combinations of taps, along each dimension, that no entry depends on."""
        return self.on_arrays.unidentified

    @property
    def identified(self) -> bool:
        """Whether the matrix leaves no weight open."""
        return self.on_arrays.identified

    @property
    def candidates(self) -> tuple[structure.Candidate, ...]:
        """The output shapes that were looked at, and what became of each."""
        return self.on_arrays.candidates


def recognize(
    matrix: Any,
    input_shape: Sequence[SupportsIndex],
    output_shape: Sequence[SupportsIndex] | None = None,
    *,
    padding_mode: PaddingMode | None = None,
) -> RecognizedConv:
    """Return the smallest convolution whose matrix this is, or raise `Refused` saying where not.

    matrix: (outputs, inputs), dense or sparse, NumPy, SciPy or PyTorch; an nn.Linear; a
    `ConvMatrix`. Only values count: stored zeros are zeros. input_shape and output_shape are
    (channels, *spatial); without an output shape, the likeliest ones are searched.
    padding_mode: the only one to look at. None searches zeros and circular; "reflect" and
    "replicate" are checked where they are named, by the windows that lie inside the input: a form
    that has none along some dimension is not looked for.

    Geometry and kernel are found from the entries: groups, kernel, stride, padding, dilation.
    Smallest is fewest weights, then smallest padding, dilation, stride, then zeros before circular.
    `free` says what else would do, `unidentified` which taps no entry depends on, `candidates`
    which output shapes were looked at. A transposed convolution (zero padding) is answered where no
    convolution is as small. Kernel weights are the matrix's own, bit for bit; floating-point
    entries that sum several taps may be off by the rounding of those sums, in the dtype that the
    matrix has.

    Forms that share no weight along a dimension say nothing, and do not count: a kernel as large
    as the input does for every matrix (unless output_shape is all ones), and so does a stride
    beyond which windows have no weight in common for every matrix with the same zeros.

    Raises `Refused` with the first entry that is off the nearest form's kernel, or else differs
    from another of the same tap; for an nn.Linear also where its bias is not one per channel.

    Identity: A(w) = Σ_t w_t ⊗ P_t is a product over dimensions, so a matrix is a convolution's iff
    along each dimension its fibres are in the span of that dimension's taps.

    >>> import torch, convlin
    >>> from torch import nn
    >>> conv = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
    >>> dense = convlin.to_linear(conv, (8, 9), exchange="dense_at_size").linear
    >>> found = recognize(dense, (3, 8, 9))
    >>> print(found)
    Conv2d 3→4 k3 s2 p1+0×1 on (8, 9); free: padding[0] after 0 to 1, padding[1] after 1 to 2
    >>> found.to_conv()
    Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
    >>> torch.equal(found.weight, conv.weight)
    True
    """
    source = read_matrix(matrix)
    recognized = structure.recognize(
        source.matrix, input_shape, output_shape, padding_mode=padding_mode,
        unit_roundoff=source.unit_roundoff,
    )  # fmt: skip
    bias = None if source.bias is None else source.back(_per_channel(source.bias, recognized))
    return RecognizedConv(recognized, source.back(recognized.weight), bias)


def _per_channel(bias: np.ndarray, recognized: structure.Recognized) -> np.ndarray:
    """Return one bias a channel, or refuse what differs between positions."""
    channels = bias.reshape(recognized.geometry.out_channels, -1)
    differs = np.argwhere(channels != channels[:, :1])
    if len(differs):
        channel, position = differs[0].tolist()
        row = channel * channels.shape[1] + position
        raise Refused(
            Refusal("recognize", f"bias[{row}]", channels[channel, position].item(),
                    repr(channels[channel, 0].item()),
                    f"as everywhere in channel {channel}; the weight is {recognized}")
        )  # fmt: skip
    return channels[:, 0]
