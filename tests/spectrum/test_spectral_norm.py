"""The differentiable largest singular value against PyTorch's own, of the matrix as it is probed."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn.utils import parametrizations

from convlin import ConvGeometry, ConvMatrix, Refused, singular_values, spectral_norm, unroll
from convlin.spectrum import values
from geometry_strategies import case_id, conv, fill, integers
from rounding import STABLE, agree, gamma
from spectrum.small_convolutions import SMALL


def probed(layer, size):
    """Return the layer's matrix from its outputs for unit vectors, with the weight's gradient."""
    shape = (layer.in_channels, *size)
    count = int(np.prod(shape))
    units = torch.eye(count, dtype=layer.weight.dtype).reshape(-1, *shape)
    rows = layer(torch.cat([torch.zeros_like(units[:1]), units])).flatten(1)
    return (rows[1:] - rows[:1]).T


def expected(layer, size):
    """Return PyTorch's norm of that matrix, its gradient, and how far the next value is."""
    layer.zero_grad()
    matrix = probed(layer, size)
    norm = torch.linalg.matrix_norm(matrix, 2)
    norm.backward()
    found = torch.linalg.svdvals(matrix.detach())
    gap = float(found[0] - found[1]) if len(found) > 1 else float(found[0])
    return norm.detach(), layer.weight.grad.clone(), gap


def gradient(layer, size, **more):
    layer.zero_grad()
    spectral_norm(layer, size, **more).backward()
    return layer.weight.grad.clone()


@settings(max_examples=100)
@given(SMALL)
def test_value_and_gradient_are_those_of_the_dense_matrix(case):
    layer, size = case
    norm, by_weight, gap = expected(layer, size)
    found = spectral_norm(layer, size)
    assert found.shape == () and found.dtype == torch.float64
    assert agree(found, norm, STABLE * 500, max(1.0, float(norm)))
    if gap > 1e-6 * float(norm):  # else there are several gradients, and each may take its own
        # Vectors of both sides are off by roundings over the gap; a tap sums at most 500 products.
        off = gamma(STABLE * 500) * float(norm) / gap * 500
        assert abs(gradient(layer, size) - by_weight).max() <= off


GEOMETRIES = [
    (conv(2, 4, 6, 3, padding=1), (9, 8)),
    (conv(2, 4, 6, (3, 2), stride=(2, 3), padding=1), (9, 8)),
    (conv(2, 4, 6, 3, padding=2, dilation=2, groups=2), (9, 8)),
    (conv(2, 3, 5, 3, padding=1, padding_mode="reflect"), (9, 8)),
    (conv(2, 3, 5, 3, padding=2, padding_mode="replicate"), (9, 8)),
    (conv(2, 3, 5, (3, 2), padding="same", padding_mode="circular"), (9, 8)),
    (conv(2, 4, 6, 3, stride=2, padding=1, output_padding=1, transposed=True), (5, 4)),
    (conv(2, 4, 6, 4, stride=2, padding=1, groups=2, transposed=True), (5, 4)),
    (conv(1, 3, 5, 5, padding=2), (31,)),
    (conv(3, 2, 3, (2, 3, 1), padding=(1, 0, 2)), (4, 5, 3)),
]


