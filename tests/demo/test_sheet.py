"""Sheets: digits where the truth says, never touching, the same for the same seed."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from convlin import Refused
from convlin.demo.sheet import compose, held_out_digits
from rounding import STABLE, agree

IMAGES, LABELS = held_out_digits()


def test_the_shipped_digits_are_the_quarter_the_script_holds_out():
    digits = load_digits()
    _, images, _, labels = train_test_split(
        digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
    )
    assert len(images) == 450
    assert np.array_equal(IMAGES, images) and np.array_equal(LABELS, labels)
    assert IMAGES.dtype == LABELS.dtype == np.uint8


@given(st.integers(0, 10**9), st.integers(60, 300), st.integers(60, 300))
def test_digits_lie_inside_and_apart(seed, height, width):
    sheet = compose(IMAGES, LABELS, (height, width), seed=seed)
    assert sheet.image.shape == (height, width) and sheet.image.dtype == np.float32
    assert sheet.image.min() >= 0 and sheet.image.max() <= 1
    wanted = max(1, height * width // 2600)
    assert 0.8 * wanted <= len(sheet.digits) <= wanted
    for digit in sheet.digits:
        assert 14 <= digit.y <= height - 14 and 14 <= digit.x <= width - 14
    for a, b in combinations(sheet.digits, 2):
        assert max(abs(a.y - b.y), abs(a.x - b.x)) >= 29  # 30, rounded to pixels at both ends


def test_ink_is_where_the_truth_says():
    sheet = compose(IMAGES, LABELS, (200, 310), seed=4)
    paper = np.median(sheet.image)
    ys, xs = np.nonzero(sheet.image < paper - 0.25)
    near = [
        any(max(abs(y - d.y), abs(x - d.x)) <= 15 for d in sheet.digits)
        for y, x in zip(ys, xs, strict=True)
    ]
    assert all(near)
    for digit in sheet.digits:
        assert any(
            max(abs(y - digit.y), abs(x - digit.x)) <= 12 for y, x in zip(ys, xs, strict=True)
        )


def test_the_seed_is_the_sheet():
    one, same, other = (compose(IMAGES, LABELS, (90, 120), seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(one.image, same.image) and one.digits == same.digits
    assert one.digits != other.digits


def test_every_image_is_used_once_before_any_is_used_again():
    few, kinds = IMAGES[:7], np.arange(7, dtype=np.uint8)
    sheet = compose(few, kinds, (300, 300), count=17, seed=2)
    written = [digit.digit for digit in sheet.digits]
    assert sorted(written[:7]) == sorted(written[7:14]) == list(range(7))
    assert len(set(written[14:])) == 3


def test_a_digit_is_drawn_as_it_is():
    """Scaled down again, the ink of a lone digit resembles its 8x8 original."""
    alike = 0
    for index in range(30):
        sheet = compose(
            IMAGES[index : index + 1], LABELS[index : index + 1], (32, 32), count=1, seed=index
        )
        (digit,) = sheet.digits
        top, left = int(digit.y - 12), int(digit.x - 12)
        cells = 1 - sheet.image[top : top + 24, left : left + 24].reshape(8, 3, 8, 3).mean((1, 3))
        alike += np.corrcoef(cells.ravel(), IMAGES[index].ravel())[0, 1] > 0.85
    assert alike == 30


def test_what_does_not_fit_is_refused():
    with pytest.raises(Refused, match=r"sheet: size is 29x400, expected at least 30x30"):
        compose(IMAGES, LABELS, (29, 400))
    with pytest.raises(
        Refused, match=r"sheet: count is 40, expected at most \d+ \(no free place found for more\)"
    ):
        compose(IMAGES, LABELS, (100, 100), count=40)


def test_a_seed_is_the_same_sheet_as_ever():
    """Pictures and documents name seeds: what a sheet is drawn with changes what they show."""
    sheet = compose(IMAGES, LABELS, (120, 160), seed=1)
    assert [(digit.y, digit.x, digit.digit) for digit in sheet.digits] == [
        (61.5, 138.5, 7), (28.0, 138.0, 1), (43.5, 70.5, 1), (89.5, 68.5, 4), (64.5, 18.5, 8),
        (102.0, 109.0, 6), (32.0, 26.0, 0),
    ]  # fmt: skip
    # Pixels are float32: a few roundings each, which do not add up to more of their sum.
    assert agree(sheet.image.sum(), 16071.444, 8, 16071.444)
    assert agree(sheet.image[40, 50], 0.87617177, STABLE, 1)


def test_a_sheet_is_begun_anew_eight_times(monkeypatch):
    attempts = []

    def blocked(rng, size, count):
        attempts.append(count)
        return np.empty((0, 2))

    monkeypatch.setattr("convlin.demo.sheet._scatter", blocked)
    with pytest.raises(Refused, match="count is 2, expected at most 0"):
        compose(IMAGES, LABELS, (90, 90), count=2)
    assert attempts == [2] * (1 + 8)
