"""Matrices that come as tensors, layers or operators, and weights that go back as tensors.

Whoever knows one more kind of layer by its matrix registers how to read it (`local.py` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from scipy.sparse import coo_array, csr_array, issparse
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from convlin.arguments import shown
from convlin.errors import Description, Refusal, Refused
from convlin.layers.computed import computed
from convlin.layers.stock_layer import weight_of
from convlin.matrix import ConvMatrix
from convlin.matrix.tensors import to_numpy
from convlin.numerics.roundoff import unit

__all__ = ["ReadMatrix", "as_array", "known_numbers", "read_matrix"]


SPARSE = (torch.sparse_coo, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


@dataclass(frozen=True, eq=False, repr=False)
class ReadMatrix:
    """A matrix for NumPy or SciPy, a bias if it has one, and what it was.

    like: the tensor or NumPy dtype that weights go back to, None for that of the matrix.
    unit_roundoff: of the arithmetic that summed its entries, None for that of the matrix's dtype.
    """

    matrix: Any
    bias: Shaped[np.ndarray, " outputs"] | None = None
    like: Tensor | np.dtype[Any] | None = None
    unit_roundoff: float | None = None

    def __post_init__(self) -> None:
        """Raise `Refused` for numbers that are no matrix, or an empty one."""
        if self.matrix.dtype.kind in "biufc":
            _require_matrix(self.matrix)

    def back(self, array: Shaped[np.ndarray, "*shape"]) -> Any:
        """Return weights as a tensor where the matrix was one, in its dtype if that is inexact."""
        if self.like is None:
            return array
        if not isinstance(self.like, Tensor):
            # Only what was widened is narrowed again.
            return array.astype(self.like) if array.dtype == self.matrix.dtype else array
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.to(self.like.device, self.like.dtype if _inexact(self.like) else tensor.dtype)


@singledispatch
def read_matrix(matrix: Any) -> ReadMatrix:
    """Return any matrix for NumPy or SciPy.

    Takes tensors (strided or sparse), nn.Linear, ConvMatrix, and the locally connected layers; of
    the rest, whatever NumPy or SciPy takes. Raises `Refused` for layers that compute more than
    their class says, other layers, and numbers that SciPy has no arithmetic for.
    """
    array = known_numbers(matrix if issparse(matrix) else as_array(matrix), "matrix", "dtype")
    if array.dtype == np.float16:  # which SciPy lacks
        narrow = unit(array.dtype)
        return ReadMatrix(array.astype(np.float32), like=array.dtype, unit_roundoff=narrow)
    return ReadMatrix(array)


@read_matrix.register
def _(matrix: ConvMatrix) -> ReadMatrix:
    stored = read_matrix(matrix.tocsr())
    weight = matrix.weight
    like = weight if isinstance(weight, Tensor) else np.asarray(weight).dtype
    return ReadMatrix(stored.matrix, like=like)


@read_matrix.register
def _(matrix: LinearOperator) -> ReadMatrix:
    site, hint = type(matrix).__name__, "A.tocsr() or A @ np.eye(A.shape[1]) builds one"
    raise Refused(Refusal("matrix", "type", Description(site), "a matrix that exists", hint))


@read_matrix.register
def _(matrix: nn.Module) -> ReadMatrix:
    site = type(matrix).__name__
    kinds = "nn.Linear, or a locally connected layer"
    hint = "the matrix of a convolution is unroll(conv, input_size)"
    raise Refused(Refusal(site, "type", Description(site), kinds, hint))


@read_matrix.register
def _(matrix: nn.Linear) -> ReadMatrix:
    weight = weight_of(matrix, nn.Linear)
    entries = to_numpy(weight, "weight")
    own = computed(matrix, "bias")
    bias = None if own is None else to_numpy(own, "bias")
    return ReadMatrix(entries, bias, weight, _unit_roundoff(weight))


@read_matrix.register
def _(matrix: Tensor) -> ReadMatrix:
    return ReadMatrix(
        _read_tensor(matrix.detach()), like=matrix, unit_roundoff=_unit_roundoff(matrix)
    )


def _require_matrix(matrix: Any) -> None:
    """Raise unless there are two dimensions, with entries."""
    shape = tuple(matrix.shape)
    if len(shape) != 2:
        what, hint = f"{matrix.dtype} of shape {shape}", ""
        if len(shape) > 2:
            hint = "reshape to (outputs, inputs) what a Jacobian has as (out, *size, in, *size)"
        raise Refused(
            Refusal("matrix", "shape", Description(what), "numbers in rows and columns", hint)
        )
    if 0 in shape:
        raise Refused(Refusal("matrix", "shape", shape, "at least one output and one input"))


def as_array(matrix: Any) -> Any:
    """Return what NumPy makes of anything; raise for what it makes nothing of."""
    try:
        return np.asarray(matrix)
    except Exception:  # also whatever an object of others raises
        raise Refused(
            Refusal("matrix", "type", shown(matrix), "numbers in rows and columns")
        ) from None


def known_numbers(array: Any, site: str, field: str) -> Any:
    """Return an array in the machine's byte order; raise for floats too wide to compute with."""
    widest = {"f": np.dtype(np.float64), "c": np.dtype(np.complex128)}.get(array.dtype.kind)
    if widest is not None and array.dtype.itemsize > widest.itemsize:
        raise Refused(Refusal(site, field, array.dtype, f"{widest} or narrower"))
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _read_tensor(matrix: Tensor) -> Any:
    if matrix.is_nested:
        raise Refused(
            Refusal("matrix", "layout", Description("nested"), "a plain or sparse tensor")
        )
    if matrix.layout == torch.strided or matrix.is_meta:
        return to_numpy(matrix, "matrix")
    _require_matrix(matrix)
    if matrix.layout == torch.sparse_csr:
        parts = (matrix.values(), matrix.col_indices(), matrix.crow_indices())
        return csr_array(
            tuple(to_numpy(part, "matrix") for part in parts), shape=tuple(matrix.shape)
        )
    if matrix.layout not in SPARSE or (matrix.layout == torch.sparse_coo and matrix.dense_dim()):
        return to_numpy(matrix.to_dense(), "matrix")
    entries: Any = matrix.to_sparse(layout=torch.sparse_coo)
    entries = entries.coalesce()
    values, indices = (to_numpy(part, "matrix") for part in (entries.values(), entries.indices()))
    return coo_array((values, tuple(indices)), shape=tuple(matrix.shape))


def _unit_roundoff(matrix: Tensor) -> float | None:
    """Return the unit roundoff of the numbers, None for whole ones."""
    return unit(matrix.dtype) if _inexact(matrix) else None


def _inexact(matrix: Tensor) -> bool:
    return matrix.dtype.is_floating_point or matrix.dtype.is_complex
