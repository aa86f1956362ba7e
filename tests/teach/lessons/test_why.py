"""Lesson 6 against loops: what shifts, what may be shuffled, and every window of the sheet alone."""

import numpy as np
import pytest
import torch
from torch import nn

from article import IMAGE, KERNEL
from convlin.demo.classifier import DigitClassifier, digit_classifier
from convlin.demo.sheet import compose, held_out_digits
from convlin.proof import Proved
from convlin.teach.example import article_example
from convlin.teach.numbers import dial, pointwise, why
from convlin.teach.numbers.shifts import Agreement
from convlin.teach.numbers.shuffles import LOCAL_KERNEL, ORDER
from teach.lessons.loops import correlate, moved


@pytest.fixture(scope="module")
def lesson():
    return why()


SHIFTS = {
    "plain": (1, 1, 0, 1),
    "strided": (1, 2, 0, None),
    "strided_twice": (2, 2, 0, 1),
    "padded": (1, 1, 1, None),
}


def by_hand(first, second):
    """How many outputs agree, for each number of columns, one output after the other."""
    rows, columns = first.shape
    found = {}
    for move in range(1 - columns, columns):
        pairs = [
            (first[row, column - move], second[row, column])
            for row in range(rows)
            for column in range(columns)
            if 0 <= column - move < columns
        ]
        found[move] = Agreement(sum(a == b for a, b in pairs), len(pairs))
    return found


@pytest.mark.parametrize("name", SHIFTS)
def test_shift(lesson, name):
    by, stride, padding, follows = SHIFTS[name]
    shift = getattr(lesson.shifts, name)
    kernel = KERNEL[None, None]
    first, second = (
        correlate(image[None], kernel, stride, padding)[0] for image in (IMAGE, moved(IMAGE, by))
    )
    assert (shift.by, shift.follows) == (by, follows)
    assert np.array_equal(shift.image, IMAGE) and np.array_equal(shift.moved, moved(IMAGE, by))
    assert np.array_equal(shift.outputs, first) and np.array_equal(shift.after, second)
    assert shift.compared == by_hand(first, second)


def test_what_the_lesson_says_of_shifts(lesson):
    shifts = lesson.shifts
    assert str(shifts.plain.compared[1]) == "12 of 12" and shifts.plain.compared[1].complete
    # Equivariant, not invariant: where they were, nearly all outputs changed.
    assert shifts.plain.compared[0] == Agreement(2, 16)
    assert shifts.plain.differing(1) == []
    assert [str(shifts.strided.compared[move]) for move in (-1, 0, 1)] == [
        "0 of 2", "0 of 4", "1 of 2"
    ]  # fmt: skip
    assert shifts.strided_twice.compared[1] == Agreement(2, 2)
    # Padding: only the last column may differ, where the moved image has lost its own.
    assert shifts.padded.compared[1] == Agreement(28, 30)
    assert shifts.padded.differing(1) == [(0, 5), (1, 5)]


def test_an_fc_layer_does_not_follow(lesson):
    shift = lesson.shifts.connected
    weights = np.array(dial(article_example()).positions[-1].after)
    for image, outputs in ((IMAGE, shift.outputs), (moved(IMAGE, 1), shift.after)):
        expected = [sum(w * x for w, x in zip(row, image.ravel(), strict=True)) for row in weights]
        assert outputs.ravel().tolist() == expected
    assert shift.follows is None
    assert shift.compared == by_hand(shift.outputs, shift.after)
    assert shift.compared[1] == Agreement(0, 12)
    assert len(shift.differing(1)) == 12
    assert shift.differing(-1) == [(row, column) for row in range(4) for column in range(3)]


def shuffled(values):
    return np.array([[[channel.ravel()[ORDER[3 * y + x]] for x in range(3)] for y in range(3)]
                     for channel in values])  # fmt: skip


