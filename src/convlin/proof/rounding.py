"""How far two equal functions may lie apart in floating point, and how far they did.

Any two orders of summation of the same n products differ by at most 2·γₙ·(|W|·|x| + |b|),
γₙ = n·u/(1 - n·u), n counting the bias (Higham, "Accuracy and Stability of Numerical Algorithms",
2nd ed., chapter 3). |W|·|x| + |b| is the same program run on absolute values, in float64. Sides
that sum different numbers of products bring a γ of their own. 16-bit types are summed in float32;
then every stored result is rounded once more. There is no bound where n·u ≥ 1, nor where a
backend does not sum in some order at all (Winograd, FFT, TF32).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import inf, sqrt

import torch
from torch import Tensor

from convlin.numerics.roundoff import gamma, unit
from convlin.proof.algebra import Value
from convlin.proof.outcome import Outcome
from convlin.proof.verdict import Rounding

__all__ = ["beyond_rounding", "measure"]


def beyond_rounding(mine: Tensor, theirs: Tensor, dtype: torch.dtype) -> Tensor:
    """Return which elements differ by more than half the digits: no rounding, but a difference.

    That is |difference| > √u·(largest |element|), and wherever only one side is a finite number.
    """
    scale = max(
        (float(side.abs().nan_to_num(0, 0, 0).max()) for side in (mine, theirs) if len(side)),
        default=0.0,
    )
    # u is the last digit, √u half of the digits: n·u = √u takes 4,096 roundings in float32 that all
    # go the same way, each of a partial sum as large as the result.
    far = (mine - theirs).abs() > sqrt(unit(dtype)) * scale
    return far | (mine.isfinite() != theirs.isfinite())


def measure(
    mine: Outcome, theirs: Outcome, dtype: torch.dtype,
    magnitudes: Sequence[Tensor] = (), note: str = "",
) -> Rounding:  # fmt: skip
    """Return the largest deviation between two outcomes, next to its bound.

    magnitudes: |W|·|x| + |b| for every output element, of either side, if they could be had; `note`
    says why not.
    """
    left, right = mine.numbers, theirs.numbers
    deviation = (left - right).abs().nan_to_num(float("inf"))
    name = str(dtype).removeprefix("torch.")
    if not len(deviation):
        return Rounding(0.0, None, 0.0, name, "no outputs")
    worst, scale = int(deviation.argmax()), float(left.abs().max())
    bound = None
    sums = [side for side in magnitudes if len(side) == len(deviation)]
    if len(sums) == 2:
        factors = [_factor(side.value, dtype) for side in (mine, theirs)]
        if any(device_is_tf32(tensor) for tensor in (*mine.tensors, *theirs.tensors)):
            note = "TF32 is no order of summation in float32"
        elif None in factors:
            terms = max(mine.value.terms, theirs.value.terms)
            note = f"n·u ≥ 1 for {terms} summands in {name}"
        else:
            # Each side lies within γ·(|W|·|x| + |b|) of the true result: both, from each other.
            bound = sum(map(operator.mul, factors, sums))
            bound += _stored(mine, dtype) + _stored(theirs, dtype)
    if bound is None:
        return Rounding(float(deviation[worst]), None, scale, name, note)
    within = bool((deviation <= bound).all())
    if not within:
        note = "beyond the bound: no order of summation explains it"
    return Rounding(float(deviation[worst]), float(bound[worst]), scale, name, note, within)


def _factor(value: Value, dtype: torch.dtype) -> float | None:
    """Return what multiplies |W|·|x| + |b| in one side's error."""
    summing = gamma(value.terms, min(unit(dtype), unit(torch.float32)))
    if unit(dtype) <= unit(torch.float32) or value.results <= 1 or summing is None:
        return summing
    # relative errors of at most γ before a result is stored and of γ' after multiply as 1 + γ do
    storing = gamma(value.results, unit(dtype))
    return None if storing is None else (1 + summing) * (1 + storing) - 1


def _stored(side: Outcome, dtype: torch.dtype) -> Tensor | float:
    """Return the error of rounding a single stored result to 16 bits."""
    if unit(dtype) <= unit(torch.float32) or side.value.results > 1:
        return 0.0
    # |stored - y| ≤ u·|y|, and so ≤ u/(1 - u)·|stored|; below the normal numbers the spacing is
    # 2u·(smallest normal), and half of that is the error.
    u = unit(dtype)
    return side.numbers.abs() * (gamma(1, u) or inf) + torch.finfo(dtype).smallest_normal * u


def device_is_tf32(tensor: Tensor) -> bool:
    """Whether sums behind this tensor may have run in TF32."""
    allowed = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
    return tensor.device.type == "cuda" and tensor.dtype == torch.float32 and allowed
