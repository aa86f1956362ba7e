"""The dial against loops: which weight is where, and where one step takes each form, exactly."""

from fractions import Fraction

import numpy as np

from convlin.teach.example import article_example
from convlin.teach.numbers import dial, sharing
from rounding import agree, gamma
from teach.lessons.loops import by_tap, rows_of


def test_the_three_positions_of_the_article():
    lesson = dial(article_example())
    assert [(p.form, p.weights) for p in lesson.positions] == [
        ("conv", 9),
        ("local", 144),
        ("linear", 576),
    ]
    assert lesson.rate == 1 / 8
    conv, local, linear = lesson.positions
    assert conv.different == (1,) * 9
    assert min(local.different) > 1 and local.different == linear.different


def test_which_weight_is_where(example):
    matrix, taps, _ = rows_of(example)
    wanted = {form: np.full(matrix.shape, -1) for form in ("conv", "local", "linear")}
    for (row, pixel), tap in taps.items():
        wanted["conv"][row, pixel] = tap
        wanted["local"][row, pixel] = row * example.kernel.size + tap
    wanted["linear"] = np.arange(matrix.size).reshape(matrix.shape)
    for position in dial(example).positions:
        assert position.owner == wanted[position.form].tolist()
        assert np.array_equal(position.before, matrix)


def fractions(array):
    return [[Fraction(float(value)) for value in row] for row in array]


def test_the_articles_step_in_fractions():
    example = article_example()
    matrix, taps, _ = rows_of(example)
    image = [int(pixel) for pixel in example.image.ravel()]
    outputs = [sum(int(w) * x for w, x in zip(row, image, strict=True)) for row in matrix]
    lesson = dial(example)
    rate = Fraction(lesson.rate)
    shared = [
        sum(outputs[row] * image[pixel] for (row, pixel), at in taps.items() if at == tap)
        for tap in range(9)
    ]
    for position in lesson.positions:
        after = fractions(position.after)
        for row, pixel in np.ndindex(matrix.shape):
            step = outputs[row] * image[pixel]
            if position.form != "linear":
                step *= (row, pixel) in taps
            if position.form == "conv":
                step = shared[taps[row, pixel]] if (row, pixel) in taps else 0
            assert after[row][pixel] == int(matrix[row, pixel]) - rate * step
        now = [sum(w * x for w, x in zip(row, image, strict=True)) for row in after]
        losses = [Fraction(sum(y * y for y in ys), 2) for ys in (outputs, now)]
        assert [Fraction(loss) for loss in position.losses] == losses
        places = by_tap(taps).values()
        assert position.different == tuple(
            len({after[r][p] for r, p in zip(*place, strict=True)}) for place in places
        )


def test_every_step_lowers_every_loss(example):
    lesson = dial(example)
    for position in lesson.positions:
        before, after = position.losses
        assert after < before if position.step else after == before
        assert position.weights == sharing(example).weights[position.form]


def test_twice_the_rate_would_raise_a_loss(example):
    """The rate is the largest power of two: at the next, one loss does not fall."""
    lesson = dial(example)
    image = example.image.ravel()
    if lesson.positions[0].step is None:
        return
    raised = []
    for position in lesson.positions:
        before, after = np.array(position.before), np.array(position.after)
        outputs = before @ image + 2 * ((after - before) @ image)
        raised.append(outputs @ outputs / 2 >= position.losses[0] * (1 - gamma(16 * image.size)))
    assert any(raised)


def test_the_steps_are_those_of_lesson_2(example):
    steps = sharing(example).steps
    for position in dial(example).positions:
        if position.step is None:
            assert not steps and position.after == position.before
            continue
        assert position.step.fractions == steps[position.form].fractions
        step = np.array(position.before) - np.array(position.after)
        norm = np.sqrt(position.step.total) * dial(example).rate
        rounded = np.linalg.norm(position.before) + np.linalg.norm(position.after)
        assert agree(np.linalg.norm(step), norm, 4 * step.size, norm + rounded)
