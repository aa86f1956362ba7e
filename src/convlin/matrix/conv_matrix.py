"""`ConvMatrix`: a convolution at one input size as the matrix that it is.

::

    flat(conv(x)) = A(w) · flat(x) + bias        A(w) = Σ_t w_t ⊗ P_t

Rows are outputs (out, *output_size), columns inputs (in, *input_size), both in C order, and P_t is
the 0/1 matrix of tap t. The matrix need not exist to be used: products run as convolutions. Built,
it is sparse, keeps a tap whose weight is 0 as an entry, and knows which weight every entry holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from array_api_compat import is_torch_array
from jaxtyping import Shaped
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import LinearOperator
from scipy.sparse.linalg import norm as sparse_norm

from convlin.arguments import flag, shown, whole
from convlin.display.html_view import as_html
from convlin.display.numbers import times
from convlin.errors import GeometryError, Refusal, Refused
from convlin.geometry import ConvGeometry, short_at
from convlin.matrix.adjoint import Adjoint, as_array, from_left
from convlin.matrix.correlate import adjoint, forward
from convlin.matrix.dense import dense
from convlin.matrix.entries import Entries, index_bytes
from convlin.matrix.entry_weights import EntryWeights
from convlin.matrix.kernel_numbers import as_numpy, require_numbers
from convlin.matrix.matrix_blocks import blocks
from convlin.matrix.memory import MEMORY_LIMIT
from convlin.matrix.wires import Wire, wires

if TYPE_CHECKING:
    import torch

__all__ = ["ConvMatrix"]


class ConvMatrix(LinearOperator):  # type: ignore[misc]
    """The matrix A(w) of a convolution at one input size: an operator, built only when asked.

    A `scipy.sparse.linalg.LinearOperator`: `A @ x`, `A.T @ y`, `svds(A)`, `lsqr(A, b)` and so on
    run as convolutions. `x` is one flattened input or a column each, NumPy or PyTorch; products
    with PyTorch arrays, from either side, stay on their device and carry gradients, in the dtype
    that torch.promote_types has for both. The bias is apart. NumPy sees the dense matrix in it
    (`np.asarray(A)`, `scipy.sparse.csr_matrix(A)`), within `memory_limit`.

    weight: (out, in/groups, *kernel), transposed (in, out/groups, *kernel), NumPy or PyTorch.
    Raises `GeometryError` where weight or input size do not fit; what builds the matrix
    raises `Refused` where that takes more than `memory_limit` bytes.

    Identity: A is linear in w; a transposed convolution is Aᵀ with the same weight (Dumoulin and
    Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4).

    >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[5, 7]]]), (2,))
    >>> A
    <3×2 ConvMatrix, 4 stored: Conv1d 1→1 k2 p1 on (2,)>
    >>> A.toarray()
    array([[7, 0],
           [5, 7],
           [0, 5]])
    >>> A @ np.array([1, 10])
    array([ 7, 75, 50])
    """

    def __init__(
        self,
        geometry: ConvGeometry,
        weight: Shaped[Any, "*shape"],
        input_size: SupportsIndex | Sequence[SupportsIndex],
        *,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        if not isinstance(geometry, ConvGeometry):
            raise Refused(Refusal("ConvMatrix", "geometry", shown(geometry), "a ConvGeometry"))
        memory_limit = whole("ConvMatrix", "memory_limit", memory_limit)
        size = geometry.sizes(input_size)
        needed, limit = index_bytes(geometry, size), max(memory_limit, MEMORY_LIMIT)
        if needed > limit:
            raise Refused(
                Refusal(geometry.kind, "memory_limit", limit, f"≥ {needed} bytes",
                        f"the list of what each output reads on {size} takes that")
            )  # fmt: skip
        self._set(Entries(geometry, size), weight, memory_limit)

    def _set(self, entries: Entries, weight: Any, memory_limit: int) -> None:
        shape = require_numbers(entries.geometry.kind, weight)
        if shape != entries.geometry.weight_shape:
            allowed = str(entries.geometry.weight_shape)
            raise GeometryError(Refusal(entries.geometry.kind, "weight.shape", shape, allowed))
        self._entries = entries
        self.weight = weight
        self.memory_limit = memory_limit
        super().__init__(as_numpy(weight).dtype, (entries.rows, entries.columns))

    def with_kernel(self, weight: Shaped[Any, "*shape"]) -> ConvMatrix:
        """Return the matrix of another kernel, sharing this one's index arrays.

        Building it then only fills in the values: a gather, or a segmented sum where taps overlap.
        """
        other = ConvMatrix.__new__(ConvMatrix)
        other._set(self._entries, weight, self.memory_limit)
        return other

    @property
    def geometry(self) -> ConvGeometry:
        """The convolution's geometry."""
        return self._entries.geometry

    @property
    def input_size(self) -> tuple[int, ...]:
        """Spatial size of the input, in pixels."""
        return self._entries.input_size

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        return self._entries.output_size

    @property
    def input_shape(self) -> tuple[int, ...]:
        """What a column unflattens to: (in, *input_size)."""
        return (self.geometry.in_channels, *self.input_size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """What a row unflattens to: (out, *output_size)."""
        return (self.geometry.out_channels, *self.output_size)

    @property
    def nnz(self) -> int:
        """Number of stored entries of `tocsr()`: structural non-zeros, whatever the weights."""
        return self._entries.by_position.count

    @property
    def needed_bytes(self) -> int:
        """Bytes of `tocsr()`: values, column indices and row pointers."""
        index = self._entries.by_position.index_dtype.itemsize
        return int(self.nnz * (self.dtype.itemsize + index) + (self.shape[0] + 1) * index)

    def __repr__(self) -> str:
        size, where = times(self.shape), short_at(self.geometry, self.input_size)
        return f"<{size} ConvMatrix, {self.nnz:,} stored: {where}>"

    def _repr_html_(self) -> str:
        return as_html(blocks(self))

    def tocsr(self, copy: bool = False) -> csr_array:
        """Return the matrix as CSR: sorted, one entry per position, zeros of the kernel kept.

        Its index arrays are read-only, as every matrix of this geometry shares them
        (`with_kernel`), unless `copy` asks for ones of its own: what changes a matrix in place,
        such as `eliminate_zeros()`, needs that.

        >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,)), np.array([[[0, 7]]]), (3,))
        >>> matrix = A.tocsr(copy=True)
        >>> matrix.eliminate_zeros()
        >>> A.nnz, matrix.nnz
        (4, 2)
        """
        copy = flag("tocsr", "copy", copy)
        self._require(self.needed_bytes, "CSR")
        layout = self._entries.by_position
        values = layout.values(as_numpy(self.weight))
        index = [layout.column_indices, layout.row_pointers]
        parts = (values, *(array.copy() if copy else array for array in index))
        matrix = csr_array(parts, shape=self.shape)
        matrix.has_canonical_format = True
        return matrix

    def tocoo(self) -> coo_array:
        """Return the matrix as COO, one entry per (output, input, tap), row by row.

        Where a padding mode repeats pixels, entries of one position stand side by side or apart,
        and add up.
        """
        layout = self._entries.by_tap
        index = layout.index_dtype.itemsize
        self._require(layout.count * (self.dtype.itemsize + 2 * index), "COO")
        values = layout.values(as_numpy(self.weight))
        return coo_array((values, self._entries.coordinates()), shape=self.shape)

    def toarray(self) -> Shaped[np.ndarray, "rows columns"]:
        """Return the matrix as a dense NumPy array."""
        self._require(self.shape[0] * self.shape[1] * self.dtype.itemsize, "dense array")
        matrix: np.ndarray = dense(self.geometry, as_numpy(self.weight), self.input_size)
        return matrix

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> Shaped[np.ndarray, "rows columns"]:
        return as_array(self.toarray(), dtype, copy)

    def norm(self, ord: str | float | None = None) -> float:  # noqa: A002 - as NumPy calls it
        """Return a norm of the matrix, in double precision.

        ord: None or "fro", Frobenius's, which builds nothing; 1 or inf, the largest sum of
        magnitudes in a column or row, of the matrix as CSR. (The largest singular value, ord=2 in
        NumPy, is `singular_values(A, k=1)[0]`. `scipy.sparse.linalg.norm` takes `A.tocsr()`.)

        >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[3, 4]]]), (2,))
        >>> A.norm() == math.sqrt(2 * 3**2 + 2 * 4**2), A.norm(1), A.norm(np.inf)
        (True, 7.0, 7.0)
        """
        if ord is None or (isinstance(ord, str) and ord == "fro"):
            return self._entries.by_position.frobenius(as_numpy(self.weight))
        if isinstance(ord, int | float) and not isinstance(ord, bool) and ord in (1, math.inf):
            return float(sparse_norm(self.tocsr(), ord))
        hint = "the largest singular value is singular_values(A, k=1)[0]"
        raise Refused(Refusal("norm", "ord", shown(ord), "None, 'fro', 1 or inf", hint))

    def to_torch(self, layout: torch.layout | str = "sparse_csr") -> torch.Tensor:
        """Return the matrix as a tensor of the weight's dtype and device, with its gradient.

        layout: torch.sparse_csr, torch.sparse_coo or torch.strided, or that name; "csr", "coo" and
        "dense" will do too.
        """
        from convlin.matrix.tensors import LAYOUTS, layout_name

        name = layout_name(layout)
        bytes_of, make = LAYOUTS[name]
        self._require(bytes_of(self._entries, self.dtype.itemsize), f"{name} tensor")
        return make(self._entries, self.weight)

    def entry_weights(self) -> EntryWeights:
        """Return, for every stored entry of `tocsr()`, the weights it holds.

        >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[5, 7]]]), (2,))
        >>> A.entry_weights().index.tolist()
        [1, 0, 1, 0]
        """
        entries = self._entries
        each = entries.by_tap.index_dtype.itemsize
        self._require(3 * each * entries.by_tap.count, "the list of weights")
        starts, order = entries.members()
        index = entries.weight_index()
        index = index if order is None else index[order]
        return EntryWeights(starts, index, index % self.geometry.taps)

    def wires(self, output: SupportsIndex | Sequence[SupportsIndex]) -> tuple[Wire, ...]:
        """Return what one output neuron reads: inputs, taps and weights, by channel and tap.

        output: (channel, *position), or its row. All indices count from 0. Raises `Refused` for
        an output that is not there.

        >>> A = ConvMatrix(ConvGeometry(1, 1, kernel=(2,), padding=1), np.array([[[5, 7]]]), (2,))
        >>> A.wires((0, 0))
        (Wire(input=(0, 0), tap=(1,), weight=7),)
        """
        return wires(self.geometry, as_numpy(self.weight), self.input_size, output)

    def dot(self, x: Any) -> Any:
        """Return A·x, for one flattened input or a column each, or A composed with an operator."""
        if not is_torch_array(x):
            return super().dot(x)
        return self._on_tensor(forward, x, self.shape[1])

    def __rmul__(self, y: Any) -> Any:
        """Return y·A, for one flattened output or a row each; `y @ A` asks for it too."""
        return from_left(y, self) if is_torch_array(y) else super().__rmul__(y)

    def _on_tensor(self, run: Any, x: Any, length: int) -> Any:
        """Run on a PyTorch array, where the weight must be one of that device."""
        if x.ndim not in (1, 2) or x.shape[0] != length:
            raise GeometryError(
                Refusal("product", "shape", tuple(x.shape), f"({length},) or ({length}, k)")
            )
        weight = self.weight
        if not is_torch_array(weight):
            from convlin.matrix.tensors import beside

            weight = beside(weight, x)
        y = run(self.geometry, weight, x[:, None] if x.ndim == 1 else x, self.input_size)
        return y[:, 0] if x.ndim == 1 else y

    def _matmat(self, x: np.ndarray) -> np.ndarray:
        y: np.ndarray = forward(self.geometry, as_numpy(self.weight), x, self.input_size)
        return y

    def _rmatmat(self, y: np.ndarray) -> np.ndarray:
        x: np.ndarray = adjoint(self.geometry, as_numpy(self.weight), y, self.input_size)
        return x

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x.reshape(-1, 1))[:, 0]

    def _rmatvec(self, y: np.ndarray) -> np.ndarray:
        return self._rmatmat(y.reshape(-1, 1))[:, 0]

    def _adjoint(self) -> LinearOperator:
        return Adjoint(self)

    def _transpose(self) -> LinearOperator:
        if self.dtype.kind != "c":
            return Adjoint(self)
        return Adjoint(self.with_kernel(self.weight.conj()))

    def _require(self, needed: int, what: str) -> None:
        """Raise unless `needed` bytes are within the limit."""
        if needed > self.memory_limit:
            raise Refused(
                Refusal(self.geometry.kind, "memory_limit", self.memory_limit, f"≥ {needed} bytes",
                        f"the {self.shape[0]}×{self.shape[1]} matrix as {what} takes that; "
                        "products with the ConvMatrix itself need none of it")
            )  # fmt: skip
