"""The parts of a solution family, each against exact fractions or a definition."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlin import ConvGeometry
from convlin.solutions import SolutionFamily, Wiring
from convlin.solutions import wiring as wiring_file
from convlin.solutions.modular import PRIME, rank_modulo
from convlin.solutions.null_space import NullSpace
from convlin.solutions.row_space import row_spaces
from geometry_strategies import conv, integers


def exact_rank(matrix) -> int:
    """Gaussian elimination in fractions."""
    rows = [[Fraction(int(v)) for v in row] for row in matrix]
    rank = 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] / rows[rank][column]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


@st.composite
def stacks(draw):
    """Draw integer matrices of one shape, many of them of low rank, some entries large."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count, rows, columns = (draw(st.integers(1, 6)) for _ in range(3))
    inner = draw(st.integers(0, 5))
    scale = draw(st.sampled_from([2, 9, 10**4, 10**7]))
    left = rng.integers(-scale, scale + 1, (count, rows, inner))
    return left @ rng.integers(-9, 10, (count, inner, columns))


@given(stacks())
def test_the_rank_modulo_a_prime_is_the_rank(stack):
    expected = [exact_rank(matrix) for matrix in stack]
    assert rank_modulo(stack).tolist() == expected
    assert rank_modulo(stack.astype(np.float64)).tolist() == expected
    assert rank_modulo(stack + PRIME * 3).tolist() == expected


@given(stacks(), st.integers(1, 6))
def test_rank_and_row_space_do_not_depend_on_how_rows_are_dealt(stack, step):
    found = row_spaces(stack[:, i : i + step] * 1.0 for i in range(0, stack.shape[1], step))
    for matrix, rank, rows in zip(stack, found.ranks, found.rows, strict=True):
        assert rank == exact_rank(matrix)
        span = rows[:rank]
        assert np.allclose(matrix @ span.T @ span, matrix, rtol=1e-12, atol=1e-9)


@given(st.integers(1, 7), st.data())
def test_null_spaces_complete_any_orthonormal_rows(unknowns, data):
    rank = data.draw(st.integers(0, unknowns - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    whole = np.linalg.qr(rng.standard_normal((3, unknowns, unknowns)))[0]
    if data.draw(st.booleans()):  # also rows that are unit vectors, of either sign
        whole = np.eye(unknowns)[rng.permutation(unknowns)] * -np.ones((3, 1, 1))
    rows = whole[:, :rank]
    space = NullSpace.of(np.arange(3), rows)
    basis = space.expand(np.broadcast_to(np.eye(space.free), (3, space.free, space.free)))
    together = np.concatenate([rows, basis], axis=1)
    assert np.allclose(together @ together.swapaxes(1, 2), np.eye(unknowns), rtol=0, atol=1e-14)


LAYERS = [
    (conv(2, 4, 6, (3, 2), padding=1, groups=2), (4, 5), True),
    (conv(2, 4, 6, (3, 2), transposed=True, stride=2, groups=2), (4, 5), True),
    (conv(1, 4, 6, 3, padding=2, padding_mode="circular", groups=2, bias=False), (5,), False),
    (conv(2, 4, 6, (3, 2), padding=1, groups=2), (4, 5), False),
]


@pytest.mark.parametrize("layer, size, shared", LAYERS)
def test_blocks_are_the_flat_parameters_in_another_order(layer, size, shared):
    wiring = Wiring.of_conv(ConvGeometry.of(layer), size, layer.bias is not None, shared)
    numbers = np.arange(3 * wiring.parameters).reshape(3, -1)
    blocks = wiring.split(numbers)
    assert blocks.shape == (3, wiring.blocks, wiring.outputs, wiring.unknowns)
    assert np.array_equal(wiring.join(blocks), numbers)
    assert np.array_equal(wiring.split(numbers[1]), blocks[1])


@pytest.mark.parametrize("layer, size", [case[:2] for case in LAYERS[:3]])
def test_designs_times_unknowns_are_the_outputs(layer, size, monkeypatch):
    wiring = Wiring.of_conv(ConvGeometry.of(layer), size, layer.bias is not None)
    x = integers(7, layer.in_channels, *size, seed=3)
    flat = np.concatenate([p.detach().numpy().ravel() for p in layer.parameters()])
    monkeypatch.setattr(wiring_file, "CHUNK", 1)  # one sample at a time
    parts = list(wiring.designs(x.flatten(2).numpy()))
    assert len(parts) == 7
    for part, y in zip(parts, layer(x).detach(), strict=True):
        got = part @ wiring.split(flat).swapaxes(1, 2)
        expected = y.numpy().reshape(layer.groups, wiring.outputs, -1).swapaxes(1, 2)
        assert np.array_equal(got, expected)


def test_families_do_not_depend_on_how_data_is_dealt(monkeypatch):
    layer = conv(2, 4, 6, (3, 2), padding=1, groups=2)
    wiring = Wiring.of_conv(ConvGeometry.of(layer), (2, 3), bias=True)
    data = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)).numpy()
    whole = SolutionFamily(wiring, data)
    direction = np.arange(wiring.parameters) * 1.0
    expected = whole.project(direction)
    monkeypatch.setattr(wiring_file, "CHUNK", 1)
    dealt = SolutionFamily(wiring, data)
    assert dealt.ranks.tolist() == whole.ranks.tolist()
    assert np.allclose(dealt.project(direction), expected, rtol=0, atol=1e-11)


def test_a_rank_that_rounding_hides_is_not_certified():
    """Rows that differ by one in 2⁵²: singular values see one row, exact arithmetic two."""
    wiring = Wiring.of_linear(2, 1, bias=False)
    big = 2.0**52
    family = SolutionFamily(wiring, np.array([[[big], [big]], [[big], [big + 1]]]))
    assert family.rank == 1
    assert family.certified is False


def test_zeros_fix_nothing():
    family = SolutionFamily(Wiring.of_linear(3, 2, bias=False), np.zeros((4, 3, 1)))
    assert (family.rank, family.dimension, family.gap) == (0, 6, (np.inf, 0.0))
    assert np.array_equal(family.basis.toarray(), np.eye(6))
