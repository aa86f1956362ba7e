"""The upper bound against the norm of the probed matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from convlin import ConvGeometry, Refused
from convlin.matrix import dense
from convlin.spectrum import norm_bound
from convlin.spectrum.circular import Circular
from convlin.spectrum.frequencies import frequency_error, frequency_values
from convlin.spectrum.near_one import near_one
from convlin.spectrum.norm_bound import sums_bound
from convlin.spectrum.tolerance import svd_error
from geometry_strategies import conv, integers, probe
from rounding import STABLE, approx, gamma, unit
from spectrum.small_convolutions import SMALL


def norm(matrix):
    return float(np.linalg.norm(matrix, 2))


def certified(bound, matrix):
    """Whether a bound is above a norm that NumPy computed, give or take that computation."""
    return bound >= norm(matrix) * (1 - gamma(STABLE * max(matrix.shape)))


@settings(max_examples=120)
@given(SMALL)
def test_no_convolution_exceeds_its_bound(case):
    layer, size = case
    bound = norm_bound(ConvGeometry.of(layer), layer.weight.detach().numpy(), size)
    matrix = probe(layer, size).numpy()
    assert certified(bound, matrix)
    sums = np.sqrt(abs(matrix).sum(axis=0).max() * abs(matrix).sum(axis=1).max())
    if ConvGeometry.of(layer).padding_mode == "zeros":
        assert bound <= sums * (1 + gamma(STABLE * sum(matrix.shape)))


@settings(max_examples=50)
@given(SMALL)
def test_no_convolution_with_complex_weights_exceeds_its_bound(case):
    layer, size = case
    geometry = ConvGeometry.of(layer)
    weight = layer.weight.detach().numpy() + 1j * integers(*layer.weight.shape, seed=3).numpy()
    assert certified(norm_bound(geometry, weight, size), dense(geometry, weight, size))


def test_the_circular_norm_at_the_same_size_is_no_bound_for_zero_padding():
    """300 random layers of odd kernels that keep the size; ours is never exceeded."""
    draw = np.random.default_rng(0)
    exceeded = 0
    for case in range(300):
        ndim = 1 + case % 2
        half, sizes = draw.integers(1, 3, size=ndim), draw.integers(3, 7, size=ndim)
        channels = draw.integers(1, 3, size=2).tolist()
        geometry = ConvGeometry(*channels, (2 * half + 1).tolist(), padding=half.tolist())
        size = tuple(sizes.tolist())
        weight = draw.standard_normal(geometry.weight_shape)
        largest = norm(dense(geometry, weight, size))
        same_size = frequency_values(geometry, weight, Circular(size, (1,) * ndim, 1, True))[0]
        exceeded += largest > same_size * (1 + gamma(STABLE * 300))
        assert largest <= norm_bound(geometry, weight, size)
    assert exceeded > 30


def test_the_norm_of_the_flattened_kernel_is_not_the_norm():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 3, padding=1, dtype=torch.float64)
    matrix = probe(layer, (9, 8)).numpy()
    flattened = norm(layer.weight.detach().flatten(1).numpy())
    bound = norm_bound(ConvGeometry.of(layer), layer.weight.detach().numpy(), (9, 8))
    assert 1.3 * flattened < norm(matrix) < bound


CASES = {
    "pointwise": (conv(2, 3, 5, 1), (6, 7)),
    "patches": (conv(2, 3, 5, (2, 3), stride=(2, 3)), (6, 9)),
    "circular": (conv(2, 3, 5, (3, 2), padding="same", padding_mode="circular"), (6, 7)),
    "circular, rows twice": (conv(1, 3, 5, 1, padding=(4,), padding_mode="circular"), (8,)),
    "only padding read": (conv(1, 1, 2, 2, dilation=9, padding=5), (1,)),
}


@pytest.mark.parametrize("layer, size", CASES.values(), ids=CASES.keys())
def test_the_bound_is_the_norm_where_the_circular_one_is_all_used(layer, size):
    bound = norm_bound(ConvGeometry.of(layer), layer.weight.detach().numpy(), size)
    assert certified(bound, probe(layer, size).numpy())
    matrix = probe(layer, size).numpy()
    # What the bound adds for its own rounding: 200 a row and column of the blocks (`svd_error`).
    assert bound <= norm(matrix) * (1 + gamma(200 * matrix.size))


def test_strides_keep_the_bound_near():
    """Stride 1 around a stride of 2 would do, at twice the rows in each dimension."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, dtype=torch.float64)
    bound = norm_bound(ConvGeometry.of(layer), layer.weight.detach().numpy(), (16, 14))
    assert bound < 1.05 * norm(probe(layer, (16, 14)).numpy())


def test_sums_bound_what_replicate_padding_adds_up():
    layer = conv(1, 2, 3, 5, padding=2, padding_mode="replicate")
    bound = norm_bound(ConvGeometry.of(layer), layer.weight.detach().numpy(), (4,))
    matrix = probe(layer, (4,)).numpy()
    assert certified(bound, matrix) and bound < 3 * norm(matrix)


