"""Groups as blocks: one matrix over all groups, zero wherever output and input groups differ.

::

    M = [ M₁        0 ]      M_g = rows of group g, (out/G, in/G · taps)
        [    ⋱        ]
        [ 0        M_G ]

The zeros are true weights of the Linear, so this form copies, and has G times the parameters;
its inverse exists only while they are 0.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device
from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.geometry import ConvGeometry

__all__ = ["leaks", "to_blocks", "to_rows"]


def to_blocks(rows: Shaped[Any, "groups o k"]) -> Shaped[Any, "groups*o groups*k"]:
    """Return the groups' matrices along the diagonal of one."""
    xp = array_namespace(rows)
    groups, outputs, columns = rows.shape
    blocks = xp.zeros((groups, outputs, groups, columns), dtype=rows.dtype, device=device(rows))
    for group in range(groups):
        blocks[group, :, group, :] = rows[group, :, :]
    return xp.reshape(blocks, (groups * outputs, groups * columns))


def to_rows(matrix: Shaped[Any, "o k"], geometry: ConvGeometry) -> Shaped[Any, "o k/groups"]:
    """Return the blocks stacked, dropping what is off them: the inverse of `to_blocks`."""
    xp = array_namespace(matrix)
    groups = geometry.groups
    outputs, columns = (n // groups for n in matrix.shape)
    return xp.concat(
        [
            matrix[g * outputs : (g + 1) * outputs, g * columns : (g + 1) * columns]
            for g in range(groups)
        ],
        axis=0,
    )


def leaks(matrix: Shaped[Any, "o k"], groups: int) -> tuple[Refusal, ...]:
    """Return a refusal for every block off the diagonal that holds a non-zero weight."""
    outputs, columns = (n // groups for n in matrix.shape)
    refusals = []
    for row in range(groups):
        for column in range(groups):
            if row == column:
                continue
            block = matrix[
                row * outputs : (row + 1) * outputs, column * columns : (column + 1) * columns
            ]
            xp = array_namespace(block)
            found = xp.nonzero(block)
            if found[0].shape[0]:
                o, k = int(found[0][0]), int(found[1][0])
                site = f"weight[{row * outputs + o}, {column * columns + k}]"
                refusals.append(
                    Refusal("linear", site, block[o, k].item(), "0",
                            f"it ties outputs of group {row} to inputs of group {column}")
                )  # fmt: skip
    return tuple(refusals)
