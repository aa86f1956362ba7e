"""The nearest convolution of matrices whose squares no float holds, against exact fractions.

One kernel of two taps over three pixels, no padding: a weight is the mean of two entries, and every
square is a fraction that Python holds exactly.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from convlin import ConvGeometry, Refused, nearest_conv
from rounding import STABLE, agree, approx

PAIR = ConvGeometry(1, 1, (2,))
FOLDED = ConvGeometry(2, 1, (3,), padding=1, padding_mode="reflect")
MATRIX = [[7, 3, 3], [-1, 4, 5]]  # taps: (7, 4) and (3, 5); off the support: 3 and -1
ROUNDINGS = 64  # of six entries: scaled, averaged, subtracted, squared, summed, scaled back
SCALES = [1.0, 1e200, 1e-200, 2.0**1018, 2.0**-1060, 5e-324]


def exact(matrix):
    """Return the two weights and the squared norms of the three parts, as fractions."""
    rows = [[Fraction(float(entry)) for entry in row] for row in matrix]
    taps = [(rows[0][0], rows[1][1]), (rows[0][1], rows[1][2])]
    weights = [sum(tap) / 2 for tap in taps]
    local = sum((entry - w) ** 2 for tap, w in zip(taps, weights, strict=True) for entry in tap)
    parts = sum(2 * w**2 for w in weights), local, rows[0][2] ** 2 + rows[1][0] ** 2
    return weights, parts


def root(square):
    """Return the square root of a fraction as the nearest float, give or take one."""
    scaled = square * 4**1200
    return float(Fraction(math.isqrt(scaled.numerator // scaled.denominator), 2**1200))


def as_float(square):
    try:
        return float(square)
    except OverflowError:
        return math.inf


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "wrap", [np.asarray, sp.coo_array, torch.from_numpy], ids=lambda f: f.__name__
)
def test_every_number_is_right_at_any_scale(scale, wrap):
    matrix = np.array(MATRIX) * scale
    weights, parts = exact(matrix)
    found = nearest_conv(wrap(matrix), PAIR, 3)
    assert found.weight.ravel().tolist() == [float(weight) for weight in weights]
    energy, total = found.energy, sum(parts)
    assert energy.fractions == approx([float(part / total) for part in parts], ROUNDINGS)
    got = [energy.shared, energy.local, energy.off, energy.total]
    expected = [as_float(part) for part in (*parts, total)]
    assert got == approx(expected, ROUNDINGS)
    assert found.distance == approx(root(parts[1] + parts[2]), ROUNDINGS, abs=5e-324)
    assert str(energy) == "84.9% shared, 6.0% local but not shared, 9.2% off the support"


def test_no_warning_is_given_at_the_ends_of_the_range(recwarn):
    for scale in SCALES:
        nearest_conv(np.array(MATRIX) * scale, PAIR, 3)
    nearest_conv(np.full((2, 3), np.finfo(np.float64).max), PAIR, 3)
    assert not recwarn.list


def test_the_largest_float_has_a_nearest_kernel():
    """Its sum over two positions is no float."""
    largest = np.finfo(np.float64).max
    found = nearest_conv(np.full((2, 3), largest), PAIR, 3)
    assert found.weight.tolist() == [[[largest, largest]]]
    assert found.energy.fractions == approx((2 / 3, 0, 1 / 3), ROUNDINGS)
    assert found.distance == math.inf  # √2 times the largest


def test_a_part_far_below_the_others_is_measured_too():
    """Off the support 1e-170 beside 1, and 1e-170 beside 1e170: squares apart by up to 1e680."""
    for size in (1.0, 1e170):
        matrix = size * np.array([[5.0, 7, 0], [0, 5, 7]])
        assert nearest_conv(matrix, PAIR, 3).distance == 0
        matrix[1, 0] = 3e-170
        found = nearest_conv(matrix, PAIR, 3)
        assert found.distance == approx(3e-170, ROUNDINGS)
        assert found.energy.fractions == (1, 0, 0)


def test_weights_far_apart_both_stay():
    matrix = np.array([[1e200, 1e-200, 0], [0, 1e200, 1e-200]])
    found = nearest_conv(matrix, PAIR, 3)
    assert found.weight.tolist() == [[[1e200, 1e-200]]]
    assert found.distance == 0


@pytest.mark.parametrize("scale", [2.0**900, 2.0**-900])
def test_a_power_of_two_changes_no_digit(scale):
    """Also where weights come from sums of taps, and numbers are complex."""
    rng = np.random.default_rng(4)
    real, imaginary = rng.standard_normal((2, 5, 10))
    for matrix in (real, real + 1j * imaginary):
        usual, scaled = (nearest_conv(matrix * s, FOLDED, 5) for s in (1.0, scale))
        assert np.array_equal(scaled.weight, usual.weight * scale)
        assert scaled.distance == usual.distance * scale
        assert scaled.energy.fractions == usual.energy.fractions


def test_complex_squares_are_right_at_any_scale():
    matrix = np.array([[3 + 4j, 0, 0], [0, 3 + 4j, 12j]])
    for scale in (1.0, 1e200, 1e-200):
        found = nearest_conv(matrix * scale, PAIR, 3)
        weight = np.array([[[3 + 4j, 6j]]]) * scale
        assert agree(found.weight, weight, 4, abs(weight))  # of complex numbers
        assert found.distance == approx(math.sqrt(72) * scale, ROUNDINGS)
        assert found.energy.fractions == approx((122 / 194, 72 / 194, 0), ROUNDINGS)


def test_single_precision_is_measured_in_double():
    """Squares of float32 numbers, by double's rounding; and where float32 has no squares."""
    rng = np.random.default_rng(7)
    numbers = rng.standard_normal((2, 3)).astype(np.float32)
    for scale in (1, 2.0**100, 2.0**-100, 2.0**-140):
        matrix = numbers * np.float32(scale)
        weights, parts = exact(matrix)
        for given in (matrix, sp.csr_array(matrix)):
            found = nearest_conv(given, PAIR, 3)
            energy = [found.energy.shared, found.energy.local, found.energy.off]
            assert energy == approx([float(part) for part in parts], ROUNDINGS)
            assert found.weight.ravel() == approx([float(w) for w in weights], ROUNDINGS)
        tensor = nearest_conv(torch.from_numpy(matrix), PAIR, 3)
        assert (tensor.energy, tensor.weight.dtype) == (found.energy, torch.float32)


