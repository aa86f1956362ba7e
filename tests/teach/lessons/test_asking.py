"""The lessons ask and wait: right, wrong, rubbish, Enter and the end of input; by script and for real."""

import io
import os
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from convlin.teach.document import Judgement, Question
from convlin.teach.lessons import lessons
from convlin.teach.terminal.asking import ask
from convlin.teach.words import LANGUAGES, Words


class Reader:
    """Types lines one after the other, and then nothing more."""

    def __init__(self, *lines):
        self.lines, self.prompts = list(lines), []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


def asked(document, *lines):
    file, reader = io.StringIO(), Reader(*lines)
    score = ask(document, Console(file=file, width=80, highlight=False), reader)
    return score, file.getvalue(), reader.prompts


def questions(document):
    return [b for lesson in document.lessons for b in lesson.blocks if isinstance(b, Question)]


@pytest.fixture(scope="module", params=LANGUAGES)
def one(request):
    """Lesson 1 alone: two questions, 27 of 0, 9, 27, 36 and 35 of 0, 6, 27, 35."""
    return lessons(request.param, [1]), Words(request.param)


def test_right(one):
    document, words = one
    score, text, prompts = asked(document, "3", " 4 ")
    assert score == (2, 2)
    assert prompts == [words("ask.prompt", first=1, last=4)] * 2
    for answer in ("27", "35"):
        assert f"\n{words('ask.right', answer=answer)}\n" in text
    assert words("ask.score", right=2, asked=2) in text.splitlines()[-1]


def test_wrong(one):
    document, words = one
    score, text, _ = asked(document, "1", "4")
    assert score == (1, 2)
    assert f"\n{words('ask.wrong', answer='27')}\n" in text
    assert f"\n{words('ask.right', answer='35')}\n" in text
    assert words("ask.score", right=1, asked=2) in text


@pytest.mark.parametrize("rubbish", ["0", "5", "-1", "x", "3.0", "²", "1 2", "27", "９"])
def test_rubbish_is_asked_again(one, rubbish):
    document, words = one
    score, text, prompts = asked(document, rubbish, rubbish, "3", "4")
    assert score == (2, 2) and len(prompts) == 4
    assert text.count(words("ask.unknown", first=1, last=4)) == 2


def test_enter_shows_the_answer_and_does_not_count(one):
    document, words = one
    score, text, _ = asked(document, "", "4")
    assert score == (1, 1)
    assert words("ask.wrong", answer="27") in text
    assert words("ask.score", right=1, asked=1) in text


def test_nothing_answered_has_no_score(one):
    document, words = one
    score, text, prompts = asked(document, "", "")
    assert score == (0, 0) and len(prompts) == 2
    assert words("ask.score", right=0, asked=0) not in text


@pytest.mark.parametrize("typed", [[], ["3"], ["x"]])
def test_the_end_of_input_shows_the_rest_and_asks_no_more(one, typed):
    document, words = one
    score, text, prompts = asked(document, *typed)
    assert score == ((1, 1) if typed == ["3"] else (0, 0))
    assert len(prompts) == len(typed) + 1
    rest = [words("ask.wrong", answer=answer) for answer in ("27", "35")]
    assert [text.count(line) for line in rest] == [typed != ["3"], 1]
    # To the last line: both rulings, and the end.
    assert document.end in text and text.count(words("ruling.evidence")) == 0
    for block in document.lessons[0].blocks:
        if isinstance(block, Judgement):
            assert f"▌ {block.word}\n" in text


def test_every_answer_of_every_lesson(document):
    several = questions(document)
    right = [str(question.right + 1) for question in several]
    score, text, _ = asked(document, *right)
    assert score == (len(several), len(several)) == (11, 11)
    wrong = [str((q.right + 1) % len(q.options) + 1) for q in several]
    assert asked(document, *wrong)[0] == (0, 11)
    assert max(map(cell_len, text.splitlines())) <= 80


def test_a_question_comes_before_its_ruling(document):
    """In print as at a prompt; the ruling's word comes only behind the answer."""
    _, text, _ = asked(document)
    at = 0
    for lesson in document.lessons:
        for block in lesson.blocks:
            if isinstance(block, Question):
                at = text.index(f"? {document.words['predict']}", at) + 1
                assert f"? 1) {block.options[0]}" in text[at:].replace("\n?   ", " ")
                said = Words(document.lang)("ask.wrong", answer=block.options[block.right])
                at = text.index(said, at)
            elif isinstance(block, Judgement):
                at = text.index(f"▌ {block.word}\n", at)
    assert text.count("? 1) ") == text.count(f"? {document.words['predict']}") == 11


@pytest.mark.parametrize("lang", LANGUAGES)
def test_for_real_with_answers_piped_in(lang):
    command = [sys.executable, "-m", "convlin", "explain", "--ask", "--lesson", "1", "--lang", lang]
    result = subprocess.run(
        command, input="nine\n3\n1\n", capture_output=True, encoding="utf-8", timeout=120,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    words = Words(lang)
    assert (result.returncode, result.stderr) == (0, "")
    assert words("ask.unknown", first=1, last=4) in result.stdout
    assert words("ask.right", answer="27") in result.stdout
    assert words("ask.wrong", answer="35") in result.stdout
    assert result.stdout.rstrip().endswith(words("ask.score", right=1, asked=2))


def test_for_real_with_no_input_at_all():
    command = [sys.executable, "-m", "convlin", "explain", "--ask", "--lesson", "2"]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert Words("en")("ask.wrong", answer="144") in result.stdout
    assert "You predicted" not in result.stdout
