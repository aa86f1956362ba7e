"""Widths from phone to desktop, large maps, calm motion and readable cells."""

import pytest
from playwright.sync_api import expect

LINKS = [
    "?preset=lesson1",
    "?preset=depthwise",
    "?preset=patchify&lang=zh",
    "?size=64x64&in=3&out=8&kernel=5x5",
    "?in=8&out=8&kernel=3x3&padding=1x1",
]
LOADED = "[...document.images].every(image => image.complete)"


@pytest.mark.parametrize("width", [360, 768, 1100, 1280, 1920])
@pytest.mark.parametrize("link", LINKS)
def test_the_page_never_scrolls_sideways(opened, drawn, link, width):
    page = opened(link, width=width, height=780)
    for tab in ("wiring", "family", "matrix"):
        page.click(f"#tab-{tab}")
        page.wait_for_function(LOADED)
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("tab", ["matrix", "wiring", "family"])
def test_a_desktop_needs_one_screen(opened, tab):
    page = opened(f"#{tab}", width=1280, height=800)
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    for box in ("input", "tap", "output", f"panel-{tab}"):
        inner = page.locator(f"#{box}").bounding_box()
        assert inner["y"] + inner["height"] <= 800


@pytest.mark.parametrize("link", ["?size=64x64&padding=1x1", "?size=64x64&in=8&out=8&padding=1x1"])
def test_large_maps_stay_few_nodes(opened, link):
    page = opened(link)
    assert page.evaluate("document.querySelectorAll('*').length") < 5000


def test_a_matrix_of_4096_by_4096_is_usable(opened):
    page = opened("?size=64x64&padding=1x1")
    image = page.locator("#matrix-map img")
    expect(image).to_have_js_property("naturalWidth", 4096)
    expect(image).to_have_js_property("naturalHeight", 4096)
    for _ in range(4):
        page.click("#zoom [data-times='2']")
    page.locator("#output .board").click(position={"x": 1, "y": 1})
    line = page.locator("#readout .line")
    expect(line).to_contain_text("Output (0, 0, 0)")
    page.focus("#matrix-map .cursor")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(line).to_contain_text("Row 1, column 1")
    took = page.evaluate(
        """() => { const began = performance.now();
        const map = document.querySelector("#output .frame");
        const box = map.getBoundingClientRect();
        for (let step = 1; step <= 20; step++) map.dispatchEvent(new PointerEvent("pointermove", {
          bubbles: true, clientX: box.x + step * 5, clientY: box.y + step * 5 }));
        return (performance.now() - began) / 20; }"""
    )
    assert took < 50  # milliseconds to light what a new place reads


def test_a_tap_of_a_large_map_lights_quickly_and_with_few_nodes(opened):
    page = opened("?size=64x64&padding=1x1")
    page.hover('#tap [data-at="4"]')
    expect(page.locator("#readout .line")).to_contain_text("4,096 outputs")
    assert page.evaluate("document.querySelectorAll('*').length") < 5000
    assert page.locator("#output .mark").count() == 1


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_less_motion_is_respected(opened, motion):
    page = opened("?at=output:0,0,0", reduced_motion=motion)
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].some(element => {
        const { transitionDuration, animationName } = getComputedStyle(element);
        return animationName !== "none" || transitionDuration.split(", ").some(d => d !== "0s"); })"""
    )
    assert moving == (motion == "no-preference")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("link", ["", "?kernel=5x5&size=7x7", "?kernel=9x9&size=11x11"])
def test_numbers_on_taps_have_contrast(opened, link, scheme):
    """WCAG 2.2: 4.5 to 1, computed here from the colours that the browser computed."""
    page = opened(link, color_scheme=scheme)
    page.hover('#output [data-at="0"]')
    pairs = page.eval_on_selector_all(
        "#tap .cell, #input .cell, #output .cell",
        """cells => cells.map(cell => { const { color, backgroundColor } = getComputedStyle(cell);
        return [color, backgroundColor]; })""",
    )
    assert min(contrast(*pair) for pair in pairs) >= 4.5


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color):
    name, _, inside = color.rstrip(")").partition("(")
    numbers = [float(part) for part in inside.replace(",", " ").split() if part != "srgb"]
    parts = numbers[:3] if name == "color" else [number / 255 for number in numbers[:3]]
    light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
