"""Each paragraph of each lesson sets its state, at every width, in both languages and schemes."""

import json
import re

import pytest
from playwright.sync_api import expect

from convlin.teach.document import Paragraph
from convlin.teach.lessons import lessons
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import as_json, scene

WIDTHS = {360: 740, 768: 1024, 1440: 900}
# Presses each paragraph's button, and says what the views then show.
READ = """async () => {
  const seen = [];
  const soon = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 10)));
  const values = (id) => [...document.querySelectorAll(`#${id} .cell`)].map(c => c.textContent);
  const fetched = window.fetch;
  let told = () => {};
  window.fetch = async (...asked) => {
    const answer = await fetched(...asked);
    const text = await answer.text();
    setTimeout(() => told(), 0);
    return new Response(text, answer);
  };
  const { engine } = JSON.parse(document.getElementById("given").textContent);
  for (const paragraph of document.querySelectorAll(".step")) {
    const answered = new Promise(done => (told = done));
    paragraph.querySelector(".show").click();
    if (engine) await answered;
    await soon();
    seen.push({
      id: paragraph.id,
      tab: document.querySelector("[role=tab][aria-selected=true]").id,
      panels: [...document.querySelectorAll("[role=tabpanel]:not([hidden])")].map(p => p.id),
      pinned: document.querySelector("#readout").classList.contains("pinned"),
      aims: [...document.querySelectorAll(".cell.aim")].map(c =>
        `${c.closest(".space").id}:${c.dataset.at}`),
      input: values("input"), tap: values("tap"), output: values("output"),
      wide: document.documentElement.scrollWidth,
      stage: document.querySelector(".drawing").dataset.stage,
      form: document.querySelector(".dial-board").dataset.form,
      stepped: document.querySelector(".stepped").textContent !== "",
      shared: document.querySelector(".shared").checked,
      changed: document.querySelectorAll("#panel-bench .cell.changed").length,
      known: document.querySelectorAll("#panel-bench .cell.known").length,
    });
  }
  window.fetch = fetched;
  return seen;
}"""


@pytest.fixture(scope="module")
def steps():
    """Return, by language, the views of all paragraphs by their ids: read from the lessons."""

    def steps(lang):
        return {
            f"lesson-{lesson.number}-{at}": block.view
            for lesson in lessons(lang).lessons
            for at, block in enumerate(lesson.blocks)
            if isinstance(block, Paragraph) and block.view
        }

    return steps


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


def check(found, view):
    """Compare what the page shows with the engine's scene of the paragraph's link."""
    state = State.of(view.link)
    wanted = json.loads(as_json(scene(state)))
    for kind, map_ in (("input", "input"), ("tap", "kernel"), ("output", "output")):
        assert [number(text) for text in found[kind]] == wanted[map_]["values"], found["id"]
    assert found["tab"] == f"tab-{view.tab}" and found["panels"] == [f"panel-{view.tab}"]
    assert found["pinned"] == (state.at is not None)
    aimed = []
    if state.at is not None:
        kind, _, place = str(state.at).partition(":")
        numbers = list(map(int, place.split(",")))
        shape = {"output": wanted["output"], "tap": wanted["kernel"]}[kind]["shape"]
        flat = 0
        for at, side in zip(numbers, shape, strict=True):
            flat = flat * side + at
        aimed = [f"{kind}:{flat}"]
    assert found["aims"] == aimed, found["id"]
    if view.tab == "straighten":
        assert found["stage"] == (view.step or "wires")
    if view.tab == "dial":
        form, stepped = {"local": ("local", False), "step": ("linear", True)}[view.step]
        assert (found["form"], found["stepped"]) == (form, stepped)
    if view.tab == "bench":
        assert found["shared"] == (view.step == "shared")
        assert (found["changed"] > 0) == (view.step in ("other", "second"))
        assert found["known"] == (view.step == "second")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("where", ["file", "server"])
def test_each_paragraph_sets_its_state(opened, steps, drawn, where, lang, width):
    page = opened("#lesson-1", where, lang, width, WIDTHS[width])
    wanted, seen = steps(lang), page.evaluate(READ)
    assert [found["id"] for found in seen] == list(wanted)
    for found in seen:
        check(found, wanted[found["id"]])
        assert found["wide"] <= width, found["id"]
    page.emulate_media(color_scheme="dark")
    for tab in ("matrix", "wiring", "straighten", "bench", "dial", "layer"):
        page.evaluate("tab => document.getElementById(`tab-${tab}`).click()", tab)
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab


def test_reading_on_sets_the_state_of_what_is_read(opened):
    page = opened(where="file", width=1440, height=900)
    for name, tab in (
        ("#lesson-1 [data-tab=straighten]", "straighten"),
        ("#lesson-2 [data-step=step]", "dial"),
        ("#lesson-1 .step", "matrix"),
    ):
        page.evaluate("name => document.querySelector(name).scrollIntoView({block: 'start'})", name)
        expect(page.locator(name).first).to_have_class(re.compile(r"\bon\b"))
        expect(page.locator(f"#panel-{tab}")).to_be_visible()


def test_a_page_opens_at_its_top_and_stays_there(opened):
    for width, height in WIDTHS.items():
        page = opened(where="file", width=width, height=height)
        assert page.evaluate("scrollY") == 0
        expect(page.locator("h1")).to_be_in_viewport()


def test_the_contents_lead_to_a_lesson_and_its_address_opens_it(opened):
    page = opened(where="file")
    page.click("#contents a[href='#lesson-4']")
    expect(page.locator("#lesson-4-title")).to_be_in_viewport()
    page = opened("#lesson-4")
    expect(page.locator("#lesson-4 .step >> nth=0")).to_have_class(re.compile(r"\bon\b"))
    assert page.locator("#input .cell").count() == 27


def test_on_a_phone_the_three_maps_stay_in_one_row_while_the_text_goes_by(opened):
    page = opened(where="file", width=360, height=740)
    page.evaluate("document.getElementById('lesson-2').scrollIntoView()")
    boxes = [page.locator(f"#{name}").bounding_box() for name in ("input", "tap", "output")]
    tops = [box["y"] + box["height"] / 2 for box in boxes]
    assert max(tops) - min(tops) < 30 and all(0 <= box["y"] < 200 for box in boxes)
    heights = page.eval_on_selector_all(
        "#article button, #dock button, #tabs button, summary, #contents a",
        "all => all.filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect())"
        ".map(b => [b.width, b.height])",
    )
    assert min(min(pair) for pair in heights) >= 24
