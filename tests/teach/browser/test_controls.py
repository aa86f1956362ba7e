"""Sliders, presets, values and the null space: the engine answers, the page shows it."""

import json
import re
import urllib.request

import pytest
from playwright.sync_api import expect

PRESETS = [
    *("lesson1", "lesson2", "lesson3", "lesson4", "lesson5"),
    *("pointwise", "patchify", "full", "depthwise"),
]
MOVES = {  # a slider, where it goes, and what the link says then
    "size": (["size-0"], "9", "?size=9x9"),
    "kernel": (["kernel-0"], "2", "?kernel=2x2"),
    "stride": (["stride-0"], "3", "?stride=3x3"),
    "padding": (["padding-0"], "2", "?padding=2x2"),
    "dilation": (["dilation-0"], "2", "?dilation=2x2"),
    "in": (["in-0"], "5", "?in=5"),
    "out": (["out-0"], "3", "?out=3"),
    "groups": (["in-0", "out-0", "groups-0"], "2", "?in=2&out=2&groups=2"),
}
SLIDE = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }"


def scene_of(page, server):
    link = page.evaluate("location.search")
    with urllib.request.urlopen(f"{server}api/scene{link}") as answer:
        return json.load(answer)


def counted(page, name):
    return int(page.locator(f'[data-count="{name}"]').inner_text().split(" ")[0].replace(",", ""))


def seen(page):
    parts = ("#counts", "#maps", "#readout", "#below", "#controls")
    return [page.locator(part).inner_text() for part in parts]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_and_shows_the_engines_numbers(opened, server, name):
    page = opened()
    expect(page).to_have_url(re.compile(r"\?lang=en#"))
    before = page.url
    page.click(f'[data-preset="{name}"]')
    expect(page).not_to_have_url(before)
    expect(page.locator(f'[data-preset="{name}"]')).to_have_attribute("aria-pressed", "true")
    scene = scene_of(page, server)
    for kind, map_ in (("input", "input"), ("tap", "kernel"), ("output", "output")):
        cells = page.locator(f"#{kind} .cell")
        expect(cells).to_have_count(len(scene[map_]["values"]))
        shown = [float(text.replace("−", "-")) for text in cells.all_text_contents()]
        assert shown == scene[map_]["values"]


@pytest.mark.parametrize("name", MOVES)
def test_a_slider_changes_the_counts_to_what_cost_says(opened, costs, name):
    sliders, value, link = MOVES[name]
    page, table = opened(), costs(link)
    for slider in sliders:
        page.locator(f"#{slider}").evaluate(SLIDE, value)
        page.wait_for_timeout(150)
    expect(page).to_have_url(re.compile(re.escape(link) + "&lang=en#"))
    for form in ("conv", "local", "linear", "matrix"):
        assert counted(page, f"parameters.{form}") == table.parameters[form]
        assert counted(page, f"multiply_adds.{form}") == table.multiply_adds[form]
        assert counted(page, f"bytes.{form}") == table.stored_bytes[form]


def test_the_article_is_counted_9_144_576(opened):
    page = opened()
    names = ("parameters.conv", "parameters.local", "parameters.linear", "wires.conv")
    assert [counted(page, name) for name in names] == [9, 144, 576, 9]


def test_mode_transposed_and_the_sides_apart(opened):
    page = opened("?padding=1x1")
    page.select_option("#mode-0", "circular")
    expect(page).to_have_url(re.compile("mode=circular"))
    page.select_option("#mode-0", "zeros")
    page.check("#transposed-0")
    expect(page).to_have_url(re.compile("transposed=1"))
    page.check("#apart-0")
    page.locator("#size-1").evaluate(SLIDE, "8")
    expect(page).to_have_url(re.compile("size=6x8"))


def test_one_of_a_thing_is_said_as_one(opened):
    line = opened("?at=input:0,0,0").locator("#readout .line")
    expect(line).to_have_text("Pixel (0, 0, 0) = 1 is read by 1 output, through 1 tap.")
    line = opened("?size=1x1&kernel=1x1&at=tap:0,0,0,0").locator("#readout .line")
    expect(line).to_have_text("Tap (0, 0, 0, 0) = −2 is used by 1 output, on 1 wire.")


def test_groups_stop_only_where_they_divide_the_channels(opened):
    page = opened("?in=4&out=8")
    slider = page.locator("#groups-0")
    page.focus("#groups-0")
    for groups in ("2", "4", "4"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(".control:has(#groups-0) .now")).to_have_text(groups)
        expect(slider).to_have_attribute("aria-valuetext", groups)
    expect(page).to_have_url(re.compile("in=4&out=8&groups=4&"))


