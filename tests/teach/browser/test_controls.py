"""Sliders, presets and values: the engine answers, the page shows it."""

import re

import pytest
from playwright.sync_api import expect

from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.presets import PRESETS
from convlin.teach.scenes.scene import scene

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


@pytest.fixture
def layer(opened):
    """Open the sliders of a link, as wide as a desktop."""
    return lambda link="?", **more: opened(
        f"{link}#layer", **{"width": 1440, "height": 900, **more}
    )


def counted(page, name):
    return int(page.locator(f'[data-count="{name}"]').inner_text().split(" ")[0].replace(",", ""))


def address(link):
    return re.compile(re.escape(link) + "[?&]lang=en#" if link != "?" else r"/\?lang=en#")


@pytest.mark.parametrize("where", ["file", "server"])
def test_a_preset_loads_and_shows_the_engines_numbers(layer, where):
    page = layer(where=where)
    for name in PRESETS:
        page.click(f'[data-preset="{name}"]')
        expect(page.locator(f'[data-preset="{name}"]')).to_have_attribute("aria-pressed", "true")
        wanted = scene(State.of(f"?preset={name}"))
        for kind, map_ in (("input", "input"), ("tap", "kernel"), ("output", "output")):
            cells = page.locator(f"#{kind} .cell")
            expect(cells).to_have_count(len(wanted[map_]["values"]))
            shown = [float(text.replace("−", "-")) for text in cells.all_text_contents()]
            assert shown == wanted[map_]["values"], name


@pytest.mark.parametrize("name", MOVES)
def test_a_slider_changes_the_counts_to_what_cost_says(layer, costs, name):
    sliders, value, link = MOVES[name]
    page, table = layer(), costs(link)
    for slider in sliders:
        page.locator(f"#{slider}").evaluate(SLIDE, value)
        page.wait_for_timeout(150)
    expect(page).to_have_url(address(link))
    for form in ("conv", "local", "linear", "matrix"):
        assert counted(page, f"parameters.{form}") == table.parameters[form]
        assert counted(page, f"multiply_adds.{form}") == table.multiply_adds[form]
        assert counted(page, f"bytes.{form}") == table.stored_bytes[form]


@pytest.mark.parametrize("where", ["file", "server"])
def test_the_article_is_counted_9_144_576(layer, where):
    page = layer(where=where)
    names = ("parameters.conv", "parameters.local", "parameters.linear", "wires.conv")
    assert [counted(page, name) for name in names] == [9, 144, 576, 9]


def test_padding_takes_wires_and_the_count_says_from_how_many_to_how_many(layer, said):
    """A corner's window of 3×3 has 4 pixels inside a padded image, an edge's 6, the middle's 9."""
    page = layer("?padding=1x1")
    expect(page.locator('[data-count="wires.conv"]')).to_have_text(
        said("en", "counts.between", least=4, most=9)
    )


def test_mode_transposed_and_the_sides_apart(layer):
    page = layer("?padding=1x1")
    page.select_option("#mode-0", "circular")
    expect(page).to_have_url(re.compile("mode=circular"))
    page.select_option("#mode-0", "zeros")
    page.check("#transposed-0")
    expect(page).to_have_url(re.compile("transposed=1"))
    page.check("#apart-0")
    page.locator("#size-1").evaluate(SLIDE, "8")
    expect(page).to_have_url(re.compile("size=6x8"))


def test_groups_stop_only_where_they_divide_the_channels(layer):
    page = layer("?in=4&out=8")
    slider = page.locator("#groups-0")
    page.focus("#groups-0")
    for groups in ("2", "4", "4"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(".control:has(#groups-0) .now")).to_have_text(groups)
        expect(slider).to_have_attribute("aria-valuetext", groups)
    expect(page).to_have_url(re.compile("in=4&out=8&groups=4&"))


REFUSED = {
    "en": ("Padding mode is circular", "Image is '123456', expected a number"),
    "zh": ("填充方式为 circular", "123456"),
}


