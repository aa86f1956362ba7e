"""Finite floats as fractions m·2^e, and their residues modulo a prime.

An odd prime p divides no power of two, so every finite float has a residue m·(2^e mod p) mod p;
taken balanced, in [-(p-1)/2, (p-1)/2], it is again a small whole number. In four steps, each
exact in float64::

    w ← w - p·2^k·round(w/(p·2^k))    for falling k: only changes w by multiples of p
    w ← w·2^-lowest                   now whole, |w| < 2p; every number was a multiple of 2^lowest
    w ← w·(2^lowest mod p)            < p² < 2⁵⁰ for p < 2²⁵, the residue of 2^lowest balanced too
    w ← w - p·round(w/p)

The product in the first line is exact because k is at least (bits of |w|) - 52, and the difference
because it is no larger than w and a multiple of w's last bit. In the last line w/p < p is a product
with 1/p, rounded twice: its error is below p·(2u + u²) < 1/(2p), with u = 2⁻⁵³ and p < 2²⁵. And no
quotient lies closer than 1/(2p) to a half, since 2w is even and p odd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlin.proof.draws import chunks, in_threads, parts

__all__ = ["LARGEST_PRIME", "Spread", "residues", "spread"]

LARGEST_PRIME = 2**25
"""Of twice as large ones it is not shown that the error in w/p stays below 1/(2p); with half as
large ones float32 weights of all sizes take three draws for 10⁻⁹ instead of two."""
EXTREME = 950
"""Exponents beyond ±950 are not mapped: 2^-lowest and p·2^k must be floats, with some room. Half as
many leave out float64 weights of 10⁻¹⁵⁰, with twice as many 2^-lowest is infinite."""


@dataclass(frozen=True)
class Spread:
    """Every number is a multiple of 2^lowest and smaller than 2^highest; both 0 if none is."""

    lowest: int = 0
    highest: int = 0

    def join(self, other: Spread) -> Spread:
        """Return the spread of both together."""
        return Spread(min(self.lowest, other.lowest), max(self.highest, other.highest))

    @property
    def narrow(self) -> bool:
        """Whether residues can be computed: the powers of two on the way are floats."""
        return self.lowest > -EXTREME and self.highest < EXTREME

    def shifts(self, prime: int) -> Iterator[int]:
        """Yield the falling k that take w, step by step, below p·2^lowest."""
        # After subtracting the nearest multiple of p·2^k, |w| ≤ p·2^k/2 < 2^(k + bits of p): each
        # step gains 52 - (bits of p) exponents, at least 27.
        bits = self.highest
        while bits - 52 > self.lowest:
            yield bits - 52
            bits += prime.bit_length() - 52
        yield self.lowest


def spread(source: Tensor) -> Spread:
    """Return between which powers of two the numbers of a flat tensor of finite floats lie.

    >>> spread(torch.tensor([0.75, -6.0, 0.0]))
    Spread(lowest=-24, highest=3)
    """

    def work(part: Tensor) -> Spread:
        total = Spread()
        for floats in chunks(part):
            total = total.join(_spread(_numpy(floats)))
        return total

    result = Spread()
    for part in in_threads(work, parts(source)):
        result = result.join(part)
    return result


def residues(source: Tensor, target: Tensor, prime: int, powers: Spread) -> None:
    """Write the balanced residues of a flat tensor of finite floats into a flat float64 one.

    powers: a narrow spread of the source's numbers.
    """
    moduli = [prime * 2.0**k for k in powers.shifts(prime)]
    factor = pow(2, powers.lowest, prime)
    factor = factor - prime if factor > prime // 2 else factor

    def work(job: tuple[Tensor, Tensor]) -> None:
        for floats, out in zip(*map(chunks, job), strict=True):
            numbers, quotient = out.numpy(), np.empty(len(out))
            numbers[...] = _numpy(floats)
            for modulus in moduli:
                _reduce(numbers, modulus, quotient)
            numbers *= 2.0**-powers.lowest
            numbers *= factor
            _reduce(numbers, prime, quotient)

    in_threads(work, zip(parts(source), parts(target), strict=True))


def _reduce(numbers: Any, modulus: float, quotient: Any) -> None:
    """Subtract the nearest multiple of the modulus from each number, in place."""
    np.multiply(numbers, 1 / modulus, out=quotient)
    np.rint(quotient, out=quotient)
    np.multiply(quotient, modulus, out=quotient)
    np.subtract(numbers, quotient, out=numbers)


def _spread(floats: Any) -> Spread:
    """Read the exponents of IEEE floats; zeros have none."""
    integer, mantissa, bias = (
        (np.int32, 23, 127) if floats.dtype == np.float32 else (np.int64, 52, 1023)
    )
    magnitudes = floats.view(integer) & np.iinfo(integer).max
    used = magnitudes[magnitudes != 0] >> mantissa
    if not len(used):
        return Spread()
    # An IEEE float of exponent field E is 1.m·2^(E-bias): below 2^(E-bias+1), and a multiple of
    # 2^(E-bias) over 2^mantissa. A subnormal (E = 0) has the last bit of E = 1.
    low, high = (max(int(field), 1) - bias for field in (used.min(), used.max()))
    return Spread(min(0, low - mantissa), max(0, high + 1))


def _numpy(floats: Tensor) -> Any:
    """Return floats as a numpy array, 16-bit ones widened (numpy knows no bfloat16)."""
    return (floats if floats.dtype == torch.float64 else floats.float()).numpy()
