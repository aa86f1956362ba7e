"""A kernel as large as the input is a fully connected layer on the flattened input.

::

    y[o] = Σ_c Σ_t w[o, c, t] · x[c, t] + b[o] = Σ_k W[o, k] · flat(x)[k] + b[o]

There is one window, so the stride is free, and dilation must not spread the taps. Where the input
is padded, it is the padded input that the kernel must cover. Read backwards, *every* fully
connected layer on a flattened map is such a convolution (Long, Shelhamer and Darrell, "Fully
convolutional networks", 2015, section 3.1); the order of flattening is in `flatten_order.py`.
"""

from __future__ import annotations

from convlin.errors import Refusal
from convlin.geometry import ConvGeometry

__all__ = ["covered_size", "refusals"]


def covered_size(geometry: ConvGeometry) -> tuple[int, ...]:
    """Return the input size that the kernel, without dilation, covers exactly.

    >>> covered_size(ConvGeometry(3, 8, kernel=(3, 7), padding=(0, 1)))
    (3, 5)
    """
    return tuple(k - sum(pair) for k, pair in zip(geometry.kernel, geometry.padding, strict=True))


def refusals(
    geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
) -> tuple[Refusal, ...]:
    """Return everything that keeps the kernel from covering the input; nothing if it does.

    >>> print(*refusals(ConvGeometry(3, 8, kernel=(3, 5)), (3, 6)))
    Conv2d: input_size is (3, 6), expected (3, 5), which the kernel covers
    """
    found = []
    if geometry.transposed:
        found.append(Refusal(geometry.kind, "transposed", True, "False"))
    spread = tuple(
        1 if k > 1 else d for k, d in zip(geometry.kernel, geometry.dilation, strict=True)
    )
    if spread != geometry.dilation:
        found.append(Refusal(geometry.kind, "dilation", geometry.dilation, str(spread)))
    covered = covered_size(geometry)
    if min(covered) < 1:
        reason = f"the kernel {geometry.kernel} covers padding only"
        found.append(Refusal(geometry.kind, "padding", geometry.padding, "0", reason))
    elif input_size != covered:
        allowed = f"{covered}, which the kernel covers"
        found.append(Refusal(geometry.kind, "input_size", input_size, allowed))
    return tuple(found)
