"""Each question waits for an answer, opens its ruling, and counts; without script all can be read."""

import re

import pytest
from playwright.sync_api import expect

from convlin.teach.document import Exercise, Judgement, Question
from convlin.teach.lessons import lessons


def blocks(lang, kind):
    return [
        block
        for lesson in lessons(lang).lessons
        for block in lesson.blocks
        if isinstance(block, kind)
    ]


@pytest.mark.parametrize(
    ("where", "lang", "width"), [("file", "en", 360), ("file", "zh", 1440), ("server", "en", 1440)]
)
def test_questions_come_before_their_rulings(opened, said, where, lang, width):
    """Every second one is answered wrongly: by its first option that is not right."""
    page = opened(where=where, lang=lang, width=width, veiled=True)
    asked = blocks(lang, Question)
    rulings = page.locator("details.ruling")
    boxes = page.locator(".ask")
    expect(boxes).to_have_count(len(asked))
    expect(rulings).to_have_count(len(asked))
    expect(page.locator("details.ruling[open]")).to_have_count(0)
    expect(page.locator("#score")).to_be_hidden()
    right = 0
    for at, question in enumerate(asked):
        box, options = boxes.nth(at), boxes.nth(at).locator(".options button")
        expect(options).to_have_count(len(question.options))
        wrong = next(n for n in range(len(question.options)) if n != question.right)
        choice = wrong if at % 2 else question.right
        options.nth(choice).click()
        key = "ask.wrong" if at % 2 else "ask.right"
        answer = options.nth(question.right).evaluate("button => button.textContent")
        expect(box.locator(".answer")).to_have_text(said(lang, key, answer=answer))
        expect(options.nth(question.right)).to_have_class("right")
        expect(options.nth(wrong)).to_have_class("wrong" if at % 2 else "")
        assert rulings.nth(at).get_attribute("open") is not None
        expect(page.locator("details.ruling[open]")).to_have_count(at + 1)
        right += choice == question.right
        options.nth(wrong).dispatch_event("click")  # a second answer counts for nothing
        score = said(lang, "ask.score", right=right, asked=at + 1)
        expect(page.locator("#score")).to_have_text(score)
    assert right == (len(asked) + 1) // 2


def test_what_answers_a_question_waits_for_the_answer_or_is_read_on_to(opened, said):
    page = opened(where="file", width=1440, veiled=True)
    held = page.locator(".veiled")
    total, boxes = held.count(), page.locator(".ask")
    assert total > 30
    between = "ask => { let n = 0; for (let e = ask.nextElementSibling; e && !e.matches('.judged');"
    between += " e = e.nextElementSibling) n += e.matches('.veiled'); return n; }"
    first, second = (boxes.nth(at).evaluate(between) for at in (0, 1))
    assert first > 0 and second > 0
    boxes.nth(0).locator(".options button").first.click()
    expect(held).to_have_count(total - first)
    expect(boxes.nth(0).locator(".skip")).to_be_hidden()
    boxes.nth(1).locator(".skip").click()
    expect(held).to_have_count(total - first - second)
    expect(page.locator("#score")).to_have_text(said("en", "ask.score", right=0, asked=1))
    page.emulate_media(media="print")
    expect(held.first).to_be_visible()


def test_a_ruling_opened_without_an_answer_counts_for_nothing(opened):
    page = opened(where="file")
    page.locator("details.ruling summary").first.click()
    expect(page.locator("details.ruling[open]")).to_have_count(1)
    expect(page.locator("#score")).to_be_hidden()


@pytest.fixture(params=["en", "zh"])
def plain(request, browser, files):
    """Open the page of a file without script."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 768, "height": 900})
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(files(request.param))
    yield page, request.param
    context.close()


def test_without_script_everything_can_be_read(plain):
    """Questions as lists, rulings and answers behind a click, no control that does nothing."""
    page, lang = plain
    expect(page.locator("#views")).to_be_hidden()
    expect(page.locator("button:visible")).to_have_count(0)
    shown = page.locator("#article").inner_text()
    for question in blocks(lang, Question):
        assert all(option.replace("-", "\N{MINUS SIGN}") in shown for option in question.options)
    rulings = blocks(lang, Judgement)
    for judgement in rulings:
        assert minus(judgement.answer) not in shown
    folds = page.locator("details.ruling, details.answer")
    expect(folds).to_have_count(len(rulings) + len(blocks(lang, Exercise)))
    for at in range(folds.count()):
        folds.nth(at).locator("summary").click()
        assert folds.nth(at).locator("p").first.is_visible()
    text = re.sub(r"\s+", " ", page.locator("#article").inner_text())
    for judgement in rulings:
        for sentence in (judgement.word, judgement.answer, *judgement.evidence):
            assert re.sub(r"\s+", " ", minus(sentence)) in text
    assert page.locator("html").evaluate("html => html.scrollWidth") <= 768


def minus(text):
    return re.sub(r"(?<![\w.)\]])-(?=[\d.])|(?<=\de)-(?=\d)", "\N{MINUS SIGN}", text)


def test_copying_gives_lines_that_python_runs(opened):
    page = opened(where="file")
    page.locator("details.ruling summary").first.click()
    page.evaluate(
        """() => { window.copies = [];
        const field = Object.getOwnPropertyDescriptor(Document.prototype, "execCommand");
        document.execCommand = (what) => copies.push([what, document.activeElement.value]);
        navigator.clipboard?.writeText && (navigator.clipboard.writeText =
          async (text) => copies.push(["copy", text])); }"""
    )
    page.locator(".try .copy").first.click()
    page.wait_for_function("copies.length === 1")
    what, lines = page.evaluate("copies[0]")
    assert what == "copy" and ">>>" not in lines and lines.endswith("\n")
    compile(lines, "copied", "exec")
    typed = page.locator(".try code").first.inner_text()
    assert [line[4:] for line in typed.split("\n") if line[:4] in (">>> ", "... ")] == [
        line for line in lines.split("\n") if line
    ]
