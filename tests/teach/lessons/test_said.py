"""Every number that lessons 3 to 6 say, in both languages, against loops and counting by hand."""

import re
from fractions import Fraction

import numpy as np
import pytest

from article import IMAGE, KERNEL, MAP, MIXING, RAISING
from convlin.teach.document import Beside, Formula, Paragraph, Question, Table
from convlin.teach.example import article_example
from convlin.teach.lessons import lessons
from convlin.teach.numbers.shuffles import LOCAL_KERNEL, ORDER
from convlin.teach.numbers.uses import SECOND
from convlin.teach.words import LANGUAGES, Words
from teach.lessons.loops import correlate, moved, rows_of
from teach.lessons.test_why import multiply_adds


@pytest.fixture(scope="module", params=LANGUAGES)
def told(request):
    """Lessons 3 to 6 in a language, and every sentence with its fields as it was said."""
    said, say = [], Words.__call__

    def listening(self, key, **fields):
        said.append((key, fields))
        return say(self, key, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Words, "__call__", listening)
        document = lessons(request.param, [3, 4, 5, 6])
    return Words(request.param), document.lessons, said


def same(first, second):
    return int((first == second).sum()), first.size


def pairs(first, second, along):
    """How many outputs of the moved image are those from before, so many columns to the left."""
    return same(first[:, : first.shape[1] - along], second[:, along:])


def stepped():
    """An FC layer that was the article's convolution, one step of training (rate 1/8) later."""
    matrix, _, size = rows_of(article_example())
    image = IMAGE.ravel()
    weights = matrix - np.outer(matrix @ image, image) / 8
    return [(weights @ x.ravel()).reshape(size) for x in (IMAGE, moved(IMAGE, 1))]


def shifts():
    """How many outputs are as before, moved along: plain, strided, strided twice, padded, FC."""
    found = []
    for by, stride, padding in ((1, 1, 0), (1, 2, 0), (2, 2, 0), (1, 1, 1)):
        before, after = (
            correlate(x[None], KERNEL[None, None], stride, padding)[0]
            for x in (IMAGE, moved(IMAGE, by))
        )
        found.append(pairs(before, after, 1))
    return [*found, pairs(*stepped(), 1)]


def shuffled(values):
    return values.reshape(len(values), 9)[:, list(ORDER)].reshape(values.shape)


def reach():
    """Weights of the padded 3×3, and how many a shuffle puts where no 3×3 kernel reaches."""
    lights = np.eye(27, dtype=int).reshape(27, 3, 3, 3)
    matrix = np.array([correlate(light, LOCAL_KERNEL, 1, 1).ravel() for light in lights]).T
    reached = np.array([correlate(x, LOCAL_KERNEL * 0 + 1, 1, 1).ravel() for x in lights]).T != 0
    columns, rows = ([9 * c + p for c in range(n) for p in ORDER] for n in (3, 2))
    once = matrix[:, columns]
    return {
        "weights": np.count_nonzero(matrix),
        "columns": np.count_nonzero(once * ~reached),
        "both": np.count_nonzero(once[rows] * ~reached),
    }


def relu(pixels):
    """The two layers with a ReLU between: outputs added, and inputs added first."""
    after = [SECOND @ np.maximum(RAISING @ pixel, 0) for pixel in pixels]
    return after[0] + after[1], SECOND @ np.maximum(RAISING @ (pixels[0] + pixels[1]), 0)


def vector(values):
    return f"({', '.join(map(str, values))})".replace(" ", "\N{NO-BREAK SPACE}")


PIXELS = np.array([2, -1, 1]), np.array([-1, 2, -1])
PLAIN, STRIDED, TWICE, PADDED, CONNECTED = shifts()
STILL = same(correlate(IMAGE[None], KERNEL[None, None], 1, 0),
             correlate(moved(IMAGE, 1)[None], KERNEL[None, None], 1, 0))  # fmt: skip
