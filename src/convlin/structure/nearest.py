"""The convolution nearest to any matrix, and how the matrix's energy splits.

Fully connected ⊃ locally connected ⊃ convolution are nested linear spaces, so (Frobenius norm)::

    ‖W‖² = ‖shared‖² + ‖local but not shared‖² + ‖off the support‖²

*shared* is the orthogonal projection onto the convolutions of one geometry, *off the support* what
stands where no tap reaches, and *local* the rest. The projection solves the normal equations,
whose Gram matrix is a product over dimensions (`axis_space.py`), the same for every channel pair.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float, Shaped
from scipy.sparse import csr_array

from convlin.display.blocks import Block
from convlin.display.shown import Shown
from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.matrix import ConvMatrix, Entries, dense_shape
from convlin.numerics.scaling import Scale
from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import canonical, look_up, position_of, require_matrix, rows_of
from convlin.structure.energy import Energy, largest_of
from convlin.structure.energy_blocks import split

__all__ = ["NearestConv", "nearest"]

ROOM = 900  # of exponents up to 1024: with twice that sums overflow, with half small entries end


@dataclass(frozen=True, eq=False, repr=False)
class NearestConv(Shown):
    """The convolution of one geometry that is nearest to a matrix.

    `weight` is the kernel; where the geometry has taps that no matrix tells apart, it is that of
    least norm, and `free[d]` holds the combinations of taps along dimension d that may be added.
    """

    geometry: ConvGeometry
    input_size: tuple[int, ...]
    weight: Any
    energy: Energy
    free: tuple[Float[np.ndarray, "directions taps"], ...]

    @property
    def distance(self) -> float:
        """Frobenius norm of the matrix minus the convolution's."""
        return self.energy.distance

    @property
    def unique(self) -> bool:
        """Whether no other kernel is as near."""
        return not any(len(directions) for directions in self.free)

    def matrix(self) -> ConvMatrix:
        """Return the convolution's matrix."""
        return ConvMatrix(self.geometry, self.weight, self.input_size)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        return f"{self._heading}; {self.energy}"

    def _blocks(self, width: int | None = None) -> list[Block]:
        return [self._heading, *split(self.energy.fractions)]

    @property
    def _heading(self) -> str:
        return f"nearest {self.geometry.kind}: distance {self.distance:.4g}"


def nearest(
    matrix: Any, geometry: ConvGeometry, input_size: SupportsIndex | Sequence[SupportsIndex]
) -> NearestConv:
    """Return the orthogonal projection of a matrix onto the convolutions of `geometry`.

    matrix: (out·output_size, in·input_size), NumPy or SciPy sparse; computed in float64 (complex
    where it is), at any scale. Raises `Refused` where its shape does not fit, the kernel is beyond
    float64 or an entry loses digits beside the largest (2^1900 of it), `GeometryError` for the
    size.

    >>> tied = np.array([[7, 0], [5, 7], [0, 5]])
    >>> own = nearest(tied + [[2, 0], [0, 0], [0, 0]], ConvGeometry(1, 1, (2,), padding=1), (2,))
    >>> own.weight.tolist()
    [[[5.0, 8.0]]]
    >>> print(own.energy)
    98.9% shared, 1.1% local but not shared, 0.0% off the support
    """
    size = geometry.sizes(input_size)
    rows, columns = dense_shape(geometry, size)
    shape = require_matrix(matrix, "nearest_conv")
    if shape != (rows, columns):
        where = f"{geometry.kind} on {size}"
        raise Refused(Refusal("nearest_conv", "matrix.shape", shape, str((rows, columns)), where))
    entries = Entries(geometry, size)
    near, scale = _near(canonical(matrix, "nearest_conv"))
    spaces = [AxisSpace(geometry, dim, n) for dim, n in enumerate(entries.input_size)]
    near_weight = _project(entries, near, spaces)
    with np.errstate(over="ignore"):
        weight = scale.back(near_weight)
    if not np.isfinite(weight).all():
        largest = scale.back(largest_of(near.data))
        raise Refused(
            Refusal("nearest_conv", "matrix", Description(f"numbers up to {largest}"),
                    "smaller ones", "its nearest kernel is beyond float64")
        )  # fmt: skip
    return NearestConv(
        geometry, entries.input_size, weight, _split(entries, near, near_weight, scale),
        tuple(space.free for space in spaces),
    )  # fmt: skip


def _near(matrix: csr_array) -> tuple[csr_array, Scale]:
    """Return float64 or complex128 entries below 2^ROOM, and the power of two that they lost.

    Only sums are taken of them, so near 2^ROOM is as good as near one, and leaves more digits to
    small entries. Raises `Refused` where some are lost all the same.
    """
    matrix = matrix.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64)
    entries = matrix.data
    scale = Scale.of(largest_of(entries), ROOM)
    matrix.data = scale.down(entries)
    inexact = np.flatnonzero(scale.back(matrix.data) != entries)
    if len(inexact):
        row, column = position_of(matrix, int(inexact[0]))
        raise Refused(
            Refusal("nearest_conv", f"matrix[{row}, {column}]", entries[inexact[0]].item(),
                    f"0, or ≥ {scale.back(sys.float_info.min):.3g}",
                    f"beside numbers up to {largest_of(entries):.3g}")
        )  # fmt: skip
    return matrix, scale


def _project(
    entries: Entries, matrix: csr_array, spaces: Sequence[AxisSpace]
) -> Shaped[np.ndarray, "a b *kernel"]:
    """Return G⁺b: the sums over each tap's positions, then the inverse along each dimension."""
    shape = entries.geometry.weight_shape
    read = look_up(matrix, *entries.coordinates())
    sums = _sums(entries.weight_index(), read, math.prod(shape)).reshape(shape)
    for axis, space in enumerate(spaces, 2):
        sums = np.moveaxis(np.tensordot(sums, space.inverse, axes=([axis], [0])), -1, axis)
    return np.ascontiguousarray(sums)


def _split(entries: Entries, matrix: csr_array, weight: np.ndarray, scale: Scale) -> Energy:
    """Return the energy of a matrix, and of its nearest weight, that a power of two is out of."""
    laid = entries.by_position
    shared = laid.values(weight)
    parts = shared, laid.column_indices, laid.row_pointers
    model = csr_array(parts, shape=matrix.shape)
    on_support = look_up(matrix, rows_of(model), model.indices)
    supported = csr_array((on_support, *parts[1:]), shape=matrix.shape)
    return Energy.of((shared, on_support - shared, (matrix - supported).data), scale)


def _sums(tap: np.ndarray, values: np.ndarray, taps: int) -> np.ndarray:
    """Return the sum of the values of every tap."""
    if values.dtype.kind == "c":
        return _sums(tap, values.real, taps) + 1j * _sums(tap, values.imag, taps)
    return np.bincount(tap, weights=values, minlength=taps)
