"""The page of a file: pictures, kernels and pixels without an engine, and on paper."""

import re
import subprocess
import sys

import pypdfium2
import pytest
from playwright.sync_api import expect

from convlin.teach.document import Exercise, Judgement
from convlin.teach.lessons import lessons
from convlin.teach.pictures import KERNELS, PICTURES
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import scene

SLIDE = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }"


def numbers(page, kind):
    if page.locator(f"#{kind} .cell").count() == 0:
        return None
    texts = page.locator(f"#{kind} .cell").all_text_contents()
    return [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]


def test_the_commands_page_opens_in_a_browser(opened, tmp_path):
    out = tmp_path / "page.html"
    command = [sys.executable, "-m", "convlin", "explain", "--html", out, "--lesson", "1"]
    subprocess.run(command, check=True, capture_output=True)
    assert out.stat().st_size < 1_000_000
    page = opened(out.as_uri())
    assert numbers(page, "output")[0] == 3
    page.click('#lesson-1 [data-tab="straighten"] .show')
    expect(page.locator("#panel-straighten")).to_be_visible()


def test_a_saved_state_opens_with_it(opened, tmp_path):
    link, out = "?size=5x4&in=2&out=3&kernel=2x3&padding=1x0&at=output:1,2,0", tmp_path / "s.html"
    command = [sys.executable, "-m", "convlin", "explore", "--export", out, "--state", link]
    subprocess.run(command, check=True, capture_output=True)
    page, wanted = opened(out.as_uri()), scene(State.of(link))
    assert numbers(page, "input") == wanted["input"]["values"]
    assert numbers(page, "output") == wanted["output"]["values"]
    expect(page.locator("#unpin")).to_be_visible()


def test_pictures_and_kernels_without_an_engine(opened):
    page = opened("#layer", where="file", width=1440, height=900)
    for picture in PICTURES:
        page.click(f'[data-picture="{picture}"]')
        expect(page.locator(f'[data-picture="{picture}"]')).to_have_attribute(
            "aria-pressed", "true"
        )
        for name, kernel in KERNELS.items():
            page.click(f'#kernels [data-picture="{name}"]')
            chosen = page.locator(f'#kernels [data-picture="{name}"]')
            expect(chosen).to_have_attribute("aria-pressed", "true")
            weights = ",".join(map(str, kernel.ravel()))
            wanted = scene(State.of(f"picture={picture}&weights={weights}"))
            assert numbers(page, "tap") == kernel.ravel().tolist()
            assert numbers(page, "output") in (None, wanted["output"]["values"])
    page.click('#pictures [data-picture="article"]')
    assert numbers(page, "output")[0] == 3


def test_sliders_reach_what_the_page_computes_and_no_further(opened, said):
    page = opened("#layer", where="file", width=1440, height=900)
    expect(page.locator(".offline")).to_have_text(said("en", "views.offline"))
    page.locator("#stride-0").evaluate(SLIDE, "2")
    page.locator("#padding-0").evaluate(SLIDE, "1")
    assert numbers(page, "output") == scene(State.of("stride=2&padding=1"))["output"]["values"]
    for field in ("mode", "transposed", "apart", "in", "out", "groups"):
        expect(page.locator(f"#{field}-0")).to_be_disabled()
    page.click('[data-preset="depthwise"]')
    expect(page.locator("#input .cell")).to_have_count(108)
    expect(page.locator("#refusal")).to_be_hidden()


@pytest.mark.parametrize("where", ["file", "server"])
def test_pixels_are_painted_by_dragging(opened, where):
    page = opened("?#layer", where, width=1440, height=900)
    page.check("#paint")
    page.fill("#brush", "-3")
    boxes = [page.locator(f'#input [data-at="{at}"]').bounding_box() for at in (6, 8)]
    start, end = ((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=12)
    page.mouse.up()
    for at in (6, 7, 8):
        expect(page.locator(f'#input [data-at="{at}"]')).to_have_text("−3")
    link = "?image=6:-3,7:-3,8:-3"
    expect(page.locator('#output [data-at="0"]')).not_to_have_text("3")
    assert numbers(page, "output") == scene(State.of(link))["output"]["values"]
    expect(page.locator("#unpin")).to_be_hidden()  # what is painted is not pinned
    page.uncheck("#paint")
    page.click('#input [data-at="6"]')
    expect(page.locator("#unpin")).to_be_visible()


def test_a_value_that_a_link_cannot_hold_is_said(opened, said):
    page = opened("?at=input:0,0,0#layer", where="file")
    page.fill("#value", "123456")
    page.press("#value", "Enter")
    expect(page.locator("body")).to_contain_text(said("en", "views.needs_engine"))
    assert numbers(page, "output")[0] == 3


# On paper


@pytest.fixture(params=["en", "zh"])
def printed(request, opened):
    page = opened(where="file", lang=request.param, width=1440, height=900)
    page.emulate_media(media="print", color_scheme="light")
    return page, request.param


def test_paper_has_all_the_text_and_no_controls(printed):
    page, lang = printed
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for part in ("#views", "#bar", ".show", ".copy", "summary"):
        assert page.locator(f"{part}:visible").count() == 0, part
    text = re.sub(r"\s+", "", page.locator("#article").inner_text())
    blocks = [block for lesson in lessons(lang).lessons for block in lesson.blocks]
    for block in blocks:
        if isinstance(block, Judgement | Exercise):
            assert re.sub(r"\s+", "", block.answer).replace("-", "\N{MINUS SIGN}") in text.replace(
                "-", "\N{MINUS SIGN}"
            )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#article details[open]").count() == 0


def test_no_page_is_less_than_a_third_full(printed, tmp_path):
    """Each page of the PDF as a picture: the lowest ink on it, but for the last."""
    page, _ = printed
    file = tmp_path / "page.pdf"
    page.pdf(path=file, format="A4", print_background=True, prefer_css_page_size=True)
    with pypdfium2.PdfDocument(file) as paper:
        assert 5 < len(paper) < 30
        for number in range(len(paper) - 1):
            image = paper[number].render(scale=20 / 72, grayscale=True).to_pil()
            box = image.point(lambda grey: 255 if grey < 200 else 0).getbbox()
            assert box and box[3] / image.height > 1 / 3, number + 1
