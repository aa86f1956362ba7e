"""Any matrix as one canonical CSR: sorted, without duplicates or zeros, finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int, Num
from scipy.sparse import csr_array, issparse

from convlin.errors import Description, Refusal, Refused
from convlin.matrix import require_own_memory

__all__ = ["canonical", "look_up", "position_of", "require_matrix", "rows_of"]


def canonical(matrix: Any, site: str) -> csr_array:
    """Return the matrix as a CSR array of its own that holds just its non-zeros.

    Raises `Refused` for anything but two dimensions of finite numbers.

    >>> canonical(np.array([[0, 5], [7, 0]]), "recognize").indices.tolist()
    [1, 0]
    """
    require_matrix(matrix, site)
    if not issparse(matrix):
        matrix = np.asarray(matrix)
    numbers = matrix.astype(np.int64) if matrix.dtype.kind == "b" else matrix
    csr = csr_array(numbers)
    if issparse(matrix):
        csr = csr.copy()
        csr.sum_duplicates()
        csr.eliminate_zeros()
    if not np.isfinite(csr.data).all():
        row, column = position_of(csr, int(np.argmax(~np.isfinite(csr.data))))
        raise Refused(Refusal(site, f"matrix[{row}, {column}]", csr[row, column], "finite numbers"))
    return csr


def require_matrix(matrix: Any, site: str) -> tuple[int, int]:
    """Return the shape of numbers in rows and columns; raise for anything else. Nothing is copied.

    An array that repeats its numbers in memory may be of any size, and to look through it endless.
    """
    if not issparse(matrix):
        matrix = np.asarray(matrix)
        require_own_memory(site, "matrix", matrix)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biufc":
        what = f"{matrix.dtype} of shape {tuple(matrix.shape)}"
        raise Refused(Refusal(site, "matrix", Description(what), "numbers in rows and columns"))
    rows, columns = matrix.shape
    return int(rows), int(columns)


def look_up(
    matrix: csr_array, rows: Int[np.ndarray, "*positions"], columns: Int[np.ndarray, "*positions"]
) -> Num[np.ndarray, "*positions"]:
    """Return what a canonical matrix holds at these positions, 0 where nothing is stored.

    >>> look_up(csr_array(np.array([[0, 5], [7, 0]])), np.array([0, 1]), np.array([0, 0])).tolist()
    [0, 7]
    """
    wide = np.int64(matrix.shape[1])
    keys = rows_of(matrix) * wide
    keys += matrix.indices
    wanted = rows * wide + columns
    if not len(keys):
        return np.zeros(wanted.shape, dtype=matrix.dtype)
    number = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    values: np.ndarray = np.where(keys[number] == wanted, matrix.data[number], matrix.dtype.type(0))
    return values


def position_of(matrix: csr_array, entry: int) -> tuple[int, int]:
    """Return row and column of the stored entry of this number.

    >>> position_of(csr_array(np.array([[0, 5], [7, 0]])), 1)
    (1, 0)
    """
    row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
    return row, int(matrix.indices[entry])


def rows_of(matrix: csr_array) -> Int[np.ndarray, " stored"]:
    """Return the row of every stored entry.

    >>> rows_of(csr_array(np.array([[0, 5], [7, 0]]))).tolist()
    [0, 1]
    """
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
