"""A convolution and its adjoint, run tap by tap as matrix products, on NumPy and PyTorch arrays.

One tap of a convolution is a matrix W_t from input to output channels, applied where the tap
falls: on every stride-th pixel from its offset on. So with x padded::

    gather:   y[:, p]  = Σ_t W_t · x[:, p·stride + t·dilation]         pixels to cells
    scatter:  x[:, p·stride + t·dilation] += W_tᵀ · y[:, p]            cells to pixels, its adjoint

A convolution gathers, and its adjoint scatters; a transposed convolution scatters, and its adjoint
gathers. Nothing loops over pixels, and the matrix is never built.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Shaped

from convlin.geometry import ConvGeometry
from convlin.matrix.kernel_taps import by_tap
from convlin.matrix.taps import folded

__all__ = ["adjoint", "forward"]


def forward(
    geometry: ConvGeometry,
    weight: Shaped[Any, "a b *kernel"],
    x: Shaped[Any, "inputs k"],
    input_size: Sequence[int],
) -> Shaped[Any, "outputs k"]:
    """Return A(w)·x, column by column: the convolution of `k` flattened inputs, without bias.

    >>> geometry = ConvGeometry(1, 1, kernel=(2,), padding=1)
    >>> forward(geometry, np.array([[[5, 7]]]), np.array([[1], [10]]), (2,)).ravel().tolist()
    [7, 75, 50]
    """
    run = _scatter if geometry.transposed else _gather
    return run(geometry, by_tap(geometry, weight), x, tuple(input_size))


def adjoint(
    geometry: ConvGeometry,
    weight: Shaped[Any, "a b *kernel"],
    y: Shaped[Any, "outputs k"],
    input_size: Sequence[int],
) -> Shaped[Any, "inputs k"]:
    """Return A(w)ᴴ·y, column by column; conjugated where the weights are complex.

    >>> geometry = ConvGeometry(1, 1, kernel=(2,), padding=1)
    >>> adjoint(geometry, np.array([[[5, 7]]]), np.array([[1], [0], [0]]), (2,)).ravel().tolist()
    [7, 0]
    """
    xp = array_namespace(weight)
    taps = by_tap(geometry, weight)
    if xp.isdtype(taps.dtype, "complex floating"):
        taps = xp.conj(taps)
    turned = xp.permute_dims(taps, (0, 1, 3, 2))
    run = _gather if geometry.transposed else _scatter
    return run(geometry, turned, y, tuple(input_size))


def _gather(
    geometry: ConvGeometry,
    taps: Shaped[Any, "taps groups to of"],
    x: Shaped[Any, "pixels k"],
    input_size: tuple[int, ...],
) -> Shaped[Any, "cells k"]:
    xp = array_namespace(taps, x)
    pixels, cells = _sides(geometry, input_size)
    _, groups, to, of = taps.shape
    columns = x.shape[1]
    padded = _pad(geometry, xp.reshape(x, (groups * of, *pixels, columns)), cells)
    dtype = xp.result_type(taps.dtype, x.dtype)
    taps = xp.astype(taps, dtype, copy=False)
    size = math.prod(cells) * columns
    y = xp.zeros((groups, to, size), dtype=dtype, device=device(x))
    for tap, window in enumerate(_windows(geometry, cells)):
        read = xp.reshape(padded[(slice(None), *window)], (groups, of, size))
        y += taps[tap, ...] @ xp.astype(read, dtype, copy=False)
    return xp.reshape(y, (groups * to * math.prod(cells), columns))


def _scatter(
    geometry: ConvGeometry,
    taps: Shaped[Any, "taps groups to of"],
    y: Shaped[Any, "cells k"],
    input_size: tuple[int, ...],
) -> Shaped[Any, "pixels k"]:
    xp = array_namespace(taps, y)
    pixels, cells = _sides(geometry, input_size)
    _, groups, to, of = taps.shape
    columns = y.shape[1]
    dtype = xp.result_type(taps.dtype, y.dtype)
    taps = xp.astype(taps, dtype, copy=False)
    known = xp.astype(xp.reshape(y, (groups, of, math.prod(cells) * columns)), dtype, copy=False)
    lengths = _padded_lengths(geometry, pixels, cells)
    padded = xp.zeros((groups * to, *lengths, columns), dtype=dtype, device=device(y))
    for tap, window in enumerate(_windows(geometry, cells)):
        moved = xp.reshape(taps[tap, ...] @ known, (groups * to, *cells, columns))
        padded[(slice(None), *window)] += moved
    return xp.reshape(_unpad(geometry, padded, pixels), (groups * to * math.prod(pixels), columns))


def _sides(
    geometry: ConvGeometry, input_size: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes of the map that is read by windows, and of the map of windows."""
    sides = input_size, geometry.output_size(input_size)
    return sides[::-1] if geometry.transposed else sides


def _windows(geometry: ConvGeometry, cells: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield, for every tap in C order, the padded pixels on which it falls."""
    for tap in itertools.product(*map(range, geometry.kernel)):
        yield tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, geometry.dilation, cells, geometry.stride, strict=True)
        )


def _padded_lengths(
    geometry: ConvGeometry, pixels: tuple[int, ...], cells: tuple[int, ...]
) -> tuple[int, ...]:
    """Return sizes that hold all pixels behind the padding, and every window."""
    rows = zip(geometry.padding, geometry.stride, geometry.extent, pixels, cells, strict=True)
    return tuple(max(lo + n, (m - 1) * s + extent) for (lo, _), s, extent, n, m in rows)


def _pad(
    geometry: ConvGeometry, x: Shaped[Any, "c *size k"], cells: tuple[int, ...]
) -> Shaped[Any, "c *padded k"]:
    xp = array_namespace(x)
    pixels = tuple(x.shape[1:-1])
    lengths = _padded_lengths(geometry, pixels, cells)
    if geometry.padding_mode != "zeros":
        for dim, (n, length) in enumerate(zip(pixels, lengths, strict=True)):
            position = np.arange(length) - geometry.padding[dim][0]
            index = xp.asarray(folded(geometry, n, position), device=device(x))
            x = xp.take(x, index, axis=dim + 1)
        return x
    if lengths == pixels:
        return x
    padded = xp.zeros((x.shape[0], *lengths, x.shape[-1]), dtype=x.dtype, device=device(x))
    padded[(slice(None), *_inside(geometry, pixels))] = x
    return padded


def _unpad(
    geometry: ConvGeometry, padded: Shaped[Any, "c *padded k"], pixels: tuple[int, ...]
) -> Shaped[Any, "c *size k"]:
    """Return the pixels, with everything added that stands on their copies in the padding."""
    if geometry.padding_mode == "zeros":
        return padded[(slice(None), *_inside(geometry, pixels))]
    xp = array_namespace(padded)
    for dim, n in enumerate(pixels):
        lo, axis = geometry.padding[dim][0], dim + 1
        lead = (slice(None),) * axis
        position = np.arange(padded.shape[axis]) - lo
        copies = folded(geometry, n, position).tolist()
        # A copy; asarray(copy=True) would cut gradients off in older versions of PyTorch.
        whole = xp.concat([padded[(*lead, slice(lo, lo + n))]], axis=axis)
        for padding in np.flatnonzero((position < 0) | (position >= n)).tolist():
            whole[(*lead, copies[padding])] += padded[(*lead, padding)]
        padded = whole
    return padded


def _inside(geometry: ConvGeometry, pixels: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(lo, lo + n) for (lo, _), n in zip(geometry.padding, pixels, strict=True))
