"""The parts of a solution family, each against exact fractions or a definition."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlin import ConvGeometry
from convlin.solutions import DesignBlocks, SolutionFamily
from convlin.solutions import design_blocks as design_file
from convlin.solutions import family as family_file
from convlin.solutions.equilibration import column_exponents, equilibrated, unequilibrated
from convlin.solutions.modular_rank import PRIME, rank_modulo
from convlin.solutions.null_space import NullSpace
from convlin.solutions.reach import distinguishing_input
from convlin.solutions.row_space import row_spaces
from geometry_strategies import conv, integers, probe
from rounding import STABLE, agree, approx, gamma


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


def test_the_prime_is_one_of_31_bits():
    """Else products of residues could vanish, divide many minors, or overflow."""
    assert 2**30 < PRIME < 2**31
    assert (PRIME % np.arange(2, 2**15.5) != 0).all()


def norms(matrix):
    """Return the norm of every row: what entries of a product with an orthonormal basis are of."""
    return np.linalg.norm(matrix, axis=-1, keepdims=True)


@given(stacks(), st.integers(1, 6))
def test_rank_and_row_space_do_not_depend_on_how_rows_are_dealt(stack, step):
    found = row_spaces(stack[:, i : i + step] * 1.0 for i in range(0, stack.shape[1], step))
    for matrix, rank, rows in zip(stack, found.ranks, found.rows, strict=True):
        assert rank == exact_rank(matrix)
        span = rows[:rank]
        assert agree(matrix @ span.T @ span, matrix, STABLE * sum(matrix.shape), norms(matrix))


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
    assert agree(
        together @ together.swapaxes(1, 2), np.stack([np.eye(unknowns)] * 3), STABLE * unknowns, 1
    )


LAYERS = [
    (conv(2, 4, 6, (3, 2), padding=1, groups=2), (4, 5), True),
    (conv(2, 4, 6, (3, 2), transposed=True, stride=2, groups=2), (4, 5), True),
    (conv(1, 4, 6, 3, padding=2, padding_mode="circular", groups=2, bias=False), (5,), False),
    (conv(2, 4, 6, (3, 2), padding=1, groups=2), (4, 5), False),
]


@pytest.mark.parametrize("layer, size, shared", LAYERS)
def test_blocks_are_the_flat_parameters_in_another_order(layer, size, shared):
    design = DesignBlocks.of_conv(ConvGeometry.of(layer), size, layer.bias is not None, shared)
    numbers = np.arange(3 * design.parameters).reshape(3, -1)
    blocks = design.split(numbers)
    assert blocks.shape == (3, design.blocks, design.outputs, design.unknowns)
    assert np.array_equal(design.join(blocks), numbers)
    assert np.array_equal(design.split(numbers[1]), blocks[1])


@pytest.mark.parametrize("layer, size", [case[:2] for case in LAYERS[:3]])
def test_designs_times_unknowns_are_the_outputs(layer, size, monkeypatch):
    design = DesignBlocks.of_conv(ConvGeometry.of(layer), size, layer.bias is not None)
    x = integers(7, layer.in_channels, *size, seed=3)
    flat = np.concatenate([p.detach().numpy().ravel() for p in layer.parameters()])
    monkeypatch.setattr(design_file, "CHUNK", 1)  # one sample at a time
    parts = list(design.matrices(x.flatten(2).numpy()))
    assert len(parts) == 7
    for part, y in zip(parts, layer(x).detach(), strict=True):
        got = part @ design.split(flat).swapaxes(1, 2)
        expected = y.numpy().reshape(layer.groups, design.outputs, -1).swapaxes(1, 2)
        assert np.array_equal(got, expected)


GROUPED = ConvGeometry(4, 6, (3,), groups=2)  # on 6 pixels: 4 positions


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "local"])
@pytest.mark.parametrize("step", [1, 2, 3, 6, 7, 8])
def test_designs_come_as_many_samples_at_a_time_as_the_limit_allows(step, shared, monkeypatch):
    design = DesignBlocks.of_conv(GROUPED, (6,), bias=True, shared=shared)
    data = integers(7, 4, 6, seed=5).numpy()
    (whole,) = design.matrices(data)
    a_sample = 2 * 4 * 7  # groups, positions, unknowns
    assert whole.size == 7 * a_sample
    for limit in (step * a_sample, (step + 1) * a_sample - 1):
        monkeypatch.setattr(design_file, "CHUNK", limit)
        parts = list(design.matrices(data))
        dealt = [part.size // a_sample for part in parts]
        assert dealt == [min(step, 7 - start) for start in range(0, 7, step)]
        assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_a_part_of_the_designs_takes_128_megabytes(monkeypatch):
    monkeypatch.setattr(DesignBlocks, "_matrices", lambda _, data: data)
    samples = np.broadcast_to(0.0, (40, 2**20, 1))
    parts = DesignBlocks.of_linear(2**20, 1, bias=False).matrices(samples)
    assert [8 * part.size for part in parts] == [2**27, 2**27, 2**26]


def test_families_do_not_depend_on_how_data_is_dealt(monkeypatch):
    layer = conv(2, 4, 6, (3, 2), padding=1, groups=2)
    design = DesignBlocks.of_conv(ConvGeometry.of(layer), (2, 3), bias=True)
    data = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)).numpy()
    whole = SolutionFamily(design, data)
    direction = np.arange(design.parameters) * 1.0
    expected = whole.project(direction)
    monkeypatch.setattr(design_file, "CHUNK", 1)
    dealt = SolutionFamily(design, data)
    assert dealt.ranks.tolist() == whole.ranks.tolist()
    assert agree(
        dealt.project(direction), expected, STABLE * design.unknowns, np.linalg.norm(direction)
    )
    assert SolutionFamily(design, integers(3, 4, 6, seed=2).numpy()).certified is True


def test_a_rank_that_rounding_hides_is_not_certified():
    """Rows that differ by one in 2⁵²: singular values see one row, exact arithmetic two."""
    design = DesignBlocks.of_linear(2, 1, bias=False)
    big = 2.0**52
    family = SolutionFamily(design, np.array([[[big], [big]], [[big], [big + 1]]]))
    assert family.rank == 1
    assert family.certified is False


def test_one_block_of_hidden_rank_is_enough_to_doubt():
    design = DesignBlocks.of_conv(ConvGeometry(4, 2, (1,), groups=2), (1,), bias=False)
    big = 2.0**52
    data = np.array([[1, 2, big, big], [3, 5, big, big + 1]])[..., None]
    family = SolutionFamily(design, data)
    assert family.ranks.tolist() == [2, 1]
    assert family.certified is False
    assert SolutionFamily(design, data[:, [0, 1, 1, 0]]).certified is True


@pytest.mark.parametrize("rows, unknowns", [(2, 2), (2, 40), (400, 2)], ids=str)
@pytest.mark.parametrize("step", [1000, 1], ids=["at-once", "row-by-row"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_singular_value_counts_from_where_rounding_puts_zeros(rows, unknowns, step, sign):
    """Of two, the smaller is just below, or just above, max(shape)·ε times the larger."""
    tolerance = max(rows, unknowns) * 2.0**-52
    for fraction, rank in ((0.9, 1), (1.1, 2)):
        design = np.zeros((1, rows, unknowns))
        design[0, 0, 0], design[0, 1, 1] = 8.0, sign * 8.0 * fraction * tolerance
        found = row_spaces(design[:, i : i + step] for i in range(0, rows, step))
        assert found.ranks.tolist() == [rank]
        assert found.tolerance == tolerance
        small = fraction * tolerance
        kept, dropped = (1.0, small) if rank == 1 else (small, 0.0)
        assert found.smallest == approx([kept], STABLE * 2)
        assert found.uncounted == approx([dropped], STABLE * 2)
        assert found.largest == approx([8.0], STABLE * 2)


def test_a_free_direction_leaks_no_more_than_stated():
    """Rows that differ by one in 2⁵², in many sizes: what is free moves each by as much."""
    rows = np.array([[1, 1, 1], [1, 1, 1 + 2.0**-52], [1, 1 + 2.0**-52, 1]])
    data = (rows * np.array([[8], [2.0**-70], [2.0**55]]) * [1, 2.0**30, 2.0**-40])[..., None]
    family = SolutionFamily(DesignBlocks.of_linear(3, 1, bias=False), data)
    assert family.rank == 1
    for free in family.basis.toarray().T:
        moved, blurred = family.rounding(free[None, None])
        length = np.linalg.norm(free * [1, 2.0**30, 2.0**-40])
        sizes = np.array([8, 2.0**-70, 2.0**55]) * length
        assert (abs(data[:, :, 0] @ free) <= moved[0, 0]).all()
        assert (moved[0, 0] < 50 * 2.0**-52 * sizes).all()
        assert (blurred[0, 0] < 50 * 2.0**-52 * length / [1, 2.0**30, 2.0**-40]).all()


def balance(design, parts=1):
    """Return the design with every row and column brought to one size."""
    columns = column_exponents(lambda: np.array_split(design, parts, axis=1))
    return equilibrated(design, columns)[0]


@given(stacks(), st.integers(0, 10**6), st.sampled_from([2, 20, 150, 420]), st.booleans())
def test_neither_the_size_of_features_nor_of_samples_changes_the_rank(stack, seed, most, sparse):
    """Powers of two, so that the scaled numbers have the same rank exactly."""
    rng = np.random.default_rng(seed)
    stack = stack * (rng.random(stack.shape) < 0.5) if sparse else stack
    count, samples, features = stack.shape
    design = DesignBlocks.of_linear(features, 2, bias=False)
    down = 2.0 ** rng.integers(-most, most + 1, (count, samples, 1))
    across = 2.0 ** rng.integers(-most, most + 1, (count, 1, features))
    scaled = stack * down * across
    for parts in range(1, samples + 1):
        assert np.array_equal(balance(scaled, parts), balance(stack * 1.0, parts))
    for matrix, other in zip(stack, scaled, strict=True):
        plain, family = (SolutionFamily(design, data[..., None]) for data in (matrix, other))
        assert plain.rank == 2 * exact_rank(matrix)
        assert (family.rank, family.dimension) == (plain.rank, plain.dimension)
        assert family.gap == plain.gap
        whole = np.array_equal(other, np.rint(other)) and abs(other).max() < 2**53
        assert (plain.certified, family.certified) == (True, True if whole else None)


PATTERNS = {
    "diagonal": np.eye(9),
    "two-diagonals": np.eye(9) + np.eye(9, k=1),
    "blocks": np.kron(np.eye(3), np.ones((3, 3))),
    "arrow": np.maximum(np.eye(9), np.arange(9)[:, None] == 8),
    "rows-and-columns-of-zeros": np.outer(np.arange(9) % 3 > 0, np.arange(9) % 4 > 0) * 1.0,
    "dense": np.ones((9, 9)),
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("parts", [1, 4, 9])
def test_powers_of_two_alone_leave_nothing_but_the_pattern(pattern, parts):
    """Of sizes that rows and columns have, none is left; also of two blocks, each of its own."""
    rng = np.random.default_rng(4)
    down, across = (2.0 ** rng.integers(-450, 451, shape) for shape in ((2, 9, 1), (2, 1, 9)))
    assert np.array_equal(balance(pattern * down * across, parts), np.stack([pattern / 2] * 2))


def test_numbers_that_are_but_noise_size_no_feature():
    """Two samples, alike in two features that are noise in all others, are told by the rest."""
    data = np.random.default_rng(0).standard_normal((10, 12))
    data[:, [5, 7]] *= 1e-17
    data[:2, [5, 7]] = 1.0
    assert SolutionFamily(DesignBlocks.of_linear(12, 1, bias=False), data[..., None]).rank == 10


def test_rows_that_larger_columns_make_parallel_come_out_orthonormal():
    """A row reads the largest column by 2^-42, so that both lie along another of 2^-5 times it."""
    rows = np.linalg.qr(np.array([[0, 2.0**-18, 2.0**31], [2.0**36, 2.0**-6, 0]]).T)[0].T
    found = unequilibrated(rows[None], np.array([[-5, 0, -46]], dtype=np.int32), 1e-15)[0]
    assert agree(found @ found.T, np.eye(2), STABLE * 3, 1)


def test_wide_features_of_two_sizes_need_no_square_of_their_number():
    data = np.random.default_rng(0).standard_normal((4, 6000, 1))
    data[:, ::2] *= 2.0**40
    tracemalloc.start()
    try:
        family = SolutionFamily(DesignBlocks.of_linear(6000, 1, bias=False), data)
        free = family.project(np.ones(6000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sizes = np.linalg.norm(data[..., 0] * free, axis=1)
    assert agree(data[..., 0] @ free, np.zeros(4), STABLE * 6000, sizes)
    assert peak < 40 * data.nbytes


def test_each_48_bits_that_features_differ_by_take_a_projection_more():
    """One takes off about as many; the last is what leaves no trace, another would find none."""
    rows = np.array([[[0.6, 0.8]]])
    passes = [NullSpace.of(np.array([0]), rows, spread).passes for spread in (0, 47, 48, 96)]
    assert passes == [2, 2, 3, 4]


SIZES = {
    "three-scales": ([0, 60, -60, 30, 0, 60], 0),
    "one-large": ([0, 0, 100, 0, 0, 0], 0),
    "equal-pairs": ([90, 90, 90, 0, 0, -90], 1),
    "mild": ([0, 12, -5, 3, 9, 1], 0),
    "nothing": ([0, 0, 0, 0, 0, 0], 1),
}


@pytest.mark.parametrize("exponents, twins", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_bases_are_orthonormal_and_free_whatever_the_features_are_measured_in(
    exponents, twins, rank
):
    """Free in every sample to its last digits, by the sizes of just what it adds up."""
    rng = np.random.default_rng(rank)
    across = 2.0 ** np.array(exponents)
    matrix = rng.integers(-9, 10, (7, rank)) @ rng.integers(-9, 10, (rank, 6)) * 1.0
    if twins:
        matrix[:, 1] = matrix[:, 0]
    data = matrix * across * 2.0 ** rng.integers(-80, 80, (7, 1))
    family = SolutionFamily(DesignBlocks.of_linear(6, 1, bias=False), data[..., None])
    assert family.rank == exact_rank(matrix)
    basis = family.basis.toarray()
    assert agree(basis.T @ basis, np.eye(family.dimension), STABLE * 6, 1)
    direction = rng.standard_normal(6)
    free = family.project(direction)
    norm = np.linalg.norm(direction)
    assert agree(free, basis @ (basis.T @ direction), STABLE * 6, norm)
    assert agree(family.basis.H @ direction, basis.T @ direction, STABLE * 6, norm)
    for column in (*basis.T, free):
        length = np.linalg.norm(column * across)
        terms = abs(matrix).max(axis=1) * length + abs(matrix) @ (across * abs(column))
        assert (abs(matrix @ (across * column)) <= gamma(STABLE * 6) * terms).all()


def test_what_lies_almost_in_the_row_space_projects_to_what_is_free_of_it():
    """A direction 10⁸ times longer along the data than off it: projected once, a trace is left."""
    rng = np.random.default_rng(3)
    data = rng.standard_normal((4, 9, 1))
    family = SolutionFamily(DesignBlocks.of_linear(9, 1, bias=False), data)
    direction = 1e8 * data[:, :, 0].sum(0) + rng.standard_normal(9)
    free = family.project(direction)
    assert 0.1 < np.linalg.norm(free) < 10
    assert agree(data[:, :, 0] @ free, np.zeros(4), STABLE * 9, np.linalg.norm(data))


@pytest.mark.parametrize(
    "number, certified",
    [
        (2.0**53 - 1, True),
        (1 - 2.0**53, True),
        (2.0**53, None),
        (-(2.0**53), None),
        (2.0**60, None),
        (0.5, None),
    ],
)
def test_only_whole_numbers_that_floats_tell_apart_are_certified(number, certified):
    """From 2⁵³ on a float is a whole number that stands for others too."""
    family = SolutionFamily(DesignBlocks.of_linear(2, 1, bias=False), np.array([[[number], [1.0]]]))
    assert family.rank == 1
    assert family.certified is certified


def telling(design, difference, noise=0.0):
    difference = np.array([difference], dtype=float)
    return distinguishing_input(design, difference, np.broadcast_to(noise, difference.shape))


@pytest.mark.parametrize("noise", [[0, 1, 0], [0, 0, 1]], ids=["weight", "bias"])
def test_an_input_must_tell_four_times_more_than_noise(noise):
    design = DesignBlocks.of_linear(2, 1, bias=True)
    for difference in ([0, 4, 0], [0, 1, -3]):
        assert telling(design, [difference], 0.99 * np.array(noise)) is not None
        clear = noise == [0, 1, 0] and difference[2]  # the bias, whose empty image is left
        found = telling(design, [difference], 1.01 * np.array(noise))
        assert found.tolist() == [[0], [0]] if clear else found is None


def test_four_times_the_noise_itself_is_not_enough():
    design = DesignBlocks.of_linear(2, 1, bias=True)
    for difference, noise in (([0, 4, 0], [0, 1, 0]), ([0, 0, 4], [0, 0, 1])):
        assert telling(design, [difference], np.array(noise)) is None


def test_one_weight_lost_in_noise_hides_no_other():
    design = DesignBlocks.of_linear(3, 1, bias=False)
    for noise in (100, 0.3):
        found = telling(design, [[1, 3, 6]], np.array([noise, 0.7, 0.7]))
        assert found.ravel().tolist() == [0, 0.5, 1]


def test_the_output_told_apart_is_the_one_that_moves_most_bias_included():
    design = DesignBlocks.of_linear(2, 3, bias=True)
    assert telling(design, [[3, 0, 0], [0, 2, 4], [2, 2, 0]]).ravel().tolist() == [0, 1]
    assert telling(design, [[3, 0, 0], [0, 2, -4], [2, 2, 0]]).ravel().tolist() == [0, -1]
    assert telling(design, [[7, 0, 0], [0, 2, 4], [2, 2, 0]]).ravel().tolist() == [1, 0]
    assert telling(design, [[0, 0, 0], [0, 0, 4], [0, 0, 0]]).ravel().tolist() == [0, 0]


@pytest.mark.parametrize("mode", ["zeros", "replicate"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "local"])
def test_a_telling_input_is_the_longest_row_of_the_difference(mode, shared):
    """By the matrix itself: the layer's own outputs on every unit input."""
    layer = conv(1, 2, 1, 3, padding=2, padding_mode=mode, bias=False)
    design = DesignBlocks.of_conv(ConvGeometry.of(layer), (4,), bias=False, shared=shared)
    for seed in range(5):
        numbers = integers(1, 2, 3, seed=seed) + 0.5
        layer.weight.data.copy_(numbers)
        matrix = probe(layer, (4,)).numpy()
        longest = np.linalg.norm(matrix, axis=1).max()
        blocks = np.tile(numbers.numpy().reshape(1, 1, 6), (design.blocks, 1, 1))
        found = distinguishing_input(design, blocks, np.zeros(blocks.shape)).ravel()
        assert abs(matrix @ found).max() == approx(
            longest * np.linalg.norm(found), 2 * sum(matrix.shape)
        )


