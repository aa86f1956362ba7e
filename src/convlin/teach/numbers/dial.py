"""A dial from convolution to locally connected to fully connected layer, and one step of training.

All three hold the same matrix before the step. After it::

    W' = W - r·G,    outputs y - r·g,    g = G·x,    loss |y - r·g|²/2

with G each form's own gradient. The loss falls for 0 < r < 2·(y·g)/|g|²; r is the largest power of
two for which all three fall. Of the article's whole numbers, all numbers here are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from convlin.costs import Form
from convlin.layers import to_local
from convlin.structure import Energy
from convlin.teach.example import Example
from convlin.teach.numbers.sharing import energies, gradients, parameters

__all__ = ["Dial", "Position", "dial"]


@dataclass(frozen=True, eq=False)
class Position:
    """One position of the dial: a form, and its matrix (outputs, pixels) as rows.

    weights: how many it has. owner: which of them, from 0, an entry is; -1 where it has none.
    before, after: the entries; losses likewise. different: of each tap of the kernel, how many
    different numbers stand where it does after the step. step: the energy of the step, split; None
    where no weight would move.
    """

    form: Form
    weights: int
    owner: list[list[int]]
    before: list[list[float]]
    after: list[list[float]]
    losses: tuple[float, float]
    different: tuple[int, ...]
    step: Energy | None


@dataclass(frozen=True, eq=False)
class Dial:
    """The three positions, in order, and the rate of the step that they take."""

    rate: float
    positions: tuple[Position, ...]


def dial(example: Example) -> Dial:
    """Turn the dial on an example.

    >>> from convlin.teach.example import article_example
    >>> lesson = dial(article_example())
    >>> [(position.form, position.weights) for position in lesson.positions]
    [('conv', 9), ('local', 144), ('linear', 576)]
    >>> lesson.rate, [position.losses for position in lesson.positions]
    (0.125, [(38.0, 6.0859375), (38.0, 14.90625), (38.0, 9.5)])
    """
    steps = gradients(example)
    split, owners = energies(example, steps), _owners(example)
    rate, weights = _rate(example, steps), parameters(example)
    before, taps = example.matrix.toarray(), owners["conv"]
    positions = []
    for form, owner in owners.items():
        after = before - rate * _dense(steps[form])
        different = tuple(
            len(np.unique(after[taps == tap])) for tap in range(example.geometry.taps)
        )
        positions.append(
            Position(
                form,
                weights[form],
                owner.tolist(),
                before.tolist(),
                after.tolist(),
                (_loss(before, example), _loss(after, example)),
                different,
                split.get(form),
            )
        )
    return Dial(rate, tuple(positions))


def _owners(example: Example) -> dict[Form, Int[np.ndarray, "outputs pixels"]]:
    """Return which weight each entry is: layers that hold 1, 2, 3 … say where each goes."""
    counted = np.arange(1, example.kernel.size + 1).reshape(1, 1, *example.kernel.shape)
    local = to_local(example.conv, example.image.shape)
    numbers = torch.arange(1, local.weight.numel() + 1, dtype=torch.float64)
    local.weight = nn.Parameter(numbers.reshape(local.weight.shape))
    every = np.arange(1, example.matrix.shape[0] * example.pixels + 1)
    matrices: dict[Form, Any] = {
        "conv": example.matrix.with_kernel(counted).tocsr(),
        "local": local.matrix(),
        "linear": every.reshape(example.matrix.shape),
    }
    return {form: _dense(matrix).astype(int) - 1 for form, matrix in matrices.items()}


def _rate(example: Example, steps: dict[Form, Any]) -> float:
    """Return the largest power of two below 2·(y·g)/|g|² of every form; 1 where nothing moves."""
    outputs, image = example.outputs.ravel(), example.image.ravel()
    moved = [step @ image for step in steps.values()]
    # Python's numbers: of the tiniest, the square may be 0, and the quotient infinite.
    falls = [(float(outputs @ g), float(g @ g)) for g in moved]
    limit = min((2 * first / second for first, second in falls if second), default=2.0)
    mantissa, exponent = math.frexp(limit)
    return 2.0 ** (exponent - 1 - (mantissa == 0.5))


def _loss(matrix: Float[np.ndarray, "outputs pixels"], example: Example) -> float:
    outputs = matrix @ example.image.ravel()
    return float(outputs @ outputs) / 2


def _dense(matrix: Any) -> np.ndarray:
    array: np.ndarray = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    return array
