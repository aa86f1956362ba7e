"""The dial's counts, colours and step are the engine's; the image slides into one column."""

from itertools import chain

import pytest
from playwright.sync_api import expect

from convlin.teach.example import article_example
from convlin.teach.numbers.dial import dial

FORMS = ("conv", "local", "linear")
COLORS = """() => new Set([...document.querySelectorAll(".dial-board .weight")]
  .map(cell => getComputedStyle(cell).backgroundColor)).size"""
TRAINED = """async () => {
  const [{ trained }, { shown }] = await Promise.all(
    [import("/page/training.js"), import("/page/store.js")]);
  return trained(shown.scene); }"""
SLIDE = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }"


@pytest.fixture(scope="module")
def told():
    return dial(article_example())


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("where", "lang"), [("file", "zh"), ("server", "en")])
def test_weights_come_apart_and_zeros_fill(opened, said, told, where, lang, scheme):
    page = opened("#dial", where, lang, width=1440, height=900, color_scheme=scheme)
    cells = page.locator(".dial-board i")
    expect(cells).to_have_count(576)
    for at, (form, position) in enumerate(zip(FORMS, told.positions, strict=True)):
        page.locator("#dial").evaluate(SLIDE, str(at))
        count = said(lang, "dial.count", form=said(lang, f"form.{form}"), n=position.weights)
        expect(page.locator("#panel-dial .count")).to_have_text(count)
        assert position.weights == page.evaluate(COLORS) == (9, 144, 576)[at]
        weights = [owner >= 0 for row in position.owner for owner in row]
        classes = cells.evaluate_all("all => all.map(cell => cell.classList.contains('weight'))")
        assert classes == weights


def test_a_step_of_training_makes_equal_weights_part(opened, said, told):
    page = opened("#dial", width=1440, height=900)
    steps = page.evaluate(TRAINED)
    assert steps["rate"] == told.rate
    for at, (form, position) in enumerate(zip(FORMS, told.positions, strict=True)):
        flat = [entry for row in position.after for entry in row]
        assert steps[form]["after"] == flat
        assert steps[form]["before"] == [entry for row in position.before for entry in row]
        page.locator("#dial").evaluate(SLIDE, str(at))
        page.click("#panel-dial .train")
        shown = page.locator(".dial-board i").all_text_contents()
        for text, value, owner in zip(shown, flat, chain(*position.owner), strict=True):
            assert text == "" if owner < 0 else abs(number(text) - value) <= 0.0501
        step = position.step
        parts = [step.shared, step.local, step.off]
        shares = [part / sum(parts) for part in parts]
        assert steps[form]["fractions"] == pytest.approx(shares, abs=1e-12)
        said_of = page.locator("#panel-dial .stepped").inner_text()
        for share in shares:
            assert f"{100 * share:.1f} %" in said_of
        assert str(told.rate) in said_of
        # Of all taps, the one whose copies differ most is told of.
        most = max(position.different)
        tap = position.different.index(most)
        words = {"number": tap + 1, "uses": 16, "different": most}
        key = "dial.different" if most > 1 else "dial.same"
        assert said_of.endswith(said("en", key, **words))
        page.click("#panel-dial .train")
        expect(page.locator("#panel-dial .stepped")).to_be_empty()


def test_the_dial_is_turned_by_keys(opened, said):
    page = opened("#dial", where="file", width=1440, height=900)
    page.focus("#dial")
    for form, n in (("local", 144), ("linear", 576)):
        page.keyboard.press("ArrowRight")
        text = said("en", "dial.count", form=said("en", f"form.{form}"), n=n)
        expect(page.locator("#dial")).to_have_attribute("aria-valuetext", text)


def test_what_the_dial_cannot_show_is_said(opened, said):
    page = opened("?preset=circular#dial", width=1440, height=900)
    expect(page.locator("#panel-dial .missing")).to_have_text(said("en", "dial.several"))
    page = opened("?size=9x9&padding=1x1#dial", width=1440, height=900)
    expect(page.locator("#panel-dial .missing")).to_have_text(said("en", "dial.large"))


