"""The page's text is well-formed, asks before it rules, and has every number that the terminal has."""

import io
import itertools
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from rich.console import Console

from convlin.figures.palette import contrast
from convlin.teach.document import (
    Beside,
    Code,
    Exercise,
    Figure,
    Judgement,
    Note,
    Paragraph,
    Question,
    Table,
)
from convlin.teach.terminal.lesson_terminal import Screen
from convlin.teach.web.one_file import STYLES, one_file, served
from convlin.teach.web.page_files import PAGE

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
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(document):
    return one_file(document)


@pytest.fixture(scope="module")
def outline(html):
    return Outline(html)


def blocks_of(document, kind):
    return [b for lesson in document.lessons for b in lesson.blocks if isinstance(b, kind)]


def test_language_and_headings_in_order(document, outline):
    assert outline.named("html") == [{"lang": {"en": "en", "zh": "zh-Hans"}[document.lang]}]
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and levels.count(2) >= 6
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = [section["id"] for section in outline.named("section") if "id" in section]
    assert [f"lesson-{n}" for n in range(1, 7)] == [a for a in anchors if a.startswith("lesson-")]


def test_served_it_is_the_same_text(document, outline):
    other = Outline(served(document))
    article = [(tag, attributes) for tag, attributes in other.tags if tag not in ("link", "meta")]
    own = [(tag, attributes) for tag, attributes in outline.tags if tag not in ("link", "meta")]
    without = [
        [pair for pair in tags if pair[0] not in ("script", "style")] for tags in (article, own)
    ]
    assert without[0] == without[1]
    assert "".join(other.texts).split() == "".join(outline.texts).split()


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
    labelled = [
        a[n] for _, a in outline.tags for n in a if n in ("aria-labelledby", "aria-controls")
    ]
    assert labelled and set(labelled) <= names.keys()


def test_grids_tables_and_figures_say_what_they_are(document, outline):
    grids = [grid for block in blocks_of(document, Beside) for grid in block.grids]
    tables = len(grids) + len(blocks_of(document, Table))
    assert len(outline.named("caption")) == tables <= len(outline.named("table"))
    figures = blocks_of(document, Figure)
    assert len(figures) == len(outline.named("figure")) == 5
    labels = [svg["aria-label"] for svg in outline.named("svg") if "aria-label" in svg]
    assert [figure.text in labels for figure in figures].count(True) >= 4
    assert len(labels) >= 5 and all(labels)


def test_a_question_names_its_ruling_and_its_answer(document, outline):
    asked = [a for tag, a in outline.tags if tag == "div" and a.get("class") == "ask"]
    questions = blocks_of(document, Question)
    assert [int(a["data-right"]) for a in asked] == [question.right for question in questions]
    names = [a["id"] for tag, a in outline.tags if a.get("class") == "judged"]
    assert [a["data-ruling"] for a in asked] == names and len(names) == 11
    kinds = [a["class"].split() for tag, a in outline.tags if tag == "details"]
    rulings = [ruling.ruling for ruling in blocks_of(document, Judgement)]
    assert [kind[1] for kind in kinds if kind[0] == "ruling"] == rulings
    assert set(rulings) == {"right", "corrected", "depends", "answered"}


def test_without_a_script_everything_can_be_unfolded(document, outline):
    folded = outline.named("details")
    notes, exercises = (len(blocks_of(document, kind)) for kind in (Note, Exercise))
    assert len([d for d in folded if d["class"].split()[0] == "ruling"]) == 11
    assert [d["class"] for d in folded].count("note") == notes == 3
    assert [d["class"] for d in folded].count("answer") == exercises == 2
    assert len(outline.named("summary")) == len(folded)
    assert not any("open" in d for d in folded)
    text = "".join(outline.texts)
    for ruling in blocks_of(document, Judgement):
        assert ruling.word in text


def test_the_snippets_stand_as_they_are_typed(document, html):
    codes = [b.code for b in blocks_of(document, (Judgement, Exercise))]
    shown = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", html, re.DOTALL)
    plain = [text.replace("&gt;", ">").replace("&lt;", "<").replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&") for text in shown]  # fmt: skip
    assert all(isinstance(code, Code) for code in codes)
    assert plain == [code.doctest for code in codes]


def test_a_paragraph_carries_what_it_shows(document, outline):
    steps = [a for tag, a in outline.tags if tag == "p" and a.get("class") == "step"]
    views = [p.view for p in blocks_of(document, Paragraph) if p.view is not None]
    assert [a["data-link"] for a in steps] == [view.link for view in views]
    assert [a["data-tab"] for a in steps] == [view.tab for view in views]
    assert [a.get("data-step", "") for a in steps] == [view.step for view in views]
    assert len(steps) > 20


def test_the_same_numbers_as_in_the_terminal(document, outline):
    file = io.StringIO()
    Console(file=file, width=80, highlight=False).print(Screen(document))

    def numbers(text):
        return set(re.findall(r"\d[\d,.×e-]*", text.replace("\N{MINUS SIGN}", "-")))

    terminal = re.sub(r"\? \d\) ", "", file.getvalue()).replace("\n▌", " ").replace("\n?", " ")
    assert numbers(terminal) <= numbers(" ".join(outline.texts)) | {""}


def test_words_are_read_on_their_ground_light_and_dark():
    css = "".join((PAGE / f"{name}.css").read_text("utf-8") for name in STYLES)
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]
    grounds = "page", "paper", "board"
    inks = "ink", "soft", "accent", "warn", "right", "corrected", "depends", "answered"
    for part in (light, dark.partition("}")[0]):
        tones = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part))
        assert tones.keys() >= {*grounds, *inks}
        for ground, ink in itertools.product(grounds, inks):
            assert contrast(tones[ink], tones[ground]) >= 4.5, (ground, ink)
        assert contrast(tones["on-accent"], tones["accent"]) >= 4.5
