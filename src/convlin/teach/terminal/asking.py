"""Predict, then reveal: the lessons stop at each question and wait for an answer."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from convlin.display.languages import Texts
from convlin.teach.document import Document, Question
from convlin.teach.terminal.lesson_terminal import parts, question_text

__all__ = ["ask"]


def ask(document: Document, console: Console, read: Callable[[str], str]) -> tuple[int, int]:
    """Print a document, wait at each question, say whether the answer is right, and the score.

    read: prints a prompt and returns a line, as `input` does; at `EOFError` nothing more is asked.
    Returns how many answers were right, of how many.
    """
    words, right, asked, reading = document.words, 0, 0, True
    for part in parts(document, console.width):
        if not isinstance(part, Question):
            console.print(part)
            continue
        console.print(question_text(part, document, console.width))
        chosen = None
        if reading:
            try:
                chosen = _chosen(part, words, console, read)
            except EOFError:
                reading = False
                console.print()
        if chosen is not None:
            asked += 1
            right += chosen == part.right
        key = "right" if chosen == part.right else "wrong"
        console.print(Text(words(key, answer=part.options[part.right]), style="bold"))
    if asked:
        console.print(Text(words("score", right=right, asked=asked), style="bold"))
    return right, asked


def _chosen(
    question: Question, words: Texts, console: Console, read: Callable[[str], str]
) -> int | None:
    """Return the option that was typed, from 0; None for a line without a word."""
    ends = {"first": 1, "last": len(question.options)}
    while True:
        line = read(words("prompt", **ends)).strip()
        if not line:
            return None
        if line.isdecimal() and 1 <= int(line) <= len(question.options):
            return int(line) - 1
        console.print(words("unknown", **ends))
