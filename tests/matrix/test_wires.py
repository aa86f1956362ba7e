"""What one output neuron is wired to: the article's example, and every row of every matrix."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from article import IMAGE, KERNEL, OUTPUT
from convlin import ConvGeometry, ConvMatrix, Refused, Wire, unroll
from geometry_strategies import convolutions, integers
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, integer_matrix, probed


@pytest.fixture
def article():
    return ConvMatrix(ConvGeometry(1, 1, kernel=(3, 3)), KERNEL[None, None], (6, 6))


def test_the_articles_first_neuron_reads_nine_of_its_36_pixels(article):
    wires = article.wires((0, 0, 0))
    numbers = [1 + 6 * y + x for (_, y, x), _, _ in wires]
    assert numbers == [1, 2, 3, 7, 8, 9, 13, 14, 15]
    assert [wire.weight for wire in wires] == KERNEL.ravel().tolist()
    assert [wire.tap for wire in wires] == list(np.ndindex(3, 3))
    assert sum(IMAGE.ravel()[n - 1] * w.weight for n, w in zip(numbers, wires, strict=True)) == 3


def test_its_neighbour_has_the_same_weights_one_pixel_on(article):
    first, second = article.wires((0, 0, 0)), article.wires((0, 0, 1))
    for wire, next_wire in zip(first, second, strict=True):
        (c, y, x), tap, weight = wire
        assert next_wire == Wire((c, y, x + 1), tap, weight)


def test_the_articles_whole_output(article):
    assert (article @ IMAGE.ravel()).reshape(4, 4).tolist() == OUTPUT
    assert article.shape == (16, 36) and article.nnz == 16 * 9


@settings(max_examples=60)
@given(st.one_of(convolutions(max_kernel=3), convolutions(transposed=True, max_kernel=3)))
def test_wires_add_up_to_the_matrixs_rows(case):
    layer, size = case
    A = unroll(layer, size)
    expected = probed(A.geometry, A.weight, size).numpy()
    for row in {0, A.shape[0] // 2, A.shape[0] - 1}:
        own = np.zeros(A.input_shape)
        for wire in A.wires(row):
            own[wire.input] += wire.weight
        assert np.array_equal(own.ravel(), expected[row])


@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_every_wire_is_a_tap_that_reads_there(op):
    """In the order of channels and taps, each as `ConvGeometry.source` and the weight have it."""
    g = op.geometry
    to, of = g.out_channels // g.groups, g.in_channels // g.groups
    for row, (o, *cell) in enumerate(np.ndindex(*op.output_shape)):
        expected = []
        for c, tap in itertools.product(range(of), np.ndindex(*g.kernel)):
            channel = o // to * of + c
            first, second = (channel, o % to) if g.transposed else (o, c)
            pixel = [
                g.source(dim, op.input_size[dim], cell[dim], tap[dim]) for dim in range(g.ndim)
            ]
            if None not in pixel:
                weight = op.weight[(first, second, *tap)].item()
                expected.append(Wire((channel, *pixel), tap, weight))
        assert op.wires(row) == op.wires((o, *cell)) == tuple(expected)


def test_one_pixel_may_have_several_wires():
    geometry = ConvGeometry(1, 1, kernel=(3,), padding=1, padding_mode="replicate")
    A = ConvMatrix(geometry, np.array([[[5, 7, 11]]]), (4,))
    assert A.wires(0) == (Wire((0, 0), (0,), 5), Wire((0, 0), (1,), 7), Wire((0, 1), (2,), 11))


def test_a_wire_holds_plain_numbers():
    A = integer_matrix(2, 3, size=(4, 5), kernel=(2, 3))
    for output in ((1, 2, 0), [1, 2, 0], np.array([1, 2, 0]), np.int64(15), 15):
        wire = A.wires(output)[-1]
        assert wire == ((1, 3, 2), (1, 2), A.weight[1, 1, 1, 2].item())
        assert {type(n) for n in (*wire.input, *wire.tap)} == {int} and type(wire.weight) is float


WRONG = {
    "row": 27,
    "negative-row": -1,
    "enormous-row": 10**30,
    "channel": (3, 0, 0),
    "position": (0, 3, 0),
    "negative": (0, -1, 0),
    "too-few": (0, 1),
    "too-many": (0, 0, 0, 0),
    "fraction": (0, 0.5, 0),
    "bare-fraction": 1.7,
    "bare-whole-float": 1.0,
    "fraction-of-numpy": np.float64(0.5),
    "fraction-in-an-array": np.array(1.7),
    "none": None,
    "text": "first",
    "nested": [[0, 1, 2]],
}


@pytest.mark.parametrize("case", WRONG)
def test_an_output_that_is_not_there_is_refused(case):
    A = integer_matrix(2, 3, size=(4, 5), kernel=(2, 3))
    with pytest.raises(Refused) as refused:
        A.wires(WRONG[case])
    value = WRONG[case]
    shown = repr(value) if isinstance(value, str) else str(value)
    assert str(refused.value) == (
        f"wires: output is {shown}, expected (channel, *position) below (3, 3, 3), or a row "
        "below 27"
    )


def test_wires_need_no_matrix():
    """Of an operator that nobody may build, on a map of 100 million pixels."""
    geometry = ConvGeometry(1, 1, kernel=(3, 3), padding=1)
    A = ConvMatrix(geometry, integers(1, 1, 3, 3), (10_000, 10_001), memory_limit=1)
    assert [wire.input for wire in A.wires((0, 9_999, 10_000))] == [
        (0, 9_998, 9_999), (0, 9_998, 10_000), (0, 9_999, 9_999), (0, 9_999, 10_000),
    ]  # fmt: skip
