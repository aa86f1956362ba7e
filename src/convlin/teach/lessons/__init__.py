"""The six lessons, each put together from its numbers and the words of a language.

| file | idea |
|---|---|
| `sparse.py`, `sharing.py`, `pointwise.py`, `full_size.py`, `uses.py`, `why.py` | a lesson each |
| `parts.py` | grids, questions, rulings and verdicts, which all lessons have |
| `rows.py` | rows of the matrix, one and all |
| `shown.py` | an example as a link of the views |

`snippets/` are the lines of Python under the rulings, each a doctest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convlin import __version__
from convlin.teach.document import Document, Lesson
from convlin.teach.example import Example, article_example
from convlin.teach.lessons.full_size import full_size_lesson
from convlin.teach.lessons.pointwise import pointwise_lesson
from convlin.teach.lessons.sharing import sharing_lesson
from convlin.teach.lessons.sparse import sparse_lesson
from convlin.teach.lessons.uses import uses_lesson
from convlin.teach.lessons.why import why_lesson
from convlin.teach.numbers import full_size, pointwise, sharing, sparse, uses, why
from convlin.teach.words import Words

__all__ = ["NUMBERS", "lessons"]

NUMBERS = 1, 2, 3, 4, 5, 6


def lessons(
    lang: str = "en", numbers: Sequence[int] = NUMBERS, example: Example | None = None
) -> Document:
    """Return these lessons in "en" or "zh"; their numbers are computed now.

    example: what lessons 1 and 2 are told with, the article's by default.

    >>> [lesson.title for lesson in lessons("en", [4]).lessons]
    ['A kernel as large as the map']
    """
    words, shown = Words(lang), example or article_example()
    chosen = tuple(_lesson(number, words, shown) for number in numbers)
    lead = [words("page.lead"), *_own(words, shown)]
    return Document(
        lang,
        words("page.title"),
        (" " if lang == "en" else "").join(lead),
        words("page.contents"),
        words("page.end", version=__version__),
        chosen,
        words.table("ask"),
    )


def _own(words: Words, example: Example) -> Iterator[str]:
    """Yield what is the reader's of the example, if anything is."""
    if example.own != "none":
        yield words("page.own" if example.own == "all" else "page.own_part")


def _lesson(number: int, words: Words, example: Example) -> Lesson:
    if number == 1:
        key, blocks = "sparse", sparse_lesson(words, sparse(example))
    elif number == 2:
        key, blocks = "sharing", sharing_lesson(words, sharing(example))
    elif number == 3:
        key, blocks = "pointwise", pointwise_lesson(words, pointwise())
    elif number == 4:
        key, blocks = "full_size", full_size_lesson(words, full_size())
    elif number == 5:
        key, blocks = "uses", uses_lesson(words, uses())
    else:
        key, blocks = "why", why_lesson(words, why())
    return Lesson(
        number, words("page.lesson", number=number), words(f"{key}.title"), tuple(blocks)
    )  # fmt: skip
