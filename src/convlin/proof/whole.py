"""Where sums of whole numbers are exact: in float64, and, if they are small, in float32 too.

If |weight|, |bias|, |input| ≤ M and coefficient·M^degree < 2^bits, no partial sum, in any order,
needs more than a float's bits: equal polynomials give bit-equal outputs in the very kernels that
will run, and different ones agree with probability at most degree·a/(2M + 1) per draw, where no
number is drawn with a probability above a/(2M + 1) (Schwartz, "Fast probabilistic algorithms for
verification of polynomial identities", 1980; Zippel, 1979). In float32, with bits = 24, M also
stays ≤ 256: such numbers have at most 8 bits behind the leading one, so that their products are
exact where a kernel rounds its factors (to bfloat16 or TF32). 25,089 summands leave M = 25:
2/51 per draw, and 7 draws for 10⁻⁹. Kernels that are no sum in some order (Winograd, FFT) round
on the way all the same; what they give is compared, and a difference is no proof of a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import torch

from convlin.proof.algebra import MANTISSA, Value, largest_integer

__all__ = ["FLOAT64", "Exact", "draws_for", "dtypes_in_words", "exact_in"]

MOST = 40
"""How many draws to spend on one dtype; if they are not enough, it is not claimed.

They are enough for M ≥ 2 in float32, so up to 4 million summands. Half as many are so for M ≥ 3 and
1.8 million; twice as many take up to 52 draws for M = 1.
"""


@dataclass(frozen=True)
class Exact:
    """A dtype, on a device, in which whole numbers below 2^bits are exact.

    cap: factors up to here keep all their bits in a kernel that rounds them first.
    """

    dtype: torch.dtype
    device: torch.device
    bits: int
    cap: int

    @property
    def name(self) -> str:
        """The dtype as people write it; with the device, unless that is the CPU."""
        name = str(self.dtype).removeprefix("torch.")
        return name if self.device.type == "cpu" else f"{name} on {self.device.type}"

    def largest(self, *values: Value) -> int:
        """Return the largest M that keeps these values exact, 0 if there is none.

        >>> fc6 = Value(weights=1, inputs=1, coefficient=25089)
        >>> FLOAT64.largest(fc6), exact_in(torch.device("cpu"), torch.float32).largest(fc6)
        (599174, 25)
        """
        return min(self.cap, *(largest_integer(value, self.bits) for value in values))

    def holds(self, value: Value, largest: int) -> bool:
        """Whether a value stays exact on whole numbers up to `largest`."""
        # in Python's integers: the bound may be beyond any float
        bound: int = value.coefficient * largest**value.degree
        return bound < 1 << self.bits


FLOAT64 = Exact(torch.float64, torch.device("cpu"), MANTISSA, 2**MANTISSA)


def exact_in(device: torch.device, dtype: torch.dtype) -> Exact | None:
    """Return where whole numbers are exact in a dtype, None in 16 bits: too few for sums."""
    if dtype == torch.float32:
        return Exact(dtype, device, 24, 256)
    return Exact(dtype, device, MANTISSA, 2**MANTISSA) if dtype == torch.float64 else None


def dtypes_in_words(own: torch.dtype, claimed: bool) -> str:
    """Return in which dtypes two sides are equal, and that the own one is only measured.

    >>> dtypes_in_words(torch.float32, True), dtypes_in_words(torch.bfloat16, False)
    ('float64 and float32', 'float64 (bfloat16 is measured)')
    """
    name = str(own).removeprefix("torch.")
    if name == "float64":
        return name
    return f"float64 and {name}" if claimed else f"float64 ({name} is measured)"


def draws_for(failure: float, probability: float) -> int | None:
    """Return how many draws miss a difference with at most this probability; None if too many.

    >>> draws_for(2 / 51, 1e-9), draws_for(2 / 3, 1e-30)
    (7, None)
    """
    if failure >= 1:
        return None
    # failure^n ≤ probability ⟺ n ≥ log(probability)/log(failure), both logarithms negative
    count = ceil(log(probability) / log(failure)) if failure else 1
    return max(1, count) if count <= MOST else None