@pytest.mark.parametrize("lang", REFUSED)
def test_a_refusal_stands_beside_the_control_that_was_moved_and_the_last_scene_stays(layer, lang):
    page = layer("?preset=circular", lang=lang)
    before = page.locator("#output").inner_text()
    page.check("#transposed-0")
    error = page.locator(".transposed .error")
    expect(error).not_to_be_empty()
    told = error.inner_text()
    assert "circular" in told and "zeros" in told
    if lang == "zh":  # no English clause inside a Chinese sentence
        assert not re.search(r"[a-zA-Z]+ [a-zA-Z]+ [a-zA-Z]+", told)
    else:
        assert REFUSED["en"][0] in told
    expect(page.locator("#transposed-0")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#mode-error")).to_have_text("")
    assert page.locator("#output").inner_text() == before
    page.select_option("#mode-0", "zeros")
    expect(error).to_have_text("")
    expect(page).to_have_url(re.compile("transposed=1"))


def test_what_was_refused_does_not_stand_in_the_way_of_other_wishes(layer):
    page = layer("?preset=circular")
    page.check("#transposed-0")
    expect(page.locator(".transposed .error")).not_to_have_text("")
    page.click('#output [data-at="3"]')
    expect(page).to_have_url(re.compile("mode=circular&at=output:0,0,3&"))
    expect(page.locator("#transposed-0")).not_to_be_checked()
    page.check("#transposed-0")
    expect(page.locator(".transposed .error")).not_to_have_text("")
    page.click('[data-preset="depthwise"]')
    expect(page).to_have_url(address("?in=3&out=3&padding=1x1&groups=3"))


@pytest.mark.parametrize("lang", REFUSED)
def test_a_value_that_is_refused_is_said_beside_its_field(layer, lang):
    page = layer("?at=input:0,0,0", lang=lang)
    page.fill("#value", "123456")
    page.press("#value", "Enter")
    error = page.locator("#value-error")
    expect(error).to_contain_text(REFUSED[lang][1])
    expect(page.locator("#refusal")).to_be_hidden()
    expect(page.locator("#value")).to_have_value("1")
    inside = "e => e.offsetTop + e.offsetHeight <= e.offsetParent.scrollHeight"
    assert error.evaluate(inside)  # its box is not cut off
    page.locator("#stride-0").evaluate(SLIDE, "2")
    expect(page).to_have_url(re.compile(r"stride=2x2&.*at=input:0,0,0"))
    expect(error).to_have_text("")


def test_two_values_in_quick_succession_both_hold(layer):
    page = layer("?at=input:0,0,0")
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


@pytest.mark.parametrize("where", ["file", "server"])
def test_a_value_is_edited(layer, where):
    page = layer(where=where)
    page.click('#input [data-at="0"]')
    page.fill("#value", "5")
    page.press("#value", "Enter")
    expect(page.locator('#output [data-at="0"]')).to_have_text("7")  # 3 + (5 - 1)·1
    page.focus('#tap [data-at="0"]')
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.locator('#output [data-at="0"]')).to_have_text("12")  # 7 + 5·(2 - 1)
    if where == "server":
        expect(page).to_have_url(re.compile("image=0:5&weights=0:2"))
        page.reload()
        expect(page.locator('#output [data-at="0"]')).to_have_text("12")


def test_f2_keeps_the_value_a_digit_or_a_minus_begins_a_new_one(layer):
    page = layer(where="file")
    for key, value in (("F2", "1"), ("5", "5"), ("-", "")):
        page.focus('#input [data-at="0"]')
        page.keyboard.press(key)
        expect(page.locator("#value")).to_be_focused()
        expect(page.locator("#value")).to_have_value(value)
        page.keyboard.press("Escape")
        expect(page.locator('#input [data-at="0"]')).to_be_focused()


@pytest.mark.parametrize(("size", "new", "cell"), [("5x5", "9", 8), ("9x9", "5", 48)])
def test_a_cell_in_focus_stays_so_while_all_maps_change(opened, size, new, cell):
    page = opened(f"?size={size}#matrix", width=1440, height=900)
    page.focus(f'#output [data-at="{cell}"]')  # other maps must not be lit before they are drawn
    page.locator("#size-0").evaluate(SLIDE, new)
    expect(page).to_have_url(re.compile(f"size={new}x{new}"))
    expect(page.locator('#output [data-at="8"]')).to_be_focused()
    expect(page.locator("#matrix-map .outline")).to_have_css(
        "transform", "matrix(1, 0, 0, 1, 0, 8)"
    )


def test_a_slider_that_leaves_no_place_for_the_pin_takes_it_out(layer):
    page = layer("?at=output:0,3,3")
    page.locator("#size-0").evaluate(SLIDE, "5")
    expect(page).to_have_url(address("?size=5x5"))
    expect(page.locator("#output .cell")).to_have_count(9)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_an_engine_that_is_gone_is_said_and_the_last_scene_stays(layer, said, lang):
    page = layer(lang=lang)
    page.route("**/api/scene*", lambda route: route.fulfill(status=503, body=""))
    page.locator("#size-0").evaluate(SLIDE, "9")
    told = said(lang, "views.unreachable", reason="503")
    expect(page.locator("#refusal")).to_contain_text(told.partition("503")[0] + "503")
    expect(page.locator("#output .cell")).to_have_count(16)
    page.unroute("**/api/scene*")
    page.locator("#size-0").evaluate(SLIDE, "8")
    expect(page.locator("#refusal")).to_be_hidden()
    expect(page.locator("#output .cell")).to_have_count(36)


def test_many_moves_ask_few_questions_and_the_last_one_holds(layer):
    page, asked = layer(), []
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
