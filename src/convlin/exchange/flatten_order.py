"""In which order a feature map was flattened into the vector that a Linear reads.

A vector element j is map element order[j], the map counted in C order. So `order` is what comes
out when arange(C·H·W).reshape(C, H, W) is sent through the reshapes between map and Linear.

An order that is a permutation of the map's axes ("HWC") leaves the weight a view of the Linear's:
W[o, j] with j unflattened by axes. Any other order takes each column to a position of its own::

    w[o, order[j]] = W[o, j]      and back      W[o, j] = w[o, order[j]]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Int, Shaped

from convlin.errors import Description, Refusal, Refused

__all__ = [
    "AXIS_LETTERS",
    "axes_of",
    "element_order",
    "reordered",
    "to_map_order",
    "to_vector_order",
]

AXIS_LETTERS = {1: "CL", 2: "CHW", 3: "CDHW"}


def element_order(
    order: Any, feature_size: Sequence[int], site: str = "to_conv", field: str = "order"
) -> Int[np.ndarray, " features"]:
    """Return `order` as the array of map elements that the vector runs through.

    `order` is None (C order), a permutation of the axes' letters, or that array itself.
    Raises `Refused` for anything else, as the argument `field` of the function `site`.

    >>> element_order("WHC", (2, 1, 3)).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    letters = AXIS_LETTERS[len(feature_size) - 1]
    elements = np.arange(math.prod(feature_size))
    if order is None:
        return elements
    if isinstance(order, str):
        if sorted(order) != sorted(letters):
            raise Refused(
                Refusal(site, field, order, f"a permutation of {letters!r}",
                        f"feature_size = {tuple(feature_size)}")
            )  # fmt: skip
        axes = [letters.index(letter) for letter in order]
        return elements.reshape(feature_size).transpose(axes).ravel()
    try:
        numbers = np.asarray(order)
    except Exception:  # whatever an object of others raises, it is no array
        numbers = np.asarray(None)
    if (
        numbers.dtype.kind not in "iu"
        or numbers.size != elements.size
        or not np.array_equal(np.sort(numbers, axis=None), elements)
    ):
        raise Refused(
            Refusal(site, field, _shown(numbers, elements.size),
                    f"{letters!r} permuted, or whole numbers 0 … {elements.size - 1}, each once")
        )  # fmt: skip
    return numbers.ravel()


def _shown(numbers: np.ndarray, size: int) -> Description:
    """Return what is wrong with an order: its kind and size, or the first numbers that repeat."""
    text = Description(f"{numbers.dtype} array of shape {numbers.shape}")
    if numbers.dtype.kind not in "iu" or numbers.size > size:
        return text
    values, counts = np.unique(numbers, return_counts=True)
    repeated = ", ".join(map(str, values[counts > 1][:3]))
    return Description(f"{text} that repeats {repeated}") if repeated else text


def axes_of(
    elements: Int[np.ndarray, " features"], feature_size: Sequence[int]
) -> tuple[int, ...] | None:
    """Return the axes (0 = channel) that the vector runs over, slowest first; None if it does not.

    >>> axes_of(element_order("HWC", (3, 2, 5)), (3, 2, 5))
    (1, 2, 0)
    """
    grid = np.arange(math.prod(feature_size)).reshape(feature_size)
    for axes in itertools.permutations(range(len(feature_size))):
        if np.array_equal(grid.transpose(axes).ravel(), elements):
            return axes
    return None


def to_map_order(
    rows: Shaped[Any, "out features"], elements: Int[Any, " features"]
) -> Shaped[Any, "out features"]:
    """Return the columns of vector elements in the order of the map: w[o, order[j]] = W[o, j].

    >>> to_map_order(np.array([[10, 30, 20]]), np.array([0, 2, 1]))
    array([[10, 20, 30]])
    """
    xp = array_namespace(rows)
    return xp.take(rows, xp.argsort(elements), axis=1)


def to_vector_order(
    rows: Shaped[Any, "out features"], elements: Int[Any, " features"]
) -> Shaped[Any, "out features"]:
    """Return the columns of map elements in the order of the vector: W[o, j] = w[o, order[j]]."""
    return array_namespace(rows).take(rows, elements, axis=1)


def reordered(
    rows: Shaped[Any, "out features"], order: Int[Any, " features"], to: Int[Any, " features"]
) -> Shaped[Any, "out features"]:
    """Return the columns of one vector order in another: W'[o, k] = W[o, j], to[k] = order[j].

    >>> reordered(np.array([[10, 20, 30]]), np.array([0, 2, 1]), np.array([2, 1, 0]))
    array([[20, 30, 10]])
    """
    xp = array_namespace(rows)
    columns = np.argsort(order)[to]
    return xp.take(rows, xp.asarray(columns, device=device(rows)), axis=1)