def test_zeros_have_no_parts():
    found = nearest_conv(np.zeros((2, 3)), PAIR, 3)
    assert (found.distance, found.energy.total, found.energy.fractions) == (0, 0, (0, 0, 0))
    assert found.weight.tolist() == [[[0, 0]]]
    assert found.energy == nearest_conv(sp.csr_array((2, 3)), PAIR, 3).energy


def test_a_kernel_beyond_floats_is_refused(recwarn):
    """Where padding repeats pixels, a weight may be larger than every entry: here 4/3 of them."""
    geometry = ConvGeometry(1, 1, (3,), padding=1, padding_mode="replicate")
    matrix = np.array([[1, 1, 0], [1, -1, 1], [0, 1, -1]])
    for scale in (1.0, 1.3e308):
        weight = nearest_conv(matrix * scale, geometry, 3).weight
        assert weight[0, 0, 0] == approx(4 / 3 * scale, STABLE * 3)
    with pytest.raises(Refused) as caught:
        nearest_conv(matrix * 1.5e308, geometry, 3)
    assert str(caught.value) == (
        "nearest_conv: matrix is numbers up to 1.5e+308, expected smaller ones "
        "(its nearest kernel is beyond float64)"
    )
    assert not recwarn.list


def test_an_entry_that_has_no_digits_beside_the_largest_is_refused():
    """Floats reach over 2098 powers of two; entries of one matrix may over 2^1921."""
    matrix = np.array([[2.0**1023, 3 * 2.0**-900, 0], [0, 2.0**1023, 3 * 2.0**-900]])
    assert nearest_conv(matrix, PAIR, 3).weight.tolist() == [[[2.0**1023, 3 * 2.0**-900]]]
    matrix[1, 2] = 5e-324
    with pytest.raises(Refused) as caught:
        nearest_conv(matrix, PAIR, 3)
    assert str(caught.value) == (
        "nearest_conv: matrix[1, 2] is 5e-324, expected 0, or ≥ 4.73e-271 "
        "(beside numbers up to 8.99e+307)"
    )


def test_energies_are_values():
    first, second = (nearest_conv(np.array(MATRIX), PAIR, 3) for _ in range(2))
    assert first.energy == second.energy
    assert first.energy != nearest_conv(2 * np.array(MATRIX), PAIR, 3).energy
    assert repr(first.energy) == f"<Energy: {first.energy}>"
