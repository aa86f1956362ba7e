"""Weights that parametrizations or hooks compute: read as the next call uses them, nothing changed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import convlin
from convlin import Refused, singular_values, unroll

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Noisy(nn.Module):
    def forward(self, weight):
        return weight + torch.randn_like(weight)


class Counted(nn.Module):
    """Leaves a count and a buffer behind at each reading."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.register_buffer("scale", torch.ones(()))

    def forward(self, weight):
        self.calls += 1
        self.scale += 1
        return weight * self.scale


def doubled(layer):
    parametrize.register_parametrization(layer, "weight", Doubled())
    return layer


def counted(layer):
    parametrize.register_parametrization(layer, "weight", Counted())
    return layer


def twice(layer):
    return doubled(parametrizations.weight_norm(layer))


def stale(layer):
    """Prune, then change what the pruned weight is computed from: the attribute is old now."""
    prune.l1_unstructured(layer, "weight", 0.4)
    layer.weight_orig.data *= 3
    return layer


WAYS = {
    "spectral_norm": parametrizations.spectral_norm,
    "weight_norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "doubled": doubled,
    "counted": counted,
    "twice": twice,
    "old-spectral_norm": spectral_norm,
    "old-weight_norm": weight_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.4),
    "pruned-again": lambda layer: prune.random_unstructured(
        prune.l1_unstructured(layer, "weight", 2), "weight", 2
    ),
    "stale": stale,
    "bias-pruned": lambda layer: prune.l1_unstructured(layer, "bias", 1),
}
LAYERS = {
    "conv1d": (lambda: nn.Conv1d(2, 3, 2, dtype=torch.float64), (5,)),
    "conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), padding=1, groups=2, dtype=torch.float64), (5, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 2, stride=2, dtype=torch.float64), (3, 4)),
}
every_layer = pytest.mark.parametrize("make, size", LAYERS.values(), ids=LAYERS)
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def made(make, way, training):
    torch.manual_seed(0)
    return way(make()).train(training)


def jacobian(layer, size):
    """Return the matrix of the layer's next call, column by column, from its outputs alone."""
    n = layer.in_channels * int(np.prod(size))
    basis = torch.eye(n, dtype=torch.float64).reshape(n, layer.in_channels, *size)
    with torch.no_grad():
        columns = layer(torch.cat([torch.zeros_like(basis[:1]), basis])).flatten(1)
    return (columns[1:] - columns[0]).T.numpy()


@every_way
@every_layer
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_what_is_read_is_what_the_next_call_uses(make, size, way, training):
    layer = made(make, way, training)
    A = unroll(layer, size)
    s = singular_values(layer, size)
    expected = jacobian(layer, size)
    # The call adds a bias of size 1 and takes it off again: a few u of that.
    assert np.allclose(A.toarray(), expected, rtol=0, atol=1e-14)
    values = np.linalg.svd(expected, compute_uv=False)
    assert np.allclose(s.values, values, rtol=0, atol=1e-12 * values[0])
    assert s.upper_bound >= values[0] * (1 - 1e-14)


@every_way
@every_layer
def test_reading_changes_nothing(make, size, way):
    layer = made(make, way, training=True)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    held = [{n: repr(v) for n, v in vars(module).items()} for module in layer.modules()]
    generator = torch.random.get_rng_state()
    unroll(layer, size)
    convlin.singular_values(layer, size, k=1)
    convlin.cost(layer, size)
    assert all(torch.equal(value, layer.state_dict()[name]) for name, value in state.items())
    assert held == [{n: repr(v) for n, v in vars(module).items()} for module in layer.modules()]
    assert torch.equal(generator, torch.random.get_rng_state())


@every_way
@every_layer
def test_cost_counts_what_a_plain_layer_costs(make, size, way):
    plain, computed = (convlin.cost(layer, size) for layer in (make(), way(make())))
    assert computed.multiply_adds == plain.multiply_adds
    assert computed.padded_multiply_adds == plain.padded_multiply_adds


def test_the_reshaped_weight_has_another_norm():
    """Spectral normalisation divides by the norm of the flattened kernel, not of the layer."""
    torch.manual_seed(0)
    layer = parametrizations.spectral_norm(
        nn.Conv2d(3, 4, 3, padding=1, dtype=torch.float64), n_power_iterations=50
    ).eval()
    flat = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)[0]
    norm = np.linalg.svd(jacobian(layer, (6, 5)), compute_uv=False)[0]
    found = singular_values(layer, (6, 5), k=1)[0]
    # 50 steps of the power iteration are as exact as the gap of the values lets them be.
    assert abs(flat - 1) < 1e-3 and norm > 1.2
    assert abs(found - norm) < 1e-12 * norm


@pytest.mark.parametrize("way", [WAYS["spectral_norm"], WAYS["weight_norm"], WAYS["pruned"]])
def test_gradients_reach_the_parameters(way):
    layer = way(nn.Conv2d(2, 3, 2)).eval()
    x = torch.arange(40.0).cos()
    (unroll(layer, (4, 5)) @ x).sum().backward()
    found = {name: p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None}
    layer.zero_grad()
    (layer(x.view(1, 2, 4, 5)).sum() - layer.bias.sum() * 12).backward()
    # One sum of 40·12 products each, in another order.
    for name, gradient in found.items():
        parameter = layer.get_parameter(name)
        assert torch.allclose(gradient, parameter.grad, rtol=0, atol=1e-4), name
    assert found


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_linear_is_read_too(way):
    layer = way(nn.Linear(12, 6)).eval()
    geometry = convlin.ConvGeometry(2, 3, (1, 2), stride=(2, 2))
    found = convlin.nearest_conv(layer, geometry, (3, 2))
    outputs = layer(torch.cat([torch.zeros(1, 12), torch.eye(12)])).detach()
    nearest = convlin.nearest_conv((outputs[1:] - outputs[0]).T, geometry, (3, 2))
    # The matrix was read from outputs with a bias of up to 1, in float32.
    assert torch.allclose(found.weight, nearest.weight, rtol=0, atol=1e-6)
    assert torch.equal(found.bias, outputs[0].view(3, -1).mean(dim=1))


@every_way
def test_an_exchange_still_wants_a_plain_layer(way):
    layer = way(nn.Conv2d(2, 3, 1))
    with pytest.raises(Refused, match="expected none|expected an nn.Parameter"):
        convlin.to_linear(layer)
    with pytest.raises(Refused, match="expected none|expected an nn.Parameter"):
        convlin.same_outputs(layer, torch.ones(1, 2, 3, 4))


def test_a_weight_that_is_drawn_anew_is_refused():
    layer = nn.Conv2d(2, 3, 2)
    parametrize.register_parametrization(layer, "weight", Noisy())
    with pytest.raises(Refused, match="weight is drawn anew at each call, expected the same"):
        unroll(layer, (4, 5))


def test_two_hooks_that_compute_it_are_refused():
    layer = nn.Conv2d(2, 3, 2)
    weight_norm(layer)
    layer.register_forward_pre_hook(copy.copy(next(iter(layer._forward_pre_hooks.values()))))
    with pytest.raises(Refused, match="weight is computed by WeightNorm, WeightNorm, expected one"):
        unroll(layer, (4, 5))


def test_any_other_hook_is_still_refused():
    layer = spectral_norm(nn.Conv2d(2, 3, 2))
    layer.register_forward_pre_hook(lambda module, args: None)
    with pytest.raises(Refused, match="_forward_pre_hooks is .*<lambda>, expected none"):
        unroll(layer, (4, 5))
