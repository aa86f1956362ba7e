"""Design matrices with every row and column brought to one size, exactly, by powers of two.

A feature in other units, or a sample all of whose numbers are larger, changes neither rank nor
which weights give equal outputs, but it does change singular values: beside a column of 10¹⁸, one
of ratios looks like rounding. So ranks are decided on ::

    V = 2^-r · U · 2^-c        r, c: whole exponents of rows and columns; largest of a row: 1/2 to 1

and n is in the null space of V iff w = 2^-c·n is in that of U. Lengths and angles change:
`unequilibrated` makes orthonormal rows again, which span the row space of U: that of V, times 2^c.

V is the same to the last bit whatever powers of two the rows and columns of U are multiplied by.
The largest number of a column is no measure of it, as that depends on the rows' sizes; the *ratio*
of two columns is the same in every row, whatever its size. So c begins as a potential, whose
differences along the edges of a spanning forest are median exponents of such ratios; less that, the
medians of rows tell their sizes; and c ends as the largest exponents, by column, of rows so sized.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import (
    breadth_first_order,
    connected_components,
    minimum_spanning_tree,
)

__all__ = ["column_exponents", "equilibrated", "unequilibrated"]

NONE = np.iinfo(np.int32).min // 2
"""The exponent of 0. Any number below all others, which have 12 bits, would do."""


def column_exponents(
    parts: Callable[[], Iterable[Float[np.ndarray, "blocks _ unknowns"]]],
) -> Int[np.ndarray, "blocks unknowns"]:
    """Return c, the largest of a block 0, of matrices whose rows come a part at a time.

    parts: called twice; yields the same parts each time, at least one.

    >>> u = np.array([[[8.0, 0.0, 0.75], [1.0, 0.0, 0.09375]]])
    >>> column_exponents(lambda: [u])
    array([[ 0, -4, -4]], dtype=int32)
    >>> column_exponents(lambda: [u * [[2.0**60], [1.0]]])
    array([[ 0, -4, -4]], dtype=int32)
    """
    ratios = np.zeros((4, 0), dtype=np.int64)
    blocks = unknowns = 0
    for part in parts():
        ratios = _merged(np.concatenate([ratios, _ratios(part)], axis=1))
        blocks, _, unknowns = part.shape
    potentials = (
        _potentials(ratios, blocks * unknowns).reshape(blocks, 1, unknowns).astype(np.int32)
    )
    most = np.full((blocks, unknowns), NONE)
    for part in parts():
        mantissa, exponent = np.frexp(part)
        nonzero = mantissa != 0
        row = _median(np.where(nonzero, exponent - potentials, NONE), axis=2)
        most = np.maximum(most, np.where(nonzero, exponent - row, NONE).max(axis=1))
    least = np.where(most == NONE, -NONE, most).min(axis=1, keepdims=True)
    most = np.where(most == NONE, np.where(least == -NONE, 0, least), most)
    columns: np.ndarray = (most - most.max(axis=1, keepdims=True)).astype(np.int32)
    return columns


def equilibrated(
    part: Float[np.ndarray, "blocks rows unknowns"], columns: Int[np.ndarray, "blocks unknowns"]
) -> tuple[Float[np.ndarray, "blocks rows unknowns"], Int[np.ndarray, "blocks rows"]]:
    """Return rows of U as rows of V, and their exponents r; those of a row of zeros give 0.

    >>> u, columns = np.array([[[8.0, 3.0], [0.0, 0.5]]]), np.array([[2, 0]], dtype=np.int32)
    >>> v, rows = equilibrated(u, columns)
    >>> v.tolist(), rows.tolist()
    ([[[0.5, 0.75], [0.0, 0.5]]], [[2, 0]])
    """
    return _to_one(part, -columns)


def unequilibrated(
    rows: Float[np.ndarray, "blocks rank unknowns"],
    columns: Int[np.ndarray, "blocks unknowns"],
    tolerance: float,
) -> Float[np.ndarray, "blocks rank unknowns"]:
    """Return orthonormal rows that span what `rows`, orthonormal too, do when times 2^c.

    tolerance: how far rounding may have put the rows. Every column of the result is as exact as
    they, at its own size: the span stays, whatever the triangle that rows are divided by.

    >>> unit = unequilibrated(np.array([[[0.6, 0.8]]]), np.array([[0, -60]]), 1e-15)
    >>> abs(unit[0, 0] / [1, 2.0**-60]).round(3).tolist()
    [1.0, 1.333]
    """
    rows = rows.copy()
    for block in np.flatnonzero(np.ptp(columns, axis=1)):
        rows[block] = _stepped(rows[block], columns[block], tolerance)
    rows, _ = _to_one(rows, columns)
    return _orthonormal(_orthonormal(rows))


def _orthonormal(
    rows: Float[np.ndarray, "blocks rank unknowns"],
) -> Float[np.ndarray, "blocks rank unknowns"]:
    """Return rows that span the same, orthonormal as far as they are not nearly parallel.

    Those are that read the largest column by next to nothing, and lie along the next one. Once
    over, nothing is nearly parallel, so a second time leaves no trace.
    """
    triangle = np.asarray(np.linalg.qr(rows.swapaxes(1, 2), mode="r")).swapaxes(1, 2)
    return np.linalg.solve(triangle, rows)


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
        part = rows[:, here]
        if part.shape[1] > len(part):  # R of a QR turns rows alike, and is no larger than they
            part = np.asarray(np.linalg.qr(part.T, mode="r")).T
        turn, sigma, _ = np.linalg.svd(part)
        rows = turn.T @ rows
        read = int((sigma > tolerance).sum())
        rows[read:, here] = 0.0
        done.append(rows[:read])
        rows = rows[read:]
    return np.concatenate([*done, rows])


def _ratios(part: Float[np.ndarray, "blocks rows unknowns"]) -> Int[np.ndarray, "4 pairs"]:
    """Return pairs of columns (i, j), how many rows compare them, that times the exponent of j/i.

    A row compares all that is not 0 in it with its first; columns of all blocks are numbered
    through. The exponent is the median of these rows. No more pairs than numbers in the part.

    An entry is 2^(r + c_j)·(what is left of it), so of a quotient j/i in one row r cancels.
    """
    blocks, _, unknowns = part.shape
    mantissa, exponent = np.frexp(part)
    nonzero = mantissa != 0
    first = nonzero.argmax(axis=2)[..., None]
    ratio = np.where(nonzero, exponent - np.take_along_axis(exponent, first, 2), NONE)
    head = (first[..., 0] + np.arange(0, blocks * unknowns, unknowns)[:, None]).ravel()
    order = np.argsort(head, kind="stable")
    heads, starts = np.unique(head[order], return_index=True)
    counts = np.add.reduceat(nonzero.reshape(-1, unknowns)[order], starts, axis=0, dtype=np.int64)
    rows = np.split(ratio.reshape(-1, unknowns)[order], starts[1:])
    sums = counts * np.concatenate([_median(some, axis=0) for some in rows])
    i, j = np.nonzero(counts)
    return np.stack([heads[i], heads[i] // unknowns * unknowns + j, counts[i, j], sums[i, j]])


def _median(exponents: Int[np.ndarray, "*n"], axis: int) -> Int[np.ndarray, "*m"]:
    """Return the upper median, of what is not `NONE`, along an axis that stays, of length 1.

    No few numbers, be they large or nothing but noise, move a median much, as they do a mean.
    """
    count = (exponents != NONE).sum(axis=axis, keepdims=True)
    upper = exponents.shape[axis] - np.maximum((count + 1) // 2, 1)
    median: np.ndarray = np.take_along_axis(np.sort(exponents, axis=axis), upper, axis=axis)
    return median


def _merged(ratios: Int[np.ndarray, "4 pairs"]) -> Int[np.ndarray, "4 distinct"]:
    """Return each pair once, in order, with counts and sums added up."""
    order = np.lexsort(ratios[1::-1])
    pairs, values = ratios[:2, order], ratios[2:, order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
    starts = np.flatnonzero(new)
    return np.concatenate([pairs[:, starts], np.add.reduceat(values, starts, axis=1)])


def _potentials(ratios: Int[np.ndarray, "4 pairs"], columns: int) -> Int[np.ndarray, " columns"]:
    """Return p, 0 somewhere in each tree, with p_j - p_i = ⌊sum/count⌋ along a forest's edges.

    The forest depends on which numbers are 0 alone; of its kind, it compares in most rows.
    """
    i, j = ratios[:2].astype(np.int32)  # SciPy 1.16 takes no wider indices of a graph
    counts, sums = ratios[2:]
    shape = (columns + 1, columns + 1)  # one node more, above a column of every tree
    forest = minimum_spanning_tree(coo_array((-1.0 * counts, (i, j)), shape).tocsr())
    tops = np.unique(connected_components(forest, directed=False)[1], return_index=True)[1]
    tops = tops.astype(np.int32)
    stem = coo_array((np.ones(len(tops)), (np.full_like(tops, columns), tops)), shape)
    above = breadth_first_order(forest + stem.tocsr(), columns, directed=False)[1]
    above[columns] = columns
    potential = np.zeros(columns + 1, dtype=np.int64)
    for lower, upper, sign in ((j, i, 1), (i, j, -1)):
        edge = above[lower] == upper
        potential[lower[edge]] = sign * (sums[edge] // counts[edge])
    while (above != columns).any():  # what is above what is above: paths of twice the length
        potential += potential[above]
        above = above[above]
    return potential[:columns]
