"""Everything by keys alone, and what a screen reader is told."""

import re

import pytest
from playwright.sync_api import expect


def at(page):
    return page.evaluate("document.activeElement.dataset.at")


def tab_to(page, selector, most=60, key="Tab"):
    """Press a key until what is wanted has the focus, and return how often."""
    for pressed in range(1, most + 1):
        page.keyboard.press(key)
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return pressed
    raise AssertionError(f"{key} does not reach {selector}")


@pytest.mark.parametrize("where", ["file", "server"])
def test_a_whole_lesson_by_keys(opened, said, where):
    """Read, answer, have it shown, look at a map, change a pixel, and a weight of the bench."""
    page = opened("#lesson-1", where, width=1440, height=900, veiled=True)
    tab_to(page, "#lesson-1-0 .show")
    tab_to(page, ".ask .options button")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # 27 of 36: the third answer
    answer = page.locator(".ask .answer").first
    expect(answer).to_have_text(said("en", "ask.right", answer="27"))
    expect(page.locator("details.ruling").first).to_have_attribute("open", "")
    tab_to(page, "#lesson-1-4 .show")
    page.keyboard.press("Enter")
    expect(page.locator("#panel-straighten")).to_be_visible()
    expect(page.locator("#back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#lesson-1-4 .show")).to_be_focused()
    tab_to(page, "#lesson-1 .try .copy")
    page.keyboard.press("Enter")
    expect(page.locator("#lesson-1 .try .copy").first).to_have_text(said("en", "try.copied"))
    tab_to(page, "#lesson-1 .skip")
    page.keyboard.press("Enter")
    tab_to(page, "#lesson-1-16 .show", most=3)
    page.keyboard.press("Enter")
    expect(page.locator("#panel-bench")).to_be_visible()
    expect(page.locator("#back")).to_be_focused()
    tab_to(page, "#input .cell", most=1)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#readout .line")).to_contain_text("row 1, column 2")
    page.keyboard.type("-2")
    expect(page.locator("#value")).to_be_focused()
    expect(page.locator("#value")).to_have_value("-2")
    page.keyboard.press("Enter")
    expect(page.locator('#input [data-at="1"]')).to_have_text("−2")
    expect(page.locator('#input [data-at="1"]')).to_be_focused()
    expect(page.locator('#output [data-at="0"]')).to_have_text("5")  # 3 + (−1)·(−2)
    page.keyboard.press("Escape")
    tab_to(page, "#panel-bench .cell")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowUp")
    expect(page.locator('#panel-bench [data-at="0"]')).to_have_text("3")
    fails = said("en", "bench.fails", sum="3 + (−2)·(−1) + 1 + 1", value=7, expected=5)
    expect(page.locator("#panel-bench .sum")).to_have_text(fails)


def test_tab_reaches_every_part_once(opened):
    page, seen = opened("?preset=lesson1"), []
    for _ in range(40):
        page.keyboard.press("Tab")
        place = "document.activeElement.closest('[role=grid], [id]')?.closest('[id]')?.id"
        seen.append(page.evaluate(place) or "")
    order = [*("wide", "languages", "input", "tap", "output", "play"), "tab-matrix", "matrix-map"]
    positions = [next(i for i, name in enumerate(seen) if name == part) for part in order]
    assert positions == sorted(positions)
    assert seen[positions[2] : positions[2] + 3] == ["input", "tap", "output"]  # one stop a map


def test_what_takes_the_focus_is_in_sight_and_not_covered(opened):
    """On a phone, too, where maps stay above the text and the rest below it."""
    page = opened(where="file", width=360, height=740)
    covered = []
    for _ in range(45):
        page.keyboard.press("Tab")
        covered.append(
            page.evaluate(
                """() => { const own = document.activeElement, box = own.getBoundingClientRect();
                const [x, y] = [box.x + Math.min(box.width, 20) / 2, box.y + Math.min(box.height, 20) / 2];
                const top = document.elementFromPoint(x, y);
                return own === document.body || own.contains(top) || top?.contains(own)
                  ? null : `${own.outerHTML.slice(0, 80)} under ${top?.outerHTML.slice(0, 60)}`; }"""
            )
        )
    assert [one for one in covered if one] == []


