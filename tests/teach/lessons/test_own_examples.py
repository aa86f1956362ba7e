"""Every sentence of lessons 1 and 2 is true of every example of one's own, by loops and counting.

A sweep of images, kernels, strides, paddings and dilations tells both lessons in both languages;
each sentence that is said has a rule here, and a sentence without one fails.
"""

import itertools
import re
import sys
from fractions import Fraction
from functools import cached_property

import numpy as np
import pytest

from article import IMAGE, KERNEL
from convlin.errors import Refused
from convlin.teach.document import Formula, Paragraph, Question, Table
from convlin.teach.example import Example, article_example
from convlin.teach.lessons import lessons
from convlin.teach.lessons.sharing import sharing_lesson
from convlin.teach.lessons.sparse import sparse_lesson
from convlin.teach.numbers import sharing, sparse
from convlin.teach.words import LANGUAGES, Words
from teach.lessons.loops import by_tap, rows_of, windows_of


def integers(seed, *shape):
    return np.random.default_rng(seed).integers(-4, 7, shape).astype(float)


IMAGES = [
    IMAGE.astype(float), np.array([[3.0]]), np.zeros((1, 1)), integers(0, 1, 4), integers(1, 5, 3),
    np.zeros((2, 3)), integers(8, 2, 4) / 8,
]  # fmt: skip
KERNELS = [KERNEL.astype(float), np.array([[2.0]]), integers(2, 2, 3), integers(3, 1, 2)]
STEPS = [(1, 1), (3, 3), (2, 1)], [(0, 0), (1, 1), (0, 2)], [(1, 1), (2, 1)]


def swept():
    """Every example of the sweep that there is: some kernels are larger than their image."""
    yield Example(np.abs(integers(4, 4, 6)) + 1, integers(5, 4, 4), padding=(0, 1))
    for image, kernel, *steps in itertools.product(IMAGES, KERNELS, *STEPS):
        try:
            yield Example(image, kernel, *steps)
        except Refused:
            continue


class Facts:
    """What loops know of an example. read: of every output, pixel → tap."""

    def __init__(self, example):
        self.example, self.image, self.kernel = example, example.image.ravel(), example.kernel
        self.matrix, self.taps, self.size = rows_of(example)
        self.outputs, self.pixels = self.matrix.shape
        self.read = [{} for _ in range(self.outputs)]
        for (row, pixel), tap in self.taps.items():
            self.read[row][pixel] = tap
        self.zeros = self.matrix.size - len(self.taps)
        self.values = self.matrix @ self.image
        self.neuron = max(
            range(self.outputs), key=lambda row: (len(self.read[row]), abs(self.values[row]), -row)
        )
        self.lit = int(self.image.any())
        self.unique = self.pixels == self.lit

    @cached_property
    def rank(self):
        return np.linalg.matrix_rank(windows_of(self.example))

    @cached_property
    def gradient(self):
        return np.outer(self.values, self.image)

    @cached_property
    def shared(self):
        """The share of the FC layer's first step that is the same at all positions."""
        parts = [self.gradient[places] for places in by_tap(self.taps).values()]
        return sum(len(part) * part.mean() ** 2 for part in parts) / (self.gradient**2).sum()

    def parts_after_a_step(self):
        """Whether two copies of one weight differ after a step of the FC layer."""
        return any(np.ptp(self.gradient[places]) for places in by_tap(self.taps).values())

    def says(self, text, value):
        """Whether a number is written so: whole ones in full, others in three digits."""
        error = abs(float(text) - value)
        return error == 0 if value == round(value) else error <= 5e-3 * abs(value)

    def at(self, row, column):
        return (row - 1) * self.size[1] + column - 1

    def pair_is(self, said, pair):
        """Whether one number, or two with words, is what holds downwards and across."""
        numbers = [int(number) for number in re.findall(r"\d+", str(said))]
        return numbers == ([pair[0]] if pair[0] == pair[1] else list(pair))

    def beside(self, row, column):
        y, x = divmod(self.neuron, self.size[1])
        return abs(row - 1 - y) + abs(column - 1 - x) == 1

    def counted(self, **counts):
        """Whether the lit and dark pixels in and around the window of the neuron are so many."""
        lit = {pixel for pixel in range(self.pixels) if self.image[pixel]}
        window = set(self.read[self.neuron])
        every = {
            "pixels": self.pixels, "lit": len(window & lit), "dark": len(window - lit),
            "grey": self.pixels - len(window), "free": self.pixels - self.lit,
        }  # fmt: skip
        return all(every[name] == count for name, count in counts.items())

    @property
    def lit_in_window(self):
        return sum(bool(self.image[pixel]) for pixel in self.read[self.neuron])

    def numbers(self, text):
        return [int(part) for part in text.replace("、", ",").split(",")]

    def uses(self):
        return [len(places[0]) for places in by_tap(self.taps).values()]

    def step(self, row, column, value, alike):
        one, other = self.read[self.neuron], self.read[self.at(row, column)]
        taps = set(one.values()), set(other.values())
        whole = set(range(self.kernel.size))
        true = (
            taps[0] == taps[1] and set(one) != set(other) if alike else min(taps, key=len) < whole
        )
        return (
            true
            and self.beside(row, column)
            and self.says(value, self.values[self.at(row, column)])
        )


