"""A saved state works from a file, with no server and no network."""

import subprocess
import sys

import pytest
from playwright.sync_api import expect


@pytest.fixture
def saved(tmp_path):
    def saved(link):
        out = tmp_path / "page.html"
        command = [sys.executable, "-m", "convlin", "explore", "--export", out, "--state", link]
        subprocess.run(command, check=True, capture_output=True)
        return out.as_uri()

    return saved


def test_it_lights_pins_plays_and_asks_nobody(opened, saved, lit, matrix):
    link = "?size=5x4&in=2&out=3&kernel=2x3&padding=1x0"
    page = opened(saved(link))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    A = matrix(link)
    page.hover('#output [data-at="4"]')
    place = [c * 20 + y * 4 + x for (c, y, x), *_ in A.wires(4)]
    assert lit(page, "input") == set(place)
    page.click('#output [data-at="4"]')
    expect(page.locator("#unpin")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#unpin")).to_be_hidden()
    page.click("#tab-wiring")
    expect(page.locator("#panel-wiring")).to_be_visible()
    page.hover("h1")
    page.keyboard.press("p")
    assert lit(page, "output") == {0}
    assert asked == []


@pytest.mark.parametrize(("lang", "word"), [("en", "saved page"), ("zh", "保存下来的页面")])
def test_what_needs_the_engine_is_shown_disabled_and_says_why(opened, saved, lang, word):
    page = opened(saved(f"?preset=lesson1&lang={lang}"))
    for kind in ("input", "select", "#presets button", "#languages button"):
        assert page.locator(f"{kind}:enabled:visible").count() == 0, kind
    expect(page.locator(".offline")).to_contain_text(word)
    assert page.locator('#output [data-at="0"]').inner_text() == "3"


def test_the_picture_of_a_large_matrix_is_inside(opened, saved):
    page = opened(saved("?size=32x32&in=2&padding=1x1"))
    image = page.locator("#matrix-map img")
    expect(image).to_have_js_property("naturalHeight", 1024)
    assert image.get_attribute("src").startswith("data:image/png")
