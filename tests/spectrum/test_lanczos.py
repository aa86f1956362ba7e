"""Lanczos iteration against dense decompositions, where values repeat, cluster and vanish."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlin import ConvGeometry, ConvMatrix, unroll
from convlin.spectrum import lanczos as module
from convlin.spectrum.lanczos import lanczos
from geometry_strategies import integers, probe
from rounding import STABLE, agree, gamma
from spectrum.small_convolutions import SMALL

CONVERGED = STABLE * 500  # roundings: matrices of at most 500 rows and columns


def near(found, true):
    return agree(found, true, CONVERGED, max(1, true[0]))


@settings(max_examples=100)
@given(SMALL, st.data())
def test_lanczos_finds_the_largest_ones(case, data):
    layer, size = case
    A = unroll(layer, size)
    if min(A.shape) < 2:
        return
    k = data.draw(st.integers(1, min(A.shape) - 1))
    found, residuals = lanczos(A.with_kernel(layer.weight.detach().numpy()), k)
    true = np.linalg.svd(probe(layer, size).numpy(), compute_uv=False)
    assert near(found, true[:k])
    # Of a singular value that its square lost in rounding, √u of the largest is left.
    assert residuals.max() <= np.sqrt(gamma(STABLE)) * max(1, true[0])


def same_in_every_group(groups, turn=0):
    one = integers(1, 1, 3, 3, seed=4).numpy() + turn * 1j * integers(1, 1, 3, 3, seed=5).numpy()
    weight = np.tile(one if turn else one.real, (groups, 1, 1, 1))
    return ConvMatrix(
        ConvGeometry(groups, groups, (3, 3), padding=1, groups=groups), weight, (5, 6)
    )


@pytest.mark.parametrize(
    "groups, k, turn",
    [(4, 2, 0), (4, 5, 0), (9, 10, 0), (30, 20, 0), (64, 40, 0), (4, 2, 1), (4, 5, 1), (6, 7, 1)],
)
def test_lanczos_finds_equal_singular_values_as_often_as_there_are(groups, k, turn):
    """An iteration from one vector sees one of them, and the residuals look perfect."""
    A = same_in_every_group(groups, turn)
    one = np.linalg.svd(same_in_every_group(1, turn).toarray(), compute_uv=False)
    found, residuals = lanczos(A, k)
    assert near(found, np.repeat(one, groups)[:k]) and residuals.max() <= gamma(CONVERGED) * one[0]


def test_lanczos_finds_what_squares_of_a_kernel_repeat():
    A = ConvMatrix(
        ConvGeometry(1, 1, (3, 3), padding=1, padding_mode="circular"),
        np.ones((1, 1, 3, 3)),
        (9, 9),
    )
    true = np.linalg.svd(A.toarray(), compute_uv=False)
    for k in (1, 3, 5, 20):
        assert near(lanczos(A, k)[0], true[:k])


def test_lanczos_asks_for_fewer_where_the_iteration_closes(monkeypatch):
    """ARPACK gives up on some matrices with few different values, for many vectors at once."""
    asked = []

    def gives_up(gram, k, **options):
        asked.append(k)
        if k > 2:
            raise module.ArpackError(3)
        return eigsh(gram, k=k, **options)

    eigsh = module.eigsh
    monkeypatch.setattr(module, "eigsh", gives_up)
    A = same_in_every_group(4)
    assert near(lanczos(A, 9)[0], np.linalg.svd(A.toarray(), compute_uv=False)[:9])
    assert asked[:3] == [9, 4, 2]
    monkeypatch.setattr(module, "eigsh", lambda gram, k, **_: gives_up(gram, 3))
    with pytest.raises(module.ArpackError):
        lanczos(A, 1)


@pytest.mark.parametrize("above, missed", [(0.7e-12, True), (1.4e-12, False)])
def test_a_value_is_no_larger_by_a_millionth_millionth(above, missed, monkeypatch):
    """The first iteration comes back with the smaller of two, the next one with the other."""
    columns = iter(np.eye(3)[:, [0, 1, 2]].T)
    monkeypatch.setattr(module, "_leading", lambda *_: next(columns)[:, None])
    found, _ = lanczos(np.diag([1.0, 1 + above, 0.0]), 1)
    assert found == (1.0 if missed else 1 + above)


@pytest.mark.parametrize("n, k, iterated", [(20, 3, 0), (21, 3, 1), (27, 13, 0), (28, 13, 1)])
def test_arpack_is_left_alone_where_its_vectors_would_span_all(n, k, iterated, monkeypatch):
    """A later iteration, for one more value, may be left to it."""
    asked, eigsh = [], module.eigsh
    monkeypatch.setattr(
        module, "eigsh", lambda gram, k, **more: asked.append(k) or eigsh(gram, k, **more)
    )
    found, _ = lanczos(np.diag(np.arange(n, 0, -1.0)), k)
    assert near(found, np.arange(n, n - k, -1.0))
    assert (k in asked) == iterated


def test_residuals_say_how_near_vectors_that_did_not_converge_are(monkeypatch):
    eigsh = module.eigsh

    def rough(gram, k, **options):
        found, vectors = eigsh(gram, k=k, **options)
        noise = np.random.default_rng(3).standard_normal(vectors.shape)
        return found, np.linalg.qr(vectors + 1e-3 * noise)[0]

    monkeypatch.setattr(module, "eigsh", rough)
    A = same_in_every_group(4)
    true = np.linalg.svd(A.toarray(), compute_uv=False)
    found, residuals = lanczos(A, 2)
    assert (abs(found[:, None] - true).min(axis=1) <= residuals).all()
    assert (residuals > 1e-5 * true[0]).all()


def test_lanczos_is_no_matter_of_global_seeds():
    """All singular values are 1, so the iteration closes at once and has to draw new vectors."""
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 1, 1] = 1
    A = ConvMatrix(ConvGeometry(1, 1, (3, 3), padding=1), weight, (8, 8))
    answers = []
    for seed in (0, 1, 2):
        np.random.seed(seed)
        answers.append(np.stack(lanczos(A, 3)))
    assert near(answers[0][0], np.ones(3))
    seeded = "rng" in inspect.signature(module.eigsh).parameters
    assert all(agree(answers[0], other, STABLE, 1) for other in answers)
    assert not seeded or all(np.array_equal(answers[0], other) for other in answers)


def test_what_is_left_lies_beside_complex_vectors_that_are_known():
    A = same_in_every_group(4, turn=1)
    known = np.linalg.svd(A.toarray())[2].conj().T[:, :4]
    fresh = module._leading(A, known, 2, np.random.default_rng(0))
    assert abs(known.conj().T @ fresh).max() <= gamma(CONVERGED)
    true = np.linalg.svd(A.toarray(), compute_uv=False)
    assert np.linalg.norm(A @ fresh, axis=0).max() <= true[4] * (1 + gamma(CONVERGED))


@pytest.mark.parametrize("complex_values", [False, True])
@pytest.mark.parametrize("shape", [(27, 57), (57, 27), (9, 3), (30, 30)])
def test_lanczos_on_matrices_with_few_different_singular_values(shape, complex_values):
    """Ones and zeros, clusters, and values that squares take below rounding; every k."""
    draw = np.random.default_rng(2)
    p = min(shape)
    for values_ in (
        np.repeat([1.0, 0.0], [p // 2, p - p // 2]),
        np.ones(p),
        1 + 1e-9 * np.arange(p),
        10.0 ** -np.linspace(0, 18, p),
        np.zeros(p),
    ):
        bases = (draw.standard_normal((2, n, p)) for n in shape)
        u, v = (np.linalg.qr(b[0] + 1j * b[1] * complex_values)[0] for b in bases)
        matrix = (u * values_) @ v.conj().T
        matrix = matrix if complex_values else matrix.real
        true = np.sort(values_)[::-1]
        for k in range(1, p):
            found, residuals = lanczos(matrix, k)
            assert found.shape == residuals.shape == (k,) and near(found, true[:k])
            distance = abs(found[:, None] - true).min(axis=1)
            assert (distance <= residuals + gamma(STABLE) * true[0]).all()
