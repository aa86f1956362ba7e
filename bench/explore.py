"""How long the page of the lessons waits: a slider moved, over HTTP and in a browser.

Over HTTP everything counts: reading the link, the scene, JSON, compression, loopback, and reading
it back. In Chromium it is the time from the slider's move to the frame in which the views are drawn
anew, with the engine behind the page and from a file without one.
"""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from tables import console

from convlin.teach.lessons import lessons
from convlin.teach.server.application import serve
from convlin.teach.web.one_file import one_file

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIMIT = 0.1  # seconds
ROUNDS = 40
# Each slider on its way: what is asked for changes every time.
SLIDERS = {
    "kernel, 32×32": [f"size=32&padding=5&kernel={k}" for k in (3, 4, 5, 7)],
    "null space, 32×32": [f"size=32&padding=1&along={a}" for a in range(-4, 5)],
    "channels, 32×32": [f"size=32&padding=1&in={n}&out=4" for n in (1, 2, 3, 4)],
    "size, from 24 to 32": [f"size={n}&padding=1" for n in range(24, 33)],
    "size, up to 64×64": [f"size={n}&padding=1&in=2" for n in range(58, 65)],
}

# In the browser: the link, the slider, and the places that it moves over.
MOVES = {
    "kernel, 6×6": ("?", "kernel-0", (2, 3, 4, 5)),
    "padding, 6×6": ("?", "padding-0", (0, 1, 2, 3)),
    "stride, a picture": ("?picture=scene", "stride-0", (1, 2, 3)),
    "dilation, a picture": ("?picture=digits", "dilation-0", (1, 2)),
}
LARGE = {"size, from 24 to 32": ("?size=24&padding=1", "size-0", range(24, 33))}  # the engine's
DRAWN = """([id, value]) => new Promise(done => {
  const slider = document.getElementById(id);
  const began = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  });
  seen.observe(document.getElementById("output"), { childList: true });
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
})"""


def ask(connection: HTTPConnection, query: str) -> tuple[float, int, int]:
    """Return the seconds one scene took, and its bytes: as sent, and as JSON."""
    start = time.perf_counter()
    connection.request("GET", f"/api/scene?{query}", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    sent = answer.read()
    text = gzip.decompress(sent)
    json.loads(text)
    seconds = time.perf_counter() - start
    if answer.status != 200:
        raise SystemExit(f"{query}: {text[:200]!r}")
    return seconds, len(sent), len(text)


def run() -> None:
    """Print the median of every slider, and whether it keeps the limit."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening, "127.0.0.1"), daemon=True).start()
        host, port = listening.getsockname()
        over_http(HTTPConnection(host, port))
        in_browser(f"http://{host}:{port}/")


def over_http(connection: HTTPConnection) -> None:
    table = titled("convlin explore: from slider to scene", "sent", "JSON")
    for name, queries in SLIDERS.items():
        ask(connection, queries[0])
        with console.status(name):
            asked = [
                ask(connection, query)
                for query in itertools.islice(itertools.cycle(queries), ROUNDS)
            ]
        seconds, sent, text = zip(*asked, strict=True)
        table.add_row(
            *timed(name, seconds), f"{max(sent) / 1e3:.0f} kB", f"{max(text) / 1e3:.0f} kB"
        )
    console.print(table)
    connection.close()


def in_browser(server: str) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        console.print("the page in a browser: left out, no Chromium here")
        return
    table = titled("the page in Chromium: from slider to drawn views")
    with tempfile.TemporaryDirectory() as folder, opened(program) as page:
        file = Path(folder) / "page.html"
        file.write_text(one_file(lessons("en")), "utf-8")
        places = [("file", file.as_uri(), MOVES), ("engine", server, MOVES | LARGE)]
        for where, address, moves in places:
            for name, (link, slider, values) in moves.items():
                with console.status(name):
                    seconds = moved(page, f"{address}{link}#layer", slider, values)
                table.add_row(*timed(f"{name} ({where})", seconds))
    console.print(table)


@contextmanager
def opened(program: str) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        browser.close()


def moved(page: Page, address: str, slider: str, values: tuple[int, ...] | range) -> list[float]:
    """Return the seconds from each move of a slider to the frame that shows it."""
    page.goto(address)
    page.wait_for_selector("#output [role=gridcell]", state="attached")
    page.evaluate(DRAWN, [slider, str(values[1])])
    places = itertools.islice(itertools.cycle(values), ROUNDS)
    return [page.evaluate(DRAWN, [slider, str(value)]) / 1e3 for value in places]


def titled(title: str, *more: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("slider", "median", "slowest", "limit", *more):
        table.add_column(heading, justify="right" if heading != "slider" else "left")
    return table


def timed(name: str, seconds: tuple[float, ...] | list[float]) -> tuple[str, str, str, str]:
    median = statistics.median(seconds)
    kept = f"{LIMIT * 1e3:.0f} ms " + ("kept" if median < LIMIT else "MISSED")
    return name, f"{median * 1e3:.0f} ms", f"{max(seconds) * 1e3:.0f} ms", kept


if __name__ == "__main__":
    run()
