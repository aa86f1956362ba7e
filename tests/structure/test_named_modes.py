"""Padding modes that are named: each alone is looked at, and reflect and replicate only then."""

import itertools

import numpy as np
import pytest

from convlin import ConvGeometry, ConvMatrix, Refused, recognize
from geometry_strategies import MODES


def unrolled(geometry, size, seed=0):
    """The matrix of whole weights, all different and none 0: every sum is exact and seen."""
    numbers = np.random.default_rng(seed).permutation(np.prod(geometry.weight_shape)) + 1.0
    return ConvMatrix(geometry, numbers.reshape(geometry.weight_shape), size)


def shapes_of(matrix):
    return matrix.input_shape, matrix.output_shape


def smallest_same(geometry):
    """The same geometry as the smallest form: after the last window, pixels may stay unread."""
    return (geometry.kernel, geometry.stride, geometry.dilation, geometry.groups,
            geometry.padding_mode, [before for before, _ in geometry.padding])  # fmt: skip


SIDES = {1: [0, 1, 2, ((2, 0),), ((0, 1),)], 2: [0, 1, ((2, 0), (0, 1))], 3: [((1, 1), (0, 1), (1, 0))]}  # fmt: skip
KERNELS = {1: [(3,), (4,)], 2: [(3, 2)], 3: [(2, 1, 3)]}
STEPS = {1: [1, 2, 3], 2: [1, (2, 1)], 3: [(1, 1, 2)]}
SPACINGS = {1: [1, 2, 3], 2: [1, (1, 2)], 3: [(2, 1, 1)]}
SIZES = {1: (23,), 2: (9, 10), 3: (6, 4, 7)}
CROSS = [
    ConvGeometry(2, 4, kernel, stride, padding, dilation, groups=2, padding_mode=mode)
    for ndim in (1, 2, 3)
    for mode, kernel, stride, dilation, padding in itertools.product(
        MODES, KERNELS[ndim], STEPS[ndim], SPACINGS[ndim], SIDES[ndim]
    )
]


@pytest.mark.parametrize(
    "geometry", CROSS, ids=lambda geometry: f"{geometry.kind}-{geometry.padding_mode}"
)
def test_every_mode_is_found_where_it_is_named(geometry):
    matrix = unrolled(geometry, SIZES[geometry.ndim])
    found = recognize(matrix.tocsr(), *shapes_of(matrix), padding_mode=geometry.padding_mode)
    assert smallest_same(found.geometry) == smallest_same(geometry)
    assert np.array_equal(found.weight, matrix.weight)
    assert np.array_equal(found.matrix().toarray(), matrix.toarray())


FOLDED = [geometry for geometry in CROSS if geometry.padding_mode in ("reflect", "replicate")]
PADDED = [g for g in FOLDED if any(before for before, _ in g.padding) and g.ndim < 3]


@pytest.mark.parametrize("geometry", PADDED[::5], ids=lambda g: f"{g.kind}-{g.padding_mode}")
def test_reflect_and_replicate_padding_are_not_found_unnamed(geometry):
    matrix = unrolled(geometry, SIZES[geometry.ndim])
    with pytest.raises(Refused, match="reflect or replicate padding, name it as padding_mode"):
        recognize(matrix.tocsr(), *shapes_of(matrix))
    for mode in {*MODES} - {geometry.padding_mode}:
        with pytest.raises(Refused) as caught:
            recognize(matrix.tocsr(), *shapes_of(matrix), padding_mode=mode)
        assert "name it as" not in str(caught.value)
        assert ("a window inside" in str(caught.value)) == (mode in ("reflect", "replicate"))


