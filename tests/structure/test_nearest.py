"""The nearest convolution and the three energies, against least squares on explicit matrices."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import (
    ConvGeometry,
    ConvMatrix,
    GeometryError,
    Refused,
    nearest_conv,
    structure,
    to_local,
    unroll,
)
from geometry_strategies import case_id, conv, convolutions, integers, probe
from rounding import STABLE, agree, approx, gamma


def spanning(layer, size):
    """Return (weights, matrices): the matrix of every weight alone, by probing the layer."""
    matrices = []
    kept = layer.weight.data.clone()
    for place in range(kept.numel()):
        layer.weight.data.zero_().view(-1)[place] = 1
        matrices.append(probe(layer, size).numpy())
    layer.weight.data.copy_(kept)
    return np.stack(matrices)


def oracle(layer, size, matrix):
    """Return weights, and the squared norms of shared, local and off, by least squares."""
    span = spanning(layer, size)
    flat = span.reshape(len(span), -1).T
    weights, _, rank, _ = np.linalg.lstsq(flat, matrix.ravel(), rcond=None)
    shared = (flat @ weights).reshape(matrix.shape)
    support = span.any(axis=0)
    parts = shared, np.where(support, matrix - shared, 0), np.where(support, 0, matrix)
    return weights, [np.sum(part**2) for part in parts], rank


CASES = [
    (conv(1, 2, 3, 3, stride=2, padding=1), (7,)),
    (conv(2, 2, 3, (3, 2), padding=(1, 0)), (4, 3)),
    (conv(2, 4, 2, (2, 3), stride=(2, 1), padding=(0, 1), groups=2), (4, 5)),
    (conv(1, 1, 2, 3, padding=1, padding_mode="reflect"), (5,)),
    (conv(2, 2, 1, 3, padding=(1, 2), dilation=(1, 2), padding_mode="replicate"), (3, 4)),
    (conv(2, 1, 2, (3, 2), padding=(2, 1), padding_mode="circular"), (2, 3)),
    (conv(1, 1, 2, 5, padding=4, padding_mode="circular"), (4,)),  # two taps coincide
    (conv(1, 2, 1, 7, padding=9, dilation=3), (8,)),  # two taps meet padding only
    # Taps coincide, and rounding leaves the Gram matrix eigenvalues a little above 0.
    (conv(1, 1, 2, 5, padding=8, dilation=3, padding_mode="replicate"), (2,)),
    (conv(1, 2, 1, 8, padding=7, dilation=2, padding_mode="replicate"), (3,)),
    (conv(1, 2, 3, 3, transposed=True, stride=2, output_padding=1), (4,)),
    (conv(3, 1, 2, (2, 1, 2), padding=(1, 0, 0), padding_mode="reflect"), (3, 2, 2)),
]
TABLE = pytest.mark.parametrize("layer, size", CASES, ids=[case_id(layer) for layer, _ in CASES])


@TABLE
def test_weights_and_energies_are_those_of_least_squares(layer, size):
    shape = probe(layer, size).shape
    matrix = np.random.default_rng(1).standard_normal(shape)
    weights, energies, rank = oracle(layer, size, matrix)
    found = nearest_conv(matrix, layer, size)
    weight = found.weight
    norm = np.linalg.norm(matrix)
    solving = STABLE * sum(matrix.shape)
    assert agree(weight.ravel(), weights, solving, norm)  # least norm, as lstsq's
    energy = found.energy
    parts = [energy.shared, energy.local, energy.off]
    assert agree(parts, energies, 2 * solving, norm**2)
    assert energy.total == approx(np.sum(matrix**2), matrix.size + 20)
    assert sum(energy.fractions) == approx(1, 5)
    own = matrix - found.matrix().toarray()
    assert found.distance == approx(np.linalg.norm(own), solving)
    assert found.unique == (rank == weights.size)
    told = [k - len(free) for k, free in zip(weight.shape[2:], found.free, strict=True)]
    assert math.prod([*weight.shape[:2], *told]) == rank


@settings(max_examples=60)
@given(
    st.one_of(
        convolutions(ndims=(1, 2), max_kernel=3),
        convolutions(ndims=(1, 2), transposed=True, max_kernel=3),
    ),
    st.integers(0, 99),
)
def test_any_geometry(case, seed):
    layer, size = case
    shape = probe(layer, size).shape
    assume(shape[0] * shape[1] * layer.weight.numel() < 3e6)
    matrix = integers(*shape, seed=seed).numpy()
    weights, energies, _ = oracle(layer, size, matrix)
    found = nearest_conv(matrix, layer, size)
    norm, solving = np.linalg.norm(matrix), STABLE * sum(matrix.shape)
    assert agree(found.weight.ravel(), weights, solving, norm)
    energy = found.energy
    parts = [energy.shared, energy.local, energy.off]
    assert agree(parts, energies, 2 * solving, norm**2)


@TABLE
def test_a_convolution_is_its_own_nearest(layer, size):
    found = nearest_conv(unroll(layer, size), ConvGeometry.of(layer), size)
    matrix = probe(layer, size).numpy()
    norm, solving = np.linalg.norm(matrix), STABLE * sum(matrix.shape)
    assert agree(found.matrix().toarray(), matrix, solving, norm)
    assert found.energy.off == 0 and found.distance <= gamma(solving) * norm
    if found.unique:
        assert agree(found.weight, layer.weight, solving, norm)


@TABLE
def test_free_directions_leave_the_matrix_alone(layer, size):
    found = nearest_conv(unroll(layer, size), layer, size)
    kernel = np.zeros(ConvGeometry.of(layer).weight_shape)
    for axis, directions in enumerate(found.free, 2):
        for direction in directions:
            shape = [1] * kernel.ndim
            shape[axis] = -1
            other = unroll(layer, size).with_kernel(kernel + direction.reshape(shape))
            assert agree(other.toarray(), np.zeros(other.shape), STABLE * sum(other.shape), 1)
            assert np.linalg.norm(direction) == approx(1, STABLE * len(direction))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_averages_would_be_wrong_where_padding_repeats_pixels(mode):
    layer = conv(1, 1, 1, 3, padding=2, padding_mode=mode, bias=False)
    matrix = np.random.default_rng(0).standard_normal(probe(layer, (3,)).shape)
    span = spanning(layer, (3,))
    average = np.array([(tap * matrix).sum() / (tap > 0).sum() for tap in span])
    found = nearest_conv(matrix, layer, (3,))
    worse = np.linalg.norm(matrix - np.tensordot(average, span, 1))
    overlap = (span.sum(axis=0) > 1).any()
    assert (worse > found.distance * 1.001) == overlap


KINDS = {
    "csr": sp.csr_array,
    "coo": sp.coo_matrix,
    "tensor": torch.from_numpy,
    "sparse tensor": lambda matrix: torch.from_numpy(matrix).to_sparse(),
    "float32": lambda matrix: matrix.astype(np.float32),
}


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_every_kind(kind):
    layer, size = CASES[1]
    matrix = integers(*probe(layer, size).shape, seed=5).numpy()
    expected = nearest_conv(matrix, layer, size)
    found = nearest_conv(KINDS[kind](matrix), layer, size)
    assert np.array_equal(np.asarray(found.weight), expected.weight)
    assert found.energy == expected.energy
    assert isinstance(found.weight, torch.Tensor) == ("tensor" in kind)


def test_complex_matrices():
    layer, size = CASES[3]
    real, imaginary = (integers(*probe(layer, size).shape, seed=s).numpy() for s in (1, 2))
    found = nearest_conv(real + 1j * imaginary, layer, size)
    parts = [nearest_conv(part, layer, size) for part in (real, imaginary)]
    expected = parts[0].weight + 1j * parts[1].weight
    assert agree(found.weight, expected, STABLE * sum(real.shape), np.linalg.norm(real))
    total = sum(part.energy.shared for part in parts)
    assert found.energy.shared == approx(total, STABLE * sum(real.shape))


class TestLayers:
    def test_a_linear_layer_with_its_bias(self):
        linear = nn.Linear(12, 24, dtype=torch.float64)
        layer = nn.Conv2d(1, 2, 3, padding=1)
        found = nearest_conv(linear, layer, (3, 4))
        assert agree(found.bias, linear.bias.view(2, 12).mean(1), 12, linear.bias.abs().max())
        own = found.to_conv()
        assert own.weight.shape == layer.weight.shape and own.padding == (1, 1)
        # No other kernel is nearer: the residual is orthogonal to every tap's matrix.
        residual = linear.weight.detach().numpy() - found.matrix().toarray()
        slopes = np.tensordot(spanning(layer.double(), (3, 4)), residual, axes=2)
        norm = np.linalg.norm(residual)
        assert agree(slopes, np.zeros(slopes.shape), STABLE * sum(residual.shape), 12 * norm)

    @pytest.mark.parametrize("mode", ["zeros", "reflect"])
    def test_a_local_layer_goes_back_in_the_norm_of_its_matrix(self, mode):
        layer = conv(2, 2, 3, 3, padding=1, padding_mode=mode)
        local = to_local(layer, (4, 5))
        back = local.nearest_conv()
        norm, solving = back.energy.total**0.5, STABLE * sum(local.matrix().shape)
        assert agree(back.weight, layer.weight, solving, norm)
        assert agree(back.bias, layer.bias, solving, layer.bias.abs().max())
        assert back.energy.local <= (gamma(solving) * norm) ** 2
        local.weight.data += integers(*local.weight.shape, seed=8)
        expected = nearest_conv(local.matrix(), layer, (4, 5))
        found = local.nearest_conv()
        assert agree(found.weight, expected.weight, solving, expected.energy.total**0.5)
        assert found.energy == expected.energy
        assert found.energy.local > 1 and found.energy.off == 0

    def test_weights_that_meet_padding_only_do_not_count(self):
        local = to_local(conv(1, 1, 1, 3, padding=1, bias=False), (4,))
        before = local.nearest_conv()
        local.weight.data[0, 0, 0, 0] += 100
        after = local.nearest_conv()
        assert torch.equal(before.weight, after.weight) and before.energy == after.energy


def test_bad_input_is_refused_in_words():
    layer = nn.Conv2d(1, 2, 3)
    with pytest.raises(Refused, match=r"matrix.shape is \(3, 4\), expected \(24, 30\)"):
        nearest_conv(np.ones((3, 4)), layer, (5, 6))
    with pytest.raises(GeometryError, match="input_size"):
        nearest_conv(np.ones((3, 4)), layer, (2, 6))
    with pytest.raises(Refused, match=r"matrix\[0, 1\] is nan, expected finite numbers"):
        nearest_conv(np.array([[1, np.nan]]), nn.Conv1d(1, 1, 2), 2)


def test_it_says_itself():
    geometry = ConvGeometry(1, 1, (2,), padding=1)
    tied = ConvMatrix(geometry, np.array([[[5.0, 7]]]), (2,)).toarray()
    found = nearest_conv(tied + np.array([[0, 9], [0, 0], [0, 0]]), geometry, (2,))
    assert str(found) == (
        "nearest Conv1d: distance 9; 64.6% shared, 0.0% local but not shared, 35.4% off the support"
    )
    own = [structure.nearest(tied, geometry, 2) for _ in range(2)]
    assert repr(own[0]) == f"<NearestConv: {own[0]}>"
    assert own[0] != own[1]
    assert len(set(own)) == 2
