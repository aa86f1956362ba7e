"""`Spectrum`: the singular values of a convolution's matrix, and which way they were computed.

| method | where | values |
|---|---|---|
| per frequency | it is a whole circular convolution: circular padding, or no overlap | all |
| dense | it is small | all |
| Lanczos | anywhere else | the k largest |

*No overlap* means that nothing is read outside and every pixel is someone's: pointwise layers and
those that cut an image into patches.
"""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped
from scipy.sparse.linalg import aslinearoperator

from convlin.arguments import fraction, index
from convlin.display.blocks import Block, Column, Table
from convlin.display.shown import Shown
from convlin.errors import Refusal, Refused
from convlin.geometry import short_at
from convlin.matrix import ConvMatrix
from convlin.numerics.roundoff import DOUBLE
from convlin.spectrum.circular import circular
from convlin.spectrum.frequencies import frequency_error, frequency_values
from convlin.spectrum.lanczos import lanczos
from convlin.spectrum.multiplied import Products, multiplied, no_room, vector_bytes
from convlin.spectrum.near_one import near_one
from convlin.spectrum.norm_bound import bound_near_one, sums_bound
from convlin.spectrum.tolerance import svd_error

__all__ = ["Spectrum", "spectrum"]

Method: TypeAlias = Literal["per frequency", "dense", "Lanczos"]

# Multiply-adds of a dense decomposition, rows·columns·min: a tenth of a second, where Lanczos is no
# faster, and ten seconds. Half refuses what a short wait would answer, twice waits as long again.
AT_ONCE, AT_MOST = 2**27, 2**34
# Where both ways are open: of more than a tenth of the values, dense is the faster.
FEW = 10

LISTED = 10  # singular values that a table lists, the largest: more would fill a notebook's page

# A bound must be one as it is printed, too.
UPWARDS = decimal.Context(prec=6, rounding=decimal.ROUND_CEILING)


@dataclass(frozen=True, eq=False)
class Spectrum(Shown):
    """Singular values of a convolution's matrix, largest first, and a bound above all of them.

    values: the singular values asked for, float64, read-only. method: how they were computed.
    upper_bound: ‖A‖₂ is at most that, rounding included, for certain. residuals: for Lanczos, a
    singular value of A lies within residuals[i] of values[i]. total: how many A has, min of its
    shape. subject: the convolution in words. An array to NumPy, with `len` and indices.

    >>> from convlin.geometry import ConvGeometry
    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), stride=2), np.array([[[3.0, 4.0]]]), (6,))
    >>> s = spectrum(A)
    >>> s.values, s.method, s.total
    (array([5., 5., 5.]), 'per frequency', 3)
    >>> len(s), float(np.sum(s).round(9)), bool(s.upper_bound >= s[0])
    (3, 15.0, True)
    >>> print(s)
    Conv1d 1→1 k2 s2 on (6,): all 3 singular values, from 5 to 5, per frequency; norm ≤ 5.00001
    """

    values: Float[np.ndarray, " k"]
    method: Method
    upper_bound: float
    residuals: Float[np.ndarray, " k"] | None
    total: int
    subject: str

    def __post_init__(self) -> None:
        for array in (self.values, self.residuals):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[np.ndarray, " k"]:
        if copy is None:
            return np.asarray(self.values, dtype=dtype)
        return np.array(self.values, dtype=dtype, copy=copy)

    def __str__(self) -> str:
        many = "all" if len(self) == self.total else f"{len(self)} of"
        which = f"{many} {self.total} singular values, from {self[0]:.6g} to {self[-1]:.6g}"
        how: str = self.method
        if self.residuals is not None:
            how = f"by Lanczos (within {self.residuals.max():.1g})"
        bound = float(UPWARDS.create_decimal(self.upper_bound))
        return f"{self.subject}: {which}, {how}; norm ≤ {bound:.6g}"

    def _blocks(self, width: int | None = None) -> list[Block]:
        largest = self.values[:LISTED].tolist()
        rows = [{"rank": rank, "value": value} for rank, value in enumerate(largest, 1)]
        columns = [Column("", "rank"), Column("singular value", "value", "{:.6g}".format, "right")]
        if self.residuals is not None:
            columns.append(Column("within", "within", "{:.1g}".format, "right"))
            for row, residual in zip(rows, self.residuals.tolist(), strict=False):
                row["within"] = residual
        return [str(self), Table(columns, rows)]


