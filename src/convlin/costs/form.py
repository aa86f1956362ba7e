"""What one form of a layer costs, per sample: no count here knows of a batch.

One and the same map, written as `conv` (one kernel for all positions), `local` (a kernel for each
position), `linear` (every output wired to every input) or `matrix` (the wires that exist, sparse).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

__all__ = ["FORMS", "Form", "FormCost", "total"]

Form: TypeAlias = Literal["conv", "local", "linear", "matrix"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True)
class FormCost:
    """One form of a layer, in whole numbers, per sample.

    parameters: stored numbers: weights and bias; of a sparse matrix, its stored values.
    stored_bytes: what they take, with the indices of a sparse matrix and a layer's buffers.
    multiply_adds: the true ones, of weights that meet an input; None where nobody counted. Adding
    a bias is none.
    padded_multiply_adds: multiplications by padded zeros counted too, as most counters do.
    activation_bytes: of the output of one sample, whether or not it overwrites the input.

    >>> FormCost("conv", 9, 36, 144, 144, 64).padding_overhead
    0.0
    """

    form: Form
    parameters: int
    stored_bytes: int
    multiply_adds: int | None
    padded_multiply_adds: int | None
    activation_bytes: int

    @property
    def padding_overhead(self) -> float | None:
        """What counting padded zeros adds, as a share of the true number; None if not known."""
        if self.multiply_adds is None or self.padded_multiply_adds is None:
            return None
        return self.padded_multiply_adds / self.multiply_adds - 1 if self.multiply_adds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return dict(vars(self))


def total(form: Form, costs: Iterable[FormCost]) -> FormCost:
    """Return the sum of these as one cost; numbers that nobody counted are omitted.

    >>> total("conv", [FormCost("conv", 9, 36, 144, 144, 64), FormCost("conv", 2, 8, None, None, 4)])
    FormCost(form='conv', parameters=11, stored_bytes=44, multiply_adds=144, padded_multiply_adds=144, activation_bytes=68)
    """  # noqa: E501
    listed = list(costs)
    return FormCost(
        form,
        sum(cost.parameters for cost in listed),
        sum(cost.stored_bytes for cost in listed),
        sum(cost.multiply_adds or 0 for cost in listed),
        sum(cost.padded_multiply_adds or 0 for cost in listed),
        sum(cost.activation_bytes for cost in listed),
    )
