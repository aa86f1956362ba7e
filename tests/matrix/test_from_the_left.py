"""Products with a ConvMatrix on the right: y @ A, as tensors where y is one."""

import numpy as np
import pytest
import torch

from convlin import GeometryError
from geometry_strategies import integers
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, integer_matrix, probed


@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_tensors_stay_tensors(op):
    dense = probed(op.geometry, op.weight, op.input_size)
    one, some = integers(op.shape[0], seed=1), integers(3, op.shape[0], seed=2)
    for y in (one, some, some[:1]):
        for product in (y @ op, y * op):
            assert torch.is_tensor(product)
            assert torch.equal(product, y @ dense)
        assert np.array_equal(y.numpy() @ op, (y @ dense).numpy())
    x = integers(3, op.shape[1], seed=3)
    assert torch.equal(x @ op.T, x @ dense.T)


def test_complex_weights_are_conjugated_by_the_adjoint_only():
    A = integer_matrix(2, 3, size=(5, 4), kernel=(3, 2), stride=(2, 1), padding=1)
    B = A.with_kernel(A.weight + 1j * integers(*A.geometry.weight_shape, seed=5))
    dense = B.to_torch("strided")
    y, x = (integers(2, n, seed=6) * (1 + 2j) for n in B.shape)
    assert torch.equal(y @ B, y @ dense)
    assert torch.equal(x @ B.H, x @ dense.mH)
    assert torch.equal(x @ B.T, x @ dense.mT)


def test_gradients_reach_both_sides():
    A = integer_matrix(2, 3, size=(5, 4), kernel=(3, 2), stride=(2, 1), padding=1)
    grads = []
    for run in (lambda w, y: y @ A.with_kernel(w), lambda w, y: (A.with_kernel(w).T @ y.mT).mT):
        weight = A.weight.clone().requires_grad_()
        y = integers(2, A.shape[0], seed=6).requires_grad_()
        cotangent = integers(2, A.shape[1], seed=7)
        grads.append(torch.autograd.grad(run(weight, y), [weight, y], cotangent))
    assert all(map(torch.equal, *grads))


@pytest.mark.parametrize("shape", [(), (4,), (18, 2), (1, 2, 18)], ids=str)
def test_other_shapes_are_named(shape):
    A = integer_matrix(2, 3, size=(4, 3), kernel=(2, 2))
    assert A.shape[0] == 18
    with pytest.raises(GeometryError) as caught:
        torch.ones(shape) @ A
    assert str(caught.value) == f"product: shape is {shape}, expected (18,) or (k, 18)"
