"""Lessons in a terminal: 80 cells, with and without colour, and Chinese broken where it may be."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from convlin.teach.example import Example, article_example
from convlin.teach.lessons import lessons
from convlin.teach.terminal.lesson_terminal import Screen
from convlin.teach.terminal.wrapping import CLOSING, OPENING, wrap
from convlin.teach.words import Words
from teach.lessons.examples import EXAMPLES


def drawn(document, width=80, **options):
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, **options).print(Screen(document))
    return file.getvalue()


def test_80_cells_and_no_colour_in_a_pipe(document):
    text = drawn(document)
    assert 70 < max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_no_color_keeps_colours_away(document, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "38;2;" not in drawn(document, force_terminal=True, color_system="truecolor")


def test_taps_are_coloured(document):
    text = drawn(document, force_terminal=True, color_system="truecolor")
    assert "48;2;0;114;178m a " not in text  # the letter and its space, nothing before them
    assert text.count("48;2;0;114;178ma ") == 16  # tap 1 of 9, once for each output


def test_the_lesson_in_letters():
    text = drawn(lessons("en", [1]))
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("a b c", ". "))]
    assert len(rows) == 16 and all(len(row) == 36 for row in rows)
    for index, row in enumerate(rows):
        y, x = divmod(index, 4)
        for tap, letter in enumerate("abcdefghi"):
            assert row[(y + tap // 3) * 6 + x + tap % 3] == letter
        assert row.count(".") == 27


def test_what_colour_marks_is_marked_without():
    lines = drawn(lessons("en", [1])).splitlines()
    assert "   1  0  0  0  0  1        1  -1  -1       [3] -1  -3  -1" in lines
    assert "   -2   6 [10]" in drawn(lessons("en", [3]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_any_example_fits(name):
    document = lessons("zh", [1, 2], EXAMPLES[name]())
    for width in (80, 200):
        text = drawn(document, width)
        assert max(map(cell_len, text.splitlines())) <= 80


def test_a_part_of_a_large_image_says_which():
    text = drawn(lessons("en", [1], EXAMPLES["large"]()))
    # The output told begins three rows and columns in: its window is in the middle of the part.
    assert text.count("(rows 4 to 11 of 14, columns 3 to 11 of 17)") == 2


WORDS = st.text("ab1, .()，。（）“”权重卷积-", max_size=60)


@given(text=WORDS, width=st.integers(12, 40))
def test_wrapping_loses_nothing_and_keeps_marks_with_their_words(text, width):
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for before, line in itertools.pairwise(lines):
        assert cell_len(line) <= max(width, cell_len(max(line.split(" "), key=len)))
        assert " " in text or not (line[0] in CLOSING and cell_len(before) < width)
        assert " " in text or before[-1] not in OPENING


def test_chinese_breaks_between_ideographs_not_in_numbers():
    assert wrap("共有 1,234,567 个权重，全部共享。", 12) == [
        "共有",
        "1,234,567 个",
        "权重，全部共",
        "享。",
    ]


def test_a_sum_of_rounded_numbers_is_not_said_to_be_equal():
    image, kernel = np.array([[0.12345, 2.0]]), np.array([[1234.5, -0.5]])
    text = drawn(lessons("en", [1], Example(image, kernel)))
    assert "    1234·0.123 + (-0.5)·2 ≈ 151\n" in text
    text = drawn(lessons("en", [1], Example(np.array([[0.25, 2.0]]), np.array([[3.0, -0.5]]))))
    assert "    3·0.25 + (-0.5)·2 = -0.25\n" in text


def flat(text):
    """A text on one line, without the marks of rulings."""
    return " ".join(text.replace("▌", "").split())


def said(key, **fields):
    return flat(Words("en")(f"sparse.{key}", **fields))


def test_what_rounding_leaves_of_zero_is_zero():
    zero = Example(article_example().image, np.zeros((1, 1)))
    assert said("other_same", value="0") in flat(drawn(lessons("en", [1], zero)))
    decimal = Example(article_example().image / 3, np.array([[0.0]]))
    text = flat(drawn(lessons("en", [1], decimal)))
    start = said("other_close", value="0", own="0", difference="@", bound="").partition("@")[0]
    assert start in text


def test_a_step_that_moves_nothing_is_not_said_to_split():
    words, dark = Words("en"), flat(drawn(lessons("en", [2], EXAMPLES["dark"]())))
    assert flat(words("sharing.still")) in dark and flat(words("sharing.splits")) not in dark


def test_zeros_are_only_said_to_be_most_where_they_are():
    one, dark, article = (
        flat(drawn(lessons("en", [1], EXAMPLES[name]())))
        for name in ("one-pixel", "dark", "article")
    )
    assert said("answer_few", rows=4, columns=12) in dark
    assert said("answer", rows=16, columns=36) in article
    assert said("answer_dense") in one and said("stored_all", all=1) in one


def test_a_kernel_of_more_weights_than_letters_says_what_its_sign_is():
    large = flat(drawn(lessons("en", [1], EXAMPLES["large"]())))
    assert said("matrix_many") in large and said("matrix") not in large
