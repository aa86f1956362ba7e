"""The open question as a bench: weights dragged, the sum live, a second image, freedom as a bar."""

import re

import pytest
from playwright.sync_api import expect

from convlin.teach.example import article_example
from convlin.teach.numbers.bench import freedom_by_images, freedom_by_windows, other_whole

NOTCH = 12  # pixels of dragging that change a weight by one


def weights(page):
    texts = page.locator("#panel-bench .cell").all_text_contents()
    return [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]


def drag(page, at, by):
    box = page.locator(f'#panel-bench [data-at="{at}"]').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, abs(by) + 1):
        page.mouse.move(x, y - NOTCH * step * (1 if by > 0 else -1))
    page.mouse.up()


def free(page):
    return page.locator("#panel-bench .meter").get_attribute("data-text")


@pytest.fixture(params=["file", "server"])
def bench(opened, request):
    page = opened("?preset=lesson1#bench", where=request.param, width=1440, height=900)
    expect(page.locator("#panel-bench")).to_be_visible()
    return page


def test_dragging_a_weight_changes_the_sum_as_it_goes(bench, said):
    page = bench
    equation, total = page.locator("#panel-bench .equation"), page.locator("#panel-bench .sum")

    def holds(terms):
        return said("en", "bench.holds", sum=terms, value=3)

    def fails(terms, value):
        return said("en", "bench.fails", sum=terms, value=value, expected=3)

    expect(equation).to_contain_text("w1 + w8 + w15 = 3")
    expect(total).to_have_text(holds("1 + 1 + 1"))
    drag(page, 0, 2)
    expect(total).to_have_text(fails("3 + 1 + 1", 5))
    drag(page, 7, -2)
    expect(equation).to_contain_text("w1 + w8 + w15 = 3")
    expect(total).to_have_text(holds("3 + (−1) + 1"))
    drag(page, 5, 4)  # a grey wire on a lit pixel joins the sum
    expect(equation).to_contain_text("w1 + w6 + w8 + w15")
    expect(total).to_have_text(fails("3 + 4 + (−1) + 1", 7))
    drag(page, 1, 9)  # a weight on a dark pixel does not count
    expect(total).to_have_text(fails("3 + 4 + (−1) + 1", 7))
    moved = weights(page)
    assert [moved[at] for at in (0, 1, 5, 7)] == [3, 8, 4, -1]
    page.click('#panel-bench [data-do="reset"]')
    expect(total).to_have_text(holds("1 + 1 + 1"))


def test_a_finger_drags_a_weight_and_does_not_scroll_the_page(browser, files, said):
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(files("en") + "?preset=lesson1#bench")
    cell = page.locator('#panel-bench [data-at="0"]')
    cell.scroll_into_view_if_needed()
    box, before = cell.bounding_box(), page.evaluate("scrollY")
    assert box["width"] >= 24
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = context.new_cdp_session(page)

    def touch(kind, *points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in (1, 2, 3):
        touch("touchMove", {"x": x, "y": y - NOTCH * step})
    touch("touchEnd")
    fails = said("en", "bench.fails", sum="4 + 1 + 1", value=6, expected=3)
    expect(page.locator("#panel-bench .sum")).to_have_text(fails)
    assert page.evaluate("scrollY") == before
    context.close()


def test_a_weight_is_typed_and_stepped_by_keys(bench):
    page = bench
    page.focus('#panel-bench [data-at="0"]')
    for key, value in (("7", "7"), ("-", "−7"), ("Shift+ArrowUp", "−6"), ("Shift+ArrowDown", "−7")):
        page.keyboard.press(key)
        expect(page.locator('#panel-bench [data-at="0"]')).to_have_text(value)
        expect(page.locator('#panel-bench [data-at="0"]')).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator('#panel-bench [data-at="1"]')).to_be_focused()


def test_other_weights_hold_and_a_second_image_tells(bench, said):
    page, other = bench, other_whole(article_example()).ravel().tolist()
    second = page.locator("#panel-bench .second")
    expect(second).not_to_have_class(re.compile("fails"))
    page.click('#panel-bench [data-do="other"]')
    assert weights(page) == other
    expect(page.locator("#panel-bench .sum")).to_have_class("sum holds")
    expect(page.locator("#panel-bench .sum")).to_have_class(re.compile("holds"))
    number = int(re.search(r"pixel (\d+) lit", second.inner_text())[1])
    lit = second.locator(".small i").evaluate_all("all => all.findIndex(i => i.className === 'on')")
    assert lit == number - 1
    # One lit pixel reads out one weight: of these, and of the kernel's row of the matrix.
    own = article_example().matrix.toarray()[0].astype(int).tolist()
    told = said("en", "bench.second_fails", number=number, got=other[lit], expected=own[lit])
    expect(second).to_have_text(told.replace("-", "−"))
    expect(second).to_have_class(re.compile("fails"))