def test_elimination_that_would_take_long_is_not_tried(monkeypatch):
    design = DesignBlocks.of_linear(700, 1, bias=False)
    data = np.ones((700, 700, 1))  # 700³ = 3.4·10⁸ steps
    assert SolutionFamily(design, data).certified is None
    assert SolutionFamily(design, data[:100]).certified is True
    monkeypatch.setattr(family_file, "rank_modulo", lambda _: np.ones(1))
    assert SolutionFamily(design, data[:500]).certified is True  # 500·700·500 = 1.75·10⁸ steps


STEPS = {
    "few-samples": (DesignBlocks.of_linear(5, 2, bias=True), 3, 3 * 6 * 3),
    "many-samples": (DesignBlocks.of_linear(5, 2, bias=True), 9, 9 * 6 * 6),
    "conv-two-groups": (DesignBlocks.of_conv(GROUPED, (6,), bias=False), 3, 2 * 12 * 6 * 6),
    "local-two-groups": (
        DesignBlocks.of_conv(GROUPED, (6,), bias=False, shared=False),
        3,
        8 * 3 * 6 * 3,
    ),
}


@pytest.mark.parametrize("design, samples, steps", STEPS.values(), ids=STEPS)
def test_elimination_is_tried_up_to_its_steps(design, samples, steps, monkeypatch):
    """Blocks times rows times unknowns, times the fewer of the two."""
    rng = np.random.default_rng(1)
    data = rng.integers(-9, 10, (samples, design.in_channels, design.pixels)) * 1.0
    for limit, certified in ((steps, True), (steps - 1, None)):
        monkeypatch.setattr(family_file, "EXACT_STEPS", limit)
        assert SolutionFamily(design, data).certified is certified


