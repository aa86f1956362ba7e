"""The ingredients of the failure probabilities, against brute force and Python's fractions."""

from __future__ import annotations

import copy
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convlin.proof import Proved, prove
from convlin.proof.algebra import Value, largest_integer
from convlin.proof.draws import Draws, is_prime, primes_between
from convlin.proof.modular import Modular, Plan, failure
from convlin.proof.outcome import Outcome
from convlin.proof.residues import LARGEST_PRIME, residues, spread
from convlin.proof.twins import Twins
from convlin.proof.whole import FLOAT64, draws_for, exact_in

SIEVE = [n for n in range(2, 20_000) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def of_fraction(number: float, prime: int) -> int:
    """Return the balanced residue, by Python's own integers."""
    fraction = Fraction(number)
    rest = fraction.numerator * pow(fraction.denominator, -1, prime) % prime
    return rest - prime if rest > prime // 2 else rest


def mapped(numbers: torch.Tensor, prime: int) -> list[int]:
    out = torch.empty(len(numbers), dtype=torch.float64)
    residues(numbers, out, prime, spread(numbers))
    return [int(n) for n in out]


FLOATS = {
    torch.float16: st.floats(width=16, allow_nan=False, allow_infinity=False),
    torch.float32: st.floats(width=32, allow_nan=False, allow_infinity=False),
    torch.bfloat16: st.floats(width=32, allow_nan=False, allow_infinity=False, max_value=2.0**100),
    torch.float64: st.floats(min_value=-1e250, max_value=1e250).filter(
        lambda x: x == 0 or abs(x) > 1e-250
    ),
}
PRIMES = st.sampled_from([43, 65_537, 599_143, 33_554_393])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@given(data=st.data(), prime=PRIMES)
def test_residues_are_those_of_the_fractions(dtype, data, prime):
    drawn = data.draw(st.lists(FLOATS[dtype], min_size=1, max_size=9))
    numbers = torch.tensor(drawn, dtype=torch.float64).to(dtype)
    numbers = numbers[numbers.isfinite()]
    assert mapped(numbers, prime) == [of_fraction(n, prime) for n in numbers.double().tolist()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_residues_of_the_extremes(dtype):
    info = torch.finfo(dtype)
    numbers = torch.tensor(
        [info.max, info.min, info.tiny, info.smallest_normal / 4, -0.0, 0.0, 1 + info.eps],
        dtype=dtype,
    )
    for prime in (83, 33_554_393):
        assert mapped(numbers, prime) == [of_fraction(n, prime) for n in numbers.double().tolist()]


def test_residues_reach_both_ends_and_no_further():
    prime = 83
    numbers = torch.arange(-200.0, 200.0)
    found = mapped(numbers, prime)
    assert (min(found), max(found)) == (-41, 41)
    assert mapped(torch.arange(2.0**24 - 400, 2.0**24), prime) == [
        of_fraction(n, prime) for n in range(2**24 - 400, 2**24)
    ]


def test_large_tensors_are_mapped_like_small_ones():
    numbers = torch.randn(200_003, generator=torch.Generator().manual_seed(0))
    some = [0, 32_767, 32_768, 65_535, 65_536, 131_071, 200_002]
    found = mapped(numbers, 599_143)
    assert [found[i] for i in some] == [of_fraction(float(numbers[i]), 599_143) for i in some]


@given(st.lists(FLOATS[torch.float32], min_size=1, max_size=9))
def test_the_spread_holds_every_number(drawn):
    found = spread(torch.tensor(drawn, dtype=torch.float32))
    for number in map(Fraction, drawn):
        assert (number / Fraction(2) ** found.lowest).denominator == 1
        assert abs(number) < Fraction(2) ** found.highest


def test_primes_are_prime():
    assert [n for n in range(20_000) if is_prime(n)] == SIEVE
    pseudoprimes = 2_047, 1_373_653, 25_326_001, 3_825_123_056 % 2**31, 341, 561
    assert not any(map(is_prime, pseudoprimes))
    assert is_prime(2**31 - 1)


def test_the_number_of_primes_is_bounded_from_below():
    for largest in range(83, 20_000, 7):
        true = sum(largest / 2 <= p <= largest for p in SIEVE)
        assert primes_between(largest) <= true


def test_drawn_primes_are_uniform_over_their_range():
    draws = Draws(0)
    found = [draws.prime(100) for _ in range(2_000)]
    primes = [p for p in SIEVE if 50 <= p <= 100]
    counts = [found.count(p) for p in primes]
    assert sum(counts) == len(found)
    assert min(counts) > 0.75 * len(found) / len(primes)


@pytest.mark.parametrize(
    "coefficients",
    [(43 * 47 * 53, 0), (0, 59 * 61 * 67 * 71), (79, 73), (1, -1), (3, 43 * 79)],
    ids=str,
)
def test_one_draw_misses_no_more_often_than_promised(coefficients):
    """All primes of the range, all inputs modulo each: how often does a·x + b·y vanish?"""
    largest = 83
    primes = [p for p in SIEVE if largest / 2 <= p <= largest]
    a, b = coefficients
    missed = sum(
        Fraction(
            sum((a * x + b * y) % p == 0 for x, y in itertools.product(range(p), repeat=2)), p * p
        )
        for p in primes
    ) / len(primes)
    bits = max(abs(a), abs(b)).bit_length()
    assert missed <= failure(largest, 1, bits)


def test_a_square_vanishes_twice_as_often():
    """Degree 2: x² - 1 has two zeros modulo every prime."""
    missed = max(
        Fraction(sum((x * x - 1) % p == 0 for x in range(p)), p) for p in SIEVE if 42 <= p <= 83
    )
    assert 1 / 83 < missed <= failure(83, 2, 1)


def test_schwartz_and_zippel_for_whole_numbers():
    """A product w·x of two numbers from {-M, …, M} vanishes with probability below 2/(2M+1)."""
    largest = 6
    numbers = range(-largest, largest + 1)
    zeros = sum(w * x == 0 for w, x in itertools.product(numbers, repeat=2))
    assert Fraction(zeros, len(numbers) ** 2) <= Fraction(2, 2 * largest + 1)
    assert Fraction(zeros, len(numbers) ** 2) > Fraction(1, 2 * largest + 1)


def test_the_largest_integer_of_vgg_fc6():
    value = Value(weights=1, inputs=1, coefficient=25_089)
    assert largest_integer(value) == 599_174
    assert (2 / (2 * 599_174 + 1)) ** 3 < 1e-17


@given(
    st.integers(0, 3), st.integers(0, 3), st.integers(1, 2**54),
)  # fmt: skip
def test_the_largest_integer_is_the_largest(weights, inputs, coefficient):
    value = Value(weights=weights, inputs=inputs, coefficient=coefficient)
    largest = largest_integer(value)
    if value.degree:
        assert coefficient * largest**value.degree < 2**53 or largest == 0
        assert coefficient * (largest + 1) ** value.degree >= 2**53


def test_sums_at_the_limit_are_exact_in_every_order():
    """n·M² just below 2⁵³, all products of one sign: the largest partial sums there can be."""
    n = 25_088
    largest = largest_integer(Value(weights=1, inputs=1, coefficient=n + 1))
    weight = torch.full((3, n), float(largest), dtype=torch.float64)
    weight[1, ::2] -= 1
    weight[2] *= -1
    bias = torch.tensor([largest, -largest, -largest], dtype=torch.float64)
    x = torch.full((2, n), float(largest), dtype=torch.float64)
    exact = [
        n * largest**2 + largest,
        n // 2 * (2 * largest - 1) * largest - largest,
        -n * largest**2 - largest,
    ]
    assert 0.9999 * 2**53 < exact[0] < 2**53
    image = x.view(2, 512, 7, 7)
    sums = [
        nn.functional.linear(x, weight, bias),
        nn.functional.conv2d(image, weight.view(3, 512, 7, 7), bias).flatten(1),
        (x[:, None] * weight).flip(-1).sum(-1) + bias,
        torch.from_numpy(np.cumsum((x[:, None] * weight).numpy(), -1)[..., -1]) + bias,
    ]
    for found in sums:
        assert found.tolist() == [exact, exact]


def test_one_more_would_not_be_exact():
    """2⁵³ + 1 is no float64: beyond the bound, sums do depend on the order."""
    terms = [2.0**53, 1.0, 1.0]
    assert sum(terms) != sum(reversed(terms))


@pytest.mark.parametrize("terms", [1, 24, 255, 25_088])
def test_sums_at_the_limit_are_exact_in_float32_too(terms):
    """n·M² just below 2²⁴, and M at most 256: in every order, and with factors in 16 bits."""
    exact = exact_in(torch.device("cpu"), torch.float32)
    largest = exact.largest(Value(weights=1, inputs=1, coefficient=terms + 1))
    assert largest == min(256, math.isqrt((2**24 - 1) // (terms + 1)))
    weight = torch.full((2, terms), float(largest))
    weight[1, ::2] -= 1
    x = torch.full((3, terms), float(largest))
    bias = torch.tensor([largest, -largest], dtype=torch.float32)
    odd = terms // 2
    expected = [
        terms * largest**2 + largest,
        (odd * largest + (terms - odd) * (largest - 1)) * largest - largest,
    ]
    assert expected[0] < 2**24
    assert torch.equal(weight.bfloat16().float(), weight)
    for found in (
        nn.functional.linear(x, weight, bias),
        nn.functional.conv1d(x[..., None], weight[..., None], bias)[..., 0],
        (x[:, None] * weight).flip(-1).cumsum(-1)[..., -1] + bias,
        torch.from_numpy(np.cumsum((x[:, None] * weight).numpy(), -1)[..., -1]) + bias,
    ):
        assert found.tolist() == [expected] * 3


def test_numbers_that_are_never_negative_vanish_at_most_twice_as_often():
    """Magnitudes of numbers from {-M, …, M}: no value has more than twice 1/(2M + 1)."""
    largest = 6
    drawn = [abs(n) for n in range(-largest, largest + 1)]
    for root in range(largest + 1):
        assert Fraction(drawn.count(root), len(drawn)) <= Fraction(2, 2 * largest + 1)


@given(st.floats(1e-9, 0.99), st.floats(1e-30, 0.5))
def test_there_are_enough_draws_and_not_too_many(failure, probability):
    count = draws_for(failure, probability)
    if count is not None:
        assert failure**count <= probability * (1 + 1e-9)
        assert count == 1 or failure ** (count - 1) > probability * (1 - 1e-9)
        assert count <= 40


def test_there_is_no_exact_sum_in_sixteen_bits():
    for dtype in (torch.float16, torch.bfloat16):
        assert exact_in(torch.device("cpu"), dtype) is None
    assert exact_in(torch.device("cpu"), torch.float64) == FLOAT64


def test_draws_are_symmetric_uniform_and_reproducible():
    numbers = Draws(5).numbers((70_000,), 3)
    counts = torch.stack([(numbers == n).sum() for n in range(-3, 4)])
    assert int(counts.sum()) == len(numbers)
    assert int(counts.min()) > 9_500
    assert torch.equal(numbers, Draws(5).numbers((70_000,), 3))
    assert not torch.equal(numbers, Draws(6).numbers((70_000,), 3))
    wide = Draws(5).numbers((1000,), 2**40)
    assert float(wide.abs().max()) > 2**38 and torch.equal(wide, wide.round())


def test_the_plan_is_as_exact_as_it_says():
    conv = nn.Conv2d(3, 5, (2, 4))
    value = Value(weights=1, inputs=1, coefficient=25)
    plan = Plan.of(value, value, Twins([conv]))
    assert plan is not None
    assert plan.largest == min(LARGEST_PRIME, 2 * largest_integer(value) + 1)
    assert plan.failure ** plan.draws_for(1e-9) <= 1e-9
    for weight in conv.weight.detach().flatten().tolist():
        assert (Fraction(weight) * 2**plan.scale).denominator == 1
        assert abs(Fraction(weight) * 2**plan.scale * 2 * 25) < 2**plan.bits * 2


def test_sums_too_long_for_any_prime_have_no_plan():
    value = Value(weights=6, inputs=3, coefficient=2**30)
    assert Plan.of(value, value, Twins([nn.Linear(2, 2)])) is None


def test_what_is_no_number_differs_from_everything():
    linear = nn.Linear(2, 3)
    sides = Modular(linear, linear, Twins([linear]), Draws(0))
    sides.load(83)
    nan = Outcome((torch.tensor([float("nan"), 83.0, float("inf")], dtype=torch.float64),))
    zero = Outcome((torch.zeros(3, dtype=torch.float64),))
    assert sides.differ(nan, zero).tolist() == [True, False, True]
    assert sides.differ(nan, nan).tolist() == [True, False, True]


def test_ties_are_mapped_once():
    conv = nn.Conv2d(3, 5, (2, 4))
    linear = nn.Linear(24, 5)
    linear.weight, linear.bias = nn.Parameter(conv.weight.view(5, 24)), conv.bias
    sides = Modular(conv, linear, Twins([conv, linear]), Draws(0))
    sides.load(65_537)
    left, right = sides.programs
    assert left.weight.data_ptr() == right.weight.data_ptr() != conv.weight.data_ptr()
    assert left.bias.data_ptr() == right.bias.data_ptr()


@pytest.mark.parametrize("probability", [0.9, 0.5, 1e-3, 1e-9, 1e-300])
def test_constants_are_compared_from_draw_to_draw_whatever_may_be_missed(probability):
    layer = nn.Linear(3, 2)
    other = nn.Sequential(copy.deepcopy(layer))
    verdict = prove(layer, other, (3,), failure_probability=probability)
    assert isinstance(verdict, Proved)
    assert verdict.draws >= 2 and verdict.failure_probability <= probability
