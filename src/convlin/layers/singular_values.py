"""`singular_values`: what a convolution layer does to the length of its inputs.

All the mathematics is in `convlin.spectrum`; here layers are read into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from torch import Tensor

from convlin.errors import Refusal, Refused
from convlin.layers.conv_products import products
from convlin.layers.unroll import unroll
from convlin.matrix import ConvMatrix
from convlin.matrix.tensors import to_numpy
from convlin.spectrum import Spectrum, spectrum

__all__ = ["matrix_of", "singular_values"]


def singular_values(
    conv: Any,
    input_size: SupportsIndex | Sequence[SupportsIndex] | None = None,
    k: SupportsIndex | None = None,
    *,
    tolerance: float | None = None,
) -> Spectrum:
    """Return the `k` largest singular values of a convolution's matrix, or all, largest first.

    `conv` is whatever `unroll` takes, for inputs of `input_size` pixels, or a ConvMatrix, which
    has its size. The bias is apart. Weights are taken to float64 (complex128) whatever they are.

    Exact per frequency, at any size, where the matrix is a whole circular convolution: circular
    padding that keeps the size (or divides it by the stride), pointwise layers, patches. Of other
    matrices, small ones are decomposed as they are; of large ones, which are never built, Lanczos
    iteration finds a few, as often as they repeat. `upper_bound` is certain whatever the method: no
    input gets longer than that many times.

    `tolerance` ends Lanczos iteration earlier: a singular value lies within that many times each of
    `values`, as `residuals` say, and values that differ by less count as equal. The other methods
    have no use for it. None for as near as rounding lets it come.

    Raises `Refused` where `k` is too large for Lanczos or its vectors for the matrix's
    `memory_limit`, for a tolerance that is not between 0 and 1, for weights that are not finite or
    overflow, and for layers that compute more than their class says; `GeometryError` where the
    input is too small.

    Identity: in the basis of waves a circular convolution is one small matrix a frequency (Sedghi,
    Gupta and Long, "The singular values of convolutional layers", 2019); with zero padding it is a
    submatrix of a circular one on more pixels.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> conv = torch.nn.Conv2d(8, 16, 3, padding=1, padding_mode="circular")
    >>> s = singular_values(conv, (32, 32))
    >>> s.method, len(s), bool(s.upper_bound < s[0] * (1 + 1e-8))
    ('per frequency', 8192, True)
    >>> zeros = torch.nn.Conv2d(8, 16, 3, padding=1)
    >>> s = singular_values(zeros, (32, 32), k=3)
    >>> s.method, bool(s[0] < s.upper_bound < 1.01 * s[0])
    ('Lanczos', True)
    >>> singular_values(zeros, (32, 32))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    convlin.errors.Refused: Conv2d: k is None, expected 1 to 2048, better a few (...)
    """
    matrix = matrix_of(conv, input_size)
    weight = matrix.weight
    plain = matrix.with_kernel(to_numpy(weight)) if isinstance(weight, Tensor) else matrix
    return spectrum(plain, k, tolerance=tolerance, products=products)


def matrix_of(conv: Any, input_size: SupportsIndex | Sequence[SupportsIndex] | None) -> ConvMatrix:
    """Return the matrix of what `unroll` takes, or a ConvMatrix itself, if it has that size."""
    if not isinstance(conv, ConvMatrix):
        return unroll(conv, input_size)
    if input_size is not None and conv.geometry.sizes(input_size) != conv.input_size:
        allowed = f"{conv.input_size}, or None"
        raise Refused(Refusal("ConvMatrix", "input_size", input_size, allowed))
    return conv
