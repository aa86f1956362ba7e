"""Each ruling is asked first, once, with one right answer; and each view is one that there is."""

import re

import pytest

from convlin.teach.document import Exercise, Judgement, Paragraph, Question
from convlin.teach.lessons import NUMBERS, lessons
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import scene
from convlin.teach.web.page_files import PAGE
from convlin.teach.words import LANGUAGES, Words
from teach.lessons.examples import EXAMPLES

# By lesson, ruling after ruling: how it is ruled, and the right answer by hand, a text by its key.
ASKED = {
    1: [("right", f"{36 - 9}"), ("answered", f"{36 - 1}")],
    2: [("right", f"{16 * 9}")],
    3: [("right", f"{2 * 3}"), ("depends", "pointwise.ask_flat")],
    4: [("answered", f"{3 * 27}")],
    5: [
        ("corrected", "uses.place_both"), ("right", "1"), ("right", "448×448×20"),
        ("corrected", "uses.activation_one"),
    ],
    6: [("corrected", "why.ask_move")],
}  # fmt: skip
TABS = {"matrix", "wiring", "straighten", "bench", "dial", "layer"}
STEPS = {"bench": {"", "other", "second", "shared"}, "dial": {"conv", "local", "linear", "step"}}


def blocks_of(document):
    return [(lesson.number, block) for lesson in document.lessons for block in lesson.blocks]


def test_one_question_before_each_ruling(document):
    assert [lesson.number for lesson in document.lessons] == list(NUMBERS) == list(ASKED)
    words = Words(document.lang)
    for number, asked in ASKED.items():
        kinds = (Question, Judgement)
        found = [b for n, b in blocks_of(document) if n == number and isinstance(b, kinds)]
        questions, rulings = found[::2], found[1::2]
        assert [type(block) for block in found] == list(kinds) * len(asked)
        for question, ruling, (kind, right) in zip(questions, rulings, asked, strict=True):
            assert ruling.ruling == kind and ruling.word == words(f"ruling.{kind}")
            expected = words(right) if "." in right else right
            assert question.options[question.right] == expected
            assert 3 <= len(question.options) == len(set(question.options)) <= 4
            assert ruling.claim and ruling.answer and all(ruling.evidence)
            assert ruling.code is not None


def test_numbers_stand_in_their_order(document):
    for _, block in blocks_of(document):
        if isinstance(block, Question) and all(re.fullmatch("[0-9,]+", o) for o in block.options):
            numbers = [int(option.replace(",", "")) for option in block.options]
            assert numbers == sorted(numbers)


def test_the_right_answer_is_not_always_at_the_same_place(document):
    rights = [block.right for _, block in blocks_of(document) if isinstance(block, Question)]
    assert len(rights) == 11 and max(map(rights.count, rights)) <= len(rights) / 2


def test_two_exercises_with_answers(document):
    found = [(n, block) for n, block in blocks_of(document) if isinstance(block, Exercise)]
    assert [number for number, _ in found] == [1, 5]
    words = Words(document.lang)
    for count, (_, exercise) in enumerate(found, start=1):
        assert exercise.title == words("exercise.title", number=count)
        assert exercise.task != exercise.answer and exercise.answer and exercise.code is not None


def views(document):
    return [
        (number, block.view) for number, block in blocks_of(document)
        if isinstance(block, Paragraph) and block.view is not None
    ]  # fmt: skip


def test_every_view_is_one_that_there_is(document):
    found = views(document)
    assert {number for number, _ in found} == set(NUMBERS)
    assert {view.tab for _, view in found} == TABS - {"layer"}
    for _, view in found:
        state = State.of(view.link)
        assert scene(state)["link"] == state.link
        assert view.step in STEPS.get(view.tab, {""}), view


def test_the_tabs_and_steps_are_those_of_the_page():
    html = (PAGE / "views.html").read_text("utf-8")
    assert set(re.findall(r'id="tab-(\w+)"', html)) == TABS
    scripts = "".join(path.read_text("utf-8") for path in PAGE.rglob("*.js"))
    for steps in STEPS.values():
        for step in steps - {""}:
            assert f'"{step}"' in scripts, step


def test_views_of_lessons_1_and_2_show_the_output_told(document):
    ats = [State.of(view.link).at for number, view in views(document) if number < 3]
    assert all(at is not None for at in ats)
    assert {str(at) for at in ats} == {"output:0,0,0", "output:0,0,1", "tap:0,0,0,0"}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_views_of_own_examples(name, lang):
    """The views show the very image, kernel and steps; or there are none where they refuse them."""
    example = EXAMPLES[name]()
    found = views(lessons(lang, [1, 2], example))
    for _, view in found:
        state = State.of(view.link)
        assert state.geometry == example.geometry and state.size == example.image.shape
        rounded = abs(state.image[0] / 1000 - example.image).max()
        assert (
            rounded <= 0.0005 and abs(state.weights[0, 0] / 1000 - example.kernel).max() <= 0.0005
        )
    assert bool(found) or name == "large"
