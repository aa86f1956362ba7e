"""The affine family of weights that give the same outputs on the same data.

::

    { w : U_b·w_r = U_b·w⁰_r for every block b and each of its outputs r }  =  w⁰ + ⊕ null(U_b)

so its dimension is Σ_b outputs·(unknowns - rank U_b): for a fully connected layer
C_out·(D - rank X), for a convolution (C_out/G)·Σ_g (K·C_in/G - rank U_g). The null spaces are
operators on one output's unknowns, never repeated over outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.sparse.linalg import LinearOperator

from convlin.solutions.design_blocks import DesignBlocks
from convlin.solutions.equilibration import column_exponents, equilibrated, unequilibrated
from convlin.solutions.modular_rank import rank_modulo
from convlin.solutions.null_space import NullSpace
from convlin.solutions.reach import reachable
from convlin.solutions.row_space import RowSpaces, row_spaces

__all__ = ["Basis", "SolutionFamily"]

EXACT_STEPS = 2e8  # of elimination: two seconds. Twice is twice that; half certifies fewer ranks


class SolutionFamily:
    """All weights of a layer that give the same outputs on `data` (samples, channels, pixels).

    >>> design = DesignBlocks.of_linear(3, 2, bias=False)
    >>> family = SolutionFamily(design, np.array([[[1], [2], [2]]]))
    >>> family.dimension, family.rank, family.certified
    (4, 2, True)
    """

    def __init__(self, design: DesignBlocks, data: Shaped[np.ndarray, "n channels pixels"]) -> None:
        self.design = design
        self._data = data
        self._columns = column_exponents(lambda: design.matrices(data))
        exponents = []

        def matrices() -> Iterator[np.ndarray]:
            for part in design.matrices(data):
                rows, exponent = equilibrated(part, self._columns)
                exponents.append(exponent)
                yield rows

        self._spaces: RowSpaces = row_spaces(matrices())
        self._rows: np.ndarray = np.concatenate(exponents, axis=1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        return f"{self.dimension} of {self.unknowns} directions free (rank {self.rank})"

    @property
    def ranks(self) -> Int[np.ndarray, " blocks"]:
        """The rank of each block's design matrix."""
        return self._spaces.ranks

    @property
    def rank(self) -> int:
        """Independent equations the data gives: each block's rank, for each of its outputs."""
        return int(self.ranks.sum()) * self.design.outputs

    @property
    def unknowns(self) -> int:
        """Weights and biases of the layer."""
        return self.design.parameters

    @property
    def dimension(self) -> int:
        """Free directions: unknowns less rank."""
        return self.unknowns - self.rank

    @property
    def unique(self) -> bool:
        """Whether no other weights give these outputs."""
        return self.dimension == 0

    @property
    def complete(self) -> bool:
        """Whether every singular value counts, so that no tolerance bounds the rank from above."""
        return self._spaces.complete

    @cached_property
    def identifiable(self) -> int:
        """How many of the free directions some other input could tell apart.

        The rest change no output for any input at all: weights that only meet padding, or that
        meet the same pixel at every position.
        """
        return int((reachable(self.design) - self.ranks).sum()) * self.design.outputs

    @property
    def gap(self) -> tuple[float, float]:
        """The smallest singular value that counts and the largest that does not.

        As fractions of the largest of their block, over all blocks; inf and 0 where there is none.
        Those of the data with features and samples brought to one size, which changes no rank. It
        is as clear as these two lie apart.
        """
        return float(self._spaces.smallest.min()), float(self._spaces.uncounted.max())

    @cached_property
    def certified(self) -> bool | None:
        """Whether exact arithmetic confirms the rank; None where it was not tried.

        Tried for data of whole numbers, where elimination modulo a prime is cheap enough. True: no
        rank is lower than stated, for certain, and none is higher unless the prime 2³¹ - 1
        happens to divide every minor that would show it.
        """
        rows = len(self._data) * (len(self.design.table) if self.design.shared else 1)
        size = rows * self.design.unknowns
        steps = self.design.blocks * size * min(rows, self.design.unknowns)
        if steps > EXACT_STEPS or not (
            np.array_equal(self._data, np.rint(self._data)) and abs(self._data).max() < 2**53
        ):
            return None
        matrices = np.concatenate(list(self.design.matrices(self._data)), axis=1)
        return bool((rank_modulo(matrices) == self.ranks).all())

    @cached_property
    def _free(self) -> list[NullSpace]:
        """The null spaces, blocks of equal rank together."""
        spaces, free = self._spaces, []
        for rank in np.unique(self.ranks):
            if rank < self.design.unknowns:
                where = np.flatnonzero(self.ranks == rank)
                columns = self._columns[where]
                rows = unequilibrated(spaces.rows[where, :rank], columns, spaces.tolerance)
                free.append(NullSpace.of(where, rows, int(np.ptp(columns, axis=1).max())))
        return free

    @property
    def basis(self) -> Basis:
        """An orthonormal basis of the free directions, as an operator.

        Columns are directions in the flattened parameters, weight then bias: those of the blocks
        of smallest rank first, output by output.
        """
        return Basis(self.design, self._free)

    def project(
        self, direction: Float[np.ndarray, "*n unknowns"]
    ) -> Float[np.ndarray, "*n unknowns"]:
        """Return the nearest free direction to one in the flattened parameters, weight then bias.

        >>> design = DesignBlocks.of_linear(2, 1, bias=False)
        >>> family = SolutionFamily(design, np.array([[[3], [4]]]))
        >>> family.project(np.array([1.0, 2.0])).round(3).tolist()
        [-0.32, 0.24]
        """
        blocks = self.design.split(direction)
        projected = np.zeros(blocks.shape)
        for space in self._free:
            projected[..., space.where, :, :] = space.project(blocks[..., space.where, :, :])
        return self.design.join(projected)

    def rounding(
        self, difference: Float[np.ndarray, "blocks outputs unknowns"]
    ) -> tuple[
        Float[np.ndarray, "blocks outputs rows"], Float[np.ndarray, "blocks outputs unknowns"]
    ]:
        """Return by how much a free direction may miss being free, as rounding leaves it.

        That is, how far it may move each output in every row of its design matrix, by the size of
        that row alone; and how far each unknown, along directions that the data determines.
        """
        spaces, columns = self._spaces, self._columns[:, None, :]
        leak = spaces.leak[:, None, None]
        with np.errstate(over="ignore"):  # no bound is left there, and inf says so
            length = _length(np.ldexp(difference, columns))
            # What is orthonormal at either size blurs an unknown no more than either says.
            least = np.minimum(np.ldexp(length, -columns), _length(difference))
            moved = np.ldexp(leak * length * spaces.largest[:, None, None], self._rows[:, None, :])
        return moved, leak / spaces.smallest[:, None, None] * least


