"""Aᴴ of a `ConvMatrix` as an operator of its own, and products from the left, which need it."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import is_torch_array
from jaxtyping import Shaped
from scipy.sparse.linalg import LinearOperator

from convlin.errors import GeometryError, Refusal
from convlin.matrix.correlate import adjoint
from convlin.matrix.protocol import Matrix

__all__ = ["Adjoint", "as_array", "from_left"]


class Adjoint(LinearOperator):  # type: ignore[misc]
    """Aᴴ of a `ConvMatrix`, for NumPy and PyTorch alike."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        super().__init__(matrix.dtype, matrix.shape[::-1])

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> Shaped[np.ndarray, "columns rows"]:
        return as_array(self._matrix.toarray().conj().T, dtype, copy)

    def dot(self, y: Any) -> Any:
        """Return Aᴴ·y."""
        if not is_torch_array(y):
            return super().dot(y)
        return self._matrix._on_tensor(adjoint, y, self.shape[1])

    def __rmul__(self, x: Any) -> Any:
        """Return x·Aᴴ; `x @ A.H` asks for it too."""
        return from_left(x, self) if is_torch_array(x) else super().__rmul__(x)

    def _matmat(self, y: np.ndarray) -> np.ndarray:
        return self._matrix._rmatmat(y)

    def _rmatmat(self, x: np.ndarray) -> np.ndarray:
        return self._matrix._matmat(x)

    def _matvec(self, y: np.ndarray) -> np.ndarray:
        return self._matrix._rmatvec(y)

    def _rmatvec(self, x: np.ndarray) -> np.ndarray:
        return self._matrix._matvec(x)

    def _adjoint(self) -> LinearOperator:
        return self._matrix

    def _transpose(self) -> LinearOperator:
        return self._matrix if self.dtype.kind != "c" else self._matrix._transpose()._adjoint()


def from_left(y: Any, matrix: LinearOperator) -> Any:
    """Return y·A = (Aᵀ·yᵀ)ᵀ for a PyTorch array."""
    rows = matrix.shape[0]
    if y.ndim not in (1, 2) or y.shape[-1] != rows:
        allowed = f"({rows},) or (k, {rows})"
        raise GeometryError(Refusal("product", "shape", tuple(y.shape), allowed))
    return matrix.T.dot(y) if y.ndim == 1 else matrix.T.dot(y.mT).mT


def as_array(matrix: np.ndarray, dtype: Any, copy: bool | None) -> np.ndarray:
    """Return a matrix that was just made in the dtype that NumPy asks for."""
    if copy is False:
        raise ValueError("a ConvMatrix is no array: making one copies")
    return matrix if dtype is None else matrix.astype(dtype, copy=False)
