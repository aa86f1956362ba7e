"""The numbers of every lesson against loops and linear algebra that share no code with convlin."""

import numpy as np
import pytest

from article import IMAGE, KERNEL, MAP, MIXING, OUTPUT, RAISING
from convlin.proof import Proved, Refuted
from convlin.teach.example import Example, article_example
from convlin.teach.numbers import full_size, pointwise, sharing, sparse, uses
from rounding import STABLE, agree, approx, gamma
from teach.lessons.loops import by_tap, rows_of, windows_of


def test_the_articles_example():
    lesson = sparse(article_example())
    assert np.array_equal(lesson.example.image, IMAGE)
    assert np.array_equal(lesson.example.kernel, KERNEL)
    assert np.array_equal(lesson.example.outputs, OUTPUT)
    assert (lesson.value, lesson.numbers) == (3, (1, 2, 3, 7, 8, 9, 13, 14, 15))
    assert (lesson.one.free, lesson.layer.free, lesson.conv.free, lesson.conv.rank) == (
        35,
        560,
        0,
        9,
    )
    assert (lesson.entries, lesson.in_matrix) == (144, 576)
    weights = sharing(lesson.example).weights
    assert (weights["conv"], weights["local"], weights["linear"]) == (9, 144, 576)


def test_wires_and_outputs(example, lesson):
    matrix, taps, size = rows_of(example)
    assert example.outputs.shape == size
    image = example.image.ravel()
    terms = abs(matrix) @ abs(image)
    assert agree(example.outputs.ravel(), matrix @ image, 2 * len(image), terms)
    assert (lesson.entries, lesson.in_matrix) == (len(taps), matrix.size)
    row = example.neuron[0] * size[1] + example.neuron[1]
    read = [[pixel for at, pixel in taps if at == r] for r in range(len(matrix))]
    most = [r for r in range(len(matrix)) if len(read[r]) == max(map(len, read))]
    values = abs(example.outputs.ravel())
    assert row == min(r for r in most if values[r] == values[most].max())
    assert sorted(lesson.numbers) == [pixel + 1 for pixel in sorted(read[row])]
    assert np.array_equal(lesson.weights.ravel(), matrix[row])
    wires = example.wires(example.neuron)
    assert {y * example.image.shape[1] + x: tap for (y, x), (tap, _) in wires.items()} == {
        pixel: tap for (at, pixel), tap in taps.items() if at == row
    }
    assert all(weight == example.kernel.flat[tap] for tap, weight in wires.values())
    assert isinstance(lesson.proof, Proved)


def test_families(example, lesson):
    matrix, _, _ = rows_of(example)
    image = example.image.ravel()
    lit = int(image.any())
    assert (lesson.one.unknowns, lesson.one.rank) == (image.size, lit)
    assert lesson.layer.free == len(matrix) * (image.size - lit)
    for count, known in lesson.known:
        rank = np.linalg.matrix_rank(np.vstack([image, np.eye(image.size)[:count]]))
        assert (known.rank, known.free) == (rank, image.size - rank)
    assert lesson.known[-1][1].free == 0
    windows = windows_of(example)
    assert lesson.conv.rank == np.linalg.matrix_rank(windows)
    assert lesson.conv.free == example.kernel.size - lesson.conv.rank


def whole(example):
    return all((a == a.round()).all() for a in (example.image, example.kernel))


def test_other_weights_with_the_same_output(example, lesson):
    if lesson.other is None:
        assert example.pixels == 1 and example.image.any()
        return
    other, weights = lesson.other, lesson.other.weights
    scale = 1 + np.abs(weights) @ np.abs(example.image).T
    size = scale.max() * example.pixels
    assert agree((weights * example.image).sum(), lesson.value, STABLE * example.pixels, size)
    assert agree(other.value, lesson.value, STABLE * example.pixels, size)
    if whole(example):
        assert other.rounding is None and np.array_equal(weights, weights.round())
        assert other.value == lesson.value
        terms = zip(weights.ravel(), example.image.ravel(), strict=True)
        assert sum(int(w) * int(x) for w, x in terms) == lesson.value
    else:
        assert other.rounding.within
    differ = np.abs(weights - lesson.weights).ravel()
    assert differ[other.pixel - 1] == differ.max() > 0
    assert other.own_there == lesson.weights.ravel()[other.pixel - 1]
    assert other.other_there == weights.ravel()[other.pixel - 1]


def test_what_is_free_after_every_window(example, lesson):
    windows = windows_of(example)
    free = [
        example.kernel.size - np.linalg.matrix_rank(windows[: count + 1])
        for count in range(len(windows))
    ]
    assert lesson.windows == tuple(free[: free.index(free[-1]) + 1])


def test_how_often_weights_are_used(example):
    _, taps, size = rows_of(example)
    lesson = sharing(example)
    uses = [len(rows) for rows, _ in by_tap(taps).values()]
    assert lesson.most == max(uses, default=0)
    assert lesson.idle == size[0] * size[1] * example.kernel.size - len(taps)
    assert lesson.taps == example.kernel.size


