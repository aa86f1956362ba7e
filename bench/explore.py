"""How long the page of `convlin explore` waits for an answer: a slider moved, over HTTP.

Everything counts: reading the link, the scene, JSON, compression, loopback, and reading it back.
"""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import statistics
import threading
import time
from http.client import HTTPConnection

from rich.table import Table
from tables import console

from convlin.teach.server.application import serve

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
        connection = HTTPConnection(*listening.getsockname())
        table = Table(title="convlin explore: from slider to scene", title_justify="left")
        for heading in ("slider", "median", "slowest", "sent", "JSON", "limit"):
            table.add_column(heading, justify="right" if heading != "slider" else "left")
        for name, queries in SLIDERS.items():
            ask(connection, queries[0])
            with console.status(name):
                asked = [
                    ask(connection, query)
                    for query in itertools.islice(itertools.cycle(queries), ROUNDS)
                ]
            seconds, sent, text = zip(*asked, strict=True)
            median = statistics.median(seconds)
            table.add_row(
                name, f"{median * 1e3:.0f} ms", f"{max(seconds) * 1e3:.0f} ms",
                f"{max(sent) / 1e3:.0f} kB", f"{max(text) / 1e3:.0f} kB",
                f"{LIMIT * 1e3:.0f} ms " + ("kept" if median < LIMIT else "MISSED"),
            )  # fmt: skip
        console.print(table)
        connection.close()