@pytest.mark.parametrize("layer, size", GEOMETRIES, ids=[case_id(c) for c, _ in GEOMETRIES])
def test_the_gradient_is_what_finite_differences_say(layer, size):
    """Central ones, by NumPy's dense decomposition: off by the third derivative and by rounding."""
    by_weight = gradient(layer, size)
    direction = fill(nn.ParameterList([torch.empty_like(layer.weight)]), seed=5)[0].detach()
    start, step = layer.weight.detach().clone(), 1e-4

    def norm(weight):
        with torch.no_grad():
            layer.weight.copy_(weight)
            return np.linalg.norm(probed(layer, size).numpy(), 2)

    slope = (norm(start + step * direction) - norm(start - step * direction)) / (2 * step)
    norm(start)
    assert float((by_weight * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-4)


def test_autograd_checks_the_gradient_against_its_own_differences():
    layer, size = conv(2, 2, 3, (3, 2), padding=1), (4, 5)
    geometry = ConvGeometry.of(layer)
    assert torch.autograd.gradcheck(
        lambda weight: spectral_norm(ConvMatrix(geometry, weight, size)), layer.weight
    )


def test_complex_weights_have_the_gradient_that_pytorch_gives_them():
    for transposed in (False, True):
        layer = conv(1, 2, 3, 3, stride=2, transposed=transposed)
        geometry, shape = ConvGeometry.of(layer), layer.weight.shape
        weight = torch.complex(integers(*shape, seed=1), integers(*shape, seed=2)).requires_grad_()
        A = ConvMatrix(geometry, weight, (7,))
        found = spectral_norm(A)
        found.backward()
        found = found.detach()
        own, weight.grad = weight.grad.clone(), None
        norm = torch.linalg.matrix_norm(A.to_torch("dense"), 2)
        norm.backward()
        assert found.dtype == torch.float64 and agree(found, norm, STABLE * 50, float(found))
        assert agree(own.real, weight.grad.real, STABLE * 5000, 1)
        assert agree(own.imag, weight.grad.imag, STABLE * 5000, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_value_has_the_dtype_of_the_weight_and_so_has_its_gradient(dtype, monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 0)  # one and the same iteration, not a dense one
    layer = fill(nn.Conv2d(2, 3, 3, padding=1)).to(dtype)
    found = spectral_norm(layer, (6, 5))
    assert found.dtype == dtype and found.requires_grad
    [double] = singular_values(layer, (6, 5), k=1)
    assert torch.equal(found.detach(), torch.tensor(double, dtype=dtype))
    found.backward()
    assert layer.weight.grad.dtype == dtype


def test_large_layers_have_the_value_that_singular_values_finds(monkeypatch):
    monkeypatch.setattr(values, "AT_ONCE", 0)
    layer = conv(2, 5, 7, 3, padding=1)
    found = singular_values(layer, (13, 12), k=1)
    assert float(spectral_norm(layer, (13, 12)).detach()) == found[0]


@pytest.mark.parametrize("layer, size", GEOMETRIES, ids=[case_id(c) for c, _ in GEOMETRIES])
@pytest.mark.parametrize("tolerance", [0.1, 1e-4])
def test_a_tolerance_leaves_a_subgradient_by_as_much(layer, size, tolerance):
    """σ(w') ≥ uᵀA(w')v = s + ⟨gradient, w' - w⟩, s the value found; the norm is off by little."""
    found = float(spectral_norm(layer, size, tolerance=tolerance).detach())
    by_weight, weight = gradient(layer, size, tolerance=tolerance), layer.weight.detach()
    norm = float(torch.linalg.matrix_norm(probed(layer, size).detach(), 2))
    assert norm * (1 - tolerance) <= found <= norm * (1 + gamma(STABLE * 500))
    assert float((by_weight * weight).sum()) == pytest.approx(found, rel=gamma(STABLE * 5000))
    start = weight.clone()
    for seed in range(5):
        with torch.no_grad():
            layer.weight.copy_(start + integers(*start.shape, seed=seed) / 4)
            above = float(torch.linalg.matrix_norm(probed(layer, size), 2))
            below = found + float((by_weight * (layer.weight - start)).sum())
        assert above >= below - gamma(STABLE * 5000) * norm
    layer.weight.data.copy_(start)


def test_a_repeated_value_has_a_subgradient():
    """The same kernel in every group: some mixture of their gradients, of which each is one."""
    layer = conv(2, 3, 3, 3, padding=1, groups=3)
    layer.weight.data[:] = layer.weight.data[:1]
    alone = conv(2, 1, 1, 3, padding=1)
    alone.weight.data[:] = layer.weight.data[:1]
    each, found = gradient(alone, (6, 5))[0], gradient(layer, (6, 5))
    parts = (found * each).sum(dim=(1, 2, 3)) / (each**2).sum()
    assert float(parts.sum()) == pytest.approx(1, rel=gamma(STABLE * 5000))
    assert parts.min() >= -gamma(STABLE * 5000)
    assert agree(found, parts[:, None, None, None] * each, STABLE * 5000, 1)


def test_weights_of_zero_have_the_norm_zero_and_no_slope():
    layer = conv(2, 2, 3, 3, padding=1)
    nn.init.zeros_(layer.weight)
    assert float(spectral_norm(layer, (4, 5)).detach()) == 0
    assert not gradient(layer, (4, 5)).any()


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**900])
def test_tiny_and_huge_weights_have_the_same_gradient(scale):
    layer = conv(2, 2, 3, 3, padding=1)
    one = gradient(layer, (6, 5))
    layer.weight.data *= scale
    assert torch.equal(gradient(layer, (6, 5)), one)


