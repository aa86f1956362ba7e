"""The image as a column: every neuron with its number and value, every wire from its pixel."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from convlin import Refused
from convlin.figures.palette import contrast, tap_colors
from convlin.teach.drawings.straightened import straightened
from convlin.teach.example import Example, article_example
from figures.drawn import reads

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = np.arange(99) * 7 % 19 - 9


def example(size, kernel, **options):
    image = (np.arange(np.prod(size)) * 5 % 13 - 2).reshape(size).astype(float)
    weights = COUNTS[: np.prod(kernel)].reshape(kernel).astype(float)
    return Example(image, weights, **options)


# Example, and the output that is drawn.
CASES = {
    "article": (article_example(), (0, 0)),
    "article-elsewhere": (article_example(), (2, 3)),
    "padding": (example((5, 4), (3, 2), padding=(2, 1)), (0, 1)),
    "stride-dilation": (example((9, 8), (2, 3), stride=(2, 1), dilation=(3, 2)), (1, 2)),
    "reads-nothing": (example((3, 4), (2, 2), padding=(2, 2)), (0, 0)),
    "one-pixel": (example((1, 1), (1, 1)), (0, 0)),
    "all-of-144": (example((12, 12), (3, 5)), (4, 2)),
    "some-of-a-large-one": (example((20, 31), (4, 3), stride=(3, 4)), (3, 5)),
    "long-numbers": (Example(np.array([[1e6, -3.25, 7.125]]), np.array([[-123456.0, 1e6]])), (0, 1)),
}  # fmt: skip


def drawn(case, **options):
    made, output = CASES[case]
    svg = straightened(made, output=output, **options)
    return ElementTree.fromstring(svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def texts(root):
    """Every text, with its place."""
    return [
        (text.text, float(text.get("x")), float(text.get("y")), text)
        for text in root.iter(SVG + "text")
    ]


def column(root):
    """Height of each neuron by its number from 1: numbers in soft ink, which end at one place."""
    return {
        int(text): y - 3.5
        for text, _, y, element in texts(root)
        if element.get("fill") == "var(--soft)" and text != "⋮"
    }


def expected(case):
    """Tap of each pixel that the output reads, by the pixel's number from 1."""
    made, output = CASES[case]
    options = zip(made.stride, made.padding, made.dilation, strict=True)
    per_axis = [dict(zip(("stride", "padding", "dilation"), step, strict=True)) for step in options]
    found = {}
    for tap in np.ndindex(made.kernel.shape):
        pixel = [
            next((p[0] for t, p in reads((n,), (k,), (o,), **axis) if t == (part,)), None)
            for n, k, o, axis, part in zip(
                made.image.shape, made.kernel.shape, output, per_axis, tap, strict=True
            )
        ]
        if None not in pixel:
            found[pixel[0] * made.image.shape[1] + pixel[1] + 1] = tap
    return found


def written(value):
    return f"{value:.3g}".replace("-", "−").replace("e+0", "e")


@pytest.mark.parametrize("case", CASES)
def test_wires_lead_from_the_pixels_that_are_read_in_the_colours_of_their_weights(case):
    made, _ = CASES[case]
    root, wanted = drawn(case), expected(case)
    heights = column(root)
    colors = dict(zip(np.ndindex(made.kernel.shape), tap_colors(made.kernel.size), strict=True))
    by_height = {f"{y:g}": number for number, y in heights.items()}
    wires = {"wire": {}, "zero": {}}
    ends = set()
    for path in root.iter(SVG + "path"):
        if path.get("class") in wires:
            _, y, *_ = re.findall(r"-?[\d.]+", path.get("d"))
            wires[path.get("class")][by_height[y]] = path.get("stroke")
            ends.add(tuple(re.findall(r"-?[\d.]+", path.get("d"))[-2:]))
    assert wires["wire"] == {number: colors[tap] for number, tap in wanted.items()}
    assert set(wires["zero"]) == set(heights) - set(wanted)
    assert set(wires["zero"].values()) <= {"var(--soft)"} and len(ends) == 1


