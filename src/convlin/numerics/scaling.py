"""One power of two taken out of numbers at the entrance of a computation, put back on the way out.

Floats hold 1e200 and 1e-200, but not their squares. Numbers near one have squares, sums and
products, and the same digits whatever power of two was taken out: all in between is plain.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """A power of two, 2^`exponent`, that was taken out of numbers; numbers are floats or arrays.

    Exact both ways but where a float has fewer digits, below 2^-1022: such a number is rounded
    once. What is too large for a float is inf, of which arrays of NumPy warn.

    >>> scale = Scale.of(3e200)
    >>> near = scale.down(3e200)
    >>> round(near**2, 2), scale.back(near) == 3e200, scale.back(1e200)
    (0.96, True, inf)
    """

    exponent: int = 0

    @classmethod
    def of(cls, largest: float, room: int = 0) -> Scale:
        """Return what takes a largest magnitude below 2^`room`, to no less than half of that.

        >>> Scale.of(9.0).down(9.0), Scale.of(0.0), Scale.of(5e-324).down(5e-324)
        (0.5625, Scale(exponent=0), 0.5)
        """
        return cls(math.frexp(largest)[1] - room if largest else 0)

    def down(self, numbers: Any) -> Any:
        """Return numbers over the power of two."""
        return _times(numbers, -self.exponent)

    def back(self, numbers: Any) -> Any:
        """Return numbers times the power of two."""
        return _times(numbers, self.exponent)

    def above(self, number: float) -> float:
        """Return a float of at least a number times the power of two, for numbers ≥ 0.

        >>> Scale(-1074).above(0.3), Scale(-1074).above(0.0), Scale(3).above(0.3) == 8 * 0.3
        (5e-324, 0.0, True)
        """
        back: float = self.back(number)
        return back if self.down(back) == number else math.nextafter(back, math.inf)


def _times(numbers: Any, exponent: int) -> Any:
    """Return numbers times 2^exponent, by one factor that is a float, after what exceeds it.

    In that order nothing is rounded twice: the excess alone takes only numbers below their digits
    whose result is 0.
    """
    power = min(max(exponent, sys.float_info.min_exp), sys.float_info.max_exp - 1)
    return numbers * 2.0 ** (exponent - power) * 2.0**power
