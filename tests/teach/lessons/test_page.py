"""The page is well-formed, loads nothing, and has every number that the terminal has."""

import io
import itertools
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from rich.console import Console

from convlin.figures.palette import contrast
from convlin.teach.document import Beside, Figure, Judgement, Table
from convlin.teach.terminal.lesson_terminal import Screen
from convlin.teach.web.static_page import page

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Tags in order; raises where one closes that is not open."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(document):
    return page(document)


@pytest.fixture(scope="module")
def outline(html):
    return Outline(html)


def test_language_and_headings_in_order(document, outline):
    assert outline.named("html") == [{"lang": {"en": "en", "zh": "zh-Hans"}[document.lang]}]
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and levels.count(2) == 5
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_loaded(html, outline):
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in outline.tags}
    references = re.findall(r"""(?:href|src)=["']([^"']*)|url\(([^)]*)\)|@import""", html)
    assert references and all((a or b).startswith(("#", "data:")) for a, b in references)


def test_names_are_unique_and_links_lead_somewhere(outline):
    names = Counter(attributes["id"] for _, attributes in outline.tags if "id" in attributes)
    assert set(names.values()) == {1}
    targets = [
        value.strip("()").removeprefix("url(").removeprefix("#")
        for _, attributes in outline.tags
        for name, value in attributes.items()
        if value and (name.endswith("href") or value.startswith("url("))
        if not value.startswith("data:")
    ]
    assert targets and set(targets) <= names.keys()


def test_grids_tables_and_figures_say_what_they_are(document, outline):
    blocks = [block for lesson in document.lessons for block in lesson.blocks]
    grids = [grid for block in blocks if isinstance(block, Beside) for grid in block.grids]
    tables = len(grids) + sum(isinstance(block, Table) for block in blocks)
    assert len(outline.named("table")) == len(outline.named("caption")) == tables
    figures = [block for block in blocks if isinstance(block, Figure)]
    assert len(figures) == len(outline.named("figure")) == 4
    labels = [svg["aria-label"] for svg in outline.named("svg")]
    assert labels == [figure.text for figure in figures]
    rulings = [block for block in blocks if isinstance(block, Judgement)]
    assert [ruling.ruling for ruling in rulings] == [
        "right", "answered", "right", "right", "corrected", "corrected", "right", "right", "right",
        "corrected",
    ]  # fmt: skip
    assert all(ruling.evidence for ruling in rulings)


def test_the_same_numbers_as_in_the_terminal(document, outline):
    file = io.StringIO()
    Console(file=file, width=80, highlight=False).print(Screen(document))

    def numbers(text):
        return set(re.findall(r"\d[\d,.×e-]*", text.replace("\N{MINUS SIGN}", "-")))

    assert numbers(file.getvalue().replace("\n▌", " ")) <= numbers(" ".join(outline.texts)) | {""}


def test_words_are_read_on_their_ground_light_and_dark(html):
    light, dark = re.findall(r"--paper: (#\w+); --ink: (#\w+); --soft: (#\w+);", html)[:2]
    tones = re.findall(
        r"--panel: (#\w+);\s+--right: (#\w+); --corrected: (#\w+); --answered: (#\w+)", html
    )
    for (paper, ink, soft), (panel, *colours) in zip((light, dark), tones[:2], strict=True):
        for ground in (paper, panel):
            assert min(contrast(colour, ground) for colour in (ink, soft, *colours)) >= 4.5
