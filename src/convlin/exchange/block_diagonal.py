"""Groups as blocks: one matrix over all groups, zero wherever output and input groups differ.

::

    M = [ M₁        0 ]      M_g = rows of group g, (out/G, in/G · taps)
        [    ⋱        ]
        [ 0        M_G ]

The zeros are true weights of the Linear, so this form copies, and holds G times the weights; its
inverse exists only while they are 0.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device
from jaxtyping import Shaped

from convlin.errors import Refusal

__all__ = ["leaks", "to_blocks", "to_rows"]


def to_blocks(rows: Shaped[Any, "groups o k"]) -> Shaped[Any, "groups*o groups*k"]:
    """Return the groups' matrices along the diagonal of one, as a new array.

    >>> import numpy as np
    >>> to_blocks(np.array([[[1, 2]], [[3, 4]]]))
    array([[1, 2, 0, 0],
           [0, 0, 3, 4]])
    """
    xp = array_namespace(rows)
    groups, outputs, columns = rows.shape
    blocks = xp.zeros((groups, outputs, groups, columns), dtype=rows.dtype, device=device(rows))
    for group in range(groups):
        blocks[group, :, group, :] = rows[group, :, :]
    return xp.reshape(blocks, (groups * outputs, groups * columns))


def to_rows(matrix: Shaped[Any, "o k"], groups: int) -> Shaped[Any, "groups o/groups k/groups"]:
    """Return the blocks on the diagonal, as a new array: the inverse of `to_blocks`.

    What is off the blocks is dropped; ask `leaks` first.
    """
    xp = array_namespace(matrix)
    blocks = _blocks(matrix, groups)
    return xp.stack([blocks[group, :, group, :] for group in range(groups)], axis=0)


def leaks(matrix: Shaped[Any, "o k"], groups: int) -> tuple[Refusal, ...]:
    """Return a refusal for every block off the diagonal that holds a weight other than 0.

    >>> import numpy as np
    >>> print(*leaks(np.array([[1, 2, 0, 0], [5, 0, 3, 4]]), 2))
    linear: weight[1, 0] is 5, expected 0 (off the blocks: output group 1 would read input group 0)
    """
    xp = array_namespace(matrix)
    blocks = _blocks(matrix, groups)
    _, outputs, _, columns = blocks.shape
    found = []
    occupied = xp.any(xp.any(blocks != 0, axis=3), axis=1)
    for to, of in zip(*(axis.tolist() for axis in xp.nonzero(occupied)), strict=True):
        if to == of:
            continue
        block = blocks[to, :, of, :]
        o, k = (int(axis[0]) for axis in xp.nonzero(block))
        field = f"weight[{to * outputs + o}, {of * columns + k}]"
        reason = f"off the blocks: output group {to} would read input group {of}"
        found.append(Refusal("linear", field, block[o, k].item(), "0", reason))
    return tuple(found)


def _blocks(matrix: Shaped[Any, "o k"], groups: int) -> Shaped[Any, "groups o groups k"]:
    outputs, columns = matrix.shape
    shape = (groups, outputs // groups, groups, columns // groups)
    return array_namespace(matrix).reshape(matrix, shape)
