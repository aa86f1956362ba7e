"""Finite floats as fractions m·2^e, and their residues modulo a prime.

An odd prime p does not divide a power of two, so every finite float has a residue
m·(2^e mod p) mod p; taken balanced, in [-(p-1)/2, (p-1)/2], it is again a small whole number.
All arithmetic here is on whole numbers below 2⁵³ in float64, hence exact: with |v| < 2⁵⁰ and
p ≤ 2²⁵, v/p is computed with an error below 1/(2p), and since p is odd no quotient v/p lies
closer than that to a half, so rounding it finds the right multiple of p.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlin.proof.draws import CHUNK, chunks, in_threads

__all__ = ["LARGEST_PRIME", "Spread", "balanced", "residues", "spread"]

LARGEST_PRIME = 2**25


@dataclass(frozen=True)
class Spread:
    """Every number is a multiple of 2^lowest and smaller than 2^highest; both 0 if none is."""

    lowest: int = 0
    highest: int = 0

    def join(self, other: Spread) -> Spread:
        """Return the spread of both together."""
        return Spread(min(self.lowest, other.lowest), max(self.highest, other.highest))


def balanced(values: Any, prime: int) -> Any:
    """Return whole numbers |v| < 2⁵⁰ (float64 array or tensor) modulo an odd prime, balanced.

    >>> balanced(torch.tensor([7.0, -9.0, 12.0], dtype=torch.float64), 5).tolist()
    [2.0, 1.0, 2.0]
    """
    quotient = values * (1 / prime)
    if isinstance(quotient, Tensor):
        return values - quotient.round() * prime
    np.rint(quotient, out=quotient)
    quotient *= prime
    return np.subtract(values, quotient, out=quotient)


def residues(source: Tensor, target: Tensor, prime: int) -> None:
    """Write the balanced residues of a flat tensor of finite floats into a flat float64 one."""

    def work(job: tuple[Tensor, Tensor]) -> None:
        for floats, out in zip(chunks(job[0]), chunks(job[1]), strict=True):
            out.numpy()[...] = _residues(_numpy(floats), prime)

    pieces = max(1, min(16, source.numel() // CHUNK))
    in_threads(work, zip(source.chunk(pieces), target.chunk(pieces), strict=True))


def spread(source: Tensor) -> Spread:
    """Return between which powers of two the numbers of a flat tensor of finite floats lie."""

    def work(part: Tensor) -> Spread:
        total = Spread()
        for floats in chunks(part):
            layout, bits, exponents = _fields(_numpy(floats))
            used = exponents[(bits & layout.magnitude) != 0]
            if len(used):
                low, high = (max(int(e), 1) - layout.bias for e in (used.min(), used.max()))
                total = total.join(Spread(low - layout.mantissa, high + 1))
        return total

    result = Spread()
    for part in in_threads(work, source.chunk(max(1, min(16, source.numel() // CHUNK)))):
        result = result.join(part)
    return result


@dataclass(frozen=True)
class _Layout:
    """Where sign, exponent and mantissa of an IEEE float lie."""

    integer: Any
    mantissa: int
    bias: int
    exponents: int

    @property
    def magnitude(self) -> int:
        return self.exponents * 2**self.mantissa - 1


_LAYOUTS = {
    np.dtype(np.float32): _Layout(np.int32, 23, 127, 2**8),
    np.dtype(np.float64): _Layout(np.int64, 52, 1023, 2**11),
}


def _numpy(floats: Tensor) -> Any:
    """Return floats as a numpy array, 16-bit ones widened (numpy knows no bfloat16)."""
    floats = floats if floats.dtype == torch.float64 else floats.float()
    return floats.numpy()


def _fields(floats: Any) -> tuple[_Layout, Any, Any]:
    layout = _LAYOUTS[floats.dtype]
    bits = floats.view(layout.integer)
    return layout, bits, (bits >> layout.mantissa) & (layout.exponents - 1)


def _residues(floats: Any, prime: int) -> Any:
    layout, bits, exponents = _fields(floats)
    powers = _powers(layout, prime)[exponents]
    mantissas = bits & (2**layout.mantissa - 1)
    mantissas |= (exponents != 0).astype(layout.integer) << layout.mantissa
    if layout.mantissa > 23:  # two limbs of 26 and 27 bits
        high = (mantissas >> 27).astype(np.float64) * _balanced_int(2**27, prime)
        small = balanced(balanced(high, prime) + (mantissas & (2**27 - 1)), prime)
    else:
        small = mantissas.astype(np.float64)
    small *= powers
    result = balanced(small, prime)
    return np.negative(result, out=result, where=bits < 0)


def _powers(layout: _Layout, prime: int) -> Any:
    """Return 2^e mod p, balanced, for every exponent field."""
    shift = layout.bias + layout.mantissa
    power, table = pow(2, 1 - shift, prime), []
    for _ in range(layout.exponents - 1):
        table.append(_balanced_int(power, prime))
        power = power * 2 % prime
    return np.array([table[0], *table], dtype=np.float64)


def _balanced_int(number: int, prime: int) -> int:
    rest = number % prime
    return rest - prime if rest > prime // 2 else rest
