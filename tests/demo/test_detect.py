"""Peaks and matching, against slow and plain twins."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlin.demo.detect import find_digits, score
from convlin.demo.sheet import Digit
from convlin.geometry import ReceptiveField
from rounding import approx, gamma

FIELD = ReceptiveField((32, 32), (4, 4), (0, 0))
places = st.builds(Digit, st.integers(0, 30), st.integers(0, 30), st.integers(0, 2))


def every_matching(found, true):
    """Yield every way to pair detections with different true digits of the same kind nearby."""
    padded = list(range(len(true))) + [None] * len(found)
    for choice in set(permutations(padded, len(found))):
        pairs = [(a, b) for a, b in enumerate(choice) if b is not None]
        if all(
            found[a].digit == true[b].digit
            and ((found[a].y - true[b].y) ** 2 + (found[a].x - true[b].x) ** 2) ** 0.5 <= 8
            for a, b in pairs
        ):
            yield pairs


@given(st.lists(places, max_size=4), st.lists(places, max_size=4))
def test_the_matching_is_the_best_of_all(found, true):
    def length(pairs):
        return sum(
            ((found[a].y - true[b].y) ** 2 + (found[a].x - true[b].x) ** 2) ** 0.5 for a, b in pairs
        )

    best = min(every_matching(found, true), key=lambda pairs: (-len(pairs), length(pairs)))
    result = score(found, true)
    assert len(result.matches) == len(best)
    assert length(result.matches) == approx(length(best), 2 * len(best) + 4)
    assert list(result.matches) in [sorted(pairs) for pairs in every_matching(found, true)]
    assert sorted([a for a, _ in result.matches] + list(result.false)) == list(range(len(found)))
    assert sorted([b for _, b in result.matches] + list(result.missed)) == list(range(len(true)))


SCORES = {
    "nothing-there-nothing-found": ([], [], 1.0, 1.0),
    "all-missed": ([], [Digit(3, 3, 1)], 1.0, 0.0),
    "all-false": ([Digit(3, 3, 1)], [], 0.0, 1.0),
    "wrong-kind": ([Digit(3, 3, 1)], [Digit(3, 3, 2)], 0.0, 0.0),
    "at-the-limit": ([Digit(3, 11, 1)], [Digit(3, 3, 1)], 1.0, 1.0),
    "beyond-the-limit": ([Digit(3, 11.01, 1)], [Digit(3, 3, 1)], 0.0, 0.0),
    "found-twice": ([Digit(3, 3, 1), Digit(4, 3, 1)], [Digit(3, 3, 1)], 0.5, 1.0),
    "three-of-four": ([Digit(30 * i, 9, i) for i in range(3)], [Digit(30 * i, 9, i) for i in range(4)], 1.0, 0.75),
}  # fmt: skip


@pytest.mark.parametrize("case", SCORES)
def test_precision_and_recall(case):
    found, true, precision, recall = SCORES[case]
    result = score(found, true)
    assert (result.precision, result.recall) == (precision, recall)


def peaks_by_hand(scores):
    """Return (row, column, digit, probability) where digit leads nothing most among 7x7 cells."""
    _, height, width = scores.shape
    lead = [
        [max(scores[:10, i, j].tolist()) - float(scores[10, i, j]) for j in range(width)]
        for i in range(height)
    ]
    found = []
    for i in range(height):
        for j in range(width):
            rows = range(max(0, i - 3), min(height, i + 4))
            columns = range(max(0, j - 3), min(width, j + 4))
            digit = int(scores[:10, i, j].argmax())
            exponentials = scores[:, i, j].double().exp()
            probability = float(exponentials[digit] / exponentials.sum())
            highest = max(lead[a][b] for a in rows for b in columns)
            if lead[i][j] > 0 and lead[i][j] == highest and probability >= 0.5:
                found.append((lead[i][j], i, j, digit, probability))
    return [peak[1:] for peak in sorted(found, reverse=True)]


@given(st.integers(0, 10**6), st.integers(1, 13), st.integers(1, 17))
def test_peaks_are_those_of_the_slow_twin(seed, height, width):
    generator = torch.Generator().manual_seed(seed)
    scores = 6 * torch.randn(11, height, width, generator=generator)
    expected = peaks_by_hand(scores)
    found = find_digits(scores, FIELD)
    assert [d.digit for d in found] == [digit for _, _, digit, _ in expected]
    assert [d.probability for d in found] == pytest.approx(
        [p for *_, p in expected],
        rel=gamma(2 * 11 + 40, torch.float32),  # sums of 11 exponentials
    )
    for detection, (i, j, _, _) in zip(found, expected, strict=True):
        assert abs(detection.y - (4 * i + 16)) <= 4 and abs(detection.x - (4 * j + 16)) <= 4


def test_best_first_and_least_probability():
    scores = torch.zeros(11, 20, 20)
    scores[10] = 9.0
    scores[3, 4, 5], scores[8, 14, 15] = 12.0, 19.0
    assert [d.digit for d in find_digits(scores, FIELD)] == [8, 3]
    assert [d.digit for d in find_digits(scores, FIELD, least=0.99)] == [8]


def test_a_plateau_is_found_once():
    scores = torch.zeros(11, 9, 9)
    scores[10] = 90.0
    scores[6, 4, 3:5] = 200.0
    (found,) = find_digits(scores, FIELD)
    assert (found.y, found.x, found.digit) == (32.0, 30.0, 6)


def test_the_centre_leans_to_the_likelier_side():
    field = ReceptiveField((30, 34), (2, 6), (1, -5))
    scores = torch.zeros(11, 9, 9)
    scores[10] = 30.0
    scores[2, 4, 3], scores[2, 5, 3] = 60.0, 30.0 - torch.tensor(3.0).log()  # odds 1 and 1/3
    (found,) = find_digits(scores, field)
    # The nine other classes of the second cell weigh e^-30 each: nothing.
    assert found.y == pytest.approx((4 + 0.25 / 1.25) * 2 + 1 + 15, rel=gamma(8, torch.float32))
    assert found.x == pytest.approx(3 * 6 - 5 + 17, rel=gamma(8, torch.float32))