@pytest.mark.parametrize(("where", "lang", "width"), [("file", "zh", 360), ("server", "en", 1440)])
def test_rows_slide_into_a_column_and_wires_lead_to_the_output(opened, where, lang, width):
    page = opened("?preset=lesson1#straighten", where, lang, width, 900)
    panel = page.locator("#panel-straighten")

    def go(stage):
        panel.locator(f"input[value={stage}]").check()
        expect(panel.locator(".drawing")).to_have_attribute("data-stage", stage)
        page.wait_for_timeout(60)

    def places():
        return panel.locator(".pixel rect").evaluate_all(
            "all => all.map(r => { const b = r.getBoundingClientRect(); return [b.x, b.y]; })"
        )

    go("image")
    grid = places()
    assert len({round(x) for x, _ in grid}) == 6 and len({round(y) for _, y in grid}) == 6
    assert [round(x) for x, _ in grid[:6]] == sorted({round(x) for x, _ in grid})
    go("column")
    column = places()
    assert len({round(x) for x, _ in column}) == 1
    assert [y for _, y in column] == sorted(y for _, y in column)
    assert panel.locator(".pixel .number").all_text_contents() == [str(n) for n in range(1, 37)]
    for stage in ("wires", "rows"):
        go(stage)
        colored = panel.locator(".column-wires path:not(.zero)")
        assert colored.count() == 9
        assert len(set(colored.evaluate_all("all => all.map(p => p.getAttribute('stroke'))"))) == 9
        assert panel.locator(".column-wires path.zero").count() == 27
        met = panel.locator(".pixel.met .number").all_text_contents()
        assert met == ["1", "2", "3", "7", "8", "9", "13", "14", "15"]
        assert panel.locator(".output .value").text_content() == "3"
    opacity = "line => getComputedStyle(line).opacity"
    assert panel.locator(".printed").evaluate(opacity) == "1"
    rows = article_example().matrix.toarray()
    assert panel.locator(".printed .line").count() == len(rows)
    fills = panel.locator(".printed .line").evaluate_all(
        "lines => lines.map(line => line.querySelectorAll('rect:not(.zeros)').length)"
    )
    assert fills == (rows != 0).sum(axis=1).tolist()


def test_playing_prints_the_matrix_row_by_row(opened):
    page = opened("?preset=lesson1#straighten", where="file", width=1440, height=900)
    page.locator("#panel-straighten input[value=rows]").check()
    page.click("#play")
    for row in (0, 1, 2):
        line = page.locator(".printed .line.here")
        expect(line).to_have_attribute("data-row", str(row))
        later = page.locator(".printed .line.later")
        expect(later).to_have_count(15 - row)
        assert later.first.evaluate("line => getComputedStyle(line).opacity") == "0"
        assert line.evaluate("line => getComputedStyle(line).opacity") == "1"
    page.click("#play")
    expect(page.locator(".printed .line.later")).to_have_count(0)


def test_a_row_of_the_matrix_lights_its_output(opened, lit):
    page = opened("#straighten", where="file", width=1440, height=900)
    page.locator("#panel-straighten input[value=rows]").check()
    page.locator('.printed .line[data-row="6"] rect').first.hover()
    assert lit(page, "output") == {6}
    expect(page.locator("#panel-straighten .output .value")).to_have_text("0")
    expect(page.locator("#panel-straighten .output .number")).to_have_text("7")


def test_a_long_column_is_not_drawn_and_says_so(opened, said):
    page = opened("?size=9x9#straighten", width=1440, height=900)
    expect(page.locator("#panel-straighten .said")).to_have_text(
        said("en", "straighten.large", n=81)
    )
    expect(page.locator("#panel-straighten .drawing")).to_be_hidden()
