"""`spectral_norm`: the largest singular value of a convolution layer, for its gradient.

With unit vectors u and v of the value, A(w)·v = σ·u and A(w)ᴴ·u = σ·v::

    σ(w) = Re uᴴ·A(w)·v        dσ/dw[t] = Re uᴴ·P_t·v        the correlation of u and v at tap t

where P_t is the matrix of tap t: A is linear in w, and σ does not change to first order with u and
v, where the value is simple (Magnus, "On differentiating eigenvalues and eigenvectors", 1985).
Where it repeats, and at 0, σ has an edge. As a norm it is convex, and for any of the vectors::

    σ(w')  ≥  Re uᴴ·A(w')·v  =  σ(w) + ⟨correlation, w' - w⟩

so the correlation is a subgradient, one of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from convlin.errors import Refusal, Refused
from convlin.layers.conv_products import Correlation, products
from convlin.layers.singular_values import matrix_of
from convlin.matrix import ConvMatrix
from convlin.matrix.tensors import to_numpy
from convlin.spectrum import largest

__all__ = ["spectral_norm"]


def spectral_norm(
    conv: Any,
    input_size: SupportsIndex | Sequence[SupportsIndex] | None = None,
    *,
    tolerance: float | None = None,
) -> Shaped[Tensor, ""]:
    """Return the largest singular value of a convolution's matrix, with its gradient.

    `conv` and `input_size` are what `singular_values` takes. The result has no dimensions, and the
    weight's dtype (its parts', if complex), device and gradient; a second derivative is refused.
    It is computed in float64 on the CPU, and keeps no graph of that: it differs from a singular
    value by at most `tolerance` times that, by rounding alone if that is None. Where the largest
    value repeats the gradient is one of the subgradients, and at a weight of zeros it is 0.

    Raises `Refused` as `singular_values` does, and where the value overflows the weight's dtype.

    Identity: σ = uᵀ·A(w)·v, whose gradient is the correlation of u and v (Magnus, "On
    differentiating eigenvalues and eigenvectors", 1985). It is not the norm of the flattened
    kernel, by which torch.nn.utils.parametrizations.spectral_norm divides.

    >>> conv = torch.nn.Conv2d(3, 8, 3, padding=1)
    >>> loss = (spectral_norm(conv, (16, 16)) - 1) ** 2
    >>> loss.backward()
    >>> conv.weight.grad.shape
    torch.Size([8, 3, 3, 3])
    """
    matrix = matrix_of(conv, input_size)
    weight = torch.as_tensor(matrix.weight)
    if not (weight.dtype.is_floating_point or weight.dtype.is_complex):
        weight = weight.double()
    value: Tensor = _SpectralNorm.apply(weight, matrix, tolerance)
    return value


class _SpectralNorm(torch.autograd.Function):
    """The largest singular value as a function of the weight."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, matrix: ConvMatrix, tolerance: float | None) -> Tensor:
        plain = matrix.with_kernel(to_numpy(weight))
        sigma, u, v = largest(plain, tolerance=tolerance, products=products)
        real = weight.dtype.to_real()
        if sigma > torch.finfo(real).max:
            allowed = f"at most {torch.finfo(real).max}, the largest {real}"
            raise Refused(Refusal(plain.geometry.kind, "largest singular value", sigma, allowed))
        if ctx.needs_input_grad[0]:
            ctx.weight, ctx.correlation = weight, _correlation(plain, u, v).to(weight)
        return torch.tensor(sigma, dtype=real, device=weight.device)

    @staticmethod
    def backward(ctx: Any, by_value: Tensor) -> tuple[Tensor, None, None]:
        return _Gradient.apply(by_value, ctx.weight, ctx.correlation), None, None


class _Gradient(torch.autograd.Function):
    """The gradient as a function of the weight that nothing can differentiate.

    Without it a second derivative would leave out, unsaid, how u and v turn with the weight.
    """

    @staticmethod
    def forward(ctx: Any, by_value: Tensor, weight: Tensor, correlation: Tensor) -> Tensor:
        return by_value * correlation

    @staticmethod
    def backward(ctx: Any, by_gradient: Tensor) -> None:
        reason = "the singular vectors turn with the weight"
        raise Refused(Refusal("spectral_norm", "derivative", 2, "the first", reason))


def _correlation(
    matrix: ConvMatrix, u: Shaped[np.ndarray, " rows"], v: Shaped[np.ndarray, " columns"]
) -> Shaped[Tensor, "a b *kernel"]:
    """Return the gradient of Re uᴴ·A(w)·v by the weight, for unit vectors."""
    run = Correlation(matrix.geometry, matrix.input_size)
    sides = (u.conj(), v.conj()) if matrix.geometry.transposed else (v, u)
    pixels, cells = (
        torch.from_numpy(np.stack([side.real, side.imag])).reshape(2, *shape)
        for side, shape in zip(sides, (run.pixels, run.cells), strict=True)
    )
    if matrix.dtype.kind != "c":
        return run.weigh(pixels[:1], cells[:1])
    crossed = run.weigh(pixels[:1], cells[1:]) - run.weigh(pixels[1:], cells[:1])
    return torch.complex(run.weigh(pixels, cells), crossed)
