"""Random whole numbers and random primes, fast and from one seed.

Large tensors are filled and mapped in chunks that stay in the cache, on as many threads as torch
uses; every chunk has its own random stream, so the numbers do not depend on the threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import log
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "SMALLEST", "Draws", "chunks", "in_threads", "is_prime", "parts", "primes_between",
]  # fmt: skip

CHUNK = 2**16
"""Numbers drawn or mapped at once: 512 KiB of floats beside 256 KiB of integers, in a core's cache.

Half as many are twice the calls, twice as many twice the memory that each thread takes.
"""
PARTS = 16
"""Threads that a large tensor keeps busy: half as many leave every other core of a server idle,
twice as many are twice the random streams. A part draws from a stream of its own."""
T = TypeVar("T")


class Draws:
    """A stream of random whole numbers and primes.

    >>> draws = Draws(seed=7)
    >>> numbers = draws.fill(torch.empty(5, dtype=torch.float64), 3)
    >>> bool((numbers.abs() <= 3).all()), bool((numbers == numbers.round()).all())
    (True, True)
    """

    def __init__(self, seed: int | None) -> None:
        self._seeds = np.random.SeedSequence(seed)
        self._own = self._stream()

    def _stream(self) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(self._seeds.spawn(1)[0]))

    def fill(self, flat: Tensor, largest: int) -> Tensor:
        """Fill a flat CPU tensor of floats uniformly from {-largest, …, largest}; return it."""
        kinds = (np.int16, np.int32, np.int64)
        kind: Any = next(kind for kind in kinds if largest < np.iinfo(kind).max)
        jobs = [(part.numpy(), self._stream()) for part in parts(flat)]

        def draw(job: tuple[Any, np.random.Generator]) -> None:
            part, stream = job
            for piece in chunks(part):
                piece[...] = stream.integers(-largest, largest, len(piece), kind, endpoint=True)

        in_threads(draw, jobs)
        return flat

    def numbers(self, shape: Iterable[int], largest: int) -> Tensor:
        """Return a float64 tensor of this shape, uniform on {-largest, …, largest}."""
        empty = torch.empty(tuple(shape), dtype=torch.float64)
        self.fill(empty.view(-1), largest)
        return empty

    def normal(self, shape: Iterable[int]) -> Tensor:
        """Return a float64 tensor of this shape of standard normal numbers."""
        return torch.from_numpy(np.asarray(self._own.standard_normal(tuple(shape))))

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """Return the same things in a random order."""
        return [things[index] for index in self._own.permutation(len(things))]

    def prime(self, largest: int) -> int:
        """Return a prime drawn uniformly from [largest/2, largest]."""
        # a number drawn again until it is prime is as likely to be any prime as any other
        while True:
            number = int(self._own.integers(-(-largest // 2), largest, endpoint=True))
            if is_prime(number):
                return number


def primes_between(largest: int) -> float:
    """Return a lower bound on the number of primes in (largest/2, largest], largest ≥ `SMALLEST`.

    π(2x) - π(x) > 3x/(5 ln x) for x ≥ 20.5 (Rosser and Schoenfeld, "Approximate formulas for
    some functions of prime numbers", 1962, corollary 3).
    """
    half = largest / 2
    return 3 * half / (5 * log(half))


def is_prime(number: int) -> bool:
    """Whether a number below 3,215,031,751 is prime (Miller and Rabin, bases 2, 3, 5, 7).

    >>> [n for n in range(30) if is_prime(n)]
    [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    """
    if number < 2 or number % 2 == 0:
        return number == 2
    # p - 1 = odd·2^twos, so a^(p-1) = 1 is `twos` squarings of a^odd, and modulo a prime the last
    # square that is not 1 is -1. No composite below 3,215,031,751 satisfies this for all four bases
    # (Pomerance, Selfridge and Wagstaff, "The pseudoprimes to 25·10⁹", 1980).
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(
        number == base
        or (power := pow(base, odd, number)) in (1, number - 1)
        or any(pow(power, 2**i, number) == number - 1 for i in range(1, twos))
        for base in (2, 3, 5, 7)
    )


SMALLEST = 41
"""2·20.5, where the bound begins to hold: it promises more than the 4 primes between 20 and 40.
With twice as much, sums of degree 11 would have no plan."""


def chunks(flat: Any) -> Iterable[Any]:
    """Cut a flat array or tensor into pieces that stay in the cache."""
    return (flat[start : start + CHUNK] for start in range(0, len(flat), CHUNK))


def parts(flat: Tensor) -> list[Tensor]:
    """Cut a flat tensor into a few parts for threads: as its size says, whatever the machine."""
    return list(flat.chunk(max(1, min(PARTS, flat.numel() // CHUNK))))


def in_threads(work: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
    """Do each job, on as many threads as torch uses."""
    jobs = list(jobs)
    if len(jobs) == 1:
        return [work(jobs[0])]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(work, jobs))