ONE, CROPS = multiply_adds((96, 128)), multiply_adds((32, 32)) * 17 * 25
# A field that is said several times has several values; fields that have rules of their own, below,
# are left out.
FIELDS = {
    "pointwise.start": [{"channels": 3, "outputs": 2}],
    "pointwise.channel": [{"number": n} for n in (1, 2, 3)] * 2,
    "pointwise.out": [{"number": n} for n in (1, 2)],
    "pointwise.ask": [{"pixels": 9}],
    "pointwise.pixel": [{"row": 2, "column": 3}],
    "pointwise.same": [{"channels": 3, "outputs": 2, "others": 9 - 1}],
    "pointwise.ask_fewer": [{"conv": 2 * 3}],
    "pointwise.answer_fewer": [
        {"inputs": 3 * 9, "outputs": 2 * 9, "conv": 2 * 3, "linear": 27 * 18, "over": 3 * 2}
    ],
    "pointwise.zeros": [
        {"zeros": 27 * 18 - 9 * 6, "linear": 27 * 18, "stored": 9 * 6, "conv": 6, "times": 9}
    ],
    "full_size.start": [
        {"shape": (3, 3, 3), "outputs": 3, "kernel": (3, 3), "channels": 3, "features": 27}
    ],
    "full_size.ask": [{"channels": 3, "outputs": 3, "kernel": (3, 3)}],
    "full_size.matrix": [{"outputs": 3, "features": 3 * 3 * 3}],
    "full_size.channels": [{"channels": 3}],
    "full_size.conv": [{"outputs": 3}],
    "full_size.place": [{"order": o, "number": n} for o in ("CHW", "HWC") for n in (1, 2, 3)],
    "full_size.larger": [{"larger": (5, 4), "fits": (5 - 3 + 1, 4 - 3 + 1)}],
    "full_size.claim": [{"claimed": 3 * 3 * 3}],
    "full_size.answer": [{"channels": 3, "each": 27, "outputs": 3, "all": 3 * 27}],
    "uses.place_answer": [{"lesson": 6}],
    "uses.place_reads": [{"positions": 9, "pointwise": 1, "flattened": 9}],
    "uses.size_ask": [{"size": "3×3", "count": 3}],
    "uses.size_evidence": [{"count": 3, "runs": 1}],
    "uses.channels_ask": [{"input": (448, 448, 100), "kernels": 20}],
    "uses.channels_text": [{"reads": 100}],
    "uses.channels_answer": [{"input": (448, 448, 100), "output": (448, 448, 20)}],
    "uses.channels_cost": [
        {"weights": 20 * 100, "adds": 448 * 448 * 20 * 100, "flattened": 448**4 * 20 * 100}
    ],
    "uses.relu": [{"one": vector(PIXELS[0]), "other": vector(PIXELS[1])}],
    "uses.activation_relu": [{"after": vector(relu(PIXELS)[0]), "before": vector(relu(PIXELS)[1])}],
    "exercise.title": [{"number": 2}],
    "why.moved": [{"by": 1}],
    "why.plain": [{"by": 1}],
    "why.strided": [{"by": 1, "stride": 2}, {"by": 2, "stride": 2}],
    "why.padded": [{"by": 1, "padding": 1}],
    "why.connected": [{"by": 1}],
    "why.evidence_plain": [
        {"by": 1, "equal": PLAIN[0], "of": PLAIN[1], "same": STILL[0], "all": STILL[1]}
    ],
    "why.evidence_strided": [{"stride": 2, "by": 1, "twice": 2, "follows": 1}],
    "why.evidence_padded": [{"padding": 1, "equal": PADDED[0], "of": PADDED[1]}],
    "why.evidence_connected": [{"equal": CONNECTED[0], "of": CONNECTED[1]}],
    "why.shuffle": [{"pixels": 9, "channels": 3}],
    "why.shuffled": [{"pixels": 9}],
    "why.reach": [reach()],
    "why.head": [
        {"window": (32, 32), "sheet": (96, 128), "map": (17, 25), "windows": 17 * 25, "stride": 4}
    ],
    "why.head_figure": [{"found": 4, "digits": 4}],
    "page.lesson": [{"number": n} for n in (3, 4, 5, 6)],
}
RULED = {
    "pointwise.sum", "full_size.row", "full_size.total", "full_size.mistaken", "proof.refuted",
    "proof.all", "proof.these", "uses.activation_proof", "why.of", "why.head_same", "page.end",
}  # fmt: skip


def test_every_field(told):
    _, _, said = told
    found = {}
    for key, fields in said:
        if fields and key not in RULED:
            found.setdefault(key, []).append(fields)
    assert found == FIELDS
    assert {key for key, fields in said if fields} == FIELDS.keys() | RULED


def test_what_a_stride_hides():
    """No shift of the output explains the image moved by one; moved by two, a shift by one does."""
    first, second = (
        correlate(x[None], KERNEL[None, None], 2, 0)[0] for x in (IMAGE, moved(IMAGE, 1))
    )
    assert STRIDED[0] < STRIDED[1] and TWICE[0] == TWICE[1]
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:, 1:], second[:, :-1])


def test_the_head_in_numbers(told):
    _, _, said = told
    ((_, fields),) = [(key, fields) for key, fields in said if key == "why.head_same"]
    largest, bound = float(fields.pop("largest")), float(fields.pop("bound"))
    assert 0 < largest <= bound < 1e-6
    assert fields == {"windows": 425, "ratio": f"{CROPS / ONE:.2f}", "one": ONE, "crops": CROPS}


def test_the_proofs(told):
    _, _, said = told
    proofs = [(key, fields) for key, fields in said if key.startswith("proof.") and fields]
    kinds = [key for key, _ in proofs]
    assert sorted(kinds) == ["proof.all", "proof.all", "proof.refuted", "proof.these"]
    for key, fields in proofs:
        if key == "proof.refuted":
            # Weights count through channel, row and column; the other side reads the channels last.
            c, y, x = (fields[name] - 1 for name in ("channel", "row", "column"))
            start = 27 * (fields["output"] - 1) + 1
            assert fields["expected"] == str(start + 9 * c + 3 * y + x)
            assert fields["got"] == str(start + 9 * y + 3 * x + c) != fields["expected"]
        else:
            assert fields["draws"] in range(1, 9) and 0 < float(fields["chance"]) < 1e-8


