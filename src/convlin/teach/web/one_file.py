"""The page as one file: text, style, modules and data inside, nothing to fetch.

The modules of the page are written so that they can stand one after the other: imports are lines
of their own and only name what another module exports, and no top-level name comes twice.
`modules.txt` lists them, each behind those it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from convlin.teach.document import Document
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import as_json
from convlin.teach.web.article_html import article, contents, plain_text
from convlin.teach.web.page_data import given
from convlin.teach.web.page_files import PAGE

__all__ = ["STYLES", "bundle", "one_file", "served"]

LANGUAGES = {"en": "en", "zh": "zh-Hans"}
STYLES = (
    "base", "article", "questions", "views", "maps", "panels", "straighten", "bench", "phone",
    "print",
)  # fmt: skip
# The file may run its own script, show its own pictures, and reach nothing.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def one_file(document: Document, state: State | None = None) -> str:
    """Return the page as HTML that needs neither a server nor a network.

    state: what the views open with; without one, the first paragraph that shows something.
    """
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    styles = [f"<style>\n{_read(f'{name}.css')}</style>" for name in STYLES]
    script = f'<script type="module">\n{bundle()}</script>'
    data = given(document, state, engine=False)
    return "\n".join(_page(document, data, [policy, *styles], script)) + "\n"


def served(document: Document) -> str:
    """Return the page as a server sends it: style and modules are fetched, the engine answers."""
    styles = [f'<link rel="stylesheet" href="page/{name}.css">' for name in STYLES]
    script = '<script type="module" src="page/main.js"></script>'
    data = given(document, None, engine=True)
    return "\n".join(_page(document, data, styles, script)) + "\n"


def _page(document: Document, data: dict[str, Any], head: list[str], script: str) -> Iterator[str]:
    title = plain_text(document.title)
    yield "<!doctype html>"
    yield f'<html lang="{LANGUAGES[document.lang]}">'
    yield '<head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f'<title>{title}</title><link rel="icon" href="data:,">'
    yield from head
    yield f"</head><body><header><h1>{title}</h1>{_read('bar.html')}</header>"
    yield f'<div id="page"><article id="article"><p class="lead">{plain_text(document.lead)}</p>'
    yield from contents(document)
    yield from article(document)
    yield f"<footer>{plain_text(document.end)}</footer></article>"
    yield f"{_read('views.html')}</div>"
    # "<" as an escape: no text can end the element.
    text = as_json(data).replace("<", "\\u003c")
    yield f'<script type="application/json" id="given">{text}</script>'
    yield f"{script}</body></html>"


def bundle() -> str:
    """Return all modules of the page as one."""
    lines = []
    for name in _read("modules.txt").split():
        for line in _read(name).splitlines():
            if not line.startswith("import "):
                lines.append(line.removeprefix("export "))
    return "\n".join(lines) + "\n"


def _read(name: str) -> str:
    return (PAGE / name).read_text("utf-8")
