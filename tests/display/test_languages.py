"""Texts in two languages: what the lessons, the page and the figures have in common."""

import pytest

from convlin.display.languages import LANGUAGES, Texts, figure_texts, language, load
from convlin.errors import Refused


def test_each_language_is_loaded_from_a_file_of_its_own():
    english, chinese = (load("convlin.teach", lang) for lang in LANGUAGES)
    assert english.keys() == chinese.keys() and len(chinese) > 400
    assert all(english[key] != chinese[key] for key in chinese if key.endswith(".title"))


def test_an_unknown_language_is_refused():
    assert [language("explore", name) for name in LANGUAGES] == list(LANGUAGES)
    for name in ("fr", "", "../en", "EN"):
        with pytest.raises(Refused) as caught:
            language("explore", name)
        (refusal,) = caught.value.refusals
        assert (refusal.site, refusal.field) == ("explore", "lang")
        assert refusal.allowed == "en or zh" and repr(name) in str(caught.value)


def test_numbers_and_the_words_that_go_with_them():
    texts = Texts({"a": "{n} {n:wire|wires}", "b": "{n:,} {share} {size} {name}"})
    assert texts("a", n=1) == "1 wire" and texts("a", n=0) == "0 wires"
    assert texts("b", n=2304, share=0.1234567, size=(3, 5), name="x") == "2,304 0.123457 3×5 x"
    with pytest.raises(KeyError):
        texts("a")


def test_words_of_the_callers_own_replace_those_there_are_and_no_others():
    english = {"input": "input {rows}", "output": "output"}
    said = figure_texts("neuron", english, {"input": "Bild: {rows}"})
    assert said("input", rows=6) == "Bild: 6" and said["output"] == "output"
    with pytest.raises(Refused, match="one of input, output") as caught:
        figure_texts("neuron", english, {"title": "x", "wires": "y", "input": "z"})
    assert [refusal.value for refusal in caught.value.refusals] == ["title", "wires"]
