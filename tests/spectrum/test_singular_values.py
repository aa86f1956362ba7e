"""Singular values by each method against a dense decomposition of the probed matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from convlin import ConvGeometry, ConvMatrix, GeometryError, Refused, unroll
from convlin.layers.singular_values import singular_values
from convlin.spectrum import values
from geometry_strategies import case_id, conv, fill, integers, probe
from rounding import STABLE, agree, gamma, unit
from spectrum.small_convolutions import SMALL


def expected(layer, size):
    return np.linalg.svd(probe(layer, size).numpy(), compute_uv=False)


def near(found, true):
    return agree(found, true, STABLE * 500, max(1, true[0]))  # at most 500 rows and columns


@settings(max_examples=100)
@given(SMALL)
def test_all_singular_values_are_those_of_the_probed_matrix(case):
    layer, size = case
    found, matrix = singular_values(layer, size), probe(layer, size)
    assert near(found.values, expected(layer, size))
    total, stable = float((matrix**2).sum()), STABLE * sum(matrix.shape)
    assert agree(np.sum(found.values**2), total, 2 * stable, max(1, total))
    # What the bound grants its own rounding (`svd_error`, `frequency_error`), of Σ|w| and ‖A‖.
    granted = 200 * matrix.numel() + 108 + 4 * layer.weight.numel()
    size = float(layer.weight.detach().abs().sum()) + total**0.5
    assert found.values[0] <= found.upper_bound <= found.values[0] + gamma(2 * granted) * size
    assert len(found) == found.total == min(matrix.shape)


SAME = {"padding": "same", "padding_mode": "circular"}
PER_FREQUENCY = [
    (conv(1, 3, 2, 3, **SAME), (6,)),
    (conv(1, 2, 3, 4, **SAME), (5,)),
    (conv(1, 2, 3, 3, dilation=5, **SAME), (14,)),
    (conv(2, 2, 3, 3, padding=1, stride=2, padding_mode="circular"), (6, 4)),
    (conv(2, 4, 6, (2, 3), dilation=(3, 1), groups=2, **SAME), (4, 7)),
    (conv(3, 2, 3, (3, 2, 1), **SAME), (3, 4, 5)),
    (conv(2, 3, 4, 1), (5, 3)),
    (conv(2, 3, 4, (2, 4), stride=(2, 4)), (6, 8)),
    (conv(2, 3, 4, (2, 4), stride=(2, 4), transposed=True), (3, 2)),
]


@pytest.mark.parametrize("layer, size", PER_FREQUENCY, ids=[case_id(c) for c, _ in PER_FREQUENCY])
def test_whole_circular_convolutions_are_solved_per_frequency(layer, size):
    found = singular_values(layer, size)
    assert found.method == "per frequency" and found.residuals is None
    assert near(found.values, expected(layer, size))


@pytest.mark.parametrize(
    "kernel, dilation", [((5,), (1,)), ((7,), (1,)), ((3,), (5,)), ((4,), (2,))]
)
def test_taps_that_coincide_modulo_the_size_add_up(kernel, dilation):
    """Kernels longer than the input, which no layer pads so far, and uneven padding."""
    extent = dilation[0] * (kernel[0] - 1)
    geometry = ConvGeometry(
        2, 3, kernel, dilation=dilation, padding=((min(extent, 5), extent - min(extent, 5)),),
        padding_mode="circular",
    )  # fmt: skip
    A = ConvMatrix(geometry, integers(*geometry.weight_shape), (5,))
    assert (found := singular_values(A)).method == "per frequency"
    assert near(found.values, np.linalg.svd(A.toarray(), compute_uv=False))


@pytest.mark.parametrize("transposed", [False, True])
def test_large_matrices_take_lanczos_and_say_what_k_fits(transposed, monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 1000)
    monkeypatch.setattr(values, "AT_MOST", 2000)
    layer = conv(2, 2, 3, 3, padding=1, stride=2, transposed=transposed)
    found = singular_values(layer, (6, 5), k=3)
    true = expected(layer, (6, 5))
    assert found.method == "Lanczos" and near(found.values, true[:3])
    assert true[0] <= found.upper_bound < 1.2 * true[0]
    assert found.residuals.shape == (3,) and found.residuals.max() <= gamma(STABLE * 500) * true[0]
    with pytest.raises(
        Refused, match=rf"k is None, expected 1 to {len(true) - 1}, better a few \(all"
    ):
        singular_values(layer, (6, 5))
    with pytest.raises(Refused, match=rf"k is {len(true)}, expected 1 to {len(true) - 1}"):
        singular_values(layer, (6, 5), k=len(true))


def test_many_of_a_middling_matrix_are_found_densely(monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 1000)
    layer = conv(2, 2, 3, 3, padding=1)
    assert singular_values(layer, (6, 5), k=2).method == "Lanczos"
    assert singular_values(layer, (6, 5), k=40).method == "dense"
    assert singular_values(layer, (6, 5), k=10).method == "dense"
    assert singular_values(layer, (6, 5), k=6).method == "Lanczos"  # not more than a tenth of 60
    tight = unroll(layer, (6, 5), memory_limit=16 * 60 * 90 - 1)
    assert singular_values(tight, k=10).method == "Lanczos"


@pytest.mark.parametrize(
    "pixels, one, every",
    [(512, True, True), (513, False, True), (2580, False, True), (2581, False, False)],
)
def test_what_takes_long_densely_is_left_to_lanczos(pixels, one, every):
    """512³ = 2²⁷ multiply-adds are as good as none, 2580³ ≈ 2³⁴ the most that all values may take."""
    A = unroll(conv(1, 1, 1, 3, padding=1), (pixels,))
    assert (values._dense(A, 1), values._dense(A, pixels)) == (one, every)


def test_what_sums_of_taps_may_be_off_by_is_in_the_bound():
    """By γ of 65 taps, all on one pixel, of Σ|w|; beside what a decomposition may be off by."""
    geometry = ConvGeometry(1, 1, (65,), padding=32, padding_mode="replicate")
    found = singular_values(ConvMatrix(geometry, np.ones((1, 1, 65)), (1,)))
    assert (found.method, found.values.tolist()) == ("dense", [65])
    granted = (200 + 2 * 65) * unit() * 65
    # Beside 65, the bound itself is a multiple of the spacing of floats there.
    assert found.upper_bound - 65 == pytest.approx(granted, rel=0, abs=2 * np.spacing(65.0))


def test_lanczos_answers_the_same_every_time(monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 0)
    layer = conv(2, 2, 3, 3, padding=1)
    first, second = (singular_values(layer, (9, 8), k=4) for _ in range(2))
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.residuals, second.residuals)


@pytest.mark.parametrize("at_once", [0, 2**27])
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e300])
def test_squares_of_tiny_and_huge_weights_cost_nothing(scale, at_once, monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", at_once)
    layer = conv(1, 2, 3, 3, padding=1)
    true = expected(layer, (6,))
    layer.weight.data *= scale
    found = singular_values(layer, (6,), k=1)
    assert agree(found.values / scale, true[:1], STABLE * 18, true[0])
    assert found.values[0] <= found.upper_bound < 2 * scale * true[0]


@pytest.mark.parametrize("at_once", [0, 2**27], ids=["Lanczos", "dense"])
def test_a_kernel_of_zeros(at_once, monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", at_once)
    layer = conv(2, 2, 3, 3, padding=1)
    nn.init.zeros_(layer.weight)
    found = singular_values(layer, (4, 5), k=2)
    assert found.values.tolist() == [0, 0] and found.upper_bound == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.complex64])
@pytest.mark.parametrize("at_once", [0, 2**27], ids=["Lanczos", "dense"])
def test_any_dtype_is_computed_in_double_precision(dtype, at_once, monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", at_once)
    layer = fill(nn.Conv1d(2, 3, 3, padding=1, bias=False)).to(dtype)
    if dtype.is_complex:
        layer.weight.data += 1j * integers(3, 2, 3, seed=1).to(dtype)
    A = unroll(layer, (7,))
    dense = A.toarray().astype(np.complex128 if dtype.is_complex else np.float64)
    found = singular_values(A, k=2)
    assert found.values.dtype == np.float64
    assert near(found.values, np.linalg.svd(dense, compute_uv=False)[:2])


def test_complex_circular_convolutions_use_every_frequency():
    geometry = ConvGeometry(2, 3, (3, 2), padding="same", padding_mode="circular")
    weight = integers(*geometry.weight_shape).numpy() + 1j * integers(3, 2, 3, 2, seed=1).numpy()
    A = ConvMatrix(geometry, weight, (4, 5))
    assert near(singular_values(A).values, np.linalg.svd(A.toarray(), compute_uv=False))


def test_a_spectrum_is_an_array_and_a_sentence():
    layer = conv(2, 2, 3, 3, padding=1)
    found = singular_values(layer, (4, 5), k=3)
    assert len(found) == 3 and list(found) == found.values.tolist()
    assert (
        np.asarray(found) is found.values and np.array(found, dtype=np.float32).dtype == np.float32
    )
    assert found[:2].tolist() == found.values[:2].tolist()
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1
    text = f"Conv2d 2→3 k3 p1 on (4, 5): 3 of 40 singular values, from {found[0]:.6g} to "
    assert str(found).startswith(text + f"{found[2]:.6g}, dense; norm ≤ ")
    printed = float(str(found).rsplit("≤ ", 1)[1])
    assert found.upper_bound <= printed < found.upper_bound * (1 + 1e-5)


def test_lanczos_says_how_near(monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 0)
    found = singular_values(conv(2, 2, 3, 3, padding=1), (4, 5), k=1)
    assert f"by Lanczos (within {found.residuals[0]:.1g}); norm ≤" in str(found)


LAYER = conv(1, 2, 3, 3)
REFUSED = [
    (lambda: singular_values(LAYER), r"Conv1d: input_size is None, expected the size of"),
    (lambda: singular_values(LAYER, (2,)), r"input_size\[0\] is 2, expected ≥ 3"),
    (lambda: singular_values(LAYER, (8,), k=0), r"k is 0, expected a whole number from 1 to 16"),
    (lambda: singular_values(LAYER, (8,), k=17), r"k is 17, expected a whole number from 1 to 16"),
    (lambda: singular_values(nn.Linear(3, 4), (8,)), r"Linear: type is Linear, expected nn.Conv1d"),
    (
        lambda: singular_values(unroll(LAYER, 8), (9,)),
        r"input_size is \(9,\), expected \(8,\), or None",
    ),
]


@pytest.mark.parametrize("call, words", REFUSED, ids=[words[:24] for _, words in REFUSED])
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(Refused, match=words):
        call()


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_place(odd):
    layer = conv(1, 2, 3, 3)
    layer.weight.data[1, 0, 2] = odd
    with pytest.raises(
        Refused, match=rf"Conv1d: weight\[1, 0, 2\] is {odd}, expected a finite number"
    ):
        singular_values(layer, 8)


def test_a_matrix_brings_its_size():
    A = unroll(LAYER, 8)
    assert np.array_equal(singular_values(A).values, singular_values(LAYER, 8).values)
    assert np.array_equal(singular_values(A, 8).values, singular_values(LAYER, (8,)).values)
    assert issubclass(GeometryError, Refused)


@pytest.mark.parametrize("mode", ["replicate", "circular", "reflect"])
def test_the_bound_holds_where_taps_on_one_pixel_cancel(mode):
    """1e16 + 1 - 1e16 is 1, and 0 as computed; with all taps on one pixel that is the norm."""
    geometry = ConvGeometry(1, 1, (3,), padding=1, padding_mode=mode)
    weight = np.array([[[1e16, 1.0, -1e16]]])
    A = ConvMatrix(geometry, weight, (2 if mode == "reflect" else 1,))
    assert 1 <= singular_values(A).upper_bound < 1000


@pytest.mark.parametrize("at_once", [0, 2**27], ids=["Lanczos", "dense"])
@pytest.mark.parametrize("small", [1e-250, 1e-320])
def test_taps_that_only_touch_padding_do_not_hide_small_ones(small, at_once, monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", at_once)
    geometry = ConvGeometry(1, 1, (7,), dilation=20, padding=60)
    weight = np.zeros((1, 1, 7))
    weight[0, 0, :4] = [1.0, 0, 0, small]  # only the middle tap falls on pixels
    found = singular_values(ConvMatrix(geometry, weight, (20,)), k=1)
    assert found.values[0] == pytest.approx(small, rel=gamma(STABLE * 40), abs=5e-324)
    assert small <= found.upper_bound <= small * (1 + 1e-3)


def test_singular_values_beyond_double_precision_are_refused():
    A = ConvMatrix(ConvGeometry(1, 1, (3,), padding=1), np.full((1, 1, 3), 1.5e308), (9,))
    with pytest.raises(
        Refused, match=r"largest weight is 1.5e\+308, expected a smaller one \(singular"
    ):
        singular_values(A)


def test_lanczos_keeps_its_vectors_within_the_memory_limit(monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 0)
    layer = conv(2, 2, 3, 3, padding=1)
    each = 16 * (4 * 60 + 2 * 90)
    tight = unroll(layer, (6, 5), memory_limit=3 * each)
    assert singular_values(tight, k=3).method == "Lanczos"
    with pytest.raises(Refused, match="k is 4, expected 1 to 3, better a few"):
        singular_values(tight, k=4)
    with pytest.raises(Refused, match=f"memory_limit is {each - 1}, expected ≥ {each} bytes"):
        singular_values(unroll(layer, (6, 5), memory_limit=each - 1), k=1)
    one_row = ConvGeometry(1, 1, (3,), stride=9)
    with pytest.raises(Refused, match="memory_limit is 127, expected ≥ 128 bytes"):
        singular_values(ConvMatrix(one_row, integers(1, 1, 3), (8,), memory_limit=127))
    assert len(singular_values(ConvMatrix(one_row, integers(1, 1, 3), (8,), memory_limit=128))) == 1


@pytest.mark.parametrize("k", [True, -1, 2.0, "2", 10**30])
def test_what_is_no_count_is_refused(k):
    with pytest.raises(Refused, match=rf"k is {k!r}, expected a whole number from 1 to 16"):
        singular_values(LAYER, (8,), k=k)


def test_a_bound_is_printed_upwards():
    for seed in range(20):
        layer = fill(nn.Conv1d(1, 2, 3, padding=1, dtype=torch.float64), seed=seed)
        found = singular_values(layer, (7,))
        assert float(str(found).rsplit("≤ ", 1)[1]) >= found.upper_bound


def test_a_copy_that_is_needed_is_not_made_in_secret():
    found = singular_values(LAYER, (8,))
    assert np.array(found, copy=True).flags.writeable
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        with pytest.raises(ValueError, match="copy"):
            np.array(found, dtype=np.float32, copy=False)


def test_residuals_have_the_scale_of_the_weights(monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 0)
    layer = conv(2, 2, 3, 3, padding=1)
    one = singular_values(layer, (6, 5), k=2)
    layer.weight.data *= 2.0**40
    assert np.array_equal(singular_values(layer, (6, 5), k=2).residuals, one.residuals * 2**40)
