"""Lesson 1: the wires of one output, and which other weights would give the same outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import nn

from convlin.layers import SameOutputs, same_outputs, to_linear
from convlin.proof import Verdict, prove
from convlin.proof.verdict import Rounding
from convlin.teach.example import Example
from convlin.teach.numbers.bench import Bench, bench, freedom_by_windows, other_whole
from convlin.teach.numbers.given_layers import linear_holding, linear_of

__all__ = ["Family", "Other", "Sparse", "sparse"]


@dataclass(frozen=True)
class Family:
    """How many weights there are, and in how many directions the data leaves them free."""

    unknowns: int
    rank: int
    free: int

    @classmethod
    def of(cls, family: SameOutputs) -> Family:
        """Return the counts of a family of solutions."""
        return cls(family.unknowns, family.rank, family.dimension)


@dataclass(frozen=True, eq=False)
class Other:
    """Other weights of one FC neuron with the same output, and an image that tells them apart.

    rounding: None for whole numbers, whose output is the same exactly. pixel: number, from 1, of
    the only pixel lit in that image; its own and the others' outputs.
    """

    weights: Num[np.ndarray, "h w"]
    value: float
    rounding: Rounding | None
    pixel: int
    own_there: float
    other_there: float


@dataclass(frozen=True, eq=False)
class Sparse:
    """The neuron at `example.neuron`, from 0; `numbers` of its pixels count from 1, row by row.

    one: an FC neuron on this image; layer: an FC layer for all outputs; conv: the convolution.
    known: an FC neuron on this image and the first so many images with one lit pixel. bench: what
    this neuron's weights meet. other: None where the image leaves nothing free. windows: what is
    free of the shared weights after each window, up to the one that leaves no less than all do;
    empty where a kernel is too large to say.
    """

    example: Example
    value: float
    numbers: tuple[int, ...]
    weights: Float[np.ndarray, "h w"]
    entries: int
    in_matrix: int
    proof: Verdict
    one: Family
    layer: Family
    conv: Family
    known: tuple[tuple[int, Family], ...]
    bench: Bench
    other: Other | None
    windows: tuple[int, ...]


def sparse(example: Example) -> Sparse:
    """Compute lesson 1.

    >>> from convlin.teach.example import article_example
    >>> lesson = sparse(article_example())
    >>> lesson.numbers
    (1, 2, 3, 7, 8, 9, 13, 14, 15)
    >>> lesson.one.free, lesson.layer.free, lesson.conv.free
    (35, 560, 0)
    """
    matrix, pixels = example.matrix, example.pixels
    whole = to_linear(
        example.conv, example.image.shape, exchange="dense_at_size", groups="block_diagonal"
    )
    linear = linear_of(whole)
    rows = linear.weight.detach()
    width = matrix.output_size[1]
    index = example.neuron[0] * width + example.neuron[1]
    row = linear_holding(rows[index : index + 1].numpy())
    image = torch.from_numpy(example.image)
    lit = torch.eye(pixels, dtype=torch.float64)
    one = same_outputs(row, image.flatten())
    counts = sorted({pixels // 2, pixels} - {0})
    known = [
        (count, Family.of(same_outputs(row, torch.cat([image.reshape(1, -1), lit[:count]]))))
        for count in counts
    ]
    read = example.wires(example.neuron)
    shape = (1, *example.image.shape)
    return Sparse(
        example=example,
        value=float(example.outputs[example.neuron]),
        numbers=tuple(y * shape[2] + x + 1 for y, x in read),
        weights=rows[index].reshape(example.image.shape).numpy(),
        entries=matrix.nnz,
        in_matrix=matrix.shape[0] * matrix.shape[1],
        proof=prove(example.conv, whole, shape),
        one=Family.of(one),
        layer=Family.of(same_outputs(linear, image.flatten())),
        conv=Family.of(same_outputs(example.conv, image[None])),
        known=tuple(known),
        bench=bench(example),
        other=None if one.unique else _other(one, row, lit, example),
        windows=_until_all(freedom_by_windows(example) or []),
    )


def _until_all(free: list[int]) -> tuple[int, ...]:
    return tuple(free[: free.index(free[-1]) + 1]) if free else ()


def _other(family: SameOutputs, row: nn.Linear, lit: torch.Tensor, example: Example) -> Other:
    """Draw other weights; the pixel that tells most is where the two differ most."""
    whole = other_whole(example)
    if whole is None:
        other = family.another(seed=0)
        assert isinstance(other, nn.Linear)
    else:
        other = linear_holding(whole.reshape(1, -1))
    with torch.no_grad():
        value = other(torch.from_numpy(example.image).flatten()).item()
        own_there, other_there = row(lit)[:, 0], other(lit)[:, 0]
    pixel = int((own_there - other_there).abs().argmax())
    return Other(
        weights=other.weight.detach().reshape(example.image.shape).numpy(),
        value=value,
        rounding=None if whole is not None else family.agreement(other),
        pixel=pixel + 1,
        own_there=own_there[pixel].item(),
        other_there=other_there[pixel].item(),
    )
