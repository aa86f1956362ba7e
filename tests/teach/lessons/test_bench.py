"""The bench against loops: which weights are free, and exact ranks by fractions and by chance."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from article import IMAGE
from convlin.teach.example import Example, article_example
from convlin.teach.numbers import sparse
from convlin.teach.numbers.bench import (
    MOST_TAPS,
    Equation,
    bench,
    freedom_by_images,
    freedom_by_windows,
    images_that_count,
    other_whole,
)
from convlin.teach.pictures import KERNELS, PICTURES
from rounding import agree
from teach.lessons.loops import rows_of, windows_of


def exact_rank(rows):
    """The rank by Gauss's elimination in fractions, columns from the left."""
    rows = [[Fraction(float(value)) for value in row] for row in rows]
    rank = 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] / rows[rank][column]
            if factor:
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def test_the_articles_open_question():
    found = bench(article_example())
    assert str(found.window) == "w1 + w8 + w15 = 3"
    assert (found.coloured_lit, found.coloured_dark) == ((1, 8, 15), (2, 3, 7, 9, 13, 14))
    lit = tuple(int(pixel) + 1 for pixel in np.flatnonzero(IMAGE))
    assert [number for number, _ in found.whole.terms] == list(lit)
    # Of 36 weights 12 meet a lit pixel: of the 27 grey ones 9, and 18 are free one by one.
    assert set(lit) == {*found.coloured_lit, *found.grey_lit}
    assert (len(found.grey_lit), len(found.grey_dark)) == (9, 18)
    assert (found.free_coloured, found.free) == (9 - 1, 36 - 1)


def test_what_is_free(example, lesson):
    matrix, taps, size = rows_of(example)
    pixels = example.image.ravel()
    for row, neuron in enumerate(np.ndindex(*size)):
        found = bench(example, neuron)
        groups = found.coloured_lit, found.coloured_dark, found.grey_lit, found.grey_dark
        window = {pixel for at, pixel in taps if at == row}
        wanted = [[], [], [], []]
        for pixel, value in enumerate(pixels):
            wanted[2 * (pixel not in window) + (value == 0)].append(pixel + 1)
        assert [list(group) for group in groups] == wanted
        for equation in (found.window, found.whole):
            terms = [(matrix[row, number - 1], pixel) for number, pixel in equation.terms]
            scale = sum(abs(weight * pixel) for weight, pixel in terms)
            total = sum(weight * pixel for weight, pixel in terms)
            assert agree(total, equation.value, 2 * len(pixels), scale)
            assert all(pixel == pixels[number - 1] != 0 for number, pixel in equation.terms)
        rank = int(any(pixels[list(window)]))
        assert found.free_coloured == len(window) - rank
        assert found.free == lesson.one.free
    assert bench(example).neuron == example.neuron


EQUATIONS = {
    "w1 = 2": ([(1, 1)], 2),
    "-w3 + 2.5·w4 - 7·w9 = -1": ([(3, -1), (4, 2.5), (9, -7)], -1),
    "0 = 0": ([], 0),
}


@pytest.mark.parametrize("text", EQUATIONS)
def test_an_equation_in_writing(text):
    terms, value = EQUATIONS[text]
    assert str(Equation(tuple((n, float(x)) for n, x in terms), float(value))) == text


