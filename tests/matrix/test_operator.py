"""ConvMatrix as an operator: NumPy and PyTorch, dtypes, gradients, and SciPy's solvers on it."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator, expm_multiply, lsqr, svds

from convlin import ConvGeometry, ConvMatrix, GeometryError
from geometry_strategies import integers
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, by_torch, integer_matrix, probed
from rounding import STABLE, agree

every_kind = pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)


@every_kind
def test_the_dot_test_is_exact(op):
    x, y = integers(op.shape[1], 3, seed=1).numpy(), integers(op.shape[0], 2, seed=2).numpy()
    assert np.array_equal(y.T @ (op @ x), (op.T @ y).T @ x)
    assert np.array_equal(op.H @ y, op.T @ y)
    assert np.array_equal(op.rmatvec(y[:, 0]), op.T @ y[:, 0])


@every_kind
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bfloat16, torch.complex64])
def test_products_with_tensors_keep_the_dtype(op, dtype):
    """Weights and inputs from -1 to 1: what up to 256 of them sum to is exact even in bfloat16."""
    weight, x = op.weight.sign().to(dtype), integers(op.shape[1], 2, seed=3).sign().to(dtype)
    B = op.with_kernel(weight)
    y = B @ x
    assert y.dtype == dtype and y.shape == (op.shape[0], 2)
    expected = probed(op.geometry, op.weight.sign(), op.input_size)
    assert torch.equal(y, (expected @ x.real.double()).to(dtype))
    signs = integers(op.shape[0], seed=4).sign()
    assert torch.equal(B.T @ signs.to(dtype), (expected.T @ signs).to(dtype))


@every_kind
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32, np.complex128])
def test_products_with_numpy_keep_the_dtype(op, dtype):
    B = op.with_kernel(op.weight.numpy().astype(dtype))
    x = integers(op.shape[1], 2, seed=3).numpy().astype(dtype)
    expected = probed(op.geometry, op.weight, op.input_size).numpy()
    for y in (B @ x, B.tocsr() @ x, B.tocoo() @ x, B.toarray() @ x):
        assert type(y) is np.ndarray and y.dtype == dtype
        assert np.array_equal(y, expected @ x)


def test_complex_weights_are_conjugated_by_the_adjoint_only():
    A = integer_matrix(2, 3, size=(5, 4), kernel=(3, 2), stride=(2, 1), padding=1)
    other = integers(*A.geometry.weight_shape, seed=5)
    real, imaginary = (probed(A.geometry, w, A.input_size).numpy() for w in (A.weight, other))
    dense = real + 1j * imaginary
    y = integers(A.shape[0], seed=6).numpy() * (1 + 2j)
    for weight in (A.weight + 1j * other, (A.weight + 1j * other).numpy()):
        B = A.with_kernel(weight)
        assert np.array_equal(B.toarray(), dense) and np.array_equal(B.tocsr().toarray(), dense)
        assert np.array_equal(B.T @ y, dense.T @ y)
        assert np.array_equal(B.H @ y, dense.conj().T @ y)
        assert np.array_equal(B.T.H @ (dense.T @ y), dense.conj() @ (dense.T @ y))
        assert np.array_equal(B.H.T @ (dense.T @ y), dense.conj() @ (dense.T @ y))
        assert torch.equal(B.H @ torch.from_numpy(y), torch.from_numpy(dense.conj().T @ y))
        assert torch.equal(B.T @ torch.from_numpy(y), torch.from_numpy(dense.T @ y))


@every_kind
def test_gradients_are_those_of_pytorchs_convolution(op):
    x, g = integers(op.shape[1], 3, seed=7), integers(op.shape[0], 3, seed=8)
    ours = [op.weight.clone().requires_grad_(), x.clone().requires_grad_()]
    theirs = [op.weight.clone().requires_grad_(), x.clone().requires_grad_()]
    (op.with_kernel(ours[0]) @ ours[1]).backward(g)
    maps = theirs[1].T.reshape(3, *op.input_shape)
    by_torch(op.geometry, theirs[0], maps).flatten(1).T.backward(g)
    for own, judge in zip(ours, theirs, strict=True):
        assert torch.equal(own.grad, judge.grad)


@every_kind
def test_gradients_reach_the_weight_through_the_adjoint(op):
    y, g = integers(op.shape[0], seed=7), integers(op.shape[1], seed=8)
    ours = [op.weight.clone().requires_grad_(), y.clone().requires_grad_()]
    theirs = [op.weight.clone().requires_grad_(), g.clone().requires_grad_()]
    (op.with_kernel(ours[0]).T @ ours[1]).backward(g)
    judged = by_torch(op.geometry, theirs[0], theirs[1].reshape(1, *op.input_shape)).flatten()
    judged.backward(y)  # gᵀ Aᵀ y = yᵀ A g: the same number, so the same gradient for the weight
    assert torch.equal(ours[0].grad, theirs[0].grad)
    assert torch.equal(ours[1].grad, judged.detach())


def test_tensors_and_arrays_mix():
    A = EVERY_KIND[2]
    x = integers(A.shape[1], seed=9)
    expected = A @ x
    assert torch.equal(A.with_kernel(A.weight.numpy()) @ x, expected)
    y = A @ x.numpy()
    assert type(y) is np.ndarray and np.array_equal(y, expected)


def test_operators_compose_as_scipys_do():
    A, x = EVERY_KIND[2], integers(EVERY_KIND[2].shape[1], seed=9).numpy()
    dense = A.toarray()
    assert np.array_equal((A.T @ A) @ x, dense.T @ (dense @ x))
    assert np.array_equal((2 * A - A.with_kernel(3 * A.weight)) @ x, -dense @ x)
    assert aslinearoperator(A) is A


@pytest.mark.parametrize("shape", [(6,), (6, 2), (8, 2, 1)], ids=["vector", "columns", "axes"])
def test_tensors_of_another_shape_are_refused(shape):
    A = integer_matrix(2, 3, size=(4,), kernel=(2,))
    words = rf"product: shape is \({', '.join(map(str, shape))},?\), expected \(8,\) or \(8, k\)"
    with pytest.raises(GeometryError, match=words):
        A @ torch.zeros(shape, dtype=torch.float64)


@every_kind
def test_svds_and_lsqr_agree_with_the_dense_matrix(op):
    if min(op.shape) < 4:
        pytest.skip("svds wants more rows and columns than values")
    start = np.random.default_rng(0).standard_normal(min(op.shape))
    largest = svds(op, k=2, return_singular_vectors=False, v0=start)
    expected = np.linalg.svd(op.toarray(), compute_uv=False)[:2]
    assert agree(np.sort(largest)[::-1], expected, STABLE * sum(op.shape), expected[0])
    b = integers(op.shape[0], seed=10).numpy()
    dense = op.toarray()  # damped, so that its condition does not decide whether lsqr converges
    x = lsqr(op, b, damp=5, atol=1e-14, btol=1e-14, conlim=0)[0]
    ridge = np.linalg.solve(dense.T @ dense + 25 * np.eye(op.shape[1]), dense.T @ b)
    # Stopped where residuals are 1e-14 of their norms; the damped system is as well conditioned as
    # √(σ² + 25) / 5, and both lose its square.
    lost = (expected[0] ** 2 + 25) / 25
    assert agree(x, ridge, (STABLE + 100) * sum(op.shape) * lost, np.linalg.norm(b) / 5)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_expm_multiply_agrees_with_the_built_matrix(mode):
    geometry = ConvGeometry(2, 2, kernel=(3, 2), padding="same", padding_mode=mode)
    A = ConvMatrix(geometry, integers(2, 2, 3, 2, seed=1) / 64, (4, 5))
    x = integers(A.shape[1], seed=11).numpy()
    trace = A.tocsr().diagonal().sum()
    by_operator = expm_multiply(A, x, traceA=trace)
    assert agree(by_operator, expm_multiply(A.tocsr(), x), STABLE * 40, np.linalg.norm(by_operator))


def test_an_operator_beyond_the_limit_still_multiplies():
    """8→8 channels on 512×512: 150 million entries that nobody builds."""
    geometry = ConvGeometry(8, 8, kernel=(3, 3), padding=1)
    weight = integers(*geometry.weight_shape, dtype=torch.float32)
    A = ConvMatrix(geometry, weight, (512, 512), memory_limit=2**20)
    assert A.needed_bytes > 2**30
    x = integers(1, 8, 512, 512, seed=1, dtype=torch.float32)
    assert torch.equal(A @ x.flatten(), by_torch(geometry, weight, x).flatten())


@pytest.mark.parametrize(
    "of_weight, of_x, both",
    [
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.float32, torch.float64),
        (torch.float32, torch.int64, torch.float32),
        (torch.int64, torch.float32, torch.float32),
        (torch.bfloat16, torch.float16, torch.float32),
        (torch.float32, torch.complex128, torch.complex128),
    ],
    ids=str,
)
def test_tensors_of_two_dtypes_promote(of_weight, of_x, both):
    """Small whole numbers, which every dtype holds: PyTorch's own, in the wider one."""
    for op in EVERY_KIND:
        A = op.with_kernel(op.weight.to(of_weight))
        dense = probed(op.geometry, op.weight, op.input_size).to(both)
        x, y = (integers(n, 2, seed=4).to(of_x) for n in reversed(op.shape))
        for product, expected in (
            (A @ x, dense @ x.to(both)),
            (A.T @ y, dense.T @ y.to(both)),
            (y.T @ A, y.T.to(both) @ dense),
        ):
            assert product.dtype == both
            assert torch.equal(product, expected)
        if of_weight.is_floating_point and of_x.is_floating_point:
            weight, x = A.weight.clone().requires_grad_(), x.requires_grad_()
            (A.with_kernel(weight) @ x).sum().backward()
            assert (weight.grad.dtype, x.grad.dtype) == (of_weight, of_x)
            assert torch.equal(x.grad, dense.sum(0)[:, None].expand(-1, 2).to(of_x))
