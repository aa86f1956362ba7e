"""What some input could tell apart: the unknowns that any data can reach, and one that does.

Over all inputs, the design rows of one position span the indicator vectors of the pixels it reads:
for each pixel, 1 at the taps that read it, 0 at the others; once for each input channel, and 1 for
the bias. Two weights give equal outputs for *every* input iff their difference is orthogonal to
those of every position that uses it. So taps that only ever touch padding, and taps that coincide
at every position, cannot be told from others by any data.

Positions that read alike have the same indicators: a *pattern*, one for a position's interior and
a few for its border.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from convlin.numerics.scaling import Scale
from convlin.solutions.design_blocks import DesignBlocks
from convlin.solutions.modular_rank import rank_modulo

__all__ = ["distinguishing_input", "reachable"]

CLEAR = 4  # times its noise. Half takes noise for a difference; twice misses differences there are


def reachable(design: DesignBlocks) -> Int[np.ndarray, " blocks"]:
    """Return, for each block, how many of an output's unknowns all data together determine.

    >>> from convlin.geometry import ConvGeometry
    >>> geometry = ConvGeometry(1, 1, (7,), padding=9, dilation=3)
    >>> reachable(DesignBlocks.of_conv(geometry, (8,), bias=False))
    array([5])
    """
    if design.shared:
        indicators = np.concatenate([_indicators(pattern) for pattern, _ in _patterns(design)])
        taps = rank_modulo(np.unique(indicators, axis=0)[None])
    else:
        taps = np.zeros(design.copies, dtype=np.int64)
        for pattern, positions in _patterns(design):
            taps[positions] = len(_indicators(pattern))
    return np.repeat(taps * design.channels + design.bias, design.groups)


def distinguishing_input(
    design: DesignBlocks,
    difference: Float[np.ndarray, "blocks outputs unknowns"],
    noise: Float[np.ndarray, "blocks outputs unknowns"],
) -> Float[np.ndarray, "channels pixels"] | None:
    """Return an input at which weights that differ by `difference` give clearly other outputs.

    It is one output's row of the difference of the two matrices, as far as that is clear of
    `noise`, scaled to largest magnitude 1: the output for which that is largest in norm. None where
    no row is clear. `noise` is by how much each weight may differ without a meaning.

    >>> design = DesignBlocks.of_linear(2, 1, bias=False)
    >>> distinguishing_input(design, np.array([[[0.0, 4.0]]]), np.zeros((1, 1, 2))).ravel()
    array([0., 1.])
    """
    shape = (design.copies, design.groups, design.outputs)
    scale = Scale.of(float(abs(difference).max()))
    difference, noise = scale.down(difference), scale.down(noise)
    weights = difference[..., : design.weights].reshape(*shape, design.channels, -1)
    doubt = noise[..., : design.weights].reshape(weights.shape)
    shift = blur = np.zeros(shape)
    if design.bias:
        shift, blur = (array[..., -1].reshape(shape) for array in (difference, noise))
    best, image = 0.0, None
    for pattern, positions in _patterns(design):
        copies = np.zeros(1, dtype=int) if design.shared else positions
        ones = _indicators(pattern)
        rows, errors = weights[copies] @ ones.T, doubt[copies] @ ones.T
        clear = abs(rows) > CLEAR * errors
        rows, errors = np.where(clear, rows, 0.0), np.where(clear, errors, 0.0)
        score = np.linalg.norm(rows, axis=(-2, -1)) + abs(shift[copies])
        error = np.linalg.norm(errors, axis=(-2, -1)) + blur[copies]
        score = np.where(score > CLEAR * error, score, 0.0)
        at = np.unravel_index(score.argmax(), score.shape)
        if score[at] <= best:
            continue
        best = score[at]
        copy, group, output = at
        x = np.zeros((design.groups, design.channels, design.pixels))
        sign = -1.0 if shift[copies][at] < 0 else 1.0  # so that the bias adds to it
        read = design.table[positions[copy], ones.argmax(axis=1)]
        x[group][:, read] = sign * rows[copy, group, output]
        largest = abs(x).max()
        image = (x / largest if largest else x).reshape(design.in_channels, design.pixels)
    return image


def _patterns(
    design: DesignBlocks,
) -> Iterator[tuple[Int[np.ndarray, " taps"], Int[np.ndarray, " positions"]]]:
    """Yield each way to read, and the positions that read so.

    A pattern names for every tap the first tap that reads the same pixel, -1 where none is read.
    """
    table = design.table
    first = np.where(table >= 0, np.arange(table.shape[1]), -1)
    # From the last tap to the first: of taps that read one pixel the first writes last.
    for tap in range(table.shape[1] - 1, -1, -1):
        same = (table == table[:, [tap]]) & (table >= 0)
        first[same] = tap
    patterns, which = np.unique(first, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel(), minlength=len(patterns)))
    yield from zip(patterns, np.split(order, ends[:-1]), strict=True)


def _indicators(pattern: Int[np.ndarray, " taps"]) -> Int[np.ndarray, "pixels taps"]:
    """Return, for every pixel read, 1 at the taps that read it."""
    heads = np.unique(pattern[pattern >= 0])
    ones: np.ndarray = (pattern == heads[:, None]).astype(np.int64)
    return ones