def blocks_of(found, kind):
    return [block for lesson in found for block in lesson.blocks if isinstance(block, kind)]


def test_sums_written_out(told):
    _, found, _ = told
    three, four = blocks_of(found, Formula)
    for output, line in enumerate(three.lines):
        assert_sum(line, MIXING[output], MAP[:, 1, 2])
    *rows, total = four.lines
    kernel = [[int(w) for w, _ in terms_of(line)] for line in rows]
    # The second output's kernel in the views: as many numbers as the map has, and its sum.
    for line, weights, channel in zip(rows, kernel, MAP, strict=True):
        assert_sum(line, weights, channel.ravel())
    parts = [
        int(np.dot(weights, channel.ravel())) for weights, channel in zip(kernel, MAP, strict=True)
    ]
    written = " + ".join(f"{part}" if part >= 0 else f"({part})" for part in parts)
    assert total.endswith(f"{written} = {sum(parts)}")


def terms_of(line):
    """The factors of a sum, and none of the words before it."""
    products = re.search(r"[(\d][^:：]*(?= [=≈])", re.split("[:：]", line)[-1])[0]
    return [
        [part.strip("()") for part in product.split("·")] for product in products.split(" + ")
    ]  # fmt: skip


def assert_sum(line, weights, values):
    value = line.rpartition("= ")[2]
    assert [tuple(map(int, term)) for term in terms_of(line)] == [
        (int(w), int(x)) for w, x in zip(weights, values, strict=True)
    ]
    assert Fraction(value) == sum(int(w) * int(x) for w, x in zip(weights, values, strict=True))


def test_tables(told):
    words, found, _ = told
    tables = [[row[1:] for row in table.rows] for table in blocks_of(found, Table)]
    fewer, full, sizes, sums, moves, layers, head = tables
    assert fewer == [("6",), ("6",), ("54",), ("486",)]
    assert full == [("27", "81"), ("27", "81")]
    runs, refuses = words("uses.runs"), words("uses.refuses")
    assert sizes == [("3×3", runs), ("5×7", refuses), ("12×4", refuses)]
    plain = vector(SECOND @ RAISING @ (PIXELS[0] + PIXELS[1]))
    assert sums == [(plain, plain), tuple(map(vector, relu(PIXELS)))]
    counts = [PLAIN, STRIDED, TWICE, PADDED, CONNECTED]
    assert moves == [("1", words("why.of", equal=a, of=b)) for a, b in counts]
    assert [row[1:] for row in layers] == [
        tuple(words("why.of", equal=a, of=b) for a, b in pair) for pair in shuffles()
    ]
    assert head == [("48×32×4×4",), ("11×48×1×1",)]
    (first,) = [table for table in blocks_of(found, Table) if table.rows[0][0] == "48×512"]
    assert [row[0] for row in first.rows] == [f"48×{32 * 4 * 4}", "11×48"]


def shuffles():
    """Equal outputs, and equal once shuffled alike: FC, FC with its columns shuffled, 1×1, 3×3."""
    rng = np.random.default_rng(0)
    fc, image = rng.integers(1, 9, (18, 27)), MAP
    columns = [9 * c + p for c in range(3) for p in ORDER]
    flat = [
        (weights @ x.ravel()).reshape(2, 3, 3)
        for weights, x in ((fc, image), (fc[:, columns], shuffled(image)))
    ]
    yield (0, 18), (0, 18)
    # Outputs shuffled alike would be equal only by chance: they are not.
    yield same(*flat), (0, 18)
    for kernels, padding in ((MIXING[:, :, None, None], 0), (LOCAL_KERNEL, 1)):
        first, second = (correlate(x, kernels, 1, padding) for x in (image, shuffled(image)))
        yield same(first, second), same(shuffled(first), second)


def test_grids(told):
    _, found, _ = told
    grids = [
        np.array([[int(cell.text) for cell in row] for row in grid.rows])
        for block in blocks_of(found, Beside) for grid in block.grids
    ]  # fmt: skip
    places = np.arange(1, 28).reshape(3, 3, 3)
    image = moved(IMAGE, 1)
    expected = [
        *MAP, MIXING, *correlate(MAP, MIXING[:, :, None, None], 1, 0),
        *places, *(places.transpose(2, 0, 1)),
        SECOND, RAISING, SECOND @ RAISING,
        image, *(correlate(x[None], KERNEL[None, None], 1, 0)[0] for x in (IMAGE, image)),
        *shuffled(MAP),
    ]  # fmt: skip
    assert len(grids) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(grids, expected, strict=True))


def test_both_languages_say_the_same_numbers():
    def numbers(block):
        text = block.text if isinstance(block, Paragraph) else ""
        if isinstance(block, Question):
            text = " ".join([block.prompt, *block.options])
        return set(re.findall(r"\d[\d,.×]*(?<![,.])", text)), type(block)

    english, chinese = (
        [list(map(numbers, lesson.blocks)) for lesson in lessons(lang, [3, 4, 5, 6]).lessons]
        for lang in LANGUAGES
    )
    assert english == chinese
