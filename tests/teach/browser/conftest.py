"""The one page in a headless Chromium: from a file, and from a running `convlin explore`.

Without Chromium or axe-core these tests fail, and say what to install.
"""

import collections
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import torch
from playwright.sync_api import sync_playwright
from torch import nn

import convlin
from convlin.teach.lessons import lessons
from convlin.teach.web.one_file import one_file
from convlin.teach.words import Words

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    # One process draws every page: to start another costs more than most tests.
    *("--renderer-process-limit=1", "--disable-site-isolation-trials"),
]
AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
DEFAULTS = {
    "size": "6x6",
    "in": "1",
    "out": "1",
    "kernel": "3x3",
    "stride": "1x1",
    "padding": "0x0",
    "mode": "zeros",
    "dilation": "1x1",
    "groups": "1",
    "transposed": "0",
}


@pytest.fixture(scope="session")
def server():
    command = [sys.executable, "-m", "convlin", "explore", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def browser():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("no Chromium: apt-get install chromium fonts-noto-cjk", pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    if not AXE.exists():
        pytest.fail("no axe-core: npm ci --prefix tests/teach/browser", pytrace=False)
    return AXE.read_text("utf-8")


@pytest.fixture(scope="session")
def resting():
    """Hold the pages that no test uses now, by locale: a new one costs more than most tests."""
    return collections.defaultdict(list)


@pytest.fixture(scope="session")
def drawn():
    """Wait for a frame of the page, and a little longer for what it then measures."""
    frames = "new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))"
    return lambda page: page.evaluate(frames)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Write the page of each language once, and return its address."""
    folder = tmp_path_factory.mktemp("pages")

    def address(lang):
        file = folder / f"{lang}.html"
        if not file.exists():
            file.write_text(one_file(lessons(lang)), "utf-8")
        return file.as_uri()

    return address


@pytest.fixture
def opened(browser, server, files, resting, drawn):
    """Open a link of the page and wait for its first scene.

    Nothing may go wrong in its console, and a page from a file asks nobody for anything. veiled:
    what answers a question is held back, as for a reader; else all is there to be tested.
    """
    used, wrong, asked = [], [], []

    def raised(error):
        wrong.append(str(error))

    def logged(said):
        if said.type == "error":
            wrong.append(said.text)

    def sent(request):
        if request.frame.url.startswith("file:") and not request.is_navigation_request():
            asked.append(request.url)

    listeners = {"pageerror": raised, "console": logged, "request": sent}

    def opened(
        link="", where="server", lang="en", width=1280, height=800, locale="en-GB", veiled=False,
        **media,
    ):  # fmt: skip
        rested = resting[locale]
        page = rested.pop() if rested else browser.new_context(locale=locale).new_page()
        used.append((page, locale))
        page.set_default_timeout(10_000)
        page.set_viewport_size({"width": width, "height": height})
        calm = {"media": "screen", "color_scheme": "light", "reduced_motion": "reduce"}
        page.emulate_media(**calm | media)
        for event, listener in listeners.items():
            page.on(event, listener)
        page.goto(link if ":" in link.partition("?")[0] else address(link, where, lang))
        page.wait_for_selector("#output [role=gridcell]", state="attached")
        if not veiled:  # read on without an answer, everywhere
            page.evaluate("document.querySelectorAll('.skip').forEach(button => button.click())")
        drawn(page)
        return page

    def address(link, where, lang):
        if where == "file":
            return files(lang) + link
        query, mark, fragment = link.partition("#")
        if lang != "en":
            query += f"{'&' if '?' in query else '?'}lang={lang}"
        return server + query + mark + fragment

    yield opened
    for page, locale in used:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
        rest(page, server)
        resting[locale].append(page)  # and never, where it could not be left: it may hang
    # Chromium logs each answer that is no success, as a refused state's is not; the page is calm.
    assert [text for text in wrong if "with a status of" not in text] == []
    assert [url for url in asked if not url.startswith("data:")] == []


def rest(page, server):
    """Leave the page, and on it nothing that the next test could see."""
    page.unroute_all(behavior="ignoreErrors")
    page.evaluate("sessionStorage.clear()")
    page.goto("about:blank")
    page.mouse.move(-1, -1)
    page.context.clear_cookies()
    session = page.context.new_cdp_session(page)
    kept = {"origin": server.rstrip("/"), "storageTypes": "all"}
    session.send("Storage.clearDataForOrigin", kept)
    session.detach()


def layer(link):
    """Build the layer that a link names, and its input size, with PyTorch alone."""
    fields = DEFAULTS | {name: texts[0] for name, texts in parse_qs(link.lstrip("?")).items()}
    size, kernel, stride, padding, dilation = (
        tuple(map(int, fields[name].split("x")))
        for name in ("size", "kernel", "stride", "padding", "dilation")
    )
    build = nn.ConvTranspose2d if fields["transposed"] == "1" else nn.Conv2d
    channels = int(fields["in"]), int(fields["out"])
    more = {"groups": int(fields["groups"]), "padding_mode": fields["mode"], "bias": False}
    return build(*channels, kernel, stride, padding, dilation=dilation, **more), size


@pytest.fixture
def matrix():
    """Return the matrix of a link's layer, with some numbers for a kernel."""

    def matrix(link):
        conv, size = layer(link)
        numbers = torch.arange(1.0, conv.weight.numel() + 1)
        conv.weight = nn.Parameter(numbers.reshape(conv.weight.shape))
        return convlin.unroll(conv, size)

    return matrix


@pytest.fixture
def costs():
    return lambda link: convlin.cost(*layer(link))


@pytest.fixture
def lit():
    """Return the flat places of the lit cells of a map."""

    def lit(page, kind):
        return set(
            page.eval_on_selector_all(f"#{kind} .cell.lit", "all => all.map(c => +c.dataset.at)")
        )

    return lit


@pytest.fixture(scope="session")
def said():
    """Return a text of the page with its numbers filled in, as `page/words.js` does."""

    def said(lang, key, **values):
        table, name = key.split(".")
        return Words(lang).table(table)(name, **values)

    return said