def test_the_first_step_of_training(example):
    matrix, taps, _ = rows_of(example)
    lesson, image = sharing(example), example.image.ravel()
    gradient = np.outer(matrix @ image, image)
    if not gradient.any():
        assert not lesson.steps
        return
    support = np.zeros(matrix.shape, bool)
    shared = np.zeros(matrix.shape)
    for places in by_tap(taps).values():
        support[places] = True
        shared[places] = gradient[places].mean()
    local = np.where(support, gradient, 0)
    for form, step in (("local", local), ("linear", gradient)):
        parts = [np.sum(part**2) for part in (shared, local - shared, step - local)]
        expected = np.array(parts) / (sum(parts) or 1)
        assert lesson.steps[form].fractions == approx(expected, 0, abs=gamma(4 * example.pixels))
    assert lesson.steps["conv"].fractions[1:] == approx((0, 0), 0, abs=gamma(4 * example.pixels))


def test_weights_of_the_forms(example):
    weights = sharing(example).weights
    outputs = len(rows_of(example)[0])
    assert weights["conv"] == example.kernel.size
    assert weights["local"] == outputs * example.kernel.size
    assert weights["linear"] == outputs * example.image.size


def test_lesson_3():
    lesson = pointwise()
    assert np.array_equal(lesson.map, MAP) and np.array_equal(lesson.mixing, MIXING)
    assert np.array_equal(lesson.outputs, np.einsum("oc,cyx->oyx", lesson.mixing, lesson.map))
    weights = lesson.weights
    assert (weights["conv"], weights["local"], weights["linear"]) == (6, 9 * 6, 27 * 18)
    assert (lesson.over_channels, lesson.flat, lesson.matrix.nnz) == (2 * 3, (27, 18), 54)
    assert isinstance(lesson.proof, Proved) and lesson.proof.failure_probability < 1e-9


def test_lesson_4():
    lesson = full_size()
    assert (lesson.each, lesson.all, lesson.linear) == (27, 81, 81)
    assert (lesson.one_channel, lesson.linear_one_channel, lesson.features) == (27, 27, 27)
    for order, axes in (("CHW", (0, 1, 2)), ("HWC", (1, 2, 0))):
        vector = np.arange(27).reshape(3, 3, 3).transpose(axes).ravel()
        assert [int(lesson.orders[order].ravel()[e]) for e in vector] == list(range(1, 28))
    assert isinstance(lesson.proof, Proved) and isinstance(lesson.mistaken, Refuted)
    found = lesson.mistaken.counterexample
    own, other = (lesson.orders[order][found.input] for order in ("CHW", "HWC"))
    assert (found.expected, found.got) == (own + 27 * found.output[0], other + 27 * found.output[0])
    assert np.array_equal(lesson.map, MAP)
    kernels = lesson.kernels
    assert kernels.shape == (3, 3, 3, 3) and np.array_equal(kernels, kernels.round())
    assert len({tuple(kernel.ravel()) for kernel in kernels.reshape(9, 9)}) == 9
    for output, kernel in enumerate(kernels):
        total = sum(int(kernel[at]) * int(MAP[at]) for at in np.ndindex(3, 3, 3))
        assert lesson.values[output] == total
    assert lesson.fits == tuple(n - 3 + 1 for n in lesson.larger)


def test_lesson_5():
    lesson = uses()
    assert (lesson.locality.positions, lesson.locality.pointwise, lesson.locality.flattened) == (
        9,
        1,
        9,
    )
    assert lesson.locality.shuffled
    assert [size.flattened for size in lesson.sizes] == [True, False, False]
    assert all(size.size == size.pointwise for size in lesson.sizes)
    wide = lesson.channels
    assert (wide.input, wide.output, wide.reads) == ((100, 448, 448), (20, 448, 448), 100)
    assert (wide.weights, wide.multiply_adds) == (2000, 448 * 448 * 100 * 20)
    assert wide.flattened == 448**4 * 100 * 20


def test_two_pointwise_layers_collapse_and_a_relu_keeps_them_apart():
    found = uses().collapse
    assert np.array_equal(found.first, RAISING)
    assert np.array_equal(found.product, found.second @ found.first)
    assert isinstance(found.proof, Proved)
    one, other = found.pixels

    def activated(pixel):
        return found.second @ np.maximum(found.first @ pixel, 0)

    assert np.array_equal(found.plain[0], found.product @ one + found.product @ other)
    assert np.array_equal(found.plain[1], found.product @ (one + other))
    assert np.array_equal(found.activated[0], activated(one) + activated(other))
    assert np.array_equal(found.activated[1], activated(one + other))
    assert np.array_equal(*found.plain) and not np.array_equal(*found.activated)


REFUSED = {
    "no-rows": ({"image": np.zeros((0, 3))}, "--image: size is 0×3, expected 1×1 to 32×32 (the lessons count every wire)"),
    "large": ({"image": np.zeros((4, 33))}, "--image: size is 4×33, expected 1×1 to 32×32 (the lessons count every wire)"),
    "number": ({"kernel": np.array([[1, -2e6]])}, "--kernel: number in row 1, column 2 is -2000000.0, expected a number from -1,000,000 to 1,000,000"),
    "kernel": ({"kernel": np.zeros((2, 7))}, "--kernel: size is 2×7, expected one that covers at most 6×6, the image with its padding (it covers 2×7)"),
    "dilation": ({"dilation": (3, 1), "padding": (0, 1)}, "--kernel: size is 3×3, expected one that covers at most 6×8, the image with its padding (it covers 7×3 with dilation 3×1)"),
    "outputs": ({"padding": (15, 0)}, "--padding: output size is 34×4, expected at most 32×32 (the lessons count every wire)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_examples_that_do_not_fit(case):
    fields, words = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        Example(**{"image": IMAGE.astype(float), "kernel": KERNEL.astype(float)} | fields)
    assert str(caught.value) == words
