"""Two affine functions, weight by weight: is one of them the other, rounded?

What a merge computes from the weights of two layers seldom is a number of their dtype. So merged
weights are *rounded*: each is the float nearest to the exact one, half a unit in the last place
away at most. Whether that is all is read off every single weight: f(x) = W·x + b is run in float64
on 0 and on every unit vector, whose image is a column of W::

    f(0) = b        (f(t·eᵢ) - b)/t = W·eᵢ        t = 2²⁰⁰: so b takes no digits from W

Outputs do not tell: with n summands, each of which may be half a unit off, a single weight that is
4 units off does not show for n > 8.

A weight that is a sum of N products of d weights takes N + d roundings to compute, which move it by
at most γ of the sum of the products' magnitudes (Higham, "Accuracy and Stability of Numerical
Algorithms", 2nd ed., lemma 3.1). The same two programs tell both: on magnitudes
(`convlin.proof.magnitudes`) the column is that sum, and with every weight 1 it is N. With γ of
float64 that is what comparing, and merging, in float64 may be off; with γ of the weights' own dtype
it is how far a merged weight may be from the exact one if it was computed in that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlin.numerics.roundoff import DOUBLE, unit
from convlin.proof.algebra import Value
from convlin.proof.draws import Draws
from convlin.proof.magnitudes import on_magnitudes
from convlin.proof.outcome import Outcome, run
from convlin.proof.sensitivity import itself
from convlin.proof.twins import Twins, home
from convlin.proof.verdict import Counterexample
from convlin.proof.ways import Way

__all__ = ["LastPlaces", "last_places"]

AT_MOST = 2**26
"""How many weights to compare. Half of it leaves out a convolution of 16 to 32 channels on 28×28
pixels, twice of it takes more than seconds."""
OF_VECTORS, OF_MAPS = 2**37, 2**31
"""How many multiply-adds to spend on a side, by what its inputs are: matrix products do far more a
second than float64 convolutions. Half of them leave out a Linear of 4096 to 4096 features and 16 to
32 channels on 14×14 pixels; twice of them take half a minute on two cores."""
AT_ONCE = 2**21
"""How many of them at a time. Half of it takes longer; twice of it is 200 MiB."""
LARGE = 2.0**200
"""What unit vectors are multiplied by: a power of two, so nothing is rounded. With half of the
exponent a bias of 1 hides whether weights of 10⁻⁴⁵, float32's smallest, were rounded; with twice of
it layers of large weights overflow."""
FEW = 1e-3
"""Of which part of the weights float64 need not tell whether they are rounded. Of half a million
sums of 8 products it is one; with half and twice of this the same layers are rounded in tests."""
NORMALISED = 4
"""Roundings in the scale of a normalisation: v + ε, its root, that one's reciprocal, ·γ. With half
a fold that takes them all is called wrong; twice of them excuses a weight 8 units off."""


@dataclass(frozen=True)
class LastPlaces:
    """How far the weights of two affine functions lie apart, in units in the last place of a dtype.

    rounded: the weights of one are those of the other, rounded, but for `untold` ones that are too
    small beside what they are summed from for float64 to tell. within: all lie as close as
    computing them in the dtype explains. units, explained: of the two that lie furthest apart,
    which are `furthest`.
    """

    dtype: str
    weights: int
    untold: int
    inputs: int
    of_inputs: int
    rounded: bool
    within: bool
    units: float
    explained: float
    furthest: Counterexample

    @property
    def whole(self) -> bool:
        """Whether every weight was compared."""
        return self.inputs == self.of_inputs

    def __str__(self) -> str:
        return (
            f"{self.units:.3g} units in the last place of {self.dtype}, where computing it in "
            f"{self.dtype} explains {self.explained:.3g}"
        )


def last_places(
    sides: Sequence[Any], values: Sequence[Value], shape: tuple[int, ...], draws: Draws
) -> LastPlaces | None:
    """Compare two modules that are affine in inputs of `shape`; None if one does not run.

    values: what is known of their results.
    """
    dtype = max((home(side)[1] for side in sides), key=unit)
    exact = [_Affine(partial(_as_it_is, p), shape) for p in _filled(sides, Tensor.detach)]
    # the side that the other's weights were computed from, and may have been summed from
    ranks = [(bool(value.off), value.weights, value.terms) for value in values]
    deeper = ranks.index(max(ranks))
    sums = _Affine(partial(_on_magnitudes, _filled(sides, Tensor.abs)[deeper]), shape)
    if not all(side.runs for side in (*exact, sums)):
        return None
    ones = _filled(sides, torch.ones_like)[deeper]
    counts = _Affine(partial(_on_magnitudes, ones), shape)
    factors = values[deeper].weights + NORMALISED * bool(values[deeper].off)
    outputs, terms = max(1, len(exact[0].zero.numbers)), max(1, values[deeper].terms)
    work = OF_VECTORS if len(shape) == 1 else OF_MAPS
    most = max(1, min(AT_MOST // outputs, work // (outputs * terms)))
    inputs = draws.shuffled(range(prod(shape)))[:most]
    step = max(1, AT_ONCE // outputs)
    blocks = [[], *(inputs[start : start + step] for start in range(0, len(inputs), step))]
    bias, gaps = sums.weights([]), []
    for block in blocks:
        left, right, total = (side.weights(block) for side in (*exact, sums))
        roundings = counts.weights(block) + factors
        # of either side, and of what merged them; a bias rounds what it was added to
        noise = 3 * roundings * DOUBLE * (total + bias / LARGE)
        gaps.append(_Gaps.of(left, right, total, noise, roundings, dtype))
    if not all(isfinite(gap.units) for gap in gaps):
        return None
    weights, untold = (sum(getattr(gap, name) for gap in gaps) for name in ("weights", "untold"))
    halves = all(gap.half for gap in gaps) and untold <= FEW * weights
    rounded = halves and any(all(gap.numbers[side] for gap in gaps) for side in (0, 1))
    far = max(range(len(gaps)), key=lambda number: gaps[number].units)
    return LastPlaces(
        dtype=str(dtype).removeprefix("torch."),
        weights=weights,
        untold=untold,
        inputs=len(inputs),
        of_inputs=prod(shape),
        rounded=rounded,
        within=all(gap.within for gap in gaps),
        units=max(gap.told for gap in gaps) if rounded else gaps[far].units,
        explained=gaps[far].explained,
        furthest=_shown(gaps[far], exact[0].zero, blocks[far], shape),
    )


def _as_it_is(program: Any, x: Tensor) -> Outcome:
    return run(program, x, way=Way(len(x)))


def _on_magnitudes(program: Any, x: Tensor) -> Outcome:
    return on_magnitudes(partial(itself, program), x)


def _filled(sides: Sequence[Any], fill: Callable[[Tensor], Tensor]) -> list[Any]:
    """Return the twins of two modules, with what is made of their numbers in them."""
    twins = Twins(sides)
    twins.take(fill)
    return [twins.twin(side) for side in sides]


class _Affine:
    """A function that is affine in its input, by its weights; `zero` is what it gives for 0."""

    def __init__(self, run: Callable[[Tensor], Outcome], shape: tuple[int, ...]) -> None:
        self._run, self._shape = run, shape
        self.zero = run(torch.zeros(1, *shape, dtype=torch.float64))

    @property
    def runs(self) -> bool:
        """Whether it returns real numbers, and some for each sample of a batch."""
        fit = (t.is_floating_point() and t.ndim and len(t) == 1 for t in self.zero.outputs)
        return self.zero.error is None and all(fit) and len(self.zero.numbers) > 0

    def weights(self, inputs: Sequence[int]) -> Tensor:
        """Return what each of these inputs weighs in each output; without inputs the bias."""
        base = _by_sample(self.zero, 1)
        if not inputs:
            return base
        x = torch.zeros(len(inputs), prod(self._shape), dtype=torch.float64)
        x[range(len(inputs)), inputs] = LARGE
        images = _by_sample(self._run(x.view(-1, *self._shape)), len(inputs))
        return (images - base) / LARGE


def _by_sample(outcome: Outcome, samples: int) -> Tensor:
    parts = [output.detach().reshape(samples, -1) for output in outcome.outputs]
    return torch.cat(parts, dim=1).double()


@dataclass(frozen=True)
class _Gaps:
    """How far some weights of two sides lie apart.

    weights: how many of them are not 0 by their places. untold: of how many float64 cannot tell how
    far. half: of none does it tell that it is more than half a unit, and `told` is the most that it
    tells. numbers: whether those of either side are numbers of the dtype. within: by no more than
    computing them in the dtype explains. Of the two furthest apart: units, explained, their
    position and they themselves.
    """

    weights: int
    untold: int
    half: bool
    told: float
    numbers: tuple[bool, bool]
    within: bool
    units: float
    explained: float
    position: int
    furthest: tuple[float, float]

    @classmethod
    def of(
        cls, left: Tensor, right: Tensor, total: Tensor, noise: Tensor, roundings: Tensor,
        dtype: torch.dtype,
    ) -> _Gaps:  # fmt: skip
        """Compare weights that take some roundings to compute, of a sum of magnitudes `total`.

        noise: what float64 may have rounded.
        """
        gap, last = (left - right).abs(), _last_place(torch.minimum(left.abs(), right.abs()), dtype)
        # γ of the dtype, which is no bound from n·u = 1 on; then the merged weight is rounded
        share = roundings * unit(dtype)
        bound = torch.where(share < 1, share / (1 - share), torch.inf) * total + noise + last / 2
        left_is, right_is = ((s - s.to(dtype).double()).abs() <= noise for s in (left, right))
        units, told = (gap / last).flatten(), (noise <= last / 2).flatten()
        position = int(units.argmax())
        return cls(
            weights=int((total > 0).sum()),
            untold=int((~told).sum()),
            half=bool((gap <= last / 2 + noise).all()),
            told=float(units.where(told, 0).max()),
            numbers=(bool(left_is.all()), bool(right_is.all())),
            within=bool((gap <= bound).all()),
            units=float(units[position]),
            explained=float((bound / last).flatten()[position]),
            position=position,
            furthest=(float(left.flatten()[position]), float(right.flatten()[position])),
        )


def _last_place(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a unit in the last place of each number is worth.

    >>> _last_place(torch.tensor([1.0, 1.99, 2.0]), torch.bfloat16).tolist()
    [0.0078125, 0.0078125, 0.015625]
    """
    # frexp: in [2^(e-1), 2^e) lie 1/(2u) floats, so they are 2^e·u apart
    exponents = torch.frexp(numbers).exponent
    return torch.ldexp(torch.full_like(numbers, unit(dtype)), exponents).clamp_min(
        torch.finfo(dtype).smallest_normal * 2 * unit(dtype)
    )


def _shown(
    gaps: _Gaps, zero: Outcome, inputs: Sequence[int], shape: tuple[int, ...]
) -> Counterexample:
    """Return the two weights that lie furthest apart."""
    outputs = len(zero.numbers)
    index = zero.index_of(gaps.position % outputs)
    many = len(zero.tensors) > 1  # behind the output's number comes the sample's
    output = index[:many] + index[many + 1 :]
    if not inputs:
        return Counterexample("bias", *gaps.furthest, output)
    source = np.unravel_index(inputs[gaps.position // outputs], shape)
    return Counterexample("weight", *gaps.furthest, output, tuple(map(int, source)))