TRUE = {
    "sparse.slide": lambda f, image, kernel, outputs, count: (
        (image, kernel, outputs, count)
        == (f.example.image.shape, f.kernel.shape, f.size, f.outputs)
    ),
    "sparse.settings": lambda f, stride, padding, dilation: (
        f.pair_is(stride, f.example.stride) and f.pair_is(padding, f.example.padding)
        and f.pair_is(dilation, f.example.dilation)
    ),
    "sparse.straighten": lambda f, first, last, row, column, value, wires, numbers: (
        (first, last, wires) == (1, f.pixels, len(f.read[f.neuron]))
        and f.at(row, column) == f.neuron and f.says(value, f.values[f.neuron])
        and list(map(int, numbers.replace("、", ",").split(",")))
        == [pixel + 1 for pixel in f.read[f.neuron]]
    ),
    "sparse.nothing": lambda f, first, last, row, column, value: (
        f.at(row, column) == f.neuron and not any(f.read) and value == "0"
    ),
    "sparse.wires": lambda f, pixels, wires, rest: (
        (pixels, wires) == (f.pixels, len(f.read[f.neuron])) and rest == pixels - wires > 0
    ),
    "sparse.wires_all": lambda f, pixels: pixels == f.pixels == len(f.read[f.neuron]),
    "sparse.answer": lambda f, rows, columns: (rows, columns) == f.matrix.shape and f.zeros > len(f.taps),
    "sparse.answer_few": lambda f, rows, columns: (
        (rows, columns) == f.matrix.shape and 0 < f.zeros <= len(f.taps)
    ),
    "sparse.answer_dense": lambda f: all(len(read) == f.pixels for read in f.read),
    "sparse.stored": lambda f, **counts: f.zeros and counts == {
        "all": f.matrix.size, "stored": len(f.taps), "rest": f.zeros
    },
    "sparse.stored_all": lambda f, **counts: counts == {"all": f.matrix.size} and not f.zeros,
    "sparse.family": lambda f: not f.unique,
    "sparse.family_fixed": lambda f: f.pixels == 1 and f.image[0] != 0,
    "sparse.equation": lambda f, unknowns, rank, free: (
        (unknowns, rank, free) == (f.pixels, f.lit, f.pixels - f.lit)
    ),
    "sparse.equation_layer": lambda f, outputs, free, unknowns: (
        (outputs, free, unknowns)
        == (f.outputs, f.outputs * (f.pixels - f.lit), f.outputs * f.pixels)
    ),
    "sparse.shared_fixed": lambda f, unknowns, rank, windows: (
        unknowns == rank == f.rank == f.kernel.size and windows == f.outputs
    ),
    "sparse.shared_free": lambda f, unknowns, rank, free: (
        (unknowns, rank) == (f.kernel.size, f.rank) and free == unknowns - rank > 0
    ),
    "sparse.other_same": lambda f, value: not f.unique and f.says(value, f.values[f.neuron]),
    "sparse.other_close": lambda f, value, own, difference, bound: (
        not f.unique and f.says(own, f.values[f.neuron]) and f.says(value, f.values[f.neuron])
        and float(difference) <= float(bound) < 1e-9
    ),
    "sparse.other_apart": lambda f, pixel, pixels, other, own: (
        f.says(own, f.matrix[f.neuron, pixel - 1]) and other != own and pixels == f.pixels
    ),
    "sparse.known": lambda f, pixels: pixels == f.pixels,
    "sparse.known_more": lambda f, first, count: first == 1 and count in (f.pixels // 2, f.pixels) and count > 0,
    "sparse.pair": lambda f, down, across: down != across,
    "sparse.ask": lambda f, pixels, row, column: (
        pixels == f.pixels and f.at(row, column) == f.neuron
    ),
    "sparse.ask_free": lambda f, unknowns: unknowns == f.pixels,
    "sparse.figure": lambda f, pixels, value: (
        pixels == f.pixels and f.says(value, f.values[f.neuron])
    ),
    "sparse.matrix": lambda f: f.kernel.size <= 52,
    "sparse.lit": lambda f, lit, numbers: f.counted(lit=lit) and f.numbers(numbers) == [
        pixel + 1 for pixel in f.read[f.neuron] if f.image[pixel]
    ],
    "sparse.lit_none": lambda f, value: f.counted(lit=0) and value == "0" == f"{f.values[f.neuron]:.0f}",
    "sparse.lit_sum": lambda f: 0 < f.lit_in_window <= 12,
    "sparse.lit_one": lambda f: f.lit_in_window > 12,
    "sparse.lit_free": lambda f, dark, grey, free, pixels: (
        f.counted(dark=dark, grey=grey, free=free, pixels=pixels) and dark > 0 and grey > 0
    ),
    "sparse.same_nine": lambda f, unknowns, windows, free: (
        (unknowns, windows, free) == (f.kernel.size, f.outputs, f.kernel.size - f.rank)
        and f.outputs > 1
    ),
    "sharing.step": lambda f, row, column, value: f.step(row, column, value, True),
    "sharing.step_padding": lambda f, row, column, value: f.step(row, column, value, False),
    "sharing.alone": lambda f: f.outputs == 1,
    "sharing.evidence_alone": lambda f, conv, local: f.outputs == 1 and conv == local == f.kernel.size,
    "sharing.evidence_counts": lambda f, conv, local, linear: (
        f.outputs > 1
        and (conv, local, linear)
        == (f.kernel.size, f.outputs * f.kernel.size, f.outputs * f.pixels)
    ),
    "sharing.evidence_step": lambda f, linear: (
        abs(float(linear[:-1]) / 100 - f.shared) < 6e-4 and f.parts_after_a_step()
    ),
    "sharing.still": lambda f: not f.values.any(),
    "sharing.splits": lambda f: f.values.any(),
    "sharing.ask": lambda f: True,
    "sharing.diagonals": lambda f, most: set(f.uses()) == {most} == {f.outputs},
    "sharing.diagonals_padding": lambda f, most: most == max(f.uses()) and len(f.taps) < f.outputs * f.kernel.size,
    "sharing.padding_only": lambda f, local, idle: (
        local == f.outputs * f.kernel.size and idle == local - len(f.taps) > 0
    ),
}  # fmt: skip
SAID_OF_ALL = {
    "sparse": "image kernel output row figure_text claim question open other other_row "
    "known_kept known_images known_rank known_free known_one strictly strictly_text matrix_title "
    "windows windows_seen windows_free",
    "sharing": "first second forms forms_text between counts layer weights conv local "
    "linear nested steps shared apart off energy energy_text claim answer",
    "page": "part",
    "ruling": "right answered claim question evidence",
    "proof": "these why because",
    "try": "title",
    "exercise": "title answer unique unique_answer",
}
SAID_OF_ALL = {f"{table}.{key}" for table, keys in SAID_OF_ALL.items() for key in keys.split()}


def require_blocks(facts, words, blocks):
    """Check what is no sentence: right answers, sums written out, counts in tables."""
    asked = [block for block in blocks if isinstance(block, Question)]
    wired = len(facts.read[facts.neuron])
    right = [facts.pixels - wired, facts.pixels - facts.lit, facts.outputs * facts.kernel.size]
    assert [question.options[question.right] for question in asked] == [f"{n:,}" for n in right]
    for question in asked:
        assert 3 <= len(set(question.options)) == len(question.options) <= 4
    lines = [line for block in blocks if isinstance(block, Formula) for line in block.lines]
    for line in lines:
        assert sum_is(facts, line), line
    tables = {block.title: block.rows for block in blocks if isinstance(block, Table)}
    counts = facts.kernel.size, facts.outputs * facts.kernel.size, facts.outputs * facts.pixels
    assert [row[1] for row in tables[words("sharing.counts")]] == [f"{n:,}" for n in counts]
    rows = tables[words("sparse.known", pixels=facts.pixels)]
    for row, count in zip(rows, [0, *sorted({facts.pixels // 2, facts.pixels} - {0})], strict=True):
        rank = np.linalg.matrix_rank(np.vstack([facts.image, np.eye(facts.pixels)[:count]]))
        assert row[1:] == (f"{count + 1}", f"{rank}", f"{facts.pixels - rank}")
    for row in tables.get(words("sparse.windows"), ()):
        windows = windows_of(facts.example)
        free = [
            facts.kernel.size - np.linalg.matrix_rank(windows[: n + 1]) for n in range(len(windows))
        ]
        last = free.index(free[-1])
        assert row[1:] == tuple(map(str, free[: last + 1]))


def sum_is(facts, line):
    """Whether a sum is that of the neuron: its weights on its pixels, or w's on lit ones."""
    left, sign, value = re.fullmatch(r"(.*) ([=≈]) (-?[0-9.]+)", line).groups()
    if not facts.says(value, facts.values[facts.neuron]):
        return False
    read = [(facts.matrix[facts.neuron, pixel], facts.image[pixel], pixel + 1)
            for pixel in facts.read[facts.neuron]]  # fmt: skip
    if "w" in left:
        terms = [((a or b) + (c or "1"), number) for a, b, c, number in
                 re.findall(r"(?:(?:^(-?))|(?:([+-]) ))(?:([0-9.]+)·)?w(\d+)", left)]  # fmt: skip
        lit = [(pixel, number) for _, pixel, number in read if pixel]
        return len(terms) == len(lit) and all(
            facts.says(pixel.replace("+", ""), x) and int(number) == n
            for (pixel, number), (x, n) in zip(terms, lit, strict=True)
        )
    products = [part.replace("(", "").replace(")", "").split("·") for part in left.split(" + ")]
    exact = sum(Fraction(w) * Fraction(x) for w, x in products) == Fraction(value)
    return exact == (sign == "=") and len(products) == len(read) and all(
        facts.says(w, weight) and facts.says(x, pixel)
        for (w, x), (weight, pixel, _) in zip(products, read, strict=True)
    )  # fmt: skip


def test_every_sentence_is_true_of_every_example(monkeypatch):
    proof = sparse(article_example()).proof  # proofs take a second and have tests of their own
    monkeypatch.setattr(sys.modules[sparse.__module__], "prove", lambda *_: proof)
    said, told, say = [], set(), Words.__call__

    def listening(self, key, **fields):
        said.append((key, fields))
        return say(self, key, **fields)

    monkeypatch.setattr(Words, "__call__", listening)
    count = 0
    for example in swept():
        facts, numbers = Facts(example), (sparse(example), sharing(example))
        for words in map(Words, LANGUAGES):
            said.clear()
            blocks = [*sparse_lesson(words, numbers[0]), *sharing_lesson(words, numbers[1])]
            for key, fields in said:
                if key not in SAID_OF_ALL:
                    assert TRUE[key](facts, **fields), (key, fields, example)
            require_blocks(facts, words, blocks)
            told |= {key for key, _ in said}
        count += 1
    assert count >= 264
    assert told >= TRUE.keys()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_four_rows_are_not_said_to_be_a_single_output(lang):
    """Stride 3 and padding 1: the output of the lesson is the last of four."""
    example = Example(IMAGE.astype(float), KERNEL.astype(float), (3, 3), (1, 1))
    (lesson,) = lessons(lang, [2], example).lessons
    texts = [block.text for block in lesson.blocks if isinstance(block, Paragraph)]
    words = Words(lang)
    assert words("sharing.alone") not in texts
    assert words("sharing.diagonals_padding", most=4) in texts
    # By hand: 1·1 in the middle row, 1·1 in the last.
    step = words("sharing.step_padding", row=2, column=1, value="2")
    assert texts[0] == step and example.neuron == (1, 1)


@pytest.mark.parametrize(
    "image, kernel, steps, key",
    [
        (IMAGE, KERNEL, ((2, 3), (1, 1)), "page.own_part"),
        (IMAGE[:5], KERNEL, (), "page.own_part"),
        (IMAGE, KERNEL[:2], (), "page.own_part"),
        (IMAGE[:5], KERNEL[:2], (), "page.own"),
        (IMAGE, KERNEL, (), None),
    ],
)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_whose_example_it_is(lang, image, kernel, steps, key):
    document = lessons(lang, [4], Example(image.astype(float), kernel.astype(float), *steps))
    words = Words(lang)
    for each in ("page.own", "page.own_part"):
        assert (words(each) in document.lead) == (each == key)
