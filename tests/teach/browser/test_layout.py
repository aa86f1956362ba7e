"""Widths from phone to desktop, large maps, calm motion."""

import pytest
from playwright.sync_api import expect

TABS = ("matrix", "wiring", "straighten", "bench", "dial", "layer")
LINKS = {
    "lesson": "?preset=lesson1",
    "depthwise": "?preset=depthwise",
    "patchify-zh": "?preset=patchify&lang=zh",
    "many-cells": "?size=64x64&in=3&out=8&kernel=5x5",
    "many-slices": "?in=8&out=8&kernel=3x3&padding=1x1",
    "long-numbers": "?image=0:-9999.125,1:1000.001&weights=0:-9999.999",
}
LOADED = "[...document.images].every(image => image.complete)"


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_the_page_never_scrolls_sideways(opened, drawn, link):
    page = opened(link, width=360, height=780)
    for width in (320, 360, 768, 1100, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 780})
        for tab in TABS:
            page.evaluate("tab => document.getElementById(`tab-${tab}`).click()", tab)
            page.wait_for_function(LOADED)
            drawn(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, tab)


def test_the_views_of_a_desktop_need_one_screen(opened, drawn):
    page = opened("?preset=lesson1#matrix", width=1280, height=800)
    for tab in TABS:
        page.click(f"#tab-{tab}")
        drawn(page)
        assert page.evaluate("document.documentElement.scrollHeight") <= 800, tab
        for box in ("input", "tap", "output", f"panel-{tab}"):
            inner = page.locator(f"#{box}").bounding_box()
            assert inner["y"] + inner["height"] <= 800, (tab, box)


@pytest.mark.parametrize("link", ["?size=64x64&padding=1x1", "?size=64x64&in=8&out=8&padding=1x1"])
def test_large_maps_stay_few_nodes(opened, link):
    page = opened(link)
    assert page.evaluate("document.querySelectorAll('#views *').length") < 5000


def test_a_matrix_of_4096_by_4096_is_usable(opened):
    page = opened("?size=64x64&padding=1x1#matrix", width=1440, height=900)
    image = page.locator("#matrix-map img")
    expect(image).to_have_js_property("complete", True)
    sides = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert sides[0] == sides[1] >= 1024 and 4096 % sides[0] == 0
    expect(page.get_by_role("grid", name="Matrix")).to_have_attribute("aria-colcount", "4096")
    for _ in range(4):
        page.click("#zoom [data-times='2']")
    page.locator("#output .board").click(position={"x": 1, "y": 1})
    line = page.locator("#readout .line")
    expect(line).to_contain_text("row 1, column 1 ")
    page.focus("#matrix-map .cursor")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(line).to_contain_text("Row 2, column 2:")
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
    page = opened("?size=64x64&padding=1x1#matrix")
    page.hover('#tap [data-at="4"]')
    expect(page.locator("#readout .line")).to_contain_text("4,096 outputs")
    assert page.evaluate("document.querySelectorAll('#views *').length") < 5000
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