@pytest.mark.parametrize("mode", MODES)
def test_without_padding_every_mode_is_found_if_named(mode):
    matrix = unrolled(ConvGeometry(2, 3, (3, 2), stride=(1, 2)), (6, 7))
    found = recognize(matrix.tocsr(), (2, 6, 7), padding_mode=mode)
    assert found.geometry == ConvGeometry(2, 3, (3, 2), stride=(1, 2), padding_mode=mode)
    assert "padding_mode" in found.free and np.array_equal(found.weight, matrix.weight)
    empty = recognize(np.zeros((12, 20)), (1, 4, 5), (1, 3, 4), padding_mode=mode)
    assert empty.geometry.padding_mode == mode and not empty.weight.any()


def test_a_refusal_differs_least_from_a_form_of_the_mode_that_was_named():
    for mode in MODES:
        matrix = unrolled(ConvGeometry(1, 2, (3, 3), padding=1, padding_mode=mode), (7, 8))
        broken = matrix.tocsr()
        broken.data[40] += 0.5
        with pytest.raises(Refused, match="differs least from Conv2d 1→2 k3 p1 ") as caught:
            recognize(broken, (1, 7, 8), (2, 7, 8), padding_mode=mode)
        assert f"k3 p1{f' {mode}' * (mode != 'zeros')} on" in str(caught.value)


def test_a_transposed_convolution_has_zero_padding():
    geometry = ConvGeometry(2, 3, (3,), stride=2, padding=1, transposed=True)
    matrix = unrolled(geometry, (6,))
    for mode in (None, "zeros"):
        assert recognize(matrix.tocsr(), *shapes_of(matrix), padding_mode=mode).geometry == geometry
    for mode in ("reflect", "replicate", "circular"):
        with pytest.raises(Refused):
            recognize(matrix.tocsr(), *shapes_of(matrix), padding_mode=mode)


# A window inside the input alone: the stride then shows in what its neighbours read.
LONE = [
    ConvGeometry(1, 1, (4,), padding=1, padding_mode="reflect"),
    ConvGeometry(1, 2, (5,), stride=3, padding=((3, 4),), padding_mode="replicate"),
    ConvGeometry(2, 1, (3,), stride=2, dilation=2, padding=((2, 3),), padding_mode="reflect"),
]


@pytest.mark.parametrize("geometry, n", list(zip(LONE, (4, 6, 5), strict=True)))
def test_a_single_window_inside_is_enough(geometry, n):
    matrix = unrolled(geometry, (n,))
    stride, before = geometry.stride[0], geometry.padding[0][0]
    starts = np.arange(matrix.output_size[0]) * stride - before
    assert np.count_nonzero((starts >= 0) & (starts <= n - geometry.extent[0])) == 1
    found = recognize(matrix.tocsr(), *shapes_of(matrix), padding_mode=geometry.padding_mode)
    assert smallest_same(found.geometry) == smallest_same(geometry)
    assert np.array_equal(found.weight, matrix.weight)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_with_no_window_inside_it_is_refused_and_said(mode):
    """A kernel of 5 on 4 pixels always reads some padding."""
    matrix = unrolled(ConvGeometry(1, 1, (5,), padding=2, padding_mode=mode), (4,))
    with pytest.raises(Refused, match=f"with {mode} padding, only forms .* a window inside"):
        recognize(matrix.tocsr(), *shapes_of(matrix), padding_mode=mode)


@pytest.mark.parametrize("mode", ["mirror", 1, True, ("reflect",)])
def test_other_modes_are_refused(mode):
    with pytest.raises(Refused, match="padding_mode"):
        recognize(np.eye(3), (1, 3), padding_mode=mode)


def test_taps_of_a_ring_may_be_as_far_apart_as_padding_is_wide():
    """On 6 pixels, three taps 5 apart: next to each other, they would need a longer kernel."""
    geometry = ConvGeometry(1, 1, (3,), padding=((5, 2),), dilation=5, padding_mode="circular")
    matrix = unrolled(geometry, (6,))
    found = recognize(matrix.tocsr(), *shapes_of(matrix))
    assert found.geometry == geometry and np.array_equal(found.weight, matrix.weight)
