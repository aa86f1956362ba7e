"""Everything by keys alone, and what a screen reader is told."""

import re

from playwright.sync_api import expect


def at(page):
    return page.evaluate("document.activeElement.dataset.at")


def tab_to(page, selector):
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_tab_reaches_every_part_once(opened):
    page, seen = opened(), []
    for _ in range(60):
        page.keyboard.press("Tab")
        place = "document.activeElement.closest('[role=grid], [id]')?.closest('[id]')?.id"
        seen.append(page.evaluate(place))
    order = [*("presets", "languages", "size-0", "transposed-0"), "input", "tap", "output", "play"]
    seen = [name or "" for name in seen]
    positions = [next(i for i, name in enumerate(seen) if name == part) for part in order]
    assert positions == sorted(positions)
    assert seen[positions[4] : positions[4] + 3] == ["input", "tap", "output"]  # one stop a map


def test_arrows_move_through_a_grid_and_light_what_they_reach(opened, lit):
    page = opened()
    tab_to(page, "#output .cell")
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
    tab_to(page, "#output .cell")
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    assert at(page) == "17"
    page.keyboard.press("PageUp")
    assert at(page) == "1"


def test_space_pins_escape_clears_and_focus_stays(opened, lit):
    page = opened()
    tab_to(page, "#output .cell")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("at=output:0,0,1"))
    assert at(page) == "1"
    tab_to(page, "#play")
    assert lit(page, "output") == {1}
    page.keyboard.press("Escape")
    expect(page.locator("#unpin")).to_be_hidden()
    assert lit(page, "output") == set()
    expect(page).not_to_have_url(re.compile("at="))


def test_enter_pins_an_entry_of_the_matrix(opened, lit):
    page = opened()
    tab_to(page, "#matrix-map .cursor")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("at=entry:1,1"))
    assert lit(page, "output") == {1}
    assert lit(page, "input") == {1}
    assert lit(page, "tap") == {0}


def test_p_and_the_button_play_and_pause(opened, lit):
    page = opened()
    page.keyboard.press("p")
    button = page.get_by_role("button", name="Pause")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert lit(page, "output") == {0}
    page.wait_for_timeout(800)
    assert lit(page, "output") == {1}
    button.click()
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")
    assert lit(page, "output") == set()


def test_tabs_follow_the_arrows(opened):
    page = opened()
    page.focus("#tab-matrix")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-wiring")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_have_attribute("id", "panel-wiring")


def test_sliders_take_the_arrow_keys_and_keep_the_focus(opened):
    page = opened()
    page.focus("#size-0")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("size=7x7"))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("size=8x8"))
    expect(page.locator("#size-0")).to_be_focused()
    said = page.get_by_role("status")
    expect(said).to_have_text(
        "Conv2d 1→1 k3 on (8, 8): 9 weights as a convolution, 324 locally connected, 2,304 fully connected."
    )


def test_a_screen_reader_hears_grids_places_and_values(opened):
    page = opened()
    output = page.get_by_role("grid", name="Output map")
    expect(output).to_have_attribute("aria-rowcount", "4")
    expect(output.get_by_role("rowgroup", name="channel 0")).to_have_count(1)
    cell = output.get_by_role("gridcell", name="output (0, 2, 0): −3", exact=True)
    expect(cell).to_have_attribute("aria-colindex", "1")
    expect(page.get_by_role("slider", name="Stride")).to_have_count(1)
