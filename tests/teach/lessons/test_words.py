"""Both languages say the same things, and neither has a number of its own."""

import re
from importlib import import_module
from string import Formatter

import pytest

from convlin.teach.lessons import lessons
from convlin.teach.words import LANGUAGES, Words, sentences
from teach.lessons.examples import EXAMPLES

# Said only if the engine found something else than it finds.
FIGURES = "neuron", "three_forms", "per_pixel", "energy_split"
UNSAID = {"proof.measured", "uses.place_unshuffled"}


def fields(sentence):
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_the_same_sentences_with_the_same_fields():
    english, chinese = (sentences(lang) for lang in LANGUAGES)
    assert english.keys() == chinese.keys()
    different = {key for key in english if fields(english[key]) != fields(chinese[key])}
    assert not different


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_sentence_has_a_number_of_its_own(lang):
    for key, sentence in sentences(lang).items():
        bare = re.sub(r"\{[^}]*\}", "", sentence).replace("1×1", "")
        assert not re.search(r"[0-9〇一二三四五六七八九十]{2}|[0-9]", bare), (key, sentence)
        assert sentence.strip(), key


def test_each_language_is_its_own():
    for key, sentence in sentences("en").items():
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", sentence), key
    for key, sentence in sentences("zh").items():
        bare = re.sub(r"\{[^}]*\}", "", sentence)
        assert re.search(r"[\u4e00-\u9fff]", bare), key
        assert not re.search(r"[\u4e00-\u9fff] ?[,.;:?!](?!\w)", bare), (key, "western punctuation")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_sentence_is_said(lang, monkeypatch):
    said = set()
    say = Words.__call__

    def listening(self, key, **named):
        said.add(key)
        return say(self, key, **named)

    monkeypatch.setattr(Words, "__call__", listening)
    for name in EXAMPLES:
        lessons(lang, [1, 2], EXAMPLES[name]())
    lessons(lang, [3, 4, 5])
    drawn = {key for key in sentences(lang) if key.split(".")[0] in FIGURES}
    assert sentences(lang).keys() - said - drawn == UNSAID
    assert not said - sentences(lang).keys()


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
