"""The free directions of blocks of equal rank, as an operator that takes rank·unknowns numbers.

Let the r orthonormal rows V = [V₁ V₂] span a row space, V₁ square. With its singular value
decomposition V₁ = B·Σ·Aᵀ, the block reflector ::

    H = I - Yᵀ·(B·(I + Σ)⁻¹·Bᵀ)·Y,        Y = V + [B·Aᵀ 0]

is orthogonal and takes the first r unit vectors to the span of V, hence the others to an
orthonormal basis of the null space: row vectors z become [0 z] - z·V₂ᵀ·B·(I + Σ)⁻¹·Bᵀ·Y. Nothing
is divided by less than 1 (the polar factor B·Aᵀ stands where Householder has a sign), so the basis
is orthonormal up to rounding for any V; and no square matrix of the unknowns is ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["NullSpace"]


@dataclass(frozen=True, eq=False, repr=False)
class NullSpace:
    """The null spaces of the blocks `where`, all of the same rank.

    rows: the orthonormal rows V. lift: (B·(I + Σ)⁻¹·Bᵀ)·Y. passes: how often to project, see there.
    """

    where: Int[np.ndarray, " blocks"]
    rows: Float[np.ndarray, "blocks rank unknowns"]
    lift: Float[np.ndarray, "blocks rank unknowns"]
    passes: int

    @classmethod
    def of(
        cls,
        where: Int[np.ndarray, " blocks"],
        rows: Float[np.ndarray, "blocks rank unknowns"],
        spread: int = 0,
    ) -> NullSpace:
        """Return the null spaces that are orthogonal to these orthonormal rows.

        spread: the columns of what they come from differ in size by up to 2^spread.

        >>> free = NullSpace.of(np.array([0]), np.array([[[0.6, 0.8]]]))
        >>> free.expand(np.array([[[1.0]]])).round(3).tolist()
        [[[-0.8, 0.6]]]
        """
        rank = rows.shape[1]
        b, sigma, a = np.linalg.svd(rows[..., :rank])
        y = rows.copy()
        y[..., :rank] += b @ a
        lift = (b / (1 + sigma[:, None, :])) @ b.swapaxes(1, 2) @ y
        return cls(where, rows, lift, 2 + spread // 48)

    def __repr__(self) -> str:
        return f"<NullSpace: {len(self.where)} blocks, {self.free} free, rank {self.rank}>"

    @property
    def rank(self) -> int:
        """Number of rows, and of unknowns that are not free."""
        return int(self.rows.shape[1])

    @property
    def free(self) -> int:
        """Free directions of one output of a block."""
        return int(self.rows.shape[2]) - self.rank

    def expand(
        self, z: Float[np.ndarray, "*n blocks outputs free"]
    ) -> Float[np.ndarray, "*n blocks outputs unknowns"]:
        """Return Σ z_i·(basis vector i), for each output of each block."""
        w: np.ndarray = -(z @ self.rows[..., self.rank :].swapaxes(1, 2)) @ self.lift
        w[..., self.rank :] += z
        return w

    def coordinates(
        self, w: Float[np.ndarray, "*n blocks outputs unknowns"]
    ) -> Float[np.ndarray, "*n blocks outputs free"]:
        """Return the products of `w` with every basis vector: the adjoint of `expand`."""
        z: np.ndarray = (
            w[..., self.rank :] - (w @ self.lift.swapaxes(1, 2)) @ self.rows[..., self.rank :]
        )
        return z

    def project(
        self, w: Float[np.ndarray, "*n blocks outputs unknowns"]
    ) -> Float[np.ndarray, "*n blocks outputs unknowns"]:
        """Return the nearest free direction: w less its part in the row space.

        Twice, as what rounding left of that part the first time is too much if w was mostly that;
        oftener where a large column asks for a small unknown: each time takes off 48 bits or more
        (of 53, less those that a sum over unknowns costs). Fewer leave a trace, more take time.
        """
        for _ in range(self.passes):
            w = w - (w @ self.rows.swapaxes(1, 2)) @ self.rows
        return w
