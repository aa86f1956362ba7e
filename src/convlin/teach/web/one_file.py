"""One state as one file: the page with its style, its modules and the scene inside.

The modules of the page are written so that they can stand one after the other: imports are lines
of their own and only name what another module exports, and no top-level name comes twice.
`modules.txt` lists them, each behind those it needs.
"""

from __future__ import annotations

import base64
import html
import re

from convlin.teach.scenes.matrix_picture import matrix_png
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import as_json, scene
from convlin.teach.web.page_files import PAGE

__all__ = ["exported"]

STYLE = re.compile(r'<link rel="stylesheet" href="page/(\w+\.css)">')
SCRIPT = '<script type="module" src="page/main.js"></script>'
HEAD = '<meta charset="utf-8">'
# The file may run its own script, show its own pictures, and reach nothing.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def exported(state: State) -> str:
    """Return the page of a state as HTML that needs neither a server nor a network."""
    shown = scene(state)
    if shown["matrix"]["image"]:
        png = base64.b64encode(matrix_png(state)).decode()
        shown["matrix"]["image"] = f"data:image/png;base64,{png}"
    data = as_json(shown).replace("<", "\\u003c")
    page = STYLE.sub(lambda link: f"<style>\n{_read(link[1])}</style>", _read("index.html"))
    for mark, text in (
        (HEAD, f'{HEAD}\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        ("<title>convlin explore</title>", f"<title>{html.escape(shown['title'])}</title>"),
        (
            SCRIPT,
            f'<script type="application/json" id="scene">{data}</script>\n'
            f'<script type="module">\n{bundle()}</script>',
        ),
    ):
        before, there, after = page.partition(mark)
        assert there, f"index.html lacks {mark}"
        page = before + text + after
    return page


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
