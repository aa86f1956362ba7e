"""The unit roundoff against the numbers themselves, and γₙ against fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from convlin.numerics.roundoff import UNITS, gamma, unit


@pytest.mark.parametrize("name", UNITS)
def test_half_of_what_one_and_the_next_number_differ_by(name):
    one = torch.ones((), dtype=getattr(torch, name))
    u = unit(one.dtype)
    assert one + 2 * u > one and one + torch.tensor(u).to(one.dtype) == one
    assert u == torch.finfo(one.dtype).eps / 2


@pytest.mark.parametrize(
    ("dtype", "parts"),
    [
        (np.dtype("<f8"), np.float64), (np.dtype(">f4"), np.float32), (np.dtype(">c16"), np.float64),
        (torch.complex64, np.float32), (np.dtype("float16"), np.float16),
    ],
    ids=str,
)  # fmt: skip
def test_a_dtype_of_either_library_in_any_byte_order(dtype, parts):
    assert unit(dtype) == float(np.finfo(parts).eps) / 2


NARROW = [dtype for name, dtype in vars(torch).items() if name.startswith("float8_")]


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_eight_bits_say_how_long_their_mantissa_is(dtype):
    """By all their numbers: what `torch.finfo` says of float8_e5m2fnuz is half of it."""
    numbers = torch.arange(256, dtype=torch.uint8).view(dtype).float()
    assert unit(dtype) == (numbers[numbers > 1].min() - 1) / 2


@pytest.mark.parametrize("dtype", [np.dtype("int64"), torch.bool, np.dtype("longdouble")])
def test_what_is_not_in_the_table_has_none(dtype):
    with pytest.raises(KeyError):
        unit(dtype)


@pytest.mark.parametrize(("n", "u"), [(1, 2.0**-53), (25_089, 2.0**-24), (255, 2.0**-8)])
def test_gamma_is_the_fraction(n, u):
    exact = Fraction(n) * Fraction(u) / (1 - Fraction(n) * Fraction(u))
    assert abs(Fraction(gamma(n, u)) - exact) <= 3 * Fraction(unit("float64")) * exact


def test_there_is_no_bound_once_n_roundings_may_be_all_of_it():
    assert gamma(256, 2.0**-8) is None and gamma(255, 2.0**-8) is not None