def test_it_trains_a_layer_to_a_norm():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (spectral_norm(layer, (9, 8), tolerance=1e-3) - 2) ** 2
        loss.backward()
        optimizer.step()
    assert float(np.linalg.norm(probed(layer, (9, 8)).detach(), 2)) == pytest.approx(2, rel=0.01)


def test_the_gradient_goes_through_what_computes_the_weight():
    torch.manual_seed(0)
    layer = parametrizations.weight_norm(nn.Conv1d(2, 3, 3, dtype=torch.float64))
    spectral_norm(layer, 9).backward()
    found = [
        parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None
    ]
    layer.zero_grad()
    torch.linalg.matrix_norm(probed(layer, (9,)), 2).backward()
    own = [p.grad for name, p in layer.named_parameters() if name != "bias"]
    assert len(found) == len(own) == 2
    assert all(agree(a, b, STABLE * 5000, 1) for a, b in zip(found, own, strict=True))


def test_no_graph_is_kept():
    layer = conv(2, 2, 3, 3, padding=1)
    layer.requires_grad_(False)
    assert not spectral_norm(layer, (6, 5)).requires_grad
    layer.requires_grad_(True)
    with torch.no_grad():
        assert not spectral_norm(layer, (6, 5)).requires_grad
    matrix = unroll(layer, (6, 5))
    spectral_norm(matrix).backward()
    gone = weakref.ref(matrix)
    found = spectral_norm(matrix)
    del matrix
    gc.collect()
    assert gone() is None and found.requires_grad


def test_a_second_derivative_is_refused():
    layer = conv(2, 2, 3, 3, padding=1)
    [first] = torch.autograd.grad(spectral_norm(layer, (6, 5)), layer.weight, create_graph=True)
    with pytest.raises(
        Refused, match=r"derivative is 2, expected the first \(the singular vectors"
    ):
        (first**2).sum().backward()


@pytest.mark.parametrize("weight", [integers(1, 1, 3), integers(1, 1, 3).numpy().astype(int)])
def test_weights_that_have_no_gradient_have_a_value(weight):
    A = ConvMatrix(ConvGeometry(1, 1, (3,), padding=1), weight, (9,))
    found = spectral_norm(A)
    assert found.dtype == torch.float64 and not found.requires_grad
    assert float(found) == pytest.approx(np.linalg.norm(A.toarray(), 2), rel=gamma(STABLE * 9))


@pytest.mark.parametrize("tolerance", [0, 1, -0.1, float("nan"), "0.1", True])
@pytest.mark.parametrize("call", [singular_values, spectral_norm])
def test_what_is_no_tolerance_is_refused(call, tolerance):
    with pytest.raises(
        Refused, match=r"Conv1d: tolerance is .*, expected a number between 0 and 1"
    ):
        call(conv(1, 2, 3, 3), 8, tolerance=tolerance)


def test_what_the_weight_cannot_hold_is_refused():
    layer = nn.Conv1d(4, 4, 3, padding=1).to(torch.float16)
    nn.init.constant_(layer.weight, 60000)
    with pytest.raises(
        Refused, match=r"largest singular value is 6\d+.*, expected at most 65504.0"
    ):
        spectral_norm(layer, 9)
    with pytest.raises(Refused, match="input_size is None"):
        spectral_norm(layer)


def test_its_vectors_are_within_the_memory_limit():
    layer = conv(2, 2, 3, 3, padding=1)
    needed = 16 * (4 * 60 + 2 * 90)
    assert spectral_norm(unroll(layer, (6, 5), memory_limit=needed)).shape == ()
    with pytest.raises(Refused, match=f"memory_limit is {needed - 1}, expected ≥ {needed} bytes"):
        spectral_norm(unroll(layer, (6, 5), memory_limit=needed - 1))
