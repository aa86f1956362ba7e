"""axe-core finds nothing serious or critical, in both languages, light and dark, in every tab."""

import pytest

TABS = ("matrix", "wiring", "straighten", "bench", "dial", "layer")
STATES = {  # what else a page can show, one panel each
    "pinned-tap": "?size=8x8&in=2&out=2&at=tap:1,0,1,2#wiring",
    "zero": "?at=entry:3,33#matrix",
    "large": "?size=64x64&padding=1x1#matrix",
    "refused": "?in=3&groups=2#layer",
}
RUN = """async () => (await axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a",
  "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => ({ id, where: nodes.slice(0, 3).map(n => n.html.slice(0, 160)) }))"""
# axe gives no verdict on the contrast of what it thinks is covered.
UNCOVERED = """.over { display: none } #maps, #dock, #readout { position: static !important }"""


def found(page, axe, drawn):
    page.evaluate(f"window.axe || (() => {{ {axe} }})()")
    page.add_style_tag(content=UNCOVERED)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        drawn(page)
        yield scheme, page.evaluate(RUN)


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize(("where", "lang"), [("file", "en"), ("server", "zh")])
def test_text_and_every_tab(opened, drawn, axe, where, lang, width):
    """All of the text once, unfolded, with an answered question; then each tab beside it."""
    page = opened(where=where, lang=lang, width=width, height=900)
    page.locator(".ask .options button").first.click()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert list(found(page, axe, drawn)) == [("light", []), ("dark", [])]
    page.click("#wide")
    page.locator("#dock").evaluate("dock => dock.classList.add('open')")
    for tab in TABS:
        page.evaluate("tab => document.getElementById(`tab-${tab}`).click()", tab)
        page.locator("#dock").evaluate("dock => dock.classList.add('open')")
        drawn(page)
        assert list(found(page, axe, drawn)) == [("light", []), ("dark", [])], tab


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("state", STATES)
def test_what_else_there_is(opened, drawn, axe, state, lang):
    width = 360 if state in ("zero", "refused") else 1440
    page = opened(STATES[state], lang=lang, width=width, height=900)
    assert list(found(page, axe, drawn)) == [("light", []), ("dark", [])]
