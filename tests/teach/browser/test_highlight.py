"""What lights up is what `ConvMatrix.wires` says, of every kind of layer."""

import numpy as np
import pytest
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
    A, page = matrix(link), opened(link)
    for output in {0, A.shape[0] // 2, A.shape[0] - 1}:
        page.hover(f'#output [data-at="{output}"]')
        assert lit(page, "input") == {pixel for o, pixel, _ in wires(A) if o == output}
        assert lit(page, "output") == {output}
        assert len(lit(page, "tap")) == len(A.wires(output))


@wired
def test_a_pixel_lights_the_outputs_that_read_it(opened, matrix, lit, link):
    A, page = matrix(link), opened(link)
    for pixel in {0, A.shape[1] // 2, A.shape[1] - 1}:
        page.hover(f'#input [data-at="{pixel}"]')
        assert lit(page, "output") == {output for output, p, _ in wires(A) if p == pixel}
        assert lit(page, "input") == {pixel}


@wired
def test_a_tap_lights_every_place_that_shares_it(opened, matrix, lit, link):
    """Which wires share a kernel value: those that have it, the test's kernel having each once."""
    A, page = matrix(link), opened(link)
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
    A, page = matrix(link), opened(link)
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
    A, page = matrix(link), opened(link + "#wiring")
    output = A.shape[0] - 1
    page.hover(f'.wires [data-kind=output][data-at="{output}"]')
    drawn = page.eval_on_selector_all(".lit path[data-wire]", "all => all.map(p => p.dataset.wire)")
    read = [f"{output},{flat(wire.input, A.input_shape)}" for wire in A.wires(output)]
    assert sorted(drawn) == sorted(read)
    assert page.locator(".lit path.zero").count() == A.shape[1] - len(set(read))


def test_each_tap_has_one_colour_wherever_it_is(opened, matrix):
    A, page = matrix(""), opened()
    color = "cell => getComputedStyle(cell).backgroundColor"
    page.hover('#output [data-at="6"]')
    for wire in A.wires(6):
        pixel = page.locator(f'#input [data-at="{flat(wire.input, (1, 6, 6))}"]')
        tap = page.locator(f'#tap [data-at="{int(wire.weight) - 1}"]')
        assert pixel.evaluate(color) == tap.evaluate(color)


def test_the_window_lies_where_the_kernel_is(opened):
    """A 3×3 window of stride 2 and padding 1: output (1, 2) begins at row 1, column 3."""
    page = opened("?size=7x9&stride=2x2&padding=1x1")
    page.hover('#output [data-at="7"]')
    page.wait_for_timeout(400)
    cell = page.locator('#input [data-at="0"]').bounding_box()
    window = page.locator("#input .outline").bounding_box()
    side = cell["width"]
    assert round((window["x"] - cell["x"]) / side, 1) == pytest.approx(3, abs=0.15)
    assert round((window["y"] - cell["y"]) / side, 1) == pytest.approx(1, abs=0.15)
    assert window["width"] / side == pytest.approx(3, abs=0.2)


def test_what_is_pinned_comes_back_when_the_pointer_leaves(opened, lit):
    page = opened()
    page.click('#output [data-at="5"]')
    page.hover('#output [data-at="0"]')
    assert lit(page, "output") == {0}
    page.hover("h1")
    assert lit(page, "output") == {5}


def test_it_is_said_in_words_with_the_engines_numbers(opened):
    page = opened()
    page.hover('#output [data-at="0"]')
    sentence = page.locator("#readout .line").inner_text()
    assert sentence.startswith("Output (0, 0, 0) = 3 reads 9 pixels through 9 wires")
    assert "all 36" in sentence
    expect(page.get_by_role("status")).to_contain_text("Output (0, 0, 0) = 3")
