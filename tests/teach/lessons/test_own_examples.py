"""Every sentence of lessons 1 and 2 is true of every example of one's own, by loops and counting.

A sweep of images, kernels, strides, paddings and dilations tells both lessons in both languages;
each sentence that is said has a rule here, and a sentence without one fails.
"""

import itertools
import sys
from functools import cached_property

import numpy as np
import pytest

from article import IMAGE, KERNEL
from convlin.errors import Refused
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
    np.zeros((2, 3)),
]  # fmt: skip
KERNELS = [KERNEL.astype(float), np.array([[2.0]]), integers(2, 2, 3), integers(3, 1, 2)]
STEPS = [(1, 1), (3, 3), (2, 1)], [(0, 0), (1, 1), (0, 2)], [(1, 1), (2, 1)]


def swept():
    """Every example of the sweep that there is: some kernels are larger than their image."""
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
    def shared(self):
        """The share of the FC layer's first step that is the same at all positions."""
        gradient = np.outer(self.values, self.image)
        parts = [gradient[places] for places in by_tap(self.taps).values()]
        return sum(len(part) * part.mean() ** 2 for part in parts) / (gradient**2).sum()

    def at(self, row, column):
        return (row - 1) * self.size[1] + column - 1

    def written(self, pair):
        return pair[0] if pair[0] == pair[1] else str(pair).replace(" ", "\N{NO-BREAK SPACE}")

    def beside(self, row, column):
        y, x = divmod(self.neuron, self.size[1])
        return abs(row - 1 - y) + abs(column - 1 - x) == 1

    def step(self, row, column, value, alike):
        one, other = self.read[self.neuron], self.read[self.at(row, column)]
        taps = set(one.values()), set(other.values())
        whole = set(range(self.kernel.size))
        true = (
            taps[0] == taps[1] and set(one) != set(other) if alike else min(taps, key=len) < whole
        )
        return (
            true and self.beside(row, column) and float(value) == self.values[self.at(row, column)]
        )


TRUE = {
    "sparse.slide": lambda f, image, kernel, outputs, count: (
        (image, kernel, outputs, count)
        == (f.example.image.shape, f.kernel.shape, f.size, f.outputs)
    ),
    "sparse.settings": lambda f, **steps: steps == {
        name: f.written(getattr(f.example, name)) for name in ("stride", "padding", "dilation")
    },
    "sparse.straighten": lambda f, first, last, row, column, value, wires, numbers: (
        (first, last, wires) == (1, f.pixels, len(f.read[f.neuron]))
        and f.at(row, column) == f.neuron and float(value) == f.values[f.neuron]
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
    "sparse.shared_fixed": lambda f, unknowns, rank: unknowns == rank == f.rank == f.kernel.size,
    "sparse.shared_free": lambda f, unknowns, rank, free: (
        (unknowns, rank) == (f.kernel.size, f.rank) and free == unknowns - rank > 0
    ),
    "sparse.other_same": lambda f, value, own, difference, bound: (
        not f.unique and float(own) == f.values[f.neuron]
    ),
    "sparse.other_apart": lambda f, pixel, other, own: (
        float(own) == f.matrix[f.neuron, pixel - 1] and other != own
    ),
    "sparse.known": lambda f, pixels: pixels == f.pixels,
    "sparse.known_more": lambda f, count: count in (f.pixels // 2, f.pixels) and count > 0,
    "sharing.step": lambda f, row, column, value: f.step(row, column, value, True),
    "sharing.step_padding": lambda f, row, column, value: f.step(row, column, value, False),
    "sharing.alone": lambda f: f.outputs == 1,
    "sharing.evidence_alone": lambda f, conv, local: f.outputs == 1 and conv == local == f.kernel.size,
    "sharing.evidence_counts": lambda f, conv, local, linear: (
        f.outputs > 1
        and (conv, local, linear)
        == (f.kernel.size, f.outputs * f.kernel.size, f.outputs * f.pixels)
    ),
    "sharing.evidence_step": lambda f, conv, linear: (
        conv == "100.0%" and abs(float(linear[:-1]) / 100 - f.shared) < 6e-4 and f.shared < 1
    ),
    "sharing.still": lambda f: not f.values.any(),
    "sharing.splits": lambda f: f.values.any(),
    "sharing.matrix": lambda f: f.kernel.size <= 52,
}  # fmt: skip
SAID_OF_ALL = {
    "sparse": "image kernel output row figure figure_text claim question open other other_row "
    "known_kept known_images known_rank known_free known_one",
    "sharing": "first second matrix_title forms forms_text between counts layer weights conv local "
    "linear nested steps shared apart off energy energy_text claim answer",
    "page": "part",
    "ruling": "right answered claim question evidence",
    "proof": "these",
}
SAID_OF_ALL = {f"{table}.{key}" for table, keys in SAID_OF_ALL.items() for key in keys.split()}


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
            list(sparse_lesson(words, numbers[0])), list(sharing_lesson(words, numbers[1]))
            for key, fields in said:
                if key not in SAID_OF_ALL:
                    assert TRUE[key](facts, **fields), (key, fields, example)
            assert ("sharing.alone" in dict(said)) == (facts.outputs == 1)
            told |= {key for key, _ in said}
        count += 1
    assert count >= 264
    assert told >= TRUE.keys()


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
