"""How far rounding may take a result: every tolerance of the tests is a count of roundings.

A sum of n products, in any order, is off by at most γₙ·Σ|terms|, γₙ = n·u/(1 - n·u) (Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd ed., chapter 3). What a stable algorithm
returns (QR, SVD, FFT, least squares) is exact for data moved by a modest multiple of n·u of their
norm (chapters 19, 20, 24), whichever kernel of a BLAS ran. So a bound is of a norm, not of an
entry; `STABLE` is that multiple here.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

__all__ = ["STABLE", "agree", "approx", "gamma", "unit"]

STABLE = 40
"""Roundings that a stable algorithm is granted for each row and column it works on."""


def unit(dtype=np.float64) -> float:
    """Return the unit roundoff u of a dtype of NumPy or PyTorch."""
    info = torch.finfo(dtype) if isinstance(dtype, torch.dtype) else np.finfo(dtype)
    return float(info.eps) / 2


def gamma(n: float, dtype=np.float64) -> float:
    """Return Higham's γₙ."""
    return n * unit(dtype) / (1 - n * unit(dtype))


def agree(found, expected, roundings: float, size) -> bool:
    """Whether no entry is off by more than γ of so many roundings, times `size`.

    u is that of the coarser dtype; `size` is one number, or one for every entry.
    """
    found, expected, size = (
        side.detach().numpy() if isinstance(side, torch.Tensor) else np.asarray(side)
        for side in (found, expected, size)
    )
    coarser = max((found.dtype, expected.dtype), key=lambda d: unit(d) if d.kind in "fc" else 0)
    bound = gamma(roundings, coarser) * size
    return found.shape == expected.shape and bool((abs(found - expected) <= bound).all())


def approx(expected, roundings: float, **more):
    """Return what equals numbers up to that many roundings of each."""
    return pytest.approx(expected, rel=gamma(roundings), **{"abs": 0, **more})
