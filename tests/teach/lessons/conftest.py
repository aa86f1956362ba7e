"""Every lesson in both languages, computed once; and examples that are hard to tell."""

import pytest

from convlin.teach.lessons import lessons
from convlin.teach.numbers import sparse
from teach.lessons.examples import EXAMPLES


@pytest.fixture(scope="session", params=["en", "zh"])
def document(request):
    return lessons(request.param)


@pytest.fixture(scope="session", params=EXAMPLES)
def example(request):
    return EXAMPLES[request.param]()


@pytest.fixture(scope="session")
def lesson(example):
    """Lesson 1 of that example."""
    return sparse(example)
