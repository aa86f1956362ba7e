"""A circular convolution is one small matrix per frequency.

Circular convolutions map waves to waves of the same frequency f, channel by channel::

    Ŵ(f) = Σ_t w_t · exp(2πi · Σ_d f_d·t_d·dilation_d / N_d)         one out×in matrix per group

so in the orthonormal basis of waves the matrix is block diagonal, and its singular values are those
of all blocks (Sedghi, Gupta and Long, "The singular values of convolutional layers", 2019). The
kernel is summed tap by tap, so it may be longer than the input, and dilated. With every `step`-th
row only, the waves f, f + N/step, f + 2·N/step, … look alike in the output: their blocks stand side
by side, each divided by √step. With real weights the block of -f is the conjugate of that of f;
and a kernel that is no longer than the step reads patches, which all frequencies see alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Complex, Float, Int, Shaped

from convlin.geometry import ConvGeometry
from convlin.matrix.kernel_taps import by_group, by_tap
from convlin.numerics.roundoff import DOUBLE
from convlin.spectrum.circular import Circular
from convlin.spectrum.tolerance import svd_error

__all__ = ["blocks", "frequency_error", "frequency_values"]

CHUNK_BYTES = 2**26  # of blocks at a time. Half takes twice the steps, twice the memory


def frequency_values(
    geometry: ConvGeometry, weight: Shaped[np.ndarray, "a b *kernel"], circle: Circular
) -> Float[np.ndarray, " values"]:
    """Return all singular values of the circular convolution, largest first.

    >>> from convlin.spectrum.circular import circular
    >>> geometry = ConvGeometry(1, 1, kernel=(2,), padding="same", padding_mode="circular")
    >>> frequency_values(geometry, np.array([[[1.0, 1.0]]]), circular(geometry, (4,))).round(3)
    array([2.   , 1.414, 1.414, 0.   ])
    """
    values = [
        np.repeat(np.linalg.svd(block, compute_uv=False), times, axis=0).ravel()
        for block, times in blocks(geometry, weight, circle)
    ]
    return np.sort(np.concatenate(values))[::-1]


def frequency_error(
    geometry: ConvGeometry, weight: Shaped[np.ndarray, "a b *kernel"], circle: Circular
) -> float:
    """Return how far `frequency_values` may be off, at most.

    With S = Σ_t |w_t| no block is larger than ‖S‖_F. A wave's values are off by 100·u: up to three
    quotients below 1, summed, times 2π, then sine and cosine. Summed over taps in any order,
    elements of Ŵ are off by (100 + 4·(taps + 2))·u of those of S (Higham, "Accuracy and Stability
    of Numerical Algorithms", sections 3.1 and 3.6), and so are blocks of ‖S‖_F.
    """
    size = float(
        np.sqrt((np.abs(by_tap(geometry, weight)).sum(axis=0) ** 2).sum(axis=(1, 2)).max())
    )
    out, into = by_group(geometry, weight).shape[1:3]
    columns = max(out, into) * math.prod(circle.steps)
    return svd_error(min(out, into), columns, size) + (108 + 4 * geometry.taps) * DOUBLE * size


def blocks(
    geometry: ConvGeometry, weight: Shaped[np.ndarray, "a b *kernel"], circle: Circular
) -> Iterator[tuple[Complex[np.ndarray, "f groups to of"], Int[np.ndarray, " f"]]]:
    """Yield the blocks of some frequencies at a time, and for how many frequencies each stands.

    Blocks map the side that is read by windows, with its aliases, to that of the windows: for a
    transposed convolution they are those of its adjoint.
    """
    if geometry.transposed:
        geometry = geometry.adjoint
    taps = by_tap(geometry, weight)
    count, groups, to, of = taps.shape
    flat = taps.reshape(count, -1)
    steps = tuple(circle.steps)
    aliases = math.prod(steps)
    cells = tuple(size // step for size, step in zip(circle.sizes, steps, strict=True))
    chosen, times = _frequencies(cells, real=not np.iscomplexobj(weight))
    if all(extent <= step for extent, step in zip(geometry.extent, steps, strict=True)):
        chosen, times = chosen[:1], np.array([math.prod(cells)])
    largest = max(flat.shape[1], (1 + geometry.ndim) * count)  # numbers: of a block, of its waves
    chunk = max(1, CHUNK_BYTES // (16 * aliases * largest))
    for start in range(0, len(chosen), chunk):
        waves = _waves(geometry, circle, cells, chosen[start : start + chunk])
        block = (waves @ flat).reshape(-1, aliases, groups, to, of) / math.sqrt(aliases)
        side_by_side = block.transpose(0, 2, 3, 1, 4).reshape(-1, groups, to, aliases * of)
        yield side_by_side, times[start : start + chunk]


def _frequencies(
    cells: tuple[int, ...], real: bool
) -> tuple[Int[np.ndarray, "f dims"], Int[np.ndarray, " f"]]:
    """Return frequencies of the output, and how many each stands for: itself and its negative."""
    every = np.stack(np.unravel_index(np.arange(math.prod(cells)), cells), axis=1)
    if not real:
        return every, np.ones(len(every), dtype=int)
    negative = np.ravel_multi_index(tuple((-every % cells).T), cells)
    chosen = np.arange(len(every)) <= negative
    return every[chosen], 1 + (np.arange(len(every)) < negative)[chosen]


def _waves(
    geometry: ConvGeometry,
    circle: Circular,
    cells: tuple[int, ...],
    chosen: Int[np.ndarray, "f dims"],
) -> Complex[np.ndarray, "f aliases taps"]:
    """Return the waves that alias to each frequency, at the taps."""
    steps = circle.steps
    alias = np.stack(np.unravel_index(np.arange(math.prod(steps)), steps), axis=1)
    tap = np.stack(np.unravel_index(np.arange(geometry.taps), geometry.kernel), axis=1)
    waves = chosen[:, None, :] + alias * cells  # (f, aliases, dims)
    # Turns are reduced as whole numbers, so that large frequencies cost no digits.
    turns = waves[:, :, None, :] * (tap * geometry.dilation) % circle.sizes
    whole: np.ndarray = np.exp(2j * np.pi * (turns / circle.sizes).sum(axis=-1))
    return whole
