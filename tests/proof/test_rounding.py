"""The rounding bound: any order of summation stays below it, and what sums otherwise does not."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin.numerics.roundoff import gamma, unit
from convlin.proof import Measured, Proved, Refuted, audit, prove
from convlin.proof.algebra import Value
from convlin.proof.outcome import Outcome
from convlin.proof.rounding import beyond_rounding, measure
from mutants.enrol import Form, conv2d
from rounding import approx


def outcome(numbers, dtype, terms, results=1):
    value = Value(1, 1, terms, terms=terms, results=results)
    return Outcome((torch.tensor(numbers, dtype=dtype),), None, value)


def test_gamma_is_highams():
    assert gamma(10, 2.0**-10) == (10 / 1024) / (1 - 10 / 1024)
    assert gamma(1024, 2.0**-10) is None


def test_the_units_are_half_the_machine_epsilons():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert unit(dtype) == torch.finfo(dtype).eps / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_order_of_summation_stays_within_the_bound(dtype):
    """All 720 orders of six products of very different size, each rounded as it goes."""
    generator = torch.Generator().manual_seed(2)
    w = (torch.randn(6, generator=generator) * 2.0 ** torch.arange(-9, 9, 3)).to(dtype)
    x = torch.randn(6, generator=generator).to(dtype)
    products = w * x
    sums = set()
    for order in itertools.permutations(range(6)):
        total = torch.zeros((), dtype=dtype)
        for i in order:
            total = total + products[i]
        sums.add(float(total))
    absolute = torch.tensor([float((w.double() * x.double()).abs().sum())], dtype=torch.float64)
    found = measure(
        outcome([max(sums)], dtype, 6), outcome([min(sums)], dtype, 6), dtype, [absolute] * 2
    )
    assert 0 < found.deviation <= found.bound
    assert found.within
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(w, x, strict=True))
    for total in sums:
        assert abs(Fraction(total) - exact) <= Fraction(found.bound) / 2


def test_a_deviation_beyond_the_bound_is_said_to_be():
    left, right = outcome([1.0, 2.0], torch.float32, 3), outcome([1.0, 2.001], torch.float32, 3)
    found = measure(left, right, torch.float32, [torch.tensor([1.0, 2.0], dtype=torch.float64)] * 2)
    assert not found.within
    assert found.deviation == float(torch.tensor(2.001)) - 2  # exact: they are neighbours
    assert found.bound == approx(2 * gamma(3, 2.0**-24) * 2.0, 4)
    assert "no order of summation" in found.note


@pytest.mark.parametrize(
    ("dtype", "terms"), [(torch.float32, 2**24), (torch.bfloat16, 2**24)], ids=str
)
def test_there_is_no_bound_where_nu_is_one(dtype, terms):
    side = outcome([1.0], dtype, terms)
    found = measure(side, side, dtype, [torch.ones(1, dtype=torch.float64)] * 2)
    assert found.bound is None
    assert found.note == f"n·u ≥ 1 for {terms} summands in {str(dtype).removeprefix('torch.')}"


def test_sixteen_bits_sum_in_float32_and_round_once():
    side = outcome([1.0], torch.bfloat16, 100)
    found = measure(side, side, torch.bfloat16, [torch.ones(1, dtype=torch.float64)] * 2)
    assert found.bound == approx(2 * gamma(100, 2.0**-24) + 2 * 2.0**-8 / (1 - 2.0**-8), 8)


def test_every_stored_result_rounds_in_sixteen_bits():
    once = outcome([1.0], torch.bfloat16, 100)
    twice = outcome([1.0], torch.bfloat16, 100, results=2)
    bounds = [
        measure(side, side, torch.bfloat16, [torch.ones(1, dtype=torch.float64)] * 2).bound
        for side in (once, twice)
    ]
    assert 1.9 < bounds[1] / bounds[0] < 2.1


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_real_layers_stay_within_their_bound(dtype):
    """Convolution against an explicit sum tap by tap: two orders that a machine really takes."""
    conv = conv2d(17, 6, 3, padding=1)().to(dtype)

    def windows(x, w, b):
        columns = functional.unfold(x if x.ndim == 4 else x[None], 3, padding=1)
        y = functional.linear(columns.transpose(1, 2), w.flatten(1), b).transpose(1, 2)
        y = y.unflatten(-1, x.shape[-2:])
        return y if x.ndim == 4 else y[0]

    verdict = prove(conv, Form(conv, windows), (17, 9, 11), seed=0)
    assert isinstance(verdict, Proved), verdict
    assert verdict.rounding.deviation <= verdict.rounding.bound
    assert verdict.rounding.scale > 1


def test_a_result_of_fewer_bits_is_beyond_rounding():
    """Float16 inside a float32 layer: equal in exact arithmetic, since float64 skips it."""
    conv = conv2d(17, 6, 3)()

    def short(x, w, b):
        half = torch.float16 if x.dtype == torch.float32 else x.dtype
        return functional.conv2d(x.to(half), w.to(half), b.to(half)).to(x.dtype)

    verdict = prove(conv, Form(conv, short), (17, 9, 11), seed=0)
    assert isinstance(verdict, Measured | Refuted), verdict


def test_half_the_digits_are_a_difference():
    left = torch.tensor([1.0, 100.0], dtype=torch.float64)
    assert beyond_rounding(left, left * (1 + 1e-9), torch.float64).tolist() == [False, False]
    assert beyond_rounding(left, left * (1 + 1e-6), torch.float64).tolist() == [False, True]
    assert beyond_rounding(left, left * (1 + 1e-6), torch.float32).tolist() == [False, False]
    for dtype in (torch.float32, torch.float64):
        half = unit(dtype) ** 0.5
        assert beyond_rounding(left, left * (1 + 0.9 * half), dtype).tolist() == [False, False]
        assert beyond_rounding(left, left * (1 + 1.1 * half), dtype).tolist() == [False, True]
    assert beyond_rounding(left, left * float("nan"), torch.float64).tolist() == [True, True]


@pytest.mark.parametrize(
    "minus",
    [
        lambda x, w, b: functional.linear(x, w) - (-b),
        lambda x, w, b: torch.rsub(-b, functional.linear(x, w), alpha=1),
        lambda x, w, b: functional.linear(x, w).sub_(b.neg(), alpha=1),
        lambda x, w, b: functional.linear(x, w).sub(b, alpha=-1),
        lambda x, w, b: (functional.linear(x, w) * -1 - b) * -1,
    ],
)
def test_a_difference_is_bounded_by_the_sum_of_magnitudes(minus):
    linear = nn.Linear(7, 3)
    with torch.no_grad():  # the largest deviation is in the first output, which is the largest
        linear.weight[0] *= 100
        linear.bias[0] *= 100
    verdict = prove(Form(linear, minus), linear, (7,))
    assert isinstance(verdict, Proved)
    assert verdict.rounding.within
    w, b = linear.weight.detach().double().abs(), linear.bias.detach().double().abs()
    largest = 100 * (7 * 6 + 1)  # |x| < 6
    bound = verdict.rounding.bound
    assert 2 * gamma(8, 2.0**-24) * float(b.min()) <= bound <= gamma(20, 2.0**-24) * largest
    assert w.max() <= 100


def test_an_audit_measures_the_layer_as_given():
    conv = conv2d(3, 5, 2)()
    with torch.no_grad():
        conv.weight.mul_(1000)
    verdict = audit(lambda layer: layer, conv, (3, 4, 5))
    assert verdict.rounding.scale > 300
    assert verdict.rounding.deviation == 0
