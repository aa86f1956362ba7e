"""Index arrays against `ConvGeometry.source`; the dense matrix against probing PyTorch's layer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlin import ConvGeometry, GeometryError
from convlin.matrix import connected, dense, dense_shape, sources
from geometry_strategies import case_id, conv, convolutions, integers, probe

ANY = st.one_of(convolutions(max_kernel=3), convolutions(transposed=True, max_kernel=3))


@given(ANY)
def test_sources_are_geometry_source_for_every_output_and_tap(case):
    layer, size = case
    geometry = ConvGeometry.of(layer)
    for dim, n in enumerate(size):
        table = sources(geometry, dim, n)
        assert table.shape == (geometry.output_size(size)[dim], geometry.kernel[dim])
        for (output, tap), read in np.ndenumerate(table):
            source = geometry.source(dim, n, output, tap)
            assert read == (-1 if source is None else source)


@settings(max_examples=50)
@given(ANY)
def test_dense_is_the_matrix_that_probing_finds(case):
    layer, size = case
    matrix = dense(ConvGeometry.of(layer), layer.weight.detach(), size)
    assert torch.equal(matrix, probe(layer, size))


@settings(max_examples=50)
@given(ANY)
def test_connected_pairs_are_all_connections(case):
    layer, size = case
    geometry = ConvGeometry.of(layer)
    pairs = sum(len(outputs) for outputs, _ in connected(geometry, size))
    per_pair = geometry.in_channels * geometry.out_channels // geometry.groups
    assert pairs * per_pair == geometry.connections(size)


CASES = [
    (conv(1, 2, 3, 4, stride=2, padding=3), (7,)),
    (conv(1, 1, 1, 5, padding=4, padding_mode="circular"), (4,)),
    (conv(2, 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=2, groups=2), (8, 7)),
    (conv(2, 4, 6, (3, 2), padding=(2, 1), dilation=(1, 3), padding_mode="reflect"), (5, 6)),
    (conv(2, 3, 6, (2, 5), padding="same", groups=3, padding_mode="replicate"), (5, 4)),
    (
        conv(2, 4, 2, (3, 2), transposed=True, stride=(3, 2), padding=1, output_padding=(2, 1)),
        (3, 4),
    ),
    (conv(1, 2, 3, 3, transposed=True, dilation=3, output_padding=2), (4,)),
    (conv(3, 2, 4, (2, 1, 3), stride=(1, 2, 1), padding=(1, 0, 2), groups=2), (3, 5, 4)),
]


@pytest.mark.parametrize("layer, size", CASES, ids=[case_id(layer) for layer, _ in CASES])
def test_dense_on_numpy_and_torch_alike(layer, size):
    geometry = ConvGeometry.of(layer)
    expected = probe(layer, size)
    assert dense_shape(geometry, size) == expected.shape
    for dtype in (np.int64, np.float32, np.complex128):
        matrix = dense(geometry, layer.weight.detach().numpy().astype(dtype), size)
        assert type(matrix) is np.ndarray
        assert matrix.dtype == dtype
        assert np.array_equal(matrix, expected.numpy())
    for dtype in (torch.int32, torch.bfloat16, torch.complex64):
        matrix = dense(geometry, layer.weight.detach().to(dtype), size)
        assert matrix.dtype == dtype
        assert torch.equal(matrix, expected.to(dtype))


def test_taps_of_one_output_that_read_one_pixel_add_up():
    geometry = ConvGeometry(1, 1, kernel=(5,), padding=4, padding_mode="circular")
    kernel = np.array([[[1, 10, 100, 1000, 10000]]])
    assert dense(geometry, kernel, (4,))[0].tolist() == [10001, 10, 100, 1000]


def test_dense_is_linear_in_the_kernel():
    geometry = ConvGeometry(2, 4, kernel=(3, 2), padding=2, padding_mode="reflect", groups=2)
    a, b = (integers(*geometry.weight_shape, seed=seed) for seed in (1, 2))
    size = (4, 5)
    both = dense(geometry, 3 * a - 2 * b, size)
    assert torch.equal(both, 3 * dense(geometry, a, size) - 2 * dense(geometry, b, size))


def test_the_kernel_is_left_alone():
    geometry = ConvGeometry(2, 3, kernel=(2,))
    kernel = integers(3, 2, 2)
    before = kernel.clone()
    dense(geometry, kernel, (5,)).add_(7)
    assert torch.equal(kernel, before)


def test_too_small_an_input_is_refused():
    with pytest.raises(GeometryError, match=r"input_size\[0\] is 1, expected ≥ 2"):
        dense(ConvGeometry(1, 1, kernel=(2,)), np.ones((1, 1, 2)), (1,))
