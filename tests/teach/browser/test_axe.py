"""axe-core finds nothing serious or critical, in both languages, light and dark."""

import pytest

STATES = {
    "plain": "?lang={lang}",
    "pinned-output": "?lang={lang}&preset=lesson1",
    "pinned-tap": "?lang={lang}&size=8x8&in=2&out=2&at=tap:1,0,1,2#wiring",
    "family": "?lang={lang}&preset=lesson4&along=3#family",
    "large": "?lang={lang}&size=64x64&padding=1x1",
    "refused": "?lang={lang}&in=3&groups=2",
}
RUN = """async () => (await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a",
  "wcag21aa", "wcag22aa", "best-practice"] })).violations.map(({ id, impact, nodes }) =>
  ({ id, impact, where: nodes.slice(0, 3).map(node => node.html.slice(0, 160)) }))"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(opened, drawn, axe, state, lang, width):
    page = opened(STATES[state].format(lang=lang), width=width)
    page.evaluate(axe)
    # axe gives no verdict on the contrast of what it thinks is covered.
    page.add_style_tag(content=".over { display: none } #readout { position: static !important }")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        drawn(page)
        found = page.evaluate(RUN)
        assert [one for one in found if one["impact"] in ("serious", "critical")] == [], scheme
