"""What the page is given with its text: words, presets, pictures, colours, and geometries.

A page without a server looks up the geometries of its lessons here; values it recomputes.
"""

from __future__ import annotations

from typing import Any

from convlin.figures.palette import tap_colors
from convlin.teach.document import Document, Paragraph
from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.scenes.page_state import DEFAULTS, State
from convlin.teach.scenes.presets import PRESETS
from convlin.teach.scenes.scene import scene
from convlin.teach.words import Words

__all__ = ["TABLES", "geometries", "given"]

# The tables of words that the page says by itself.
TABLES = (
    "views", "matrix", "wiring", "straighten", "bench", "dial", "layer", "form", "counts", "field",
    "read", "preset", "picture", "ask", "try",
)  # fmt: skip
# Weights whose colours the page has at hand: kernels of 11×11, the largest there are on it.
COLORS = 121


def given(document: Document, state: State | None, *, engine: bool) -> dict[str, Any]:
    """Return what the page is given, as plain values; `state` is what it opens with, if anything.

    engine: whether a server answers.
    """
    words = Words(document.lang)
    return {
        "lang": document.lang,
        "engine": engine,
        "opens": None if state is None else state.link,
        "words": {
            f"{table}.{key}": text
            for table in TABLES
            for key, text in words.templates(table).items()
        },
        "defaults": DEFAULTS,
        "presets": PRESETS,
        "pictures": {
            name: {"size": list(pixels.shape), "values": pixels.ravel().tolist()}
            for name, pixels in PICTURES.items()
        },
        "kernels": {name: kernel.ravel().tolist() for name, kernel in KERNELS.items()},
        "colors": {"few": tap_colors(9), "many": tap_colors(COLORS)},
        "geometries": {} if engine else geometries(document, state),
    }


def geometries(document: Document, state: State | None) -> dict[str, Any]:
    """Return the scenes that the lessons show, by the links of their geometries."""
    links = [
        block.view.link
        for lesson in document.lessons
        for block in lesson.blocks
        if isinstance(block, Paragraph) and block.view is not None
    ]
    presets = [f"?preset={name}" for name in PRESETS]
    states = [*map(State.of, [*links, *presets]), *([state] if state else [])]
    known = dict.fromkeys(shown.geometry_link for shown in states)
    return {link: scene(State.of(link)) for link in known}
