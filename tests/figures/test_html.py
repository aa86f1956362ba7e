"""What Jupyter shows of the engine's objects: plain HTML, escaped, for light and dark pages."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch import nn

import convlin
from article import KERNEL
from convlin import ConvGeometry, ConvMatrix, Measured, Proved, Refuted
from convlin.figures.palette import MARKS, VERDICTS, contrast
from convlin.models.dense.report import Report, Row
from convlin.proof import Counterexample
from convlin.structure import nearest
from figures.drawn import reads

ARTICLE = ConvMatrix(ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], 6)
VERDICT = {
    "proved": Proved("a < b", 2, 1e-12, None),
    "refuted": Refuted(Counterexample("bias", 1, 0, note="a < b")),
    "measured": Measured("a < b", None),
}
ROWS = (
    Row("<b>a", "Re<LU", "kept", None, False, "a < b"),
    *(Row(kind, "Linear", "x ⇒ y", verdict, True, "") for kind, verdict in VERDICT.items()),
)
SHOWN = {
    "matrix": ARTICLE,
    "report": Report(ROWS, False, None, 1, 2),
    "costs": convlin.cost(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), (1, 5, 6)),
    "nearest": convlin.nearest_conv(np.eye(4), ConvGeometry(1, 1, (1,)), (4,)),
    "energy": nearest(np.eye(4) + 1, ConvGeometry(1, 1, (1,)), (4,)).energy,
    "spectrum": convlin.singular_values(nn.Conv1d(1, 1, 2), 6),
    "same outputs": convlin.same_outputs(nn.Linear(3, 2), torch.ones(1, 3)),
    **VERDICT,
}


class Page(HTMLParser):
    """Text and tags of a page; every tag must be closed in order."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.open = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_plain_and_of_no_fixed_paper(name):
    page = SHOWN[name]._repr_html_()
    parsed = Page(page)
    assert {tag for tag, _ in parsed.tags} <= {
        "p", "b", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "svg", "path",
    }  # fmt: skip
    for _, attributes in parsed.tags:
        style = attributes.get("style", "")
        if "background" in style:  # then ink is fixed too, and can be read on it
            paper, ink = re.findall("#[0-9A-Fa-f]+", style)
            assert contrast(paper, "#000000") >= 4.5 and ink == "#000"
        else:
            assert "color:" not in style.replace("currentColor", "")
    assert len(page) < 12_000


@pytest.mark.parametrize("kind", VERDICT)
def test_a_verdict_has_its_mark_and_the_palettes_colour(kind):
    page = VERDICT[kind]._repr_html_()
    assert page.startswith(f'<b style="background:{VERDICTS[kind]};')
    assert f"{MARKS[kind]} {kind}" in Page(page).text
    assert "a &lt; b" in page and "a < b" not in page


def test_a_report_shows_each_verdict_and_what_differs():
    page = SHOWN["report"]._repr_html_()
    assert "&lt;b&gt;a" in page and "Re&lt;LU" in page and "<LU" not in page
    text = "".join(Page(page).text)
    assert "≠ differs: a < b" in text
    assert all(f"{MARKS[kind]} {kind}" in text for kind in VERDICT)


def test_a_small_matrix_has_a_picture_of_its_entries():
    page = Page(ARTICLE._repr_html_())
    text = "".join(page.text)
    assert "16×36 ConvMatrix, 144 stored: Conv2d 1→1 k3 on (6, 6)" in text
    assert "144 (25.00%)" in text and "9 int64" in text
    found = [
        (int(x), int(y))
        for tag, attributes in page.tags if tag == "path"
        for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", attributes["d"])
    ]  # fmt: skip
    expected = {
        (6 * pixel[0] + pixel[1], 4 * y + x)
        for y, x in itertools.product(range(4), repeat=2)
        for _, pixel in reads((6, 6), (3, 3), (y, x))
    }
    assert set(found) == expected and len(found) == 144


def test_weights_are_told_by_ink_and_zero_is_the_least():
    matrix = ConvMatrix(ConvGeometry(1, 1, (3,)), np.array([[[0.0, -4.0, 1.0]]]), 3)
    inks = {
        attributes["d"]: float(attributes["fill-opacity"])
        for tag, attributes in Page(matrix._repr_html_()).tags if tag == "path"
    }  # fmt: skip
    zero, large, small = (inks[f"M{x} 0h1v1h-1z"] for x in range(3))
    assert 0 < zero < small < large == 1


def test_a_large_matrix_is_not_built(monkeypatch):
    geometry = ConvGeometry(64, 64, (3, 3), padding=1)
    matrix = ConvMatrix(geometry, np.ones(geometry.weight_shape), 56)
    for name in ("tocsr", "tocoo", "toarray", "entry_weights"):
        monkeypatch.setattr(ConvMatrix, name, lambda self: pytest.fail("built"))
    page = matrix._repr_html_()
    assert f"{matrix.nnz:,}" in page and "<svg" not in page and len(page) < 2000


def test_matrices_of_torch_and_of_nan_show_themselves():
    conv = nn.Conv2d(2, 2, 1)
    assert "<svg" in convlin.unroll(conv, (2, 3))._repr_html_()
    broken = ConvMatrix(ConvGeometry(1, 1, (2,)), np.array([[[np.nan, 1.0]]]), 3)
    assert "<svg" in broken._repr_html_()


def test_costs_are_the_tables_numbers():
    table = SHOWN["costs"]
    text = Page(table._repr_html_()).text
    assert {f"{table.parameters['linear']:,}", "Conv2d 1→2 k3"} <= set(text)


def test_the_rest_say_what_they_are():
    assert "distance 0" in "".join(Page(SHOWN["nearest"]._repr_html_()).text)
    assert "singular values" in SHOWN["spectrum"]._repr_html_()
    text = "".join(Page(SHOWN["same outputs"]._repr_html_()).text)
    assert "free" in text and SHOWN["same outputs"].statement in text