def test_the_order_keeps_no_pixel_and_no_neighbours():
    assert sorted(ORDER) == list(range(9))
    sides = [(a, b) for a in range(9) for b in range(9)
             if abs(a // 3 - b // 3) + abs(a % 3 - b % 3) == 1]  # fmt: skip
    assert all(ORDER[place] != place for place in range(9))
    assert not any((ORDER[a], ORDER[b]) in sides for a, b in sides)


def test_shuffled_layers(lesson):
    shuffles = lesson.shuffles
    image = pointwise().map
    assert np.array_equal(shuffles.map, image) and shuffles.order == ORDER
    assert np.array_equal(shuffles.shuffled, shuffled(image))
    mixing = pointwise().mixing[:, :, None, None]
    for found, kernels, padding in (
        (shuffles.pointwise, mixing, 0), (shuffles.local, LOCAL_KERNEL, 1)
    ):  # fmt: skip
        first, second = (correlate(x, kernels, 1, padding) for x in (image, shuffled(image)))
        assert np.array_equal(found.outputs, first) and np.array_equal(found.after, second)
        assert found.same == Agreement(int((first == second).sum()), 18)
        assert found.alike == Agreement(int((shuffled(first) == second).sum()), 18)


def test_what_the_lesson_says_of_shuffles(lesson):
    shuffles = lesson.shuffles
    counts = {
        name: (str(getattr(shuffles, name).same), str(getattr(shuffles, name).alike))
        for name in ("flattened", "reordered", "pointwise", "local")
    }
    assert counts == {
        "flattened": ("0 of 18", "0 of 18"),
        "reordered": ("18 of 18", "0 of 18"),
        "pointwise": ("0 of 18", "18 of 18"),
        "local": ("0 of 18", "0 of 18"),
    }
    assert np.array_equal(shuffles.flattened.outputs, shuffles.reordered.outputs)
    assert np.array_equal(shuffles.reordered.outputs, shuffles.reordered.after)


def matrix_of(kernels, padding):
    """The matrix of a convolution on 3×3 maps, column by column: what it makes of one lit pixel."""
    lights = np.eye(27, dtype=int).reshape(27, 3, 3, 3)
    return np.array([correlate(light, kernels, 1, padding).ravel() for light in lights]).T


def test_no_shuffled_3x3_is_a_3x3(lesson):
    mixing = pointwise().mixing[:, :, None, None]
    columns, rows = ([9 * c + p for c in range(n) for p in ORDER] for n in (3, 2))
    for found, kernels, padding in (
        (lesson.shuffles.pointwise_reach, mixing, 0),
        (lesson.shuffles.local_reach, LOCAL_KERNEL, 1),
    ):
        matrix = matrix_of(kernels, padding)
        reached = matrix_of(np.ones_like(kernels), padding) != 0
        once = np.array([[matrix[r, c] for c in columns] for r in range(18)])
        twice = np.array([[matrix[r, c] for c in columns] for r in rows])
        assert found.weights == np.count_nonzero(matrix)
        assert found.off_columns == np.count_nonzero(once * ~reached)
        assert found.off_both == np.count_nonzero(twice * ~reached)
    assert np.array_equal(np.unique(LOCAL_KERNEL)[[0, -1]], [-4, 4]) and LOCAL_KERNEL.all()
    reach = lesson.shuffles.pointwise_reach, lesson.shuffles.local_reach
    assert [(r.weights, r.off_columns, r.off_both) for r in reach] == [(54, 54, 0), (294, 108, 132)]


def test_the_head(lesson):
    head = lesson.head
    assert (head.window, head.stride, head.classes) == ((32, 32), (4, 4), 11)
    assert head.fully_connected == ((48, 32 * 4 * 4), (11, 48))
    assert head.convolutions == ((48, 32, 4, 4), (11, 48, 1, 1))
    assert isinstance(head.proof, Proved) and head.proof.failure_probability < 1e-8
    assert head.map == ((96 - 32) // 4 + 1, (128 - 32) // 4 + 1) and head.windows == 17 * 25
    assert head.sheet.nbytes + head.best.nbytes + head.scores.nbytes <= 20_000
    # Four digits, none twice, all found and nothing else.
    assert len({digit.digit for digit in head.digits}) == len(head.digits) == head.right == 4


def test_every_window_alone(lesson):
    head = lesson.head
    model = digit_classifier().double()
    sheet = torch.from_numpy(head.sheet.astype(float) / 255)
    windows = [sheet[None, 4 * y : 4 * y + 32, 4 * x : 4 * x + 32] for y, x in np.ndindex(head.map)]
    with torch.inference_mode():
        scores = model(torch.stack(windows)).reshape(*head.map, 11)
    best = scores.argmax(2)
    assert np.array_equal(head.best, best.numpy())
    top = scores.amax(2).numpy()
    # Rounded to whole numbers; the map may be off by what rounding in float64 explains.
    assert (abs(head.scores - top) <= 0.5 + head.bound).all() and head.scores.shape == head.map
    y, x = head.cell
    assert head.own == pytest.approx(scores[y, x].tolist(), rel=0, abs=head.bound)
    assert head.there == pytest.approx(scores[y, x].tolist(), rel=0, abs=head.bound)
    assert head.best[y, x] < 10 and any(d.digit == head.best[y, x] for d in head.digits)
    assert head.within and 0 < head.largest <= head.bound < 1e-6
    centre = 4 * y + 16, 4 * x + 16
    near = min(head.digits, key=lambda d: abs(d.y - centre[0]) + abs(d.x - centre[1]))
    assert near.digit == head.best[y, x]


def multiply_adds(size):
    """Products of all layers at a size, from their weights and the sizes of their outputs."""
    model = DigitClassifier()
    total, (h, w) = 0, size
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):
            h, w = (n - layer.kernel_size[0] + 1 for n in (h, w))
            total += layer.weight.numel() * h * w
        elif isinstance(layer, nn.MaxPool2d):
            h, w = h // 2, w // 2
    cells = (h - 3) * (w - 3)
    return total + (model.hidden.weight.numel() + model.output.weight.numel()) * cells


def test_the_multiply_adds(lesson):
    head = lesson.head
    assert head.multiply_adds == (multiply_adds((96, 128)), multiply_adds((32, 32)) * 425)
    assert head.ratio == head.multiply_adds[1] / head.multiply_adds[0]
    assert round(head.ratio, 1) == 9.6


def test_the_sheet_is_the_demos(lesson):
    drawn = compose(*held_out_digits(), (96, 128), seed=31)
    assert lesson.head.digits == drawn.digits
    assert abs(lesson.head.sheet / 255 - drawn.image).max() <= 0.5 / 255 + 1e-6