def _length(vectors: Float[np.ndarray, "*n unknowns"]) -> Float[np.ndarray, "*n 1"]:
    """Return norms, number by number, so that no square is taken that floats do not hold."""
    length: np.ndarray = np.hypot.reduce(vectors, axis=-1, keepdims=True)
    return length


class Basis(LinearOperator):  # type: ignore[misc]
    """Orthonormal columns: (unknowns of the layer, free directions).

    >>> family = SolutionFamily(DesignBlocks.of_linear(3, 2, bias=True), np.ones((1, 3, 1)))
    >>> columns = family.basis.toarray()
    >>> columns.shape, bool(np.allclose(columns.T @ columns, np.eye(6)))
    ((8, 6), True)
    """

    def __init__(self, design: DesignBlocks, spaces: list[NullSpace]) -> None:
        self._design = design
        self._spaces = spaces
        columns = sum(len(space.where) * design.outputs * space.free for space in spaces)
        super().__init__(np.float64, (design.parameters, columns))

    def toarray(self) -> Float[np.ndarray, "unknowns free"]:
        """Return all columns."""
        columns: np.ndarray = self.matmat(np.eye(self.shape[1]))
        return columns

    def _parts(self) -> Iterator[tuple[NullSpace, slice, tuple[int, int, int]]]:
        """Yield each null space with its columns, and their shape (blocks, outputs, free)."""
        start = 0
        for space in self._spaces:
            shape = (len(space.where), self._design.outputs, space.free)
            stop = start + shape[0] * shape[1] * shape[2]
            yield space, slice(start, stop), shape
            start = stop

    def _matmat(self, z: Float[np.ndarray, "free n"]) -> Float[np.ndarray, "unknowns n"]:
        design, n = self._design, z.shape[1]
        blocks = np.zeros((n, design.blocks, design.outputs, design.unknowns))
        for space, columns, shape in self._parts():
            # Projected, small parts are as exact as large ones.
            free = space.project(space.expand(z[columns].T.reshape(n, *shape)))
            blocks[:, space.where] = free
        return design.join(blocks).T

    def _rmatmat(self, w: Float[np.ndarray, "unknowns n"]) -> Float[np.ndarray, "free n"]:
        blocks = self._design.split(w.T)
        z = np.empty((w.shape[1], self.shape[1]))
        for space, columns, _ in self._parts():
            z[:, columns] = space.coordinates(blocks[:, space.where]).reshape(len(z), -1)
        return z.T

    def _matvec(self, z: Float[np.ndarray, "*free"]) -> Float[np.ndarray, " unknowns"]:
        return self._matmat(z.reshape(-1, 1))[:, 0]

    def _rmatvec(self, w: Float[np.ndarray, "*unknowns"]) -> Float[np.ndarray, " free"]:
        return self._rmatmat(w.reshape(-1, 1))[:, 0]

    def _adjoint(self) -> LinearOperator:
        return LinearOperator(
            self.shape[::-1], matvec=self._rmatvec, rmatvec=self._matvec,
            matmat=self._rmatmat, rmatmat=self._matmat, dtype=self.dtype,
        )  # fmt: skip
