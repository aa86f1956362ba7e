"""Everything the page draws of one state, as plain values for JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from convlin.costs import convolution_forms
from convlin.figures.palette import weight_colors
from convlin.geometry import ConvGeometry
from convlin.matrix import ConvMatrix
from convlin.matrix.taps import tables
from convlin.teach.scenes.decimals import SCALE, plain
from convlin.teach.scenes.matrix_picture import LARGEST
from convlin.teach.scenes.other_weights import Neuron
from convlin.teach.scenes.page_limits import divisors, limits
from convlin.teach.scenes.page_state import State

__all__ = ["as_json", "scene"]

# Cells of a matrix that the page draws one by one, with a name each for screen readers: half leaves
# out lesson 4's, twice is slower than a slider moves.
DRAWN = 4096


def scene(state: State) -> dict[str, Any]:
    """Return the scene of a state: maps, pairs that read, matrix, counts, neuron and controls.

    >>> article = scene(State.of(""))
    >>> article["output"]["values"][:4], article["counts"]["parameters"]["local"]
    ([3, -1, -3, -1], 144)
    """
    geometry = state.geometry
    matrix = ConvMatrix(geometry, state.weights, state.size)
    output = (matrix @ state.image.ravel()).tolist()
    row = state.at.output(matrix.output_shape) if state.at else 0
    reads = _reads(geometry, state.size)
    colors = weight_colors(geometry.weight_shape, geometry.groups, transposed=geometry.transposed)
    return {
        "state": state.texts,
        "link": state.link,
        "input": _map(state.image.shape, state.image.ravel().tolist(), SCALE),
        "kernel": _map(geometry.weight_shape, state.weights.ravel().tolist(), SCALE)
        | {"colors": colors},
        "output": _map(matrix.output_shape, output, SCALE * SCALE),
        "reads": reads,
        "channels": {"weight": _slices(geometry)},
        "matrix": _matrix(state, matrix),
        "counts": _counts(state) | {"wires": _wires_per_output(geometry, reads["starts"])},
        "neuron": Neuron(matrix, state.image, row, state.along).as_dict(),
        "limits": limits(state.fields),
        "divisors": divisors(state.fields),
    }  # fmt: skip


def as_json(values: Any) -> str:
    """Return plain values as JSON, as short as it can be."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _map(shape: tuple[int, ...], numbers: list[int], scale: int) -> dict[str, Any]:
    return {"shape": list(shape), "values": plain(numbers, scale)}


def _reads(geometry: ConvGeometry, size: tuple[int, int]) -> dict[str, Any]:
    """Return the pairs (pixel, tap) that every output position reads, in order of taps."""
    # Each of the tables is (output, tap) → pixel along one dimension, -1 where none: both together,
    # with the axes (output y, output x, tap y, tap x), the last two of which flattened are the taps
    # in C order.
    high, wide = tables(geometry, size)
    down, across = high[:, None, :, None], wide[None, :, None, :]
    pixel = np.where((down >= 0) & (across >= 0), down * size[1] + across, -1)
    pixel = pixel.reshape(-1, geometry.taps)
    read = pixel >= 0
    starts = np.concatenate([[0], np.cumsum(read.sum(axis=1))])
    return {
        "taps": geometry.taps,
        "starts": starts.tolist(),
        "pixel": pixel[read].tolist(),
        "tap": np.nonzero(read)[1].tolist(),
        "window": _windows(geometry, (len(high), len(wide))),
    }


def _windows(geometry: ConvGeometry, outputs: tuple[int, int]) -> list[list[int]] | None:
    """Return where the window of every output position lies, half-open; None if transposed."""
    if geometry.transposed:
        return None
    top, left = (
        position.ravel() * stride - padding[0]
        for position, stride, padding in zip(
            np.indices(outputs), geometry.stride, geometry.padding, strict=True
        )
    )
    high, wide = geometry.extent
    windows: list[list[int]] = np.stack([top, left, top + high, left + wide], axis=1).tolist()
    return windows


def _slices(geometry: ConvGeometry) -> list[list[int]]:
    """Return which (o, i) slice of the kernel tensor joins two channels, -1 where none does."""
    outputs = geometry.out_channels // geometry.groups
    inputs = geometry.in_channels // geometry.groups

    def slice_of(o: int, i: int) -> int:
        if o // outputs != i // inputs:
            return -1
        # The tensor has (out, in/groups) slices, transposed (in, out/groups): the second counts
        # within its group.
        return i * outputs + o % outputs if geometry.transposed else o * inputs + i % inputs

    return [
        [slice_of(o, i) for i in range(geometry.in_channels)] for o in range(geometry.out_channels)
    ]


def _matrix(state: State, matrix: ConvMatrix) -> dict[str, Any]:
    rows, columns = matrix.shape
    drawn = math.prod(matrix.shape) <= DRAWN
    pictured = not drawn and max(rows, columns) <= LARGEST
    return {
        "rows": rows,
        "columns": columns,
        "stored": matrix.nnz,
        "drawn": drawn,
        "image": f"api/matrix.png{state.geometry_link}" if pictured else None,
    }


def _wires_per_output(geometry: ConvGeometry, starts: list[int]) -> dict[str, int]:
    """Return how many wires the outputs have, from the fewest to the most; padding takes some."""
    wires = np.diff(starts) * (geometry.in_channels // geometry.groups)
    return {"least": int(wires.min()), "most": int(wires.max())}


def _counts(state: State) -> dict[str, dict[str, Any]]:
    """Return parameters, multiply-adds and bytes of every form, a bias apart."""
    forms = convolution_forms(state.geometry, state.size, bias=False)
    return {
        "parameters": {cost.form: cost.parameters for cost in forms},
        "multiply_adds": {cost.form: cost.multiply_adds for cost in forms},
        "bytes": {cost.form: cost.stored_bytes for cost in forms},
    }