def test_a_refusal_stands_beside_the_control_that_was_moved_and_the_last_scene_stays(opened):
    page = opened("?preset=circular")
    before = page.locator("#output").inner_text()
    page.check("#transposed-0")
    error = page.locator(".transposed .error")
    expect(error).to_contain_text("Padding mode is circular, expected zeros")
    expect(page.locator("#transposed-0")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#mode-error")).to_have_text("")
    assert page.locator("#output").inner_text() == before
    page.select_option("#mode-0", "zeros")
    expect(error).to_have_text("")
    expect(page).to_have_url(re.compile("transposed=1"))


def test_what_was_refused_does_not_stand_in_the_way_of_other_wishes(opened):
    page = opened("?preset=circular")
    page.check("#transposed-0")
    expect(page.locator(".transposed .error")).not_to_have_text("")
    page.click('#output [data-at="3"]')
    expect(page).to_have_url(re.compile("mode=circular&at=output:0,0,3&"))
    expect(page.locator("#transposed-0")).not_to_be_checked()
    page.check("#transposed-0")
    expect(page.locator(".transposed .error")).not_to_have_text("")
    page.click('[data-preset="depthwise"]')
    expect(page).to_have_url(re.compile(r"\?in=3&out=3&padding=1x1&groups=3&lang=en#"))


def test_a_value_that_is_refused_is_said_beside_its_field(opened):
    page = opened("?at=input:0,0,0")
    page.fill("#value", "123456")
    page.press("#value", "Enter")
    error = page.locator("#value-error")
    expect(error).to_contain_text("Image is '123456', expected a number")
    expect(page.locator("#refusal")).to_be_hidden()
    expect(page.locator("#value")).to_have_value("1")
    inside = "e => e.offsetTop + e.offsetHeight <= e.offsetParent.scrollHeight"
    assert error.evaluate(inside)  # its box is not cut off
    page.locator("#stride-0").evaluate(SLIDE, "2")
    expect(page).to_have_url(re.compile(r"stride=2x2&at=input:0,0,0&lang=en#"))
    expect(error).to_have_text("")


def test_two_values_in_quick_succession_both_hold(opened):
    page = opened("?at=input:0,0,0")
    page.route("**/api/scene*", lambda route: (page.wait_for_timeout(200), route.continue_()))
    page.evaluate(
        """async () => {
        const { shown } = await import("/page/store.js");
        const field = document.getElementById("value");
        for (const [at, value] of [[0, "7"], [1, "8"]]) {
          shown.pinned = { kind: "input", at };
          field.value = value;
          field.dispatchEvent(new Event("change"));
        } }"""
    )
    expect(page.locator('#input [data-at="1"]')).to_have_text("8")
    expect(page.locator('#input [data-at="0"]')).to_have_text("7")


def test_f2_keeps_the_value_and_a_digit_begins_a_new_one(opened):
    page = opened()
    for key, value in (("F2", "1"), ("5", "5")):
        page.focus('#input [data-at="0"]')
        page.keyboard.press(key)
        expect(page.locator("#value")).to_be_focused()
        expect(page.locator("#value")).to_have_value(value)
        page.keyboard.press("Escape")


@pytest.mark.parametrize(("size", "new", "cell"), [("5x5", "9", 8), ("9x9", "5", 48)])
def test_a_cell_in_focus_stays_so_while_all_maps_change(opened, size, new, cell):
    page = opened(f"?size={size}#matrix")
    page.focus(f'#output [data-at="{cell}"]')  # other maps must not be lit before they are drawn
    page.locator("#size-0").evaluate(SLIDE, new)
    expect(page).to_have_url(re.compile(f"size={new}x{new}"))
    expect(page.locator('#output [data-at="8"]')).to_be_focused()
    expect(page.locator("#matrix-map .outline")).to_have_css(
        "transform", "matrix(1, 0, 0, 1, 0, 8)"
    )


def test_a_bad_link_is_said_and_the_default_shown(opened):
    page = opened("?size=900x2")
    expect(page.locator("#size-error")).to_contain_text("900x2")
    expect(page.locator("#output .cell")).to_have_count(16)
    page = opened("?at=output:7,7,7")
    expect(page.locator("#refusal")).to_contain_text("output:7,7,7")


def test_a_slider_that_leaves_no_place_for_the_pin_takes_it_out(opened):
    page = opened("?at=output:0,3,3")
    page.locator("#size-0").evaluate(SLIDE, "5")
    expect(page).to_have_url(re.compile(r"\?size=5x5&lang=en#"))
    expect(page.locator("#output .cell")).to_have_count(9)


def test_an_engine_that_is_gone_is_said_and_the_last_scene_stays(opened):
    page = opened()
    page.route("**/api/scene*", lambda route: route.fulfill(status=503, body=""))
    page.locator("#size-0").evaluate(SLIDE, "9")
    expect(page.locator("#refusal")).to_contain_text("The engine does not answer (503")
    expect(page.locator("#output .cell")).to_have_count(16)
    page.unroute("**/api/scene*")
    page.locator("#size-0").evaluate(SLIDE, "8")
    expect(page.locator("#refusal")).to_be_hidden()
    expect(page.locator("#output .cell")).to_have_count(36)


def test_many_moves_ask_few_questions_and_the_last_one_holds(opened):
    page, asked = opened(), []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """() => { const slider = document.getElementById("size-0");
        for (let value = 7; value <= 40; value++) {
          slider.value = value;
          slider.dispatchEvent(new Event("input"));
        } }"""
    )
    expect(page).to_have_url(re.compile("size=40x40"))
    assert len([url for url in asked if "api/scene" in url]) <= 3


