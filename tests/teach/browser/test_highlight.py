"""What lights up is what `ConvMatrix.wires` says, of every kind of layer."""

import itertools

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

LINKS = {
    "article": "",
    "stride-padding": "?size=7x5&kernel=3x2&stride=2x1&padding=1x0",
    "dilation": "?size=8x6&kernel=3x2&dilation=2x3&padding=2x1",
    "circular": "?size=5x4&padding=1x1&mode=circular",
    "replicate": "?size=4x5&kernel=3x3&padding=2x1&mode=replicate",
    "groups": "?size=4x3&in=4&out=6&groups=2&kernel=2x2",
    "transposed": "?size=3x4&in=2&out=3&kernel=3x2&stride=2x2&transposed=1",
    "transposed-groups": "?size=3x4&in=4&out=2&groups=2&kernel=2x3&transposed=1",
}
wired = pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)


def flat(place, shape):
    return int(np.ravel_multi_index(place, shape))


def wires(a):
    """Return (output, pixel, tap's row and column) of every wire, by flat output and pixel."""
    return [
        (output, flat(wire.input, a.input_shape), wire.tap)
        for output in range(a.shape[0])
        for wire in a.wires(output)
    ]


@wired
def test_an_output_lights_its_pixels(opened, matrix, lit, link):
    A, page = matrix(link), opened(f"{link or '?'}#matrix")
    for output in {0, A.shape[0] // 2, A.shape[0] - 1}:
        page.hover(f'#output [data-at="{output}"]')
        assert lit(page, "input") == {pixel for o, pixel, _ in wires(A) if o == output}
        assert lit(page, "output") == {output}
        assert len(lit(page, "tap")) == len(A.wires(output))


@wired
def test_a_pixel_lights_the_outputs_that_read_it(opened, matrix, lit, link):
    A, page = matrix(link), opened(f"{link or '?'}#matrix")
    for pixel in {0, A.shape[1] // 2, A.shape[1] - 1}:
        page.hover(f'#input [data-at="{pixel}"]')
        assert lit(page, "output") == {output for output, p, _ in wires(A) if p == pixel}
        assert lit(page, "input") == {pixel}


@wired
def test_a_tap_lights_every_place_that_shares_it(opened, matrix, lit, link):
    """Which wires share a kernel value: those that have it, the test's kernel having each once."""
    A, page = matrix(link), opened(f"{link or '?'}#matrix")
    for tap in {0, A.weight.numel() // 2, A.weight.numel() - 1}:
        page.hover(f'#tap [data-at="{tap}"]')
        shares = [
            (output, flat(wire.input, A.input_shape))
            for output in range(A.shape[0])
            for wire in A.wires(output)
            if wire.weight == tap + 1
        ]
        assert lit(page, "output") == {output for output, _ in shares}
        assert lit(page, "input") == {pixel for _, pixel in shares}
        assert lit(page, "tap") == {tap}


@wired
def test_an_entry_lights_the_pixel_the_tap_and_the_output(opened, matrix, lit, link):
    A, page = matrix(link), opened(f"{link or '?'}#matrix")
    rows, columns = A.shape
    for row, column in {(0, 0), (0, columns - 1), (rows // 2, columns // 2)}:
        board = page.locator("#matrix-map .board")
        box = board.bounding_box()
        spot = {
            "x": (column + 0.5) * box["width"] / columns,
            "y": (row + 0.5) * box["height"] / rows,
        }
        board.hover(position=spot)
        taps = [w for w in A.wires(row) if flat(w.input, A.input_shape) == column]
        assert lit(page, "output") == {row}
        assert lit(page, "input") == {column}
        assert lit(page, "tap") == {int(wire.weight) - 1 for wire in taps}


@wired
def test_wires_are_drawn_from_the_pixels_to_the_output(opened, matrix, link):
    A, page = matrix(link), opened(f"{link or '?'}#wiring")
    output = A.shape[0] - 1
    page.hover(f'.wires [data-kind=output][data-at="{output}"]')
    drawn = page.eval_on_selector_all(".lit path[data-wire]", "all => all.map(p => p.dataset.wire)")
    read = [f"{output},{flat(wire.input, A.input_shape)}" for wire in A.wires(output)]
    assert sorted(drawn) == sorted(read)
    assert page.locator(".lit path.zero").count() == A.shape[1] - len(set(read))


def test_each_tap_has_one_colour_wherever_it_is(opened, matrix):
    A, page = matrix(""), opened("#matrix")
    color = "cell => getComputedStyle(cell).backgroundColor"
    page.hover('#output [data-at="6"]')
    for wire in A.wires(6):
        pixel = page.locator(f'#input [data-at="{flat(wire.input, (1, 6, 6))}"]')
        tap = page.locator(f'#tap [data-at="{int(wire.weight) - 1}"]')
        assert pixel.evaluate(color) == tap.evaluate(color)


def test_the_window_lies_where_the_kernel_is(opened):
    """A 3×3 window of stride 2 and padding 1: output (1, 2) begins at row 1, column 3."""
    page = opened("?size=7x9&stride=2x2&padding=1x1", where="file")
    page.hover('#output [data-at="7"]')
    page.wait_for_timeout(400)
    cell = page.locator('#input [data-at="0"]').bounding_box()
    window = page.locator("#input .outline").bounding_box()
    side = cell["width"]
    assert round((window["x"] - cell["x"]) / side, 1) == pytest.approx(3, abs=0.15)
    assert round((window["y"] - cell["y"]) / side, 1) == pytest.approx(1, abs=0.15)
    assert window["width"] / side == pytest.approx(3, abs=0.2)


def test_what_is_pinned_comes_back_when_the_pointer_leaves(opened, lit):
    page = opened("#matrix", where="file")
    page.click('#output [data-at="5"]')
    page.hover('#output [data-at="0"]')
    assert lit(page, "output") == {0}
    page.hover("h1")
    assert lit(page, "output") == {5}


SAID = {  # what is pointed at, and its sentence: of the article's layer, counted by hand
    '#output [data-at="0"]': ("read.output", {"place": (1, 1), "value": 3, "n": 9, "all": 36}),
    '#tap [data-at="5"]': ("read.tap", {"place": (2, 3), "value": "−1", "n": 16}),
    '#input [data-at="0"]': ("read.input_short", {"place": (1, 1), "value": 1, "n": 1}),
    '#input [data-at="14"]': ("read.input", {"place": (3, 3), "value": 1, "n": 9}),
}
PARTS = {"read.output": ("wires", 9), "read.tap": ("wires", 16), "read.input": ("taps", 9)}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("where", SAID)
def test_it_is_said_in_words_with_the_engines_numbers(opened, said, where, lang):
    page = opened("?#matrix", lang=lang)
    page.hover(where)
    key, words = SAID[where]
    row, column = words["place"]
    part, n = PARTS.get(key, ("taps", 1))
    place = said(lang, "views.place", row=row, column=column)
    told = said(lang, key, **words | {"place": place, part: said(lang, f"read.{part}", n=n)})
    expect(page.locator("#readout .line")).to_have_text(told)
    expect(page.locator("#spoken")).to_contain_text(told)


def test_an_outputs_sum_is_written_out(opened):
    page = opened("#matrix", where="file")
    page.hover('#output [data-at="1"]')
    expect(page.locator("#readout .sum")).to_have_text(
        "1·0 + (−1)·0 + (−1)·0 + (−1)·1 + 1·0 + (−1)·0 + (−1)·0 + (−1)·1 + 1·1 = −1"
    )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_zero_of_the_matrix_has_its_cross_and_both_its_ends(opened, said, lit, lang):
    """Row 4 of the matrix is output (1, 4); column 34 is pixel (6, 4)."""
    page = opened("?at=entry:3,33#matrix", where="file", lang=lang, width=1440, height=900)
    expect(page.locator("#matrix-map .cross")).to_have_count(2)
    here = page.locator("#matrix-map .axis.here").all_text_contents()
    assert set(here) <= {"4", "34"} and here
    assert (lit(page, "output"), lit(page, "input"), lit(page, "tap")) == ({3}, {33}, set())
    output, pixel = (
        said(lang, "views.place", row=row, column=column) for row, column in ((1, 4), (6, 4))
    )
    told = said(lang, "read.zero", r=4, k=34, number=34, output=output, pixel=pixel)
    expect(page.locator("#readout .line")).to_have_text(told)


def test_the_matrix_numbers_its_rows_and_columns_from_1(opened):
    page = opened("#matrix", where="file", width=1440, height=900)
    rows, columns = (
        page.locator(f"#matrix-map .axis.{kind}").all_text_contents() for kind in ("row", "column")
    )
    assert rows == [str(n) for n in range(1, 17)]
    assert columns == [str(n) for n in range(1, 37)]


def test_circular_padding_shows_the_pixels_that_it_repeats(opened, matrix):
    """A 5×4 image, padded by 1: around it stand its own pixels from the other side."""
    page = opened("?size=5x4&padding=1x1&mode=circular#matrix")
    image = torch.tensor(
        [float(text) for text in page.locator("#input .cell").all_text_contents()]
    ).reshape(1, 1, 5, 4)
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="circular")[0, 0]
    wanted = [
        (x - 0.5, y - 0.5, float(padded[y, x]))
        for y in range(7)
        for x in range(6)
        if y in (0, 6) or x in (0, 5)
    ]
    ghosts = page.locator("#input .ghosts text").evaluate_all(
        "all => all.map(t => [+t.getAttribute('x'), +t.getAttribute('y'), +t.textContent])"
    )
    assert sorted(map(tuple, ghosts)) == sorted(wanted)


def test_wide_numbers_of_the_wiring_stand_in_pills_that_do_not_touch(opened):
    link = "?size=2x4&kernel=2x2&image=100,-250,0.125,-7,12.5,-1000,3,44#wiring"
    page = opened(link, where="file", width=1440, height=900)
    pills = page.locator(".wires g").evaluate_all(
        """groups => groups.flatMap(group => {
        const texts = [...group.querySelectorAll(".value")];
        return [...group.querySelectorAll(".neuron")].map(pill => { const box = pill.getBBox();
          const own = texts.find(t => Math.abs(+t.getAttribute("x") - box.x - box.width / 2) < 0.1);
          return [pill.dataset.kind, box.x, box.width, own?.textContent, own?.getBBox().width]; });
        })"""
    )
    inputs = [pill for pill in pills if pill[0] == "input"]
    ends = [(x, x + width) for _, x, width, *_ in inputs]
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ends))
    written = [text for *_, text, _ in inputs]
    assert written == ["100", "−250", "0.125", "−7", "12.5", "−1000", "3", "44"]
    assert [pill for pill in pills if pill[3] and pill[4] > pill[2]] == []