@pytest.mark.parametrize("case", CASES)
def test_every_neuron_has_its_number_its_value_and_its_weight(case):
    made, _ = CASES[case]
    root, wanted = drawn(case), expected(case)
    values = made.image.ravel()
    heights = column(root)
    assert list(heights) == sorted(heights) and list(heights.values()) == sorted(heights.values())
    whole = values.size <= 144
    assert set(heights) == (set(range(1, values.size + 1)) if whole else {1, *wanted, values.size})
    start = 148  # where the numbers end: the value stands behind them, and the weight behind that
    for number, y in heights.items():
        beside = sorted(
            (x, text)
            for text, x, at, _ in texts(root)
            if at == pytest.approx(y + 3.5) and x > start
        )
        shown = [text for _, text in beside][: 2 if number in wanted else 1]
        weights = [written(made.kernel[wanted[number]])] if number in wanted else []
        assert shown == [written(values[number - 1]), *weights]


@pytest.mark.parametrize("case", CASES)
def test_the_output_is_the_sum_of_the_products(case):
    made, _ = CASES[case]
    total = sum(
        made.image.ravel()[number - 1] * made.kernel[tap] for number, tap in expected(case).items()
    )
    (value,) = [text for text, _, _, element in texts(drawn(case)) if element.get("font-weight")]
    assert value == written(total)


def test_a_large_image_is_cut_where_nothing_is_read_and_says_how_many_there_are():
    root = drawn("some-of-a-large-one")
    shown = [text for text, *_ in texts(root)]
    assert shown.count("⋮") == 5  # before, between and behind the four rows that are read
    assert "as 620 neurons" in shown and "608 wires of weight 0" in shown
    assert "12 wires with the weights of the kernel" in shown
    kernel = np.ones((32, 32))
    assert len(straightened(Example(np.arange(1024.0).reshape(32, 32), kernel))) < 120_000


@pytest.mark.parametrize("case", CASES)
def test_letters_are_large_enough_within_the_picture_and_apart(case):
    root = drawn(case)
    _, _, width, height = map(float, root.get("viewBox").split())
    boxes = []
    for text, x, y, element in texts(root):
        size = float(element.get("font-size"))
        assert size * 328 / width >= 9 or case == "long-numbers"  # on a telephone of 360
        wide = 0.58 * size * len(text)  # a digit of the usual fonts is 0.55 of its size
        left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[element.get("text-anchor")]
        assert left >= 0 and left + wide <= width and size * 0.8 <= y <= height - 2
        boxes.append((left, left + wide, y - 0.7 * size, y, text))
    for n, (left, right, top, bottom, text) in enumerate(boxes):
        for left2, right2, top2, bottom2, other in boxes[:n]:
            apart = max(left, left2) >= min(right, right2) or max(top, top2) >= min(bottom, bottom2)
            assert apart, (text, other)


@pytest.mark.parametrize("case", CASES)
def test_ink_can_be_read_and_all_other_colours_are_the_pages(case):
    made, _ = CASES[case]
    colors = set(tap_colors(made.kernel.size))
    root = drawn(case)
    found = set(re.findall("#[0-9a-fA-F]{6}", ElementTree.tostring(root, "unicode")))
    assert found <= colors | {"#000000", "#ffffff"}
    last = None
    for element in root.iter():
        if element.tag == SVG + "rect":
            last = element
        elif element.tag == SVG + "text" and element.get("fill").startswith("#"):
            assert contrast(element.get("fill"), last.get("fill")) >= 4.5


def test_it_says_what_it_shows_in_the_words_that_it_is_given():
    made = article_example()
    label = ElementTree.fromstring(straightened(made)).get("aria-label")
    assert label == (
        "The 6×6 image, row below row, is a column of 36 neurons. To the output in row 1, column 1, "
        "which is 3, lead 9 coloured wires and 27 grey wires."
    )
    svg = straightened(made, {"column": "拉直：{pixels} 个", "neuron": "a < b"})
    assert "拉直：36 个" in svg and "a &lt; b" in svg
    with pytest.raises(Refused, match="key of words is 'wire', expected one of"):
        straightened(made, {"wire": "Draht"})
