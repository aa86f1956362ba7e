"""Design matrices with every row and column brought to one size, exactly, by powers of two.

A feature in other units, or a sample all of whose numbers are larger, changes neither rank nor
which weights give equal outputs, but it does change singular values: beside a column of 10¹⁸, one
of ratios looks like rounding. So ranks are decided on ::

    V = 2^-r · U · 2^-c        c: the exponents of the columns of U, then r: those of its rows

and n is in the null space of V iff w = 2^-c·n is in that of U. Lengths and angles are not kept:
`restored` makes orthonormal rows again, which span the row space of U: that of V, times 2^c.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

__all__ = ["balanced", "exponents", "restored"]

NONE = -(2**14)  # the exponent of 0: below any other, also after a subtraction
MILD = 3  # where columns differ by up to 2³, rounding taken as many times more will do


def exponents(sizes: Float[np.ndarray, "blocks unknowns"]) -> Int[np.ndarray, "blocks unknowns"]:
    """Return e with 2^(e-1) ≤ size < 2^e, of 0 the smallest of its block, less the largest.

    >>> exponents(np.array([[8.0, 0.0, 0.75]]))
    array([[ 0, -4, -4]], dtype=int32)
    """
    mantissa, exponent = np.frexp(sizes)
    zero = mantissa == 0
    least = np.where(zero, -NONE, exponent).min(axis=1, keepdims=True)
    exponent = np.where(zero, np.where(least == -NONE, 0, least), exponent)
    found: np.ndarray = (exponent - exponent.max(axis=1, keepdims=True)).astype(np.int32)
    return found


def balanced(
    part: Float[np.ndarray, "blocks rows unknowns"], columns: Int[np.ndarray, "blocks unknowns"]
) -> tuple[Float[np.ndarray, "blocks rows unknowns"], Int[np.ndarray, "blocks rows"]]:
    """Return rows of U as rows of V, and their exponents r; those of a row of zeros give 0.

    >>> v, rows = balanced(np.array([[[8.0, 3.0], [0.0, 0.5]]]), np.array([[2, 0]], dtype=np.int32))
    >>> v.tolist(), rows.tolist()
    ([[[0.5, 0.75], [0.0, 0.5]]], [[2, 0]])
    """
    return _to_one(part, -columns)


def restored(
    rows: Float[np.ndarray, "blocks rank unknowns"],
    columns: Int[np.ndarray, "blocks unknowns"],
    tolerance: float,
) -> Float[np.ndarray, "blocks rank unknowns"]:
    """Return orthonormal rows that span what `rows`, orthonormal too, do when times 2^c.

    tolerance: how far rounding may have put the rows. Every column of the result is as exact as
    they, at its own size: the span is kept, whatever the triangle that rows are divided by.

    >>> unit = restored(np.array([[[0.6, 0.8]]]), np.array([[0, -60]]), 1e-15)
    >>> abs(unit[0, 0] / [1, 2.0**-60]).round(3).tolist()
    [1.0, 1.333]
    """
    rows = rows.copy()
    for block in np.flatnonzero(np.ptp(columns, axis=1) > MILD):
        rows[block] = _stepped(rows[block], columns[block], tolerance)
    rows, _ = _to_one(rows, columns)
    for _ in range(2):  # as orthonormalising nearly parallel rows once leaves a trace
        triangle = np.asarray(np.linalg.qr(rows.swapaxes(1, 2), mode="r")).swapaxes(1, 2)
        rows = np.linalg.solve(triangle, rows)
    return rows


def _to_one(
    array: Float[np.ndarray, "blocks rows unknowns"], columns: Int[np.ndarray, "blocks unknowns"]
) -> tuple[Float[np.ndarray, "blocks rows unknowns"], Int[np.ndarray, "blocks rows"]]:
    """Return 2^-r · array · 2^columns, whose rows' largest lie in [1/2, 1), and r."""
    mantissa, exponent = np.frexp(array)
    exponent = np.where(mantissa == 0, NONE, exponent + columns[:, None, :])
    top = exponent.max(axis=2)
    return np.ldexp(mantissa, exponent - top[..., None]), top


def _stepped(
    rows: Float[np.ndarray, "rank unknowns"],
    columns: Int[np.ndarray, " unknowns"],
    tolerance: float,
) -> Float[np.ndarray, "rank unknowns"]:
    """Return orthonormal rows of the same span, as few as can be of which read larger columns.

    Else all of them would, times 2^c, and be parallel but for what rounding takes.
    """
    done = [rows[:0]]
    for size in np.unique(columns)[::-1]:
        here = columns == size
        turn, sigma, _ = np.linalg.svd(rows[:, here])
        rows = turn.T @ rows
        read = int((sigma > tolerance).sum())
        rows[read:, here] = 0.0
        done.append(rows[:read])
        rows = rows[read:]
    return np.concatenate([*done, rows])
