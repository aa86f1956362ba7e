"""Gradients of a network at the window are its model's: of the images, and of every parameter.

Layers in place overwrite what others may have kept for the gradient; what the model detaches stays
detached.
"""

import pytest
import torch
from small_nets import Net
from torch import nn
from traced_case import filled, head

from convlin import fully_convolutional

WINDOW = (3, 13, 8)


def relu():
    return nn.ReLU(inplace=True)


def to_head(step):
    return lambda m, x: m.head(step(m, m.a(x)).flatten(1))


def shared_beside_its_input(m, y):
    return m.act(y.clone()) + m.act(m.b(y)) + y


CASES = {
    "convolution": (lambda m, y: m.act(y), {"act": relu}),
    "flattened": (lambda m, y: m.act(y.flatten(1)), {"act": relu}),
    "elu": (lambda m, y: m.act(y), {"act": lambda: nn.ELU(inplace=True)}),
    "batch-norm": (lambda m, y: m.act(m.b(y)), {"act": relu, "b": lambda: nn.BatchNorm2d(4)}),
    "pool": (lambda m, y: m.act(m.b(y)), {"act": relu, "b": lambda: nn.MaxPool2d(1)}),
    "silu-silu": (
        lambda m, y: m.act(m.b(y)),
        {"act": lambda: nn.SiLU(inplace=True), "b": lambda: nn.SiLU(inplace=True)},
    ),
    "sigmoid-clone": (lambda m, y: m.act(m.b(y).clone()), {"act": relu, "b": nn.Sigmoid}),
    "tanh-contiguous": (
        lambda m, y: m.act(m.b(y).permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2),
        {"act": relu, "b": nn.Tanh},
    ),
    "softmax-clone": (
        lambda m, y: m.act(m.b(y).clone()),
        {"act": lambda: nn.Hardtanh(0, 0.3, inplace=True), "b": lambda: nn.Softmax(1)},
    ),
    "beside-a-clone": (lambda m, y: m.act(y.clone()) + y, {"act": relu}),
    "identity-clone": (lambda m, y: m.act(m.b(y).clone()) + y, {"act": relu, "b": nn.Identity}),
    "dropout": (lambda m, y: m.act(m.b(y)) + y, {"act": relu, "b": nn.Dropout}),
    "shared": (
        lambda m, y: m.act(y) + m.act(m.b(y)), {"act": relu, "b": lambda: nn.Conv2d(4, 4, 1)},
    ),
    "shared-beside-its-input": (
        shared_beside_its_input, {"act": relu, "b": lambda: nn.Conv2d(4, 4, 1)},
    ),
    "detached": (lambda m, y: y.detach() * y, {}),
    "detached-weights": (
        lambda m, y: y * m.w.detach() + m.w, {"w": lambda: nn.Parameter(torch.empty(4, 1, 1))},
    ),
    "computed-weights": (
        lambda m, y: torch.einsum("nchw,kc->nkhw", y, m.w * 2),
        {"w": lambda: nn.Parameter(torch.empty(4, 4))},
    ),
    "channels-kept-apart": (lambda m, y: torch.cat([y[:, :2].detach(), y[:, 2:]], 1), {}),
}  # fmt: skip


def gradients(run, images, module):
    """Return the gradients of the images, and of a module's parameters by their names."""
    module.zero_grad()
    images = images.clone().requires_grad_()
    scores = run(images * 1.0).flatten(1)
    (scores * torch.arange(1.0, 1 + scores.shape[1])).sum().backward()
    return images.grad, {name: p.grad.clone() for name, p in module.named_parameters()
                         if p.grad is not None}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_gradients_of_a_network_are_those_of_its_model(name):
    step, layers = CASES[name]
    torch.manual_seed(0)
    made = {name: make() for name, make in ({"head": head()} | layers).items()}
    stem = nn.Conv2d(3, 4, (3, 4), stride=(2, 1))
    model = filled(Net(to_head(step), a=stem, **made)).eval().double()
    network = fully_convolutional(model, WINDOW, proofs=False, check=False)
    assert network.report.exact
    images = torch.randn(2, *WINDOW, dtype=torch.float64)
    (of_images, of_model) = gradients(model, images, model)
    (its_images, of_network) = gradients(network, images, network.network)
    torch.testing.assert_close(its_images, of_images, rtol=1e-10, atol=1e-10)
    assert of_network.keys() == of_model.keys()
    for key, gradient in of_model.items():
        its = of_network[key].reshape(gradient.shape)
        torch.testing.assert_close(its, gradient, rtol=1e-10, atol=1e-10)