def test_margins_are_above_the_errors_that_occur():
    draw = np.random.default_rng(1)
    for rows, columns in ((1, 1), (3, 40), (60, 60), (7, 5)):
        basis = [np.linalg.qr(draw.standard_normal((n, n)))[0] for n in (rows, columns)]
        values = np.sort(draw.random(min(rows, columns)))[::-1]
        matrix = basis[0][:, : len(values)] * values @ basis[1][: len(values)]
        found = np.linalg.svd(matrix, compute_uv=False)
        margin = svd_error(rows, columns, float(np.linalg.norm(values)))
        assert (
            abs(found - values).max()
            < margin
            <= gamma(200 * rows * columns) * np.linalg.norm(values)
        )
    geometry = ConvGeometry(1, 1, (5,), padding="same", padding_mode="circular")
    circle = Circular((1001,), (1,), 1, True)
    ones = np.ones((1, 1, 5))
    error = abs(frequency_values(geometry, ones, circle)[0] - 5)
    assert error <= frequency_error(geometry, ones, circle) <= gamma(200 + 108 + 20) * 5


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (4, 50)], ids=str)
def test_what_singular_values_may_be_off_by_is_what_is_derived(shape):
    """2·min reflections of γ₁₀ₘₐₓ, and 69·min²·2u: a fifth is to spare where they are square."""
    m, n = min(shape), max(shape)
    derived = (2 * m * 10 * n + 69 * m**2 * 2) * unit() * 3
    granted = svd_error(*shape, 3.0)
    assert derived + 40 * unit() * 3 < granted
    assert granted < 1.3 * derived or m < n


def test_what_frequencies_may_be_off_by_is_what_is_derived():
    """100 of a wave; a product and a sum a tap, and two more, of complex numbers: four of each."""
    for taps in (1, 5, 200):
        geometry = ConvGeometry(1, 1, (taps,), padding="same", padding_mode="circular")
        granted = frequency_error(geometry, np.ones((1, 1, taps)), Circular((400,), (1,), 1, True))
        derived = svd_error(1, 1, taps) + (100 + 4 * (taps + 2)) * unit() * taps
        assert granted == approx(derived, 8)


def test_sums_are_divided_by_what_their_roundings_may_have_taken():
    """Of 3 channels, 5 taps, padding 2 and 1, and eight more; 1/(1 - γₙ) is below 1/(1 - 2·n·u)."""
    geometry = ConvGeometry(3, 2, (5,), padding=((2, 1),))
    n = 3 + 5 + 2 + 1 + 8
    rows, columns = 3 * 5, 2 * 5  # where all taps fall on pixels
    added = sums_bound(geometry, np.ones((2, 3, 5)), (9,)) / np.sqrt(rows * columns) - 1
    assert n * unit() < added
    # Beside 1, the root, the quotient and the difference round by u each.
    assert added == pytest.approx(2 * n * unit(), rel=0, abs=3 * unit())


def test_weights_of_zero_have_the_bound_zero():
    geometry = ConvGeometry(2, 3, (3,), padding=1)
    assert norm_bound(geometry, np.zeros(geometry.weight_shape), (5,)) == 0


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-150, 1e150, 1e200, 1e300])
def test_no_scale_is_too_small_or_too_large(scale):
    geometry = ConvGeometry(2, 3, (3,), padding=1)
    weight = integers(*geometry.weight_shape).numpy()
    bound = norm_bound(geometry, weight * scale, (7,)) / scale
    assert certified(bound, dense(geometry, weight, (7,)) * (1 - gamma(STABLE * 35)))
    assert bound == approx(norm_bound(geometry, weight, (7,)), 200 * 35 * 35)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64, object])
def test_weights_of_any_type_are_taken_to_double_precision(dtype):
    geometry = ConvGeometry(2, 3, (3,), padding=1)
    weight = integers(*geometry.weight_shape).numpy()
    assert norm_bound(geometry, weight.astype(dtype), (7,)) == norm_bound(geometry, weight, (7,))


@pytest.mark.parametrize("odd", [np.nan, np.inf, complex(0, np.nan)])
def test_weights_that_are_not_finite_have_no_bound(odd):
    weight = np.array([[[1, odd, 2]]])
    with pytest.raises(Refused, match=r"Conv1d: weight\[0, 0, 1\] is .*, expected a finite number"):
        norm_bound(ConvGeometry(1, 1, (3,)), weight, (7,))


def test_taps_that_only_touch_padding_do_not_raise_the_bound():
    geometry = ConvGeometry(1, 1, (7,), dilation=9, padding=27)
    weight = np.array([[[100.0, 100, 0, 3, 0, 100, 100]]])
    assert 3 <= norm_bound(geometry, weight, (8,)) <= 3 * (1 + gamma(200 * 64))


def test_only_taps_that_fall_on_pixels_along_every_dimension_count():
    geometry = ConvGeometry(1, 1, (3, 2), dilation=(9, 1), padding=((9, 9), (0, 0)))
    weight = np.array([[[[100.0, 100], [3, 2], [100, 100]]]])
    found, scale = near_one(geometry, weight, (8, 5))
    assert scale.back(found).tolist() == [[[[0, 0], [3, 2], [0, 0]]]] and scale.back(1.0) == 4
