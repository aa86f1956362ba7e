"""A link holds the whole state, old links still open, and the address follows."""

import re

import pytest
from playwright.sync_api import expect

from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import scene

OLD = {  # links of before, and the tab that they open
    "?preset=lesson4": "matrix",
    "?size=7x7&stride=2x2#wiring": "wiring",
    "?along=5#family": "bench",
    "?preset=lesson4&along=-3#family": "bench",
    "?at=output:0,0,0#matrix": "matrix",
    "#matrix": "matrix",
    "?image=0:5&weights=0:2&lang=en": "matrix",
}


def seen(page):
    parts = ("#counts", "#maps", "#readout", "#dock")
    return [page.locator(part).inner_text() for part in parts]


@pytest.mark.parametrize("link", OLD)
def test_an_old_link_opens_what_it_did(opened, link):
    page, state = opened(link), State.of(link)
    expect(page.locator(f"#panel-{OLD[link]}")).to_be_visible()
    expect(page.locator("body")).to_have_class(re.compile("alone"))
    wanted = scene(state)
    shown = page.locator("#output .cell").all_text_contents()
    numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in shown]
    assert numbers == wanted["output"]["values"]
    if "along" in link:
        shown = page.locator("#panel-bench .cell").all_text_contents()
        numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in shown]
        assert numbers == pytest.approx(wanted["neuron"]["weights"], abs=1e-5)
        expect(page.locator("#panel-bench .sum")).to_have_class("sum holds")
    if link != "#matrix":
        expect(page).to_have_url(re.compile(re.escape(state.link.rstrip("?")) + "[?&]lang=en(#|$)"))


def test_a_link_of_a_file_opens_there_too(opened):
    page = opened("?size=7x7&stride=2x2&at=output:0,1,1#wiring", where="file", lang="zh")
    expect(page.locator("#panel-wiring")).to_be_visible()
    expect(page.locator("#input .cell")).to_have_count(49)
    expect(page.locator("#output .aim")).to_have_attribute("data-at", "4")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_links_language_is_spoken(opened, said, lang):
    page = opened(f"?lang={lang}")
    expect(page.locator("#tab-matrix")).to_have_text(said(lang, "matrix.title"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans" if lang == "zh" else "en")
    expect(page.locator("#lesson-1 .step >> nth=0")).to_have_class(re.compile(r"\bon\b"))


def test_the_address_follows_pin_slider_tab_and_language(opened, said):
    page = opened("#layer")
    page.click('[data-preset="depthwise"]')
    slide = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }"
    page.locator("#padding-0").evaluate(slide, "2")
    expect(page).to_have_url(re.compile("padding=2x2"))
    page.click('#output [data-at="3"]')
    expect(page).to_have_url(re.compile("at=output:0,0,3"))
    page.click("#tab-wiring")
    expect(page).to_have_url(re.compile("#wiring$"))
    page.click("[data-language=zh]")
    expect(page).to_have_url(re.compile("lang=zh.*#wiring"))
    expect(page.locator("#tab-wiring")).to_have_text(said("zh", "wiring.title"))
    expect(page.locator("#unpin")).to_be_visible()
    before = seen(page)
    page.reload()
    expect(page.locator("#unpin")).to_be_visible()
    assert seen(page) == before
    page.goto("about:blank")
    page.go_back()
    expect(page.locator("#unpin")).to_be_visible()
    assert seen(page) == before


def test_a_paragraphs_state_stands_in_the_address_and_opens_alone(opened):
    page = opened()
    page.click('#lesson-2 [data-link^="?at=tap"] .show')
    expect(page).to_have_url(re.compile("at=tap:0,0,0,0"))
    page.click("#wide")
    expect(page.locator("#article")).to_be_hidden()
    page.click("#wide")
    expect(page.locator("#article")).to_be_visible()


def test_a_bad_link_is_said_and_the_default_shown(opened):
    page = opened("?size=900x2#layer")
    expect(page.locator("#size-error")).to_contain_text("900x2")
    expect(page.locator("#output .cell")).to_have_count(16)
    page = opened("?at=output:7,7,7")
    expect(page.locator("#refusal")).to_contain_text("output:7,7,7")


def test_a_page_that_is_loaded_again_has_its_text_as_it_was_left(opened):
    """By then its address has a state, and a link with one opens the views alone."""
    page = opened(width=1440, height=900)
    expect(page).to_have_url(re.compile(r"at=output:0,0,0"))
    for there in (True, False):
        page.reload()
        expect(page.locator("#output .cell")).to_have_count(16)
        expect(page.locator("#article")).to_be_visible(visible=there)
        if there:
            page.click("#wide")


@pytest.mark.parametrize(("locale", "html"), [("zh-CN", "zh-Hans"), ("en-GB", "en")])
def test_a_page_speaks_its_browsers_language_until_a_link_says_another(opened, locale, html):
    page = opened(locale=locale)
    expect(page.locator("html")).to_have_attribute("lang", html)
    expect(page).to_have_url(re.compile(f"lang={html[:2]}"))
    page = opened("?lang=en", locale=locale)
    expect(page.locator("html")).to_have_attribute("lang", "en")
