"""Both languages say the same things, and neither has a number of its own."""

import io
import re
from importlib import import_module
from string import Formatter

import pytest
from rich.console import Console

from convlin.display.languages import Texts
from convlin.teach.document import Figure
from convlin.teach.lessons import lessons
from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.scenes.page_state import DEFAULTS, OPTIONAL
from convlin.teach.scenes.presets import PRESETS
from convlin.teach.terminal.asking import ask
from convlin.teach.web.article_html import article
from convlin.teach.web.page_data import TABLES
from convlin.teach.web.page_files import PAGE
from convlin.teach.words import LANGUAGES, Words, sentences
from teach.lessons.examples import EXAMPLES

# Said only if the engine found something else than it finds.
UNSAID = {"proof.measured", "uses.place_unshuffled", "why.head_apart"}
FIGURES = "neuron", "three_forms", "per_pixel", "energy_split"
FILES = [path for path in PAGE.rglob("*") if path.suffix in (".js", ".html")]
# Names of kinds of layers, which no computation changes.
KINDS = re.compile("1×1|2×2|3×3|5×5|6×6")
# The page asks for these by names that it has from elsewhere: `field.${name}`.
BY_NAME = {
    "preset": PRESETS.keys(),
    "picture": {*PICTURES, *KERNELS},
    "form": {"conv", "local", "linear", "matrix"},
    "field": {
        "link",
        "host",
        "path",
        "method",
        *DEFAULTS,
        *OPTIONAL,
        *(f"{name}_help" for name in DEFAULTS),
        "zeros",
        "reflect",
        "replicate",
        "circular",
    },
    "dial": {"conv_help", "local_help", "linear_help"},
    "views": {"input_value", "tap_value"},
    "straighten": {"image", "column", "wires", "rows"},
}
# Without a word in it, in any language.
SIGNS = {"views.slice", "preset.pointwise", "counts.between"}


def fields(sentence):
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def shown(sentence):
    """The fields whose value is written, not only a word that goes with it."""
    return {
        name for _, name, spec, _ in Formatter().parse(sentence)
        if name is not None and "|" not in (spec or "")
    }  # fmt: skip


def table_of(key):
    return key.partition(".")[0]


def test_the_same_sentences_with_the_same_fields():
    english, chinese = (sentences(lang) for lang in LANGUAGES)
    assert english.keys() == chinese.keys()
    for key in english:
        if table_of(key) in TABLES:
            # Chinese has no plural: a field that only chooses between words is none of its own.
            assert shown(english[key]) <= fields(chinese[key]) <= fields(english[key]), key
        else:
            assert fields(english[key]) == fields(chinese[key]), key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_sentence_has_a_number_of_its_own(lang):
    for key, sentence in sentences(lang).items():
        bare = KINDS.sub("", re.sub(r"\{[^}]*\}", "", sentence)).replace("F2", "")  # a key
        if key.startswith("preset.lesson"):
            number, bare = bare.split(maxsplit=1)
            assert key == f"preset.lesson{number}"
        assert not re.search(r"[0-9〇一二三四五六七八九十]{2}|[0-9]", bare), (key, sentence)
        assert sentence.strip(), key


def test_each_language_is_its_own():
    for key, sentence in sentences("en").items():
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", sentence), key
    for key, sentence in sentences("zh").items():
        bare = re.sub(r"\{[^}]*\}", "", sentence)
        assert re.search(r"[\u4e00-\u9fff]", bare) or key in SIGNS, (key, sentence)
        assert not re.search(r"[\u4e00-\u9fff] ?[,.;:?!](?!\w)", bare), (key, "western punctuation")


def of_the_page():
    """Every key that the page asks for: written out in its files, or by a name it has."""
    texts = "".join(path.read_text("utf-8") for path in FILES)
    written = set(re.findall(r"[\"']([a-z]+\.[a-z_0-9]+)[\"']", texts))
    named = {f"{table}.{name}" for table, names in BY_NAME.items() for name in names}
    for table in BY_NAME:
        asked = re.search(rf"`({table}|\$\{{table\}})\.\$\{{", texts)
        assert asked, f"the page asks for no name of {table}"
    return written | named


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_sentence_is_said(lang, monkeypatch):
    said = set()
    say, look = Words.__call__, Texts.__getitem__

    def listening(self, key, **named):
        said.add(key)
        return say(self, key, **named)

    def looking(self, key):
        said.add(f"ask.{key}")
        return look(self, key)

    monkeypatch.setattr(Words, "__call__", listening)
    monkeypatch.setattr(Texts, "__getitem__", looking)
    for name in EXAMPLES:
        document = lessons(lang, [1, 2], EXAMPLES[name]())
        for block in (block for lesson in document.lessons for block in lesson.blocks):
            if isinstance(block, Figure) and not isinstance(drawn := block.draw(), str):
                assert drawn.axes
    document = lessons(lang, [3, 4, 5, 6])
    list(article(document))
    answers = iter(["x", "1", ""])
    ask(document, Console(file=io.StringIO()), lambda prompt: next(answers, "2"))
    drawings = {key for key in sentences(lang) if table_of(key) in (*FIGURES, "straightened")}
    page = {key for key in of_the_page() if table_of(key) in TABLES}
    assert sentences(lang).keys() - said - drawings - page == UNSAID
    assert not page - sentences(lang).keys()
    assert not {key for key in said if table_of(key) != "ask"} - sentences(lang).keys()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_fills_in_what_its_texts_name(lang):
    """Fields that the page gives stand in its files, as names of a call's values."""
    texts = "".join(path.read_text("utf-8") for path in FILES)
    for key, sentence in sentences(lang).items():
        if table_of(key) in TABLES and table_of(key) != "ask":
            for name in fields(sentence):
                assert re.search(rf"\b{name}\b", texts), (key, name)


def test_the_words_on_figures_are_those_that_figures_have():
    for file, name in zip(("one_neuron", *FIGURES[1:]), FIGURES, strict=True):
        english = import_module(f"convlin.figures.{file}").WORDS
        for lang in LANGUAGES:
            words = Words(lang).templates(name)
            assert words.keys() == english.keys()
            assert all(fields(words[key]) <= fields(english[key]) for key in words), (name, lang)


def test_numbers_as_people_read_them():
    words = Words("en")
    text = words("uses.channels_cost", weights=2000, adds=401408000, flattened=5)
    assert text.startswith("2,000 weights and 401,408,000 multiply-adds;")
    assert words.format("{n:wire|wires}, {m:wire|wires}", n=1, m=0) == "wire, wires"
    assert words.format("{n}", n=(3, 5)) == "3×5"


def test_a_field_that_is_missing_or_unknown_is_an_error():
    words = Words("en")
    with pytest.raises(KeyError):
        words("sparse.answer", rows=3)
    with pytest.raises(AssertionError, match=r"sparse\.answer \(en\) has no \{'pixels'\}"):
        words("sparse.answer", rows=3, columns=4, pixels=5)
