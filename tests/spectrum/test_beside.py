"""That nothing larger was missed: seen where something was, denied where nothing is, by chance only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convlin import unroll
from convlin.spectrum import beside as module
from convlin.spectrum import lanczos as iteration
from convlin.spectrum.beside import Beside, anything_above
from convlin.spectrum.lanczos import lanczos
from geometry_strategies import probe
from rounding import STABLE, agree, gamma
from spectrum.small_convolutions import SMALL


class Counted(LinearOperator):
    """A diagonal matrix that counts its products with vectors."""

    def __init__(self, values):
        super().__init__(np.dtype(float), (len(values),) * 2)
        self.values, self.products = values, 0

    def _matvec(self, x):
        self.products += 1
        return self.values * x.ravel()

    def _matmat(self, x):
        return self.values[:, None] * x

    def _adjoint(self):
        return aslinearoperator(np.diag(self.values))


def above(values, known, level, seed=0):
    basis, draw = np.eye(len(values))[:, :known], np.random.default_rng(seed)
    return anything_above(level, aslinearoperator(np.diag(values)), basis, draw, most=5000)


SPREAD = np.linspace(1, 0, 400)


def test_what_is_above_is_seen_and_what_is_not_is_denied():
    for seed in range(40):
        assert above(SPREAD, 3, SPREAD[3] * 0.99, seed=seed) is True
        assert above(SPREAD, 3, SPREAD[3] * 1.01, seed=seed) is False


def test_one_more_of_the_values_in_hand_is_never_denied():
    """Equal values beside those that are known, and values that differ by rounding."""
    for off in (0, 1e-15, 1e-13, -1e-13):
        for seed in range(5):
            values = np.concatenate([[1.0, 1.0, 1 + off], SPREAD[1:] * 0.9])
            assert above(values, 2, 1 - 1e-3, seed=seed) is True
            assert above(values, 2, 1 - 1e-9, seed=seed) is not False
            assert above(values, 2, 1 + 1e-12, seed=seed) is None


def test_the_chance_is_what_the_theorem_grants(monkeypatch):
    """With one look and an even chance to hide, fewer than half of all values that are there do."""
    monkeypatch.setattr(module, "CHANCE", 0.5)
    monkeypatch.setattr(module, "LOOKS", 1)
    values = np.concatenate([[1.0], np.full(200, 0.9)])
    answers = [above(values, 0, 1 - 1e-12, seed=seed) for seed in range(200)]
    assert answers.count(False) < 100
    # The bound of the theorem holds for any other eigenvalues, and is far above these.
    assert answers.count(None) + answers.count(True) > 100


def test_it_stops_where_the_products_would_not_do():
    basis, values = np.eye(400)[:, :1], SPREAD[:400]
    A = Counted(values)
    assert anything_above(1.0, A, basis, np.random.default_rng(0), most=20) is None
    assert A.products <= 20
    A = Counted(values)
    assert anything_above(1.0, A, basis, np.random.default_rng(0), most=5000) is False
    log = np.log(1.648 * np.sqrt(800) * module.LOOKS / module.CHANCE)
    # ε = 1 - (398/399)², so log(…)/(2√ε) products, and at most a look more.
    assert 1 <= A.products / (log / 2 / np.sqrt(1 - SPREAD[1] ** 2)) < 1.1


@pytest.mark.parametrize("dtype", [float, complex])
def test_a_space_that_closes_is_seen_whole(dtype):
    A = aslinearoperator(np.diag([3.0, 2, 1, 1, 1]).astype(dtype))
    basis, draw = np.eye(5, dtype=dtype)[:, :1], np.random.default_rng(0)
    assert anything_above(2.5, A, basis, draw, most=99) is False
    assert anything_above(1.5, A, basis, draw, most=99) is True
    assert anything_above(1.5, A, np.eye(5, dtype=dtype), draw, most=99) is False
    nothing = aslinearoperator(np.diag([3.0, 0, 0]).astype(dtype))
    assert anything_above(1e-3, nothing, np.eye(3, dtype=dtype)[:, :1], draw, most=99) is False


def test_complex_vectors_start_in_every_direction():
    A = aslinearoperator(np.eye(2000, dtype=complex))
    start = Beside(A, np.zeros((2000, 0), complex)).start(np.random.default_rng(0))
    assert start.real.std() == pytest.approx(start.imag.std(), rel=0.1)
    assert abs(np.vdot(start.real, start.imag)) < 0.1 * 2000


def test_what_was_denied_is_not_looked_for_again(monkeypatch):
    """One run of ARPACK to the end, where a gap lies behind the last value."""
    runs, eigsh = [], iteration.eigsh
    monkeypatch.setattr(
        iteration, "eigsh", lambda gram, k, **more: runs.append(k) or eigsh(gram, k, **more)
    )
    values = np.concatenate([[2.0, 1.9, 1.8], SPREAD])
    assert agree(lanczos(np.diag(values), 3)[0], values[:3], STABLE * 400, 2)
    assert runs == [3]
    runs.clear()
    twice = np.concatenate([[2.0, 1.9, 1.9, 1.9, 1.9], SPREAD])
    assert agree(lanczos(np.diag(twice), 4)[0], twice[:4], STABLE * 400, 2)
    assert len(runs) > 1
    runs.clear()
    assert agree(lanczos(np.diag(values), 1)[0], values[:1], STABLE * 400, 2)
    assert runs == [1]


def test_spare_room_keeps_two_that_all_but_agree_together(monkeypatch):
    runs, eigsh = [], iteration.eigsh
    monkeypatch.setattr(
        iteration, "eigsh", lambda gram, k, **more: runs.append(k) or eigsh(gram, k, **more)
    )
    values = np.concatenate([[2.0, 2 - 1e-9, 1.8, 1.8 - 1e-9], SPREAD])
    for spare, expected in ((0, [3]), (1, [4])):
        runs.clear()
        found, residuals = lanczos(np.diag(values), 3, spare=spare)
        assert agree(found, values[:3], STABLE * 400, 2) and len(residuals) == 3
        assert runs[:1] == expected and (len(runs) == 1) == bool(spare)


@settings(max_examples=50)
@given(SMALL, st.sampled_from([0.3, 1e-2, 1e-6]), st.data())
def test_values_are_within_their_residuals_and_these_within_the_tolerance(case, tolerance, data):
    layer, size = case
    A = unroll(layer, size)
    if min(A.shape) < 2:
        return
    k = data.draw(st.integers(1, min(A.shape) - 1))
    found, residuals = lanczos(A.with_kernel(layer.weight.detach().numpy()), k, tolerance)
    true = np.linalg.svd(probe(layer, size).numpy(), compute_uv=False)
    rounding = gamma(STABLE * 500) * max(1, true[0])
    assert (abs(found[:, None] - true).min(axis=1) <= residuals + rounding).all()
    assert (found <= true[:k] + rounding).all()  # of a part of the space, they come from below
    assert (residuals <= tolerance * found + np.sqrt(gamma(STABLE)) * max(1, true[0])).all()


def test_a_tolerance_saves_products():
    def products(tolerance):
        A = Counted(np.linspace(1, 0, 1000))
        lanczos(A, 2, tolerance)
        return A.products

    assert products(1e-2) < products(1e-6) < products(0)
