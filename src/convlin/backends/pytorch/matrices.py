"""Matrices that come as tensors, layers or operators, and weights that go back as tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor, nn

from convlin.backends.pytorch.reading import require_plain
from convlin.matrix import ConvMatrix
from convlin.matrix.tensors import to_numpy

__all__ = ["read_matrix"]


def read_matrix(matrix: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
    """Return a matrix for NumPy or SciPy, a bias if it has one, and the way back for arrays.

    Takes tensors (dense, COO, CSR), nn.Linear, ConvMatrix, and layers that know their matrix (the
    locally connected ones); anything else is returned as it is. Arrays go back as tensors where
    the matrix was one. Raises `Refused` for layers that compute more than their class says.
    """
    if isinstance(matrix, ConvMatrix):
        return matrix.tocsr(), None, lambda array: array
    if isinstance(matrix, nn.Linear):
        require_plain(matrix, nn.Linear)
        bias = None if matrix.bias is None else to_numpy(matrix.bias)
        return to_numpy(matrix.weight), bias, _back(matrix.weight)
    if isinstance(matrix, nn.Module) and callable(getattr(matrix, "matrix", None)):
        layer: Any = matrix
        per_output = None if layer.bias is None else to_numpy(layer.bias).reshape(-1)
        return layer.matrix(), per_output, _back(layer.weight)
    if isinstance(matrix, Tensor):
        return _read_tensor(matrix.detach()), None, _back(matrix)
    return matrix, None, lambda array: array


def _read_tensor(matrix: Tensor) -> Any:
    if matrix.layout == torch.strided:
        return to_numpy(matrix)
    if matrix.layout == torch.sparse_csr:
        parts = (matrix.values(), matrix.col_indices(), matrix.crow_indices())
        return csr_array(tuple(to_numpy(part) for part in parts), shape=tuple(matrix.shape))
    entries: Any = matrix.to_sparse(layout=torch.sparse_coo)
    entries = entries.coalesce()
    places = tuple(to_numpy(entries.indices()))
    return coo_array((to_numpy(entries.values()), places), shape=tuple(matrix.shape))


def _back(like: Tensor) -> Callable[[Any], Any]:
    """Return what turns an array into a tensor of this one's dtype and device."""

    def back(array: Any) -> Tensor:
        held = torch.from_numpy(np.ascontiguousarray(array))
        whole = like.dtype.is_floating_point or like.dtype.is_complex
        return held.to(like.device, like.dtype if whole else held.dtype)

    return back