def test_the_null_space_changes_the_weights_and_not_the_output(opened):
    page = opened("?preset=lesson1#family")
    weights = page.locator("#panel-family .cell")
    base, output = weights.all_text_contents(), page.locator("#output").inner_text()
    for along in ("4", "-7"):
        page.locator("#along").evaluate(SLIDE, along)
        expect(page).to_have_url(re.compile(f"along={along}(&|#)"))
        moved = weights.all_text_contents()
        assert sum(a != b for a, b in zip(base, moved, strict=True)) > 9
        pixels = page.locator("#input .cell").all_text_contents()
        numbers = [[float(text.replace("−", "-")) for text in map_] for map_ in (moved, pixels)]
        assert sum(weight * pixel for weight, pixel in zip(*numbers, strict=True)) == 3
        assert page.locator("#output").inner_text() == output
        assert page.locator("#panel-family .value").inner_text() == "3"
    page.click("#panel-family button")
    expect(weights).to_have_text(base)


def test_a_value_is_edited(opened):
    page = opened()
    page.click('#input [data-at="0"]')
    page.fill("#value", "5")
    page.press("#value", "Enter")
    expect(page.locator('#output [data-at="0"]')).to_have_text("7")  # 3 + (5 - 1)·1
    page.focus('#tap [data-at="0"]')
    page.keyboard.press("2")
    expect(page.locator("#value")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator('#output [data-at="0"]')).to_have_text("12")  # 7 + 5·(2 - 1)
    expect(page).to_have_url(re.compile("image=0:5&weights=0:2"))
    page.reload()
    expect(page.locator('#output [data-at="0"]')).to_have_text("12")


def test_a_link_holds_the_whole_state(opened):
    page = opened()
    page.click('[data-preset="depthwise"]')
    page.locator("#padding-0").evaluate(SLIDE, "2")
    expect(page).to_have_url(re.compile("padding=2x2"))
    page.click('#output [data-at="3"]')
    expect(page).to_have_url(re.compile("at=output:0,0,3"))
    page.click("#tab-wiring")
    page.click("[data-language=zh]")
    expect(page).to_have_url(re.compile("lang=zh.*#wiring"))
    expect(page.locator("#tab-wiring")).to_have_text("连线")
    before = seen(page)
    page.reload()
    expect(page.locator("#unpin")).to_be_visible()
    assert seen(page) == before
    page.goto("about:blank")
    page.go_back()
    expect(page.locator("#unpin")).to_be_visible()
    assert seen(page) == before


@pytest.mark.parametrize(("locale", "word"), [("zh-CN", "矩阵"), ("en-US", "Matrix")])
def test_the_browsers_language_is_spoken_where_the_link_names_none(opened, locale, word):
    page = opened(locale=locale)
    expect(page.locator("#tab-matrix")).to_have_text(word)


def test_english_stays_english_in_a_chinese_browser(opened):
    page = opened(locale="zh-CN")
    page.click("[data-language=en]")
    expect(page).to_have_url(re.compile("lang=en"))
    page.reload()
    expect(page.locator("#tab-matrix")).to_have_text("Matrix")