def test_one_more_image_takes_one_freedom_each(example):
    image = example.image
    lights = images_that_count(image)
    rows = [image.ravel(), *np.eye(image.size)[lights]]
    free = freedom_by_images(image)
    lit = bool(image.any())
    assert free == list(range(image.size - lit, -1, -1))
    assert lights == sorted(set(lights)) and len(lights) == image.size - lit
    for count in {1, 2, len(rows) // 2, len(rows)} - {0}:
        if count <= len(rows) and image.size <= 50:
            assert free[count - 1] == image.size - exact_rank(rows[:count])


def test_the_articles_images_and_windows():
    example = article_example()
    assert freedom_by_images(example.image) == list(range(35, -1, -1))
    assert images_that_count(example.image)[-1] == 35 and 34 not in images_that_count(IMAGE)
    assert freedom_by_windows(example) == [8, 7, 6, 5, 4, 3, 2, 1, 0] + [0] * 7


def test_every_window_of_the_same_kernel(example):
    windows = windows_of(example)
    free = freedom_by_windows(example)
    assert free == [example.kernel.size - exact_rank(windows[: i + 1]) for i in range(len(windows))]
    assert free[-1] == sparse(example).conv.free


def test_windows_of_a_picture():
    for name, picture in PICTURES.items():
        example = Example(picture.astype(float), KERNELS["edge"].astype(float))
        free = freedom_by_windows(example)
        windows = windows_of(example)
        assert len(free) == len(windows), name
        for count in (1, 9, 40, len(windows)):
            assert free[count - 1] == 9 - np.linalg.matrix_rank(windows[:count])


def test_tiny_parts_count_in_exact_ranks():
    """Two windows that floating-point rank takes for one."""
    image = np.array([[1.0, 1, 1, 1 + 2**-50]])
    example = Example(image, np.array([[1.0, -2]]))
    assert np.linalg.matrix_rank(windows_of(example)) == 1
    assert freedom_by_windows(example) == [1, 1, 0]


def test_a_large_kernel_is_not_ranked():
    side = int(MOST_TAPS**0.5)
    image = np.random.default_rng(0).integers(0, 10, (side + 2, side + 3)).astype(float)
    assert freedom_by_windows(Example(image, np.ones((side, side + 1)))) is None
    free = freedom_by_windows(Example(image, np.ones((side, side))))
    assert free == [side * side - 1 - i for i in range(12)]


def whole(example):
    return all((a == a.round()).all() for a in (example.image, example.kernel))


def require_other(example):
    """Check other whole weights of the neuron, in Python's integers."""
    matrix, _, size = rows_of(example)
    row = example.neuron[0] * size[1] + example.neuron[1]
    own, image = (list(map(int, a.ravel())) for a in (matrix[row], example.image))
    found = other_whole(example)
    if found is None:
        assert sum(map(bool, image)) == len(image) == 1
        return None
    weights = found.ravel().tolist()
    assert found.shape == example.image.shape and np.issubdtype(found.dtype, np.integer)
    assert sum(w * x for w, x in zip(weights, image, strict=True)) == sum(
        w * x for w, x in zip(own, image, strict=True)
    )
    assert weights != own
    assert all(w not in (0, v) for w, v, x in zip(weights, own, image, strict=True) if not x)
    return found


def test_other_whole_weights(example):
    if whole(example):
        require_other(example)
    else:
        assert other_whole(example) is None


def test_other_whole_weights_of_the_article():
    found = require_other(article_example())
    assert (found.flat[0], found.flat[7], found.flat[14]) == (3, 0, 0)
    assert np.count_nonzero(found) == 1 + 24  # the lit pixel that bears all, and all dark ones


@pytest.mark.parametrize("seed", range(40))
def test_other_whole_weights_of_drawn_examples(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(-6, 7, (3, 4)) * (rng.random((3, 4)) < rng.choice([0.2, 0.6, 1.1]))
    kernel = rng.integers(-4, 5, (2, 3))
    example = Example(image.astype(float), kernel.astype(float), padding=(0, 1))
    require_other(example)


LIT = {
    "one-pixel-alone": [[5.0]],
    "coprime": [[2.0, 3.0]],
    "no-divisor": [[4.0, 6.0, 9.0]],
    "all-alike": [[7.0, 7.0, 7.0]],
}


@pytest.mark.parametrize("case", LIT)
def test_other_whole_weights_without_dark_pixels(case):
    image = np.array(LIT[case])
    require_other(Example(image, np.array([[1.0]])))
    require_other(Example(image, np.full((1, image.shape[1]), -2.0)))


def test_other_weights_of_decimals_are_not_whole():
    article = article_example()
    assert other_whole(replace(article, image=article.image / 2)) is None
    assert other_whole(replace(article, kernel=article.kernel / 2)) is None