def spectrum(
    matrix: ConvMatrix,
    k: SupportsIndex | None = None,
    *,
    tolerance: float | None = None,
    products: Products = aslinearoperator,
) -> Spectrum:
    """Return the `k` largest singular values of a convolution's matrix, or all.

    See `convlin.singular_values`; here weights are NumPy arrays. `products` makes of a matrix the
    operator that Lanczos multiplies by.

    >>> from convlin.geometry import ConvGeometry
    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[5, 7]]]), (2,))
    >>> spectrum(A).values.round(6)
    array([10.440307,  6.244998])
    """
    wanted = min(matrix.shape) if k is None else _count(matrix, k)
    tolerance = 0 if tolerance is None else fraction(matrix.geometry.kind, "tolerance", tolerance)
    weight, scale = near_one(matrix.geometry, matrix.weight, matrix.input_size)
    computed = _computed(matrix.with_kernel(weight), wanted, tolerance, products)
    if computed is None:
        raise Refused(_too_many(matrix, k))
    if math.isinf(scale.back(float(computed.values[0]))):
        largest = float(np.abs(matrix.weight).max())
        raise Refused(Refusal(matrix.geometry.kind, "largest weight", largest, "a smaller one",
                              "singular values overflow float64"))  # fmt: skip
    return Spectrum(
        values=scale.back(computed.values[:wanted]),
        method=computed.method,
        upper_bound=scale.above(computed.bound),
        residuals=None if computed.residuals is None else scale.back(computed.residuals),
        total=min(matrix.shape),
        subject=short_at(matrix.geometry, matrix.input_size),
    )


class Computed(NamedTuple):
    """What a method returns, for weights near 1: at least the values wanted."""

    method: Method
    values: Float[np.ndarray, " values"]
    bound: float
    residuals: Float[np.ndarray, " values"] | None = None


def _computed(
    matrix: ConvMatrix, wanted: int, tolerance: float, products: Products
) -> Computed | None:
    """Return the values by the first method that fits; None if none does."""
    geometry, weight, size = matrix.geometry, matrix.weight, matrix.input_size
    circle = circular(geometry, size)
    if circle is not None and circle.whole:
        values = frequency_values(geometry, weight, circle)
        error = frequency_error(geometry, weight, circle)
        return Computed("per frequency", values, float(values[0]) + error)
    if _dense(matrix, wanted):
        array = matrix.toarray()
        values = np.linalg.svd(array, compute_uv=False)
        error = svd_error(len(array), len(array.T), float(np.linalg.norm(array)))
        # Where padding repeats pixels, an entry is a sum over taps, and they may cancel.
        error += 2 * geometry.taps * DOUBLE * sums_bound(geometry, weight, size)
        return Computed("dense", values, float(values[0]) + error)
    if wanted <= _most(matrix):
        operator, spare = multiplied(matrix, products), _most(matrix) - wanted
        values, residuals = lanczos(operator, wanted, tolerance, spare)
        return Computed("Lanczos", values, bound_near_one(geometry, weight, size), residuals)
    return None


def _count(matrix: ConvMatrix, k: SupportsIndex) -> int:
    """Return `k` as an int, or refuse what is no number of singular values."""
    total = min(matrix.shape)
    allowed = f"a whole number from 1 to {total}, or None for all"
    wanted = index(k)
    if wanted is None or not 1 <= wanted <= total:
        raise Refused(Refusal(matrix.geometry.kind, "k", k, allowed))
    return wanted


def _most(matrix: ConvMatrix) -> int:
    """Return how many values Lanczos finds: fewer than all, their vectors within the limit."""
    return min(int(min(matrix.shape)) - 1, matrix.memory_limit // vector_bytes(matrix))


def _too_many(matrix: ConvMatrix, k: SupportsIndex | None) -> Refusal:
    """Return the refusal where neither way is open for that many singular values."""
    (rows, columns), most = matrix.shape, _most(matrix)
    if most < 1:
        return no_room(
            matrix, vector_bytes(matrix) if min(rows, columns) > 1 else 16 * rows * columns
        )
    return Refusal(
        matrix.geometry.kind, "k", k, f"1 to {most}, better a few",
        f"all {min(matrix.shape)} take a dense decomposition of {rows}×{columns}; Lanczos finds "
        "the largest from products alone",
    )  # fmt: skip


def _dense(matrix: ConvMatrix, wanted: int) -> bool:
    """Whether a dense decomposition fits, and is worth it for that many singular values."""
    rows, columns = matrix.shape
    work: int = rows * columns * min(rows, columns)
    if work > AT_MOST or 16 * rows * columns > matrix.memory_limit:
        return False
    return bool(work <= AT_ONCE or FEW * wanted > min(rows, columns))
