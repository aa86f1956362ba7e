"""Every digit can be read: WCAG 2.2's 4.5 to 1, and 3 to 1 where it is dimmed on purpose.

Computed here from the colours that the browser computed: what a cell's text is written in, and what
lies under it, layer over layer.
"""

import pytest

# [what, text, ink, paper, dimmed] of every text that is seen in the parts named.
READ = """parts => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const bytes = (color) => {
    if (!known.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, at) => c * a + under[at] * (1 - a));
  const paper = (element) => {
    if (!element) return [255, 255, 255];
    const color = bytes(getComputedStyle(element).backgroundColor);
    return color[3] === 1 ? color.slice(0, 3) : over(color, paper(element.parentElement));
  };
  const boards = new Map();
  const entry = (text) => {
    const frame = text.closest(".frame"), base = frame.querySelector("canvas");
    const [row, column] = [Number(text.dataset.row), Number(text.dataset.column)];
    const under = paper(frame.querySelector(".board"));
    if (!boards.has(base)) boards.set(base, base.getContext("2d"));
    const [r, g, b] = boards.get(base).getImageData(column, row, 1, 1).data;
    const opacity = Number(getComputedStyle(base).opacity);
    if (text.classList.contains("lit")) return [r, g, b];
    return over([r, g, b, opacity], under);
  };
  const below = (text) => {
    if (text.classList.contains("entry")) return entry(text);
    const shape = text.closest(".pixel")?.querySelector("rect");
    if (shape && text.classList.contains("value"))
      return over(bytes(getComputedStyle(shape).fill), paper(text.closest("div")));
    return paper(text.closest("div"));
  };
  const found = [];
  for (const part of parts)
    for (const element of document.querySelectorAll(part)) {
      const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
      if (!own || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      const style = getComputedStyle(element);
      if (parseFloat(style.fontSize) === 0) continue;
      const svg = element instanceof SVGElement;
      const under = svg ? below(element) : paper(element);
      const ink = over(bytes(svg ? style.fill : style.color), under);
      const dimmed = Boolean(element.closest(".some")) && !element.classList.contains("lit")
        && element.matches(".cell, .entry");
      found.push([part, element.textContent.slice(0, 12), ink, under, dimmed]);
    }
  return found; }"""
MAPS = ["#input .cell", "#tap .cell", "#output .cell", "#input .ghosts text", ".name"]
MATRIX = ["#matrix-map text"]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color):
    parts = [number / 255 for number in color]
    light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def unread(page, *parts):
    """Return what cannot be read of some parts, which must be there."""
    found = page.evaluate(READ, list(parts))
    assert found
    return sorted(
        {
            (part, text, dimmed, round(contrast(ink, under), 2))
            for part, text, ink, under, dimmed in found
            if contrast(ink, under) < (3 if dimmed else 4.5)
        }
    )


STATES = {
    "plain": "#matrix",
    "output": "?at=output:0,0,0#matrix",
    "tap": "?at=tap:0,0,2,1#matrix",
    "pixel": "?at=input:0,2,2#matrix",
    "zero": "?at=entry:3,33#matrix",
    "many-weights": "?size=5x6&kernel=4x5&padding=1x1&at=output:0,1,2#matrix",
    "circular": "?preset=circular&at=output:0,0,0#matrix",
    "channels": "?preset=lesson4&at=output:1,0,0#matrix",
    "picture": "?picture=scene&at=output:0,5,5#matrix",
    "noise": "?picture=noise&weights=-1,-2,-1,0,0,0,1,2,1#matrix",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_digits_of_maps_and_matrix(opened, state, scheme):
    page = opened(STATES[state], width=1920, height=1200, color_scheme=scheme)
    parts = MAPS + MATRIX * (page.locator("#matrix-map text").count() > 0)
    assert unread(page, *parts) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_digits_of_wiring_straighten_bench_and_dial(opened, drawn, scheme):
    page = opened(
        "?preset=lesson1#wiring", where="file", width=1920, height=1200, color_scheme=scheme
    )
    assert unread(page, "#wires text") == []
    page.click("#tab-straighten")
    page.wait_for_timeout(100)
    assert unread(page, ".drawing text") == []
    page.click("#tab-bench")
    for press in ('[data-do="other"]', '[data-do="more"]', ".shared"):
        page.click(f"#panel-bench {press}")
        page.mouse.move(0, 0)
        drawn(page)
        assert unread(page, "#panel-bench .cell", "#panel-bench p", ".known") == [], press
    page.click("#tab-dial")
    for turn in (0, 1, 2):
        page.locator("#dial").evaluate(
            "(d, v) => { d.value = v; d.dispatchEvent(new Event('input')) }", str(turn)
        )
        page.click("#panel-dial .train")
        drawn(page)
        assert page.locator(".dial-board.wordless").count() == 0
        assert unread(page, ".dial-board i") == [], turn
        page.click("#panel-dial .train")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_grids_and_tables(opened, scheme):
    page = opened(where="file", width=1440, height=900, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    parts = ["td", "th", "caption", "p", "li", ".word", "pre code", "small", ".label", "button"]
    assert unread(page, *(f"#article {part}" for part in parts)) == []