def test_one_more_image_lowers_the_freedom_from_35_to_0(bench, said):
    page, wanted = bench, freedom_by_images(article_example().image)
    more, fewer = (page.locator(f'#panel-bench [data-do="{name}"]') for name in ("more", "less"))
    assert wanted[0] == 35 and wanted[-1] == 0
    expect(fewer).to_be_disabled()
    for images, left in enumerate(wanted, start=1):
        assert free(page) == said("en", "bench.free", n=left, of=36)
        known = said("en", "bench.images", n=images, rank=36 - left)
        expect(page.locator("#panel-bench p.known")).to_have_text(known)
        assert page.locator("#panel-bench .cell.known").count() == images - 1
        width = page.locator("#panel-bench .meter i").evaluate("i => parseFloat(i.style.width)")
        assert width == pytest.approx(100 * left / 36, abs=0.01)
        if left:
            more.click()
    expect(more).to_be_disabled()
    fewer.click()
    assert free(page) == said("en", "bench.free", n=1, of=36)
    page.click('#panel-bench [data-do="all"]')
    assert free(page) == said("en", "bench.free", n=0, of=36)


def test_the_same_nine_everywhere_are_known_after_nine_windows(bench, said):
    page, wanted = bench, freedom_by_windows(article_example())
    assert wanted[:9] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    page.check("#panel-bench .shared")
    expect(page.locator("#panel-bench .cell")).to_have_count(9)
    expect(page.locator("#panel-bench .second")).to_be_hidden()
    for windows, left in enumerate(wanted, start=1):
        assert free(page) == said("en", "bench.free", n=left, of=9)
        known = said("en", "bench.windows", n=windows, of=16, rank=9 - left)
        expect(page.locator("#panel-bench p.known")).to_have_text(known)
        if windows < 16:
            page.click('#panel-bench [data-do="more"]')
    expect(page.locator('#panel-bench [data-do="more"]')).to_be_disabled()
    drag(page, 0, 1)  # the shared weight moves this output, too
    expect(page.locator("#panel-bench .sum")).to_contain_text("2 + 1 + 1 = 4")


def test_editing_a_pixel_keeps_the_weights_and_shows_the_failure(bench, said):
    page = bench
    page.click('#panel-bench [data-do="other"]')
    page.click('#panel-bench [data-do="more"]')
    before = weights(page)
    page.focus('#input [data-at="0"]')
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.locator('#input [data-at="0"]')).to_have_text("2")
    assert weights(page) == before
    expect(page.locator('#output [data-at="0"]')).to_have_text("4")
    fails = said("en", "bench.fails", sum="2·3 + 0 + 0", value=6, expected=4)
    expect(page.locator("#panel-bench .sum")).to_have_text(fails)
    assert free(page) == said("en", "bench.free", n=34, of=36)


def test_the_neuron_of_another_output_stays_while_a_pixel_is_edited(bench, said):
    page = bench
    page.click('#output [data-at="5"]')
    page.click('#panel-bench [data-do="other"]')
    before = weights(page)
    page.click('#input [data-at="14"]')
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    expect(page.locator('#input [data-at="14"]')).to_have_text("5")
    assert weights(page) == before
    place = said("en", "bench.which", place="row 2, column 2", value="5")
    expect(page.locator("#panel-bench .which")).to_contain_text(place)
    expect(page.locator("#panel-bench .sum")).not_to_have_class(re.compile("holds"))


def test_other_weights_of_an_old_link_stay_when_a_pixel_changes(opened):
    page = opened("?along=5#family", width=1440, height=900)
    before = weights(page)
    own = article_example().matrix.toarray()[0].tolist()
    assert sum(one != other for one, other in zip(before, own, strict=True)) > 9
    page.focus('#input [data-at="0"]')
    page.keyboard.press("7")
    page.keyboard.press("Enter")
    expect(page.locator('#output [data-at="0"]')).to_have_text("9")
    assert weights(page) == before
    expect(page.locator("#panel-bench .sum")).not_to_have_class(re.compile("holds"))


def test_another_output_is_another_neuron(bench, said):
    page = bench
    page.click('#output [data-at="4"]')
    expect(page.locator("#panel-bench .which")).to_contain_text(
        said("en", "bench.which", place="row 2, column 1", value="−3")
    )
    own = article_example().matrix.toarray()[4].tolist()
    assert weights(page) == own
