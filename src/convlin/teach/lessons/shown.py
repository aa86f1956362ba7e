"""What the linked views show beside a paragraph: an example of a lesson as a link of the views."""

from __future__ import annotations

import numpy as np

from convlin.errors import Refused
from convlin.teach.document import View
from convlin.teach.example import Example
from convlin.teach.scenes.decimals import SCALE, written
from convlin.teach.scenes.page_state import State

__all__ = ["link", "state_link", "view", "view_of_tap"]

# Pixels of an image that a tab has room for, and entries of a matrix that the dial has: as in
# `page/views/`, which say so where there are more. A paragraph shows the matrix then.
FITS = {"straighten": 64, "bench": 400}
DIALLED = 2500


def view(
    example: Example, output: tuple[int, ...], tab: str = "matrix", step: str = ""
) -> View | None:
    """Return a view of an example with an output pinned; None where the views cannot show it.

    An example too large for the tab is shown as its matrix.

    >>> from convlin.teach.example import article_example
    >>> view(article_example(), (0, 1))
    View(link='?at=output:0,0,1', tab='matrix', step='')
    """
    shown = link(example, f"output:0,{output[0]},{output[1]}")
    if shown is None:
        return None
    rows, columns = example.matrix.shape
    large = columns > FITS.get(tab, columns) or (tab == "dial" and rows * columns > DIALLED)
    return View(shown) if large else View(shown, tab, step)


def view_of_tap(example: Example) -> View | None:
    """Return a view of an example with the first weight of its kernel pinned."""
    shown = link(example, "tap:0,0,0,0")
    return None if shown is None else View(shown)


def link(example: Example, at: str) -> str | None:
    """Return the link of an example, its numbers in thousandths; None if the views refuse it."""
    fields = {
        "size": example.image.shape, "kernel": example.kernel.shape, "stride": example.stride,
        "padding": example.padding, "dilation": example.dilation,
    }  # fmt: skip
    query = {name: f"{pair[0]}x{pair[1]}" for name, pair in fields.items()}
    query |= {"image": _values(example.image), "weights": _values(example.kernel), "at": at}
    return state_link("&".join(f"{name}={text}" for name, text in query.items()))


def state_link(query: str) -> str | None:
    """Return a link of the views as short as it can be; None if they refuse it.

    >>> state_link("size=6x6&stride=1"), state_link("size=900")
    ('?', None)
    """
    try:
        return State.of(query).link
    except Refused:
        return None


def _values(numbers: np.ndarray) -> str:
    return ",".join(written(round(number * SCALE)) for number in numbers.ravel().tolist())
