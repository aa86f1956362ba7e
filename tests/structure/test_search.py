"""What a search may cost, and what must not pass as a larger or a folded form."""

import math
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import circulant

from convlin import ConvGeometry, ConvMatrix, Refused, recognize, unroll
from convlin.structure import search
from convlin.structure.axis_space import AxisSpace
from convlin.structure.axis_support import AxisSupport
from convlin.structure.fibres import Layout
from convlin.structure.inside_windows import inside_forms
from convlin.structure.output_shapes import output_shapes
from geometry_strategies import MODES, named
from rounding import STABLE, agree


def unrolled(*channels_and_kernel, size, seed=3, dtype=np.float64, **geometry):
    """The matrix of a convolution with whole weights that are all different, none of them 0."""
    geometry = ConvGeometry(*channels_and_kernel, **geometry)
    shape = (geometry.out_channels, geometry.in_channels // geometry.groups, *geometry.kernel)
    numbers = np.random.default_rng(seed).permutation(math.prod(shape)) + 1
    matrix = ConvMatrix(geometry, numbers.reshape(shape).astype(dtype), size)
    return (
        matrix.tocsr(),
        (geometry.in_channels, *size),
        (geometry.out_channels, *matrix.output_size),
    )


@pytest.fixture
def spans_asked(monkeypatch):
    """The tables of the forms whose span is asked whether it holds the samples."""
    asked, explains = [], AxisSpace.explains

    def counted(self, *args):
        asked.append(self.table.size)
        return explains(self, *args)

    monkeypatch.setattr(AxisSpace, "explains", counted)
    return asked


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", MODES)
def test_memory_grows_with_what_is_stored_and_not_with_its_square(mode):
    peaks = []
    for n in (2_000, 16_000):
        matrix, into, out = unrolled(2, 3, (5,), size=(n,), stride=2, padding=2, padding_mode=mode)
        shapes = into, out
        peaks.append(peak(lambda m=matrix, s=shapes: recognize(m, *s, **named(mode))))
        assert peaks[-1] < 150 * matrix.nnz + 8e6
    assert peaks[1] < 10 * peaks[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_refusal_looks_at_few_forms(mode, spans_asked):
    matrix, into, _ = unrolled(1, 1, (3,), size=(200,), padding=1, padding_mode=mode)
    matrix.data[317] *= 2
    with pytest.raises(Refused, match="differ: | sum to "):
        recognize(matrix, into, **named(mode))
    assert sum(spans_asked) < 2_000 * matrix.nnz


def test_a_full_ring_is_turned_by_its_values_and_not_every_way(spans_asked):
    ring = circulant(np.random.default_rng(0).permutation(150) + 1.0)
    found = recognize(ring, (1, 150), (1, 150))
    assert found.geometry.padding_mode == "circular" and found.geometry.kernel == (150,)
    assert np.array_equal(ConvMatrix(found.geometry, found.weight, (150,)).toarray(), ring)
    assert len(spans_asked) < 20


def test_a_far_entry_makes_no_kernel_as_long_as_the_map():
    matrix, into, out = unrolled(1, 1, (3,), size=(4_000,), padding=1)
    far = matrix + sp.csr_array(([5.0], ([700], [3_900])), shape=matrix.shape)
    with pytest.raises(Refused, match=r"output \(0, 700\) reads input \(0, 3900\), off any kernel"):
        recognize(far, into, out)


@pytest.mark.parametrize("rows, into", [(9, (5, 1)), (6, (4, 1, 1)), (8, (3, 1))])
def test_a_matrix_on_one_pixel_shares_nothing(rows, into):
    matrix = np.random.default_rng(1).standard_normal((rows, into[0]))
    ones = (1,) * (len(into) - 1)
    with pytest.raises(Refused, match="there every matrix is a convolution"):
        recognize(matrix, into, (rows // 2, 2, *ones[1:]) if rows % 2 == 0 else (3, 3))
    assert recognize(matrix, into, (rows, *ones)).geometry.kernel == ones


@pytest.mark.parametrize("size, kernel", [((7, 6), (3, 3)), ((4, 5), (3, 3)), ((9, 5), (1, 2))])
@pytest.mark.parametrize("mode", MODES)
def test_one_ulp_off_is_no_folded_form(mode, size, kernel):
    """An entry that one tap makes must be that tap's weight, to the last bit, in every form."""
    geometry = ConvGeometry(1, 1, kernel, padding=[(k - 1, 0) for k in kernel], padding_mode=mode)
    weight = np.random.default_rng(5).standard_normal((1, 1, *kernel)).astype(np.float32)
    model = ConvMatrix(geometry, weight, size)
    alone = np.flatnonzero(np.diff(model.entry_weights().starts) == 1)
    for entry in alone[[3, len(alone) // 2, -2]]:
        matrix = model.tocsr().copy()
        matrix.data[entry] = np.nextafter(matrix.data[entry], np.float32(9))
        with pytest.raises(Refused):
            recognize(matrix, (1, *size), (1, *model.output_size), **named(mode))


@pytest.mark.parametrize("size, kernel", [((8, 8), (2, 2)), ((5, 6), (3, 2)), ((5, 9), (2, 2))])
def test_one_ulp_off_is_no_ring_that_a_kernel_goes_around_twice(size, kernel):
    """There two taps would read every pixel, and every entry would be a sum, up to rounding."""
    sides = [(1, kernel[0] - 2), (kernel[1] - 2, 1)]
    geometry = ConvGeometry(1, 2, kernel, padding=sides, padding_mode="circular")
    weight = np.random.default_rng(6).standard_normal((2, 1, *kernel)).astype(np.float32)
    model = ConvMatrix(geometry, weight, size)
    for entry in np.linspace(0, model.nnz - 1, 40).astype(int):
        matrix = model.tocsr().copy()
        matrix.data[entry] = np.nextafter(matrix.data[entry], np.float32(9))
        try:
            found = recognize(matrix, (1, *size), (2, *size))
        except Refused:
            continue
        # On a map this small, a zero-padded kernel of many more weights may be it to the last bit.
        assert np.array_equal(unroll(found).toarray(), matrix.toarray())


@pytest.mark.parametrize("mode", MODES)
def test_the_entry_that_differs_is_blamed_wherever_it_is(mode):
    """Also the first of its tap, from which a weight would be read."""
    matrix, into, out = unrolled(
        1, 1, (3, 2), size=(6, 7), padding=[(1, 1), (1, 0)], padding_mode=mode
    )
    for entry in (0, 1, matrix.nnz // 2, matrix.nnz - 1):
        wrong = matrix.copy()
        wrong.data[entry] += 100
        row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
        with pytest.raises(Refused) as caught:
            recognize(wrong, into, out, **named(mode))
        first = caught.value.refusals[0]
        assert first.field == f"matrix[{row}, {matrix.indices[entry]}]"
        assert float(first.value) == wrong.data[entry]
        assert float(first.allowed) == matrix.data[entry]


@pytest.mark.parametrize(
    "shape", [((1, 8), (1, 6)), ((2, 4, 3), (3, 4, 3)), ((1, 2, 3, 4), (2, 2, 3, 4))]
)
def test_a_zero_matrix_has_no_padding_and_no_mode(shape):
    into, out = shape
    found = recognize(np.zeros((np.prod(out), np.prod(into))), into, out)
    assert found.geometry.padding_mode == "zeros" and not found.weight.any()
    assert math.prod(found.geometry.kernel) == 1 and found.output_size == out[1:]


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_whole_weights_come_back_whole_where_only_sums_tell_them(dtype):
    """With kernel 4 and padding 1, reflected taps are told apart by solving, and then rounded."""
    matrix, into, out = unrolled(
        1, 1, (4,), size=(4,), padding=1, padding_mode="reflect", dtype=dtype, seed=8
    )
    found = recognize(matrix, into, out, padding_mode="reflect")
    assert found.weight.dtype == dtype
    assert np.array_equal(found.weight, np.round(found.weight))
    assert np.array_equal(
        ConvMatrix(found.geometry, found.weight, (4,)).toarray(), matrix.toarray()
    )


def test_the_same_form_every_time():
    """Of equal forms, by what they are, and not by the order in which they are found."""
    rng = np.random.default_rng(2)
    answers = set()
    for _ in range(5):
        ring = circulant(rng.permutation(12) + 1.0)
        answers.add(recognize(ring, (1, 12), (1, 12)).geometry)
    assert len(answers) == 1 and answers.pop().padding == ((5, 6),)


CANCELLED = [
    ((1, 1, (3,)), [-1, 0, 1], "reflect", (20,), 1),
    ((1, 1, (5,)), [1, -8, 0, 8, -1], "reflect", (17,), 2),
    ((1, 1, (5,)), [-1, 1, 0, 1, -1], "replicate", (20,), 2),
    ((1, 1, (2,)), [-1, 1], "replicate", (11,), 1),
    ((1, 1, (3, 3)), [-1, 0, 1, -2, 0, 2, -1, 0, 1], "reflect", (16, 12), 1),
    ((1, 1, (3, 3)), [1, -1, 1, -1, 1, -1, -1, 1, -1], "reflect", (9, 40), 1),
    (
        (1, 2, (3, 3)),
        [-1, 0, 1, -2, 0, 2, -1, 0, 1, -3, 0, 3, 5, 0, -5, -7, 0, 7],
        "reflect",
        (40, 9),
        1,
    ),
]


@pytest.mark.parametrize("geometry, weight, mode, size, padding", CANCELLED)
@pytest.mark.parametrize("told", [True, False], ids=["output-shape-given", "not-given"])
def test_derivatives_are_found_though_their_sums_cancel(
    geometry, weight, mode, size, padding, told
):
    """At the edge of the map, folded taps add up to 0: it seems as if nothing were read there."""
    into, out, kernel = geometry
    weight = np.array(weight).reshape(out, into, *kernel)
    layer = ConvGeometry(into, out, kernel, padding=padding, padding_mode=mode)
    model = ConvMatrix(layer, weight, size)
    matrix = model.toarray()
    shape = (out, *model.output_size) if told else None
    found = recognize(matrix, (into, *size), shape, padding_mode=mode)
    assert found.weight.size <= weight.size
    assert np.array_equal(unroll(found).toarray(), matrix)


def bank(*kernels):
    return np.array(kernels)[:, None]


BANKS = {
    "gradients": (bank([[0, 0, 0], [-1, 0, 1], [0, 0, 0]], [[0, -1, 0], [0, 0, 0], [0, 1, 0]]), 1, (28, 26), 1),
    "shifts": (np.eye(9, dtype=int).reshape(9, 1, 3, 3), 9, (14, 13), 1),
    "im2col": (np.eye(9, dtype=int).reshape(9, 1, 3, 3), 1, (12, 15), 1),
    "unshuffle": (np.eye(4, dtype=int).reshape(4, 1, 2, 2), 1, (10, 12), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", BANKS)
def test_channels_that_read_different_pixels_are_found_with_no_output_shape(name):
    weight, groups, size, padding = BANKS[name]
    kernel = weight.shape[2:]
    stride = 2 if name == "unshuffle" else 1
    layer = ConvGeometry(groups, len(weight), kernel, stride=stride, padding=padding, groups=groups)
    matrix = ConvMatrix(layer, weight, size).tocsr()
    found = recognize(matrix, (groups, *size))
    assert found.geometry == layer and np.array_equal(found.weight, weight)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 2.0**-1060])
@pytest.mark.parametrize("mode", MODES)
def test_any_scale(scale, mode):
    geometry = ConvGeometry(2, 3, (3, 2), padding=[(1, 1), (1, 0)], padding_mode=mode)
    weight = np.arange(1, 37).reshape(3, 2, 3, 2) * 7 % 41 * scale
    model = ConvMatrix(geometry, weight, (7, 6))
    found = recognize(model.tocsr(), (2, 7, 6), **named(mode))
    assert found.geometry == geometry
    assert agree(found.weight / scale, weight / scale, STABLE * 6, 41)  # six taps, solved for
    broken = model.tocsr().copy()
    broken.data[40] *= 2
    with pytest.raises(Refused):
        recognize(broken, (2, 7, 6), **named(mode))


def sparse_taps(length):
    """The matrix of a kernel of which the first two taps and the last one are not 0."""
    weight = np.zeros((1, 1, length))
    weight[0, 0, [0, 1, -1]] = 5, 7, 3
    return ConvMatrix(ConvGeometry(1, 1, (length,)), weight, (60,))


def test_a_kernel_of_eight_taps_for_each_that_is_read_is_found_and_no_longer_one():
    matrix = sparse_taps(24)
    found = recognize(matrix.tocsr(), (1, 60), matrix.output_shape, padding_mode="zeros")
    assert found.geometry.kernel == (24,) and np.array_equal(found.weight, matrix.weight)
    with pytest.raises(Refused):
        recognize(sparse_taps(25).tocsr(), (1, 60), (1, 36), padding_mode="zeros")


def test_a_sum_of_two_taps_may_be_off_by_two_roundings():
    """By one unit in the last place, as two sums may be; two are too many. No weight is below 0."""
    geometry = ConvGeometry(1, 1, (3,), padding=1, padding_mode="reflect")
    weight = np.random.default_rng(1).uniform(1, 2, (1, 1, 3)).astype(np.float32)
    model = ConvMatrix(geometry, weight, (6,))
    summed = int(np.flatnonzero(np.diff(model.entry_weights().starts) == 2)[0])
    matrix = model.tocsr()
    for steps in (1, 2):
        matrix.data[summed] = np.nextafter(matrix.data[summed], np.float32(9))
        if steps == 1:
            found = recognize(matrix, (1, 6), padding_mode="reflect")
            assert np.array_equal(found.weight, weight)
        else:
            with pytest.raises(Refused, match="sum to"):
                recognize(matrix, (1, 6), padding_mode="reflect")


def test_sixty_four_output_shapes_are_searched_and_the_rest_is_said():
    found = recognize(np.zeros((360, 8)), (1, 2, 2, 2))
    *searched, rest = found.candidates
    assert len(searched) == 64
    assert "not searched, nor" in rest.outcome and "give output_shape" in rest.outcome


def test_six_shapes_are_looked_at_that_only_most_rows_agree_with():
    """Of rows that read spans by chance, no shape agrees with all; 64 rows have 15 in 2-D."""
    read = np.random.default_rng(0).random((64, 36)) < 0.05
    assert len(output_shapes(sp.csr_array(read.astype(float)), (1, 6, 6))) == 6


@pytest.mark.parametrize("outputs, some", [(5, True), (6, False)])
def test_at_most_five_windows_can_span_as_much_as_a_single_one_inside(outputs, some):
    support = AxisSupport.of(np.ones((outputs, 4), dtype=bool))
    assert bool(inside_forms(support, "reflect")) == some


def test_five_windows_span_as_much_as_the_one_inside():
    """Of two taps, 5 pixels on each: two windows on either side lie in the padding altogether."""
    geometry = ConvGeometry(1, 1, (2,), stride=5, padding=((6, 6),), padding_mode="reflect")
    weight = np.array([[[5.0, 7]]])
    model = ConvMatrix(geometry, weight, (10,))
    assert model.output_size == (5,)
    found = recognize(model.tocsr(), (1, 10), (1, 5), padding_mode="reflect")
    assert found.geometry == geometry and np.array_equal(found.weight, weight)


@pytest.fixture
def work(monkeypatch):
    """What recognizing looks at: entries of supports, of samples and of matrices compared."""
    looked_at = []

    def counting(owner, name, size):
        function = getattr(owner, name)

        def counted(*args):
            looked_at.append(size(*args))
            return function(*args)

        monkeypatch.setattr(owner, name, counted)

    counting(Layout, "support", lambda layout: layout.matrix.nnz)
    counting(AxisSpace, "explains", lambda space, support, fibres, _: fibres.size)
    counting(search, "differences", lambda matrix, *_: matrix.nnz)

    def spent(call):
        looked_at.clear()
        call()
        return sum(looked_at)

    return spent


def full_ring():
    ring = sp.csr_array(circulant(np.random.default_rng(0).permutation(120) + 1.0))
    return ring, (1, 120), None


def several_channels():
    matrix, into, _ = unrolled(4, 4, (3, 3), size=(12, 12), padding=1)
    return matrix, into, None


def reflected():
    matrix, into, _ = unrolled(2, 4, (5,), size=(60,), padding=2, padding_mode="reflect")
    return matrix, into, "reflect"


def wrong_at(place):
    def change(matrix):
        changed = matrix.copy()
        changed.data[place * (matrix.nnz - 1) // 2] += 0.5
        return changed

    return change


def rows_swapped(matrix):
    order = np.arange(matrix.shape[0])
    order[[7, 8]] = 8, 7
    return matrix[order]


def other_numbers(matrix):
    numbers = np.random.default_rng(1).standard_normal(matrix.nnz)
    return sp.csr_array((numbers, matrix.indices, matrix.indptr), shape=matrix.shape)


def scattered(matrix):
    density = matrix.nnz / math.prod(matrix.shape)
    return sp.random_array(matrix.shape, density=density, rng=np.random.default_rng(1)).tocsr()


WRONG = {
    "first entry": wrong_at(0),
    "middle entry": wrong_at(1),
    "last entry": wrong_at(2),
    "rows swapped": rows_swapped,
    "other numbers": other_numbers,
    "scattered": scattered,
}


@pytest.mark.parametrize("make", [full_ring, several_channels, reflected])
@pytest.mark.parametrize("wrong", WRONG)
def test_refusing_looks_at_twice_the_entries_of_accepting_at_most(make, wrong, work):
    matrix, into, mode = make()
    accepting = work(lambda: recognize(matrix, into, padding_mode=mode))

    def refusing():
        with pytest.raises(Refused):
            recognize(WRONG[wrong](matrix), into, padding_mode=mode)

    assert 0 < work(refusing) <= 2 * accepting


def test_an_entry_found_wrong_is_told_to_every_other_shape(monkeypatch):
    """A ring reads as rings of every divisor of its rows, each as near as the first."""
    compared, differences = [], search.differences
    monkeypatch.setattr(
        search, "differences", lambda *args: compared.append(args[1].geometry) or differences(*args)
    )
    ring = full_ring()[0].toarray()
    ring[50, 30] += 0.5
    with pytest.raises(Refused, match=r"matrix\[50, 30\]"):
        recognize(ring, (1, 120))
    assert {geometry.out_channels for geometry in compared} == {1}


@pytest.mark.parametrize("kernel", [(1, 9), (9, 9)])
def test_a_huge_kernel_that_explains_a_few_fibres_is_never_built(kernel, monkeypatch):
    """Two entries far apart, of which each is a tap: in two dimensions the taps are a product."""
    matrix = scattered(
        unrolled(1, 1, kernel, size=(30, 30), padding=[(k - 1) // 2 for k in kernel])[0]
    )
    built, of = [], search.ConvMatrix
    monkeypatch.setattr(search, "ConvMatrix", lambda *a, **k: built.append(m := of(*a, **k)) or m)
    with pytest.raises(Refused):
        recognize(matrix, (1, 30, 30))
    assert all(model.nnz <= 8 * matrix.nnz for model in built)