def test_arrows_move_through_a_grid_and_light_what_they_reach(opened, lit):
    page = opened("?")
    page.focus('#output [tabindex="0"]')
    assert at(page) == "0"
    for key, place in (
        ("ArrowRight", "1"),
        ("ArrowDown", "5"),
        ("End", "7"),
        ("ArrowRight", "7"),
        ("Control+End", "15"),
        ("Home", "12"),
        ("ArrowUp", "8"),
        ("Control+Home", "0"),
        ("ArrowLeft", "0"),
    ):
        page.keyboard.press(key)
        assert at(page) == place, key
        assert lit(page, "output") == {int(place)}
    assert page.locator("#output [tabindex='0']").count() == 1


def test_pages_move_through_channels(opened):
    page = opened("?out=3")
    page.focus('#output [tabindex="0"]')
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    assert at(page) == "17"
    page.keyboard.press("PageUp")
    assert at(page) == "1"


@pytest.mark.parametrize("where", ["file", "server"])
def test_space_pins_escape_clears_and_focus_stays(opened, lit, where):
    page = opened("?kernel=3", where)
    page.focus('#output [tabindex="0"]')
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#unpin")).to_be_visible()
    assert at(page) == "1"
    tab_to(page, "#play")
    assert lit(page, "output") == {1}
    page.keyboard.press("Escape")
    expect(page.locator("#unpin")).to_be_hidden()
    assert lit(page, "output") == set()
    expect(page).not_to_have_url(re.compile("at="))


def test_enter_pins_an_entry_of_the_matrix(opened, lit):
    page = opened("#matrix")
    page.focus("#matrix-map .cursor")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("at=entry:1,1"))
    assert lit(page, "output") == {1}
    assert lit(page, "input") == {1}
    assert lit(page, "tap") == {0}


def test_p_and_the_button_play_and_pause(opened, said, lit):
    page = opened("#matrix", where="file")
    page.keyboard.press("p")
    button = page.get_by_role("button", name=said("en", "views.pause"))
    expect(button).to_have_attribute("aria-pressed", "true")
    assert lit(page, "output") == {0}
    page.wait_for_timeout(800)
    assert lit(page, "output") == {1}
    button.click()
    again = page.get_by_role("button", name=said("en", "views.play"))
    expect(again).to_have_attribute("aria-pressed", "false")
    assert lit(page, "output") == set()


def test_a_round_nobody_asked_for_ends_with_the_first_key(opened, lit):
    page = opened(where="file", reduced_motion="no-preference")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Tab")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    page = opened(where="file", reduced_motion="reduce")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")


def test_tabs_follow_the_arrows(opened):
    page = opened("#matrix", where="file")
    page.focus("#tab-matrix")
    for name in ("wiring", "straighten", "bench", "dial", "layer", "matrix"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#tab-{name}")).to_be_focused()
        expect(page.get_by_role("tabpanel")).to_have_attribute("id", f"panel-{name}")


def test_sliders_take_the_arrow_keys_and_keep_the_focus(opened, said):
    page = opened("#layer")
    page.focus("#size-0")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("size=7x7"))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("size=8x8"))
    expect(page.locator("#size-0")).to_be_focused()
    title = said("en", "views.layer", kind=said("en", "views.kind", kernel=(3, 3)), size=(8, 8))
    told = said("en", "read.scene", title=title, conv=9, local=324, linear=2304)
    expect(page.locator("#spoken")).to_have_text(told)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_screen_reader_hears_grids_places_and_values(opened, said, lang):
    page = opened("?out=2", lang=lang)
    output = page.get_by_role("grid", name=said(lang, "views.output_grid"))
    expect(output).to_have_attribute("aria-rowcount", "8")
    group = output.get_by_role("rowgroup", name=said(lang, "views.channel", c=1))
    expect(group).to_have_count(1)
    place = said(lang, "views.place_channel", channel=2, row=3, column=1)
    shown = page.locator('#output [data-at="24"]').inner_text()
    told = said(lang, "views.output_cell", place=place, value=shown)
    cell = output.get_by_role("gridcell", name=told, exact=True)
    expect(cell).to_have_attribute("aria-colindex", "1")
    page.click("#tab-layer")
    expect(page.get_by_role("slider", name=said(lang, "field.stride"))).to_have_count(1)
