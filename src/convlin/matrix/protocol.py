"""What the files of this room ask of a `ConvMatrix`, which imports them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from scipy.sparse.linalg import LinearOperator

from convlin.geometry import ConvGeometry

__all__ = ["Matrix"]


class Matrix(Protocol):
    """A `ConvMatrix`: as an operator, on arrays and tensors, and as the table of its numbers."""

    dtype: Any
    shape: tuple[int, int]

    @property
    def geometry(self) -> ConvGeometry:
        """The convolution's geometry."""

    @property
    def nnz(self) -> int:
        """Number of stored entries."""

    @property
    def needed_bytes(self) -> int:
        """Bytes that these take."""

    def tocsr(self) -> Any:
        """Return the matrix as CSR."""

    def toarray(self) -> np.ndarray:
        """Return the matrix as a dense array."""

    def _on_tensor(self, run: Any, x: Any, length: int) -> Any: ...
    def _matmat(self, x: np.ndarray) -> np.ndarray: ...
    def _rmatmat(self, y: np.ndarray) -> np.ndarray: ...
    def _matvec(self, x: np.ndarray) -> np.ndarray: ...
    def _rmatvec(self, y: np.ndarray) -> np.ndarray: ...
    def _transpose(self) -> LinearOperator: ...
