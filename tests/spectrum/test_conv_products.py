"""Products by PyTorch's convolutions against the matrix written out, on whole numbers: exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlin import ConvGeometry, ConvMatrix, unroll
from convlin.layers.conv_products import Correlation, products
from convlin.spectrum.multiplied import multiplied
from geometry_strategies import conv, convolutions, integers, probe

CONVOLUTIONS = st.one_of(convolutions(max_kernel=4), convolutions(transposed=True, max_kernel=4))


def columns(rows, seed):
    return integers(rows, 3, seed=seed).numpy()


@settings(max_examples=200)
@given(CONVOLUTIONS)
def test_products_are_those_of_the_probed_matrix(case):
    layer, size = case
    A = unroll(layer, size)
    operator = products(A.with_kernel(layer.weight.detach().numpy()))
    matrix = probe(layer, size).numpy()
    x, y = columns(A.shape[1], 1), columns(A.shape[0], 2)
    assert np.array_equal(operator @ x, matrix @ x)
    assert np.array_equal(operator.H @ y, matrix.T @ y)
    assert np.array_equal(operator @ x[:, 0], matrix @ x[:, 0])
    assert np.array_equal(operator.H @ y[:, 0], matrix.T @ y[:, 0])


FAR = {
    "no pixel reached": (ConvGeometry(1, 1, (2,), stride=20, padding=5), (1,)),
    "padding on one side": (ConvGeometry(2, 3, (3,), padding=((9, 1),)), (4,)),
    "pixels that no window reaches": (ConvGeometry(2, 3, (3,), stride=9, padding=2), (14,)),
    "reflect, by sides": (
        ConvGeometry(2, 3, (3, 2), padding=((2, 1), (0, 3)), padding_mode="reflect"),
        (4, 5),
    ),
    "circular, longer than the input": (
        ConvGeometry(2, 3, (7,), padding=((5, 1),), padding_mode="circular"),
        (5,),
    ),
    "transposed, by sides": (
        ConvGeometry(4, 2, (3, 2), stride=2, padding=((0, 1), (1, 0)), groups=2, transposed=True),
        (3, 4),
    ),
}


@pytest.mark.parametrize("geometry, size", FAR.values(), ids=FAR)
def test_products_of_geometries_that_no_layer_has(geometry, size):
    A = ConvMatrix(geometry, integers(*geometry.weight_shape).numpy(), size)
    matrix = np.zeros(A.shape)
    for row in range(A.shape[0]):  # wire by wire: by the integers of `ConvGeometry.source`
        for wire in A.wires(row):
            matrix[row, np.ravel_multi_index(wire.input, A.input_shape)] += wire.weight
    x, y = columns(A.shape[1], 1), columns(A.shape[0], 2)
    assert np.array_equal(products(A) @ x, matrix @ x)
    assert np.array_equal(products(A).H @ y, matrix.T @ y)


def test_products_with_complex_numbers():
    geometry = ConvGeometry(2, 3, (2,), padding=1)
    weight = integers(3, 2, 2).numpy() + 1j * integers(3, 2, 2, seed=1).numpy()
    A = ConvMatrix(geometry, weight, (5,))
    y = columns(A.shape[0], 2) + 1j * columns(A.shape[0], 3)
    assert np.array_equal(products(A).H @ y, A.toarray().conj().T @ y)


@settings(max_examples=50)
@given(CONVOLUTIONS)
def test_weighing_is_the_derivative_by_the_weight(case):
    """⟨y, A(w)·x⟩ is linear in w: its derivative is its value at kernels of a single one."""
    layer, size = case
    A = unroll(layer, size)
    run = Correlation(A.geometry, A.input_size)
    x, y = integers(A.shape[1], seed=1), integers(A.shape[0], seed=2)
    sides = (y, x) if layer.transposed else (x, y)
    pixels, cells = (
        side.reshape(1, *shape) for side, shape in zip(sides, (run.pixels, run.cells), strict=True)
    )
    found = run.weigh(pixels, cells)
    units = torch.eye(found.numel(), dtype=torch.float64).reshape(-1, *found.shape)
    expected = [y.numpy() @ (A.with_kernel(unit.numpy()).toarray() @ x.numpy()) for unit in units]
    assert found.flatten().tolist() == expected


@pytest.mark.parametrize("transposed", [False, True])
def test_thin_groups_multiply_by_the_sparse_matrix_and_large_windows_tap_by_tap(transposed):
    made = []

    def by_pytorch(matrix):
        made.append(matrix)
        return products(matrix)

    def way(out, memory_limit=2**30):
        sizes = (out, 6) if transposed else (6, out)
        layer = conv(2, *sizes, 3, padding=1, stride=2, groups=2, transposed=transposed)
        A = unroll(layer, (9, 8), memory_limit=memory_limit)
        A = A.with_kernel(layer.weight.detach().numpy())
        operator, matrix = multiplied(A, by_pytorch), probe(layer, (9, 8)).numpy()
        x, y = columns(A.shape[1], 1), columns(A.shape[0], 2)
        for many in (x, x[:, 0]):
            assert np.array_equal(operator @ many, matrix @ many)
        for many in (y, y[:, 0]):
            assert np.array_equal(operator.H @ many, matrix.T @ many)
        return "NumPy" if operator is A else "PyTorch" if made else "SciPy"

    assert way(8) == "SciPy"  # four outputs in each of two groups
    assert way(10) == "PyTorch"
    cells = 9 * 8 if transposed else 5 * 4
    windows = 8 * 6 * 9 * cells  # bytes: 6 channels, 9 taps
    assert way(10, windows) == "PyTorch" and way(10, windows - 1) == "NumPy"
