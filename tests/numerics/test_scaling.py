"""Powers of two taken out and put back, against fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlin.numerics.scaling import Scale

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


@given(NUMBERS, st.integers(-2090, 2040))
def test_both_ways_are_rounded_once(number, exponent):
    """By how Python rounds a fraction: also where results are subnormal, or no floats."""
    exact, power = Fraction(number), Fraction(2) ** exponent
    assert Scale(exponent).back(number) == rounded(exact * power)
    assert Scale(-exponent).down(number) == rounded(exact * power)


@given(NUMBERS, st.sampled_from([0, 1, 900, -30]))
def test_the_largest_lies_below_the_room_and_comes_back(largest, room):
    scale = Scale.of(abs(largest), room)
    near = scale.down(largest)
    assert 2.0 ** (room - 1) <= abs(near) < 2.0**room or largest == near == 0
    assert scale.back(near) == largest


@given(st.floats(0, 1e300), st.integers(-2000, 2000))
def test_above_is_the_least_float_above_but_one(number, exponent):
    exact = Fraction(number) * Fraction(2) ** exponent
    above = Scale(exponent).above(number)
    assert above == math.inf or Fraction(above) >= exact
    if math.nextafter(above, 0) > 0:
        assert Fraction(math.nextafter(math.nextafter(above, 0), 0)) <= exact


@pytest.mark.parametrize("make", [np.array, torch.DoubleTensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("exponent", [-1073, -900, 0, 3, 1024])
def test_arrays_are_scaled_like_their_numbers(make, exponent):
    numbers, scale = [0.75, -0.6, 0.0], Scale(exponent)
    array = scale.back(make(numbers))
    assert array.tolist() == [scale.back(number) for number in numbers]
    assert scale.down(array).tolist() == [scale.down(number) for number in array.tolist()]
