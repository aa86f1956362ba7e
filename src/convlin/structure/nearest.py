"""The convolution nearest to any matrix, and how the matrix's energy splits.

Fully connected ⊃ locally connected ⊃ convolution are nested linear spaces, so (Frobenius norm)::

    ‖W‖² = ‖shared‖² + ‖local but not shared‖² + ‖off the support‖²

*shared* is the orthogonal projection onto the convolutions of one geometry, *off the support* what
stands where no tap reaches, and *local* the rest. The projection solves the normal equations,
whose Gram matrix is a product over dimensions (`axis_space.py`), the same for every channel pair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float, Shaped
from scipy.sparse import csr_array

from convlin.errors import Description, Refusal, Refused
from convlin.geometry import ConvGeometry
from convlin.matrix import ConvMatrix, Entries, dense_shape
from convlin.structure.axis_space import AxisSpace
from convlin.structure.canonical import canonical, look_up, require_matrix, rows_of
from convlin.structure.energy import Energy, Square, exponent_of, times_power
from convlin.structure.energy_html import split

__all__ = ["NearestConv", "nearest"]

LARGEST = 900  # entries are scaled to below 2^900: room for their sums, and for the least of them


@dataclass(frozen=True, eq=False, repr=False)
class NearestConv:
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
        return f"nearest {self.geometry.kind}: distance {self.distance:.4g}; {self.energy}"

    def _repr_html_(self) -> str:
        return split(self.energy.fractions, str(self))


def nearest(
    matrix: Any, geometry: ConvGeometry, input_size: SupportsIndex | Sequence[SupportsIndex]
) -> NearestConv:
    """Return the orthogonal projection of a matrix onto the convolutions of `geometry`.

    matrix: (out·output_size, in·input_size), NumPy or SciPy sparse; computed in float64 (complex
    where it is), at any scale. Raises `Refused` where its shape does not fit or the kernel is
    beyond float64, `GeometryError` for the size.

    >>> tied = np.array([[7, 0], [5, 7], [0, 5]])
    >>> found = nearest(tied + [[2, 0], [0, 0], [0, 0]], ConvGeometry(1, 1, (2,), padding=1), (2,))
    >>> found.weight.tolist()
    [[[5.0, 8.0]]]
    >>> print(found.energy)
    98.9% shared, 1.1% local but not shared, 0.0% off the support
    """
    size = geometry.sizes(input_size)
    rows, columns = dense_shape(geometry, size)
    shape = require_matrix(matrix, "nearest_conv")
    if shape != (rows, columns):
        where = f"{geometry.kind} on {size}"
        raise Refused(Refusal("nearest_conv", "matrix.shape", shape, str((rows, columns)), where))
    entries = Entries(geometry, size)
    given = canonical(matrix, "nearest_conv")
    given = given.astype(np.complex128 if given.dtype.kind == "c" else np.float64)
    # By a power of two: digits stay, and subnormal numbers gain the room for theirs.
    exponent = exponent_of(given.data) - LARGEST
    given.data = times_power(given.data, -exponent)
    spaces = [AxisSpace(geometry, dim, n) for dim, n in enumerate(entries.input_size)]
    scaled = _project(entries, given, spaces)
    with np.errstate(over="ignore"):
        weight = times_power(scaled, exponent)
    if not np.isfinite(weight).all():
        largest = np.abs(times_power(given.data, exponent)).max()
        raise Refused(
            Refusal("nearest_conv", "matrix", Description(f"numbers up to {largest}"),
                    "smaller ones", "its nearest kernel is beyond float64")
        )  # fmt: skip
    return NearestConv(
        geometry, entries.input_size, weight, _split(entries, given, scaled, exponent),
        tuple(space.free for space in spaces),
    )  # fmt: skip


def _project(
    entries: Entries, given: csr_array, spaces: Sequence[AxisSpace]
) -> Shaped[np.ndarray, "a b *kernel"]:
    """Return G⁺b: the sums over each tap's positions, then the inverse along each dimension."""
    shape = entries.geometry.weight_shape
    read = look_up(given, *entries.coordinates())
    place = entries.weight_index()
    sums = _sums(place, read, math.prod(shape)).reshape(shape)
    for axis, space in enumerate(spaces, 2):
        sums = np.moveaxis(np.tensordot(sums, space.inverse, axes=([axis], [0])), -1, axis)
    return np.ascontiguousarray(sums)


def _split(entries: Entries, given: csr_array, weight: np.ndarray, exponent: int) -> Energy:
    """Return the energy of what is given, times 2^`exponent`."""
    shared = entries.by_position.values(weight)
    parts = shared, entries.by_position.column_indices, entries.by_position.row_pointers
    model = csr_array(parts, shape=given.shape)
    on_support = look_up(given, rows_of(model), model.indices)
    supported = csr_array((on_support, *parts[1:]), shape=given.shape)
    arrays = shared, on_support - shared, (given - supported).data
    return Energy(tuple(Square.of(values, exponent) for values in arrays))


def _sums(place: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    if values.dtype.kind == "c":
        return _sums(place, values.real, size) + 1j * _sums(place, values.imag, size)
    return np.bincount(place, weights=values, minlength=size)
