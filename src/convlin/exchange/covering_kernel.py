"""A kernel as large as the input is a fully connected layer on the flattened input.

::

    y[o] = Σ_c Σ_t w[o, c, t] · x[c, t] + b[o] = Σ_k W[o, k] · flat(x)[k] + b[o]

There is one window, so the stride is free, and dilation must not spread the taps. Where the input
is padded, it is the padded input that the kernel must cover. Read backwards, *every* fully
connected layer on a flattened map is such a convolution (Long, Shelhamer and Darrell, "Fully
convolutional networks", 2015, section 3.1); the order of flattening is in `flatten_order.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from array_api_compat import array_namespace, device
from jaxtyping import Shaped

from convlin.errors import Refusal
from convlin.exchange.flatten_order import axes_of, element_order, to_map_order, to_vector_order
from convlin.exchange.kernel_matrix import KernelMatrix
from convlin.geometry import ConvGeometry

__all__ = ["CoveringKernel", "covered_size"]


@dataclass(frozen=True, repr=False)
class CoveringKernel(KernelMatrix):
    """One window, the whole input: the kernel matrix applied to the flattened input.

    `elements` says how the input was flattened where that is no order of axes: vector element j is
    map element elements[j] in C order. No view has such an order, so both maps copy then.
    """

    elements: tuple[int, ...] | None = None

    name: ClassVar[str] = "covering_kernel"

    @classmethod
    def of_map(
        cls, feature_size: Sequence[int], outputs: int, order: Any = None, stride: Any = 1
    ) -> Self:
        """Return the exchange of a fully connected layer on maps (C, *spatial), flattened so.

        On larger maps it is applied at every `stride` pixels.

        `order` is a permutation of the axes' letters, or the map elements in C order as the vector
        runs through them. Raises `Refused` for anything else.

        >>> CoveringKernel.of_map((3, 4, 5), 7, "HWC").order
        (1, 2, 0)
        """
        size = tuple(feature_size)
        elements = element_order(order, size)
        axes = axes_of(elements, size)
        geometry = ConvGeometry(size[0], outputs, size[1:], stride)
        scattered = None if axes else tuple(elements.tolist())
        return cls(geometry, size[1:], axes, elements=scattered)

    @property
    def views(self) -> bool:
        """Whether the vector runs over axes, one after the other."""
        return super().views and self.elements is None

    def weight(self, kernel: Shaped[Any, "o c *kernel"]) -> Shaped[Any, "o columns"]:
        """Return W[o, k] = w[o, c, t], in the order in which the input is flattened."""
        rows = super().weight(kernel)
        return rows if self.elements is None else to_vector_order(rows, self._elements(rows))

    def kernel(self, weight: Shaped[Any, "o columns"]) -> Shaped[Any, "o c *kernel"]:
        """Return w[o, c, t] = W[o, k]."""
        if self.elements is not None:
            weight = to_map_order(weight, self._elements(weight))
        return super().kernel(weight)

    def _elements(self, rows: Any) -> Any:
        return array_namespace(rows).asarray(self.elements, device=device(rows))

    @staticmethod
    def refusals(
        geometry: ConvGeometry, input_size: tuple[int, ...] | None = None
    ) -> tuple[Refusal, ...]:
        """Return everything that keeps the kernel from covering the input; nothing if it does.

        >>> print(*CoveringKernel.refusals(ConvGeometry(3, 8, kernel=(3, 5)), (3, 6)))
        Conv2d: input_size is (3, 6), expected (3, 5), which the kernel covers
        """
        refusals = list(KernelMatrix.refusals(geometry))
        spread = tuple(
            1 if k > 1 else d for k, d in zip(geometry.kernel, geometry.dilation, strict=True)
        )
        if spread != geometry.dilation:
            refusals.append(Refusal(geometry.kind, "dilation", geometry.dilation, str(spread)))
        covered = covered_size(geometry)
        if min(covered) < 1:
            reason = f"the kernel {geometry.kernel} covers padding only"
            refusals.append(Refusal(geometry.kind, "padding", geometry.padding, "0", reason))
        elif input_size != covered:
            allowed = f"{covered}, which the kernel covers"
            refusals.append(Refusal(geometry.kind, "input_size", input_size, allowed))
        return tuple(refusals)


def covered_size(geometry: ConvGeometry) -> tuple[int, ...]:
    """Return the input size that the kernel, without dilation, covers exactly.

    >>> covered_size(ConvGeometry(3, 8, kernel=(3, 7), padding=(0, 1)))
    (3, 5)
    """
    return tuple(k - sum(pair) for k, pair in zip(geometry.kernel, geometry.padding, strict=True))
