"""A convolution's maps as rows and columns on paper: 1-D is one row, 3-D is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import is_torch_array
from jaxtyping import Shaped

from convlin.errors import Refusal, Refused
from convlin.matrix import ConvMatrix

__all__ = ["as_array", "on_paper", "plane_shape", "read_image", "require_plane", "weight_of"]


def require_plane(site: str, matrix: ConvMatrix) -> None:
    """Raise unless the convolution has one dimension or two."""
    if matrix.geometry.ndim > 2:
        raise Refused(
            Refusal(site, "matrix.geometry.ndim", matrix.geometry.ndim, "1 or 2",
                    "paper has two dimensions")
        )  # fmt: skip


def plane_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (channels, *size) as (channels, rows, columns).

    >>> plane_shape((3, 8)), plane_shape((3, 8, 9))
    ((3, 1, 8), (3, 8, 9))
    """
    channels, *size = shape
    rows, columns = (1, *size)[-2:]
    return channels, rows, columns


def on_paper(position: tuple[int, ...]) -> tuple[int, int]:
    """Return a position (…, y, x) as row and column; a position (x,) is in row 0."""
    row, column = (0, *position)[-2:]
    return row, column


def read_image(site: str, matrix: ConvMatrix, image: Any) -> Shaped[np.ndarray, "c rows columns"]:
    """Return an image as (channels, rows, columns); raise where it is not the matrix's input.

    image: (channels, *size), flattened, or (*size) where there is one channel; NumPy, PyTorch or
    nested lists.
    """
    array = as_array(image, "image")
    shape = matrix.input_shape
    fits = [shape, (matrix.shape[1],), *([shape[1:]] if shape[0] == 1 else [])]
    if array.shape not in fits:
        allowed = " or ".join(str(fit) for fit in dict.fromkeys(fits))
        raise Refused(Refusal(site, "image.shape", array.shape, allowed))
    if array.dtype.kind not in "biufc":
        raise Refused(Refusal(site, "image.dtype", array.dtype, "numbers"))
    return array.reshape(plane_shape(shape))


def weight_of(matrix: ConvMatrix) -> Shaped[np.ndarray, "a b *kernel"]:
    """Return a matrix's kernel as a NumPy array, in PyTorch's order of axes."""
    return as_array(matrix.weight, "weight")


def as_array(array: Any, name: str) -> Shaped[np.ndarray, "*shape"]:
    """Return what a caller gave as a NumPy array: PyTorch's, or nested lists."""
    if is_torch_array(array):
        from convlin.matrix.tensors import to_numpy

        return to_numpy(array, name)
    return np.asarray(array)