def test_parts_print_in_a_line():
    design = DesignBlocks.of_linear(300, 2, bias=True)
    family = SolutionFamily(design, np.ones((7, 300, 1)))
    assert repr(family) == "<SolutionFamily: 600 of 602 directions free (rank 2)>"
    assert repr(design) == "<DesignBlocks: 1 blocks of 2 outputs, 301 unknowns each; 1 pixels>"
    assert repr(family._spaces) == "<RowSpaces: 1 blocks of 301 unknowns, ranks 1 to 1>"
    assert repr(family._free) == "[<NullSpace: 1 blocks, 300 free, rank 1>]"
    assert len({design, DesignBlocks.of_linear(300, 2, bias=True)}) == 2


def test_the_gap_is_the_narrowest_of_all_blocks():
    design = DesignBlocks.of_conv(ConvGeometry(4, 2, (1,), groups=2), (1,), bias=False)
    first = np.array([[1.001, 0.999], [0.999, 1.001]])  # singular values 2 and 0.002
    second = np.array([[4.0, 4.0], [4.0, 4.0 + 2.0**-50]])
    for blocks in ([first, second], [second, first]):
        family = SolutionFamily(design, np.concatenate(blocks, axis=1)[..., None])
        assert sorted(family.ranks) == [1, 2]
        kept, dropped = family.gap
        assert kept == pytest.approx(1e-3, rel=0.5)
        assert 0 <= dropped < 2.0**-51


def test_tall_data_take_the_memory_of_a_part():
    rows = np.random.default_rng(0).standard_normal((1, 50, 8))
    tracemalloc.start()
    try:
        found = row_spaces(rows for _ in range(400))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.ranks.tolist() == [8]
    assert peak < 20 * rows.nbytes


def test_zeros_fix_nothing(recwarn):
    family = SolutionFamily(DesignBlocks.of_linear(3, 2, bias=False), np.zeros((4, 3, 1)))
    assert (family.rank, family.dimension, family.gap) == (0, 6, (np.inf, 0.0))
    assert np.array_equal(family.basis.toarray(), np.eye(6))
    assert not recwarn.list
