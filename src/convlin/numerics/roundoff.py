"""The unit roundoff of a dtype, and what n roundings amount to.

One rounding to the nearest float moves a number by at most its u-th part. n of them, in products
and sums in any order, move it by at most γₙ = n·u/(1 - n·u) of the sum of magnitudes (Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd ed., lemma 3.1).
"""

from __future__ import annotations

import re

__all__ = ["DOUBLE", "UNITS", "gamma", "unit"]

UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half of the gap between 1 and the next number, which is 2^-(bits of the mantissa)."""
DOUBLE = UNITS["float64"]
PARTS = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}


def unit(dtype: object) -> float:
    """Return the unit roundoff u of a dtype of floats or complex numbers, NumPy's or PyTorch's.

    Floats of eight bits say in their names how long their mantissas are.

    >>> unit("float64") == DOUBLE, unit("torch.bfloat16"), unit("complex64") == unit("float32")
    (True, 0.00390625, True)
    >>> unit("float8_e4m3fn")
    0.0625
    """
    name = getattr(dtype, "name", str(dtype)).removeprefix("torch.")  # NumPy's: in any byte order
    narrow = re.match(r"float8_e\d+m(\d+)", name)
    return 0.5 ** (int(narrow[1]) + 1) if narrow else UNITS[PARTS.get(name, name)]


def gamma(n: int, u: float) -> float | None:
    """Return Higham's γₙ = n·u/(1 - n·u), None where n·u ≥ 1.

    >>> gamma(25089, 2.0**-24) < 0.0015, gamma(256, 2.0**-8)
    (True, None)
    """
    return n * u / (1 - n * u) if n * u < 1 else None
