"""`heat_map`: what is coloured lies where the windows have their centres, in the colour of its value."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from convlin import ReceptiveField, Refused
from convlin.figures import heat_map
from figures.drawn import texts

DPI = 150


def printed(figure):
    """The figure as it is saved, 0 to 1."""
    stored = io.BytesIO()
    figure.savefig(stored, format="png", dpi=DPI)
    return np.asarray(Image.open(stored).convert("RGB"), dtype=float) / 255


def panels(figure, size):
    """Of each panel: its part of the print, and how many of its pixels a pixel of the image has."""
    paper, parts = printed(figure), []
    for image in figure.axes[0].images:
        if image.get_array().shape[:2] == size and image.get_zorder() == 1:
            left, right, bottom, top = (round(side * DPI) for side in image.get_extent())
            parts.append((paper[top:bottom, left:right], (right - left) / size[1]))
    return parts


def coloured(part):
    return np.ptp(part, axis=-1) > 0.03


def box(mask, scale):
    """First and last row, and first and last column of a mask, [start, stop) in the image."""
    spans = [np.flatnonzero(mask.any(1 - axis)) for axis in (0, 1)]
    return [(span[0] / scale, (span[-1] + 1) / scale) for span in spans]


def slid(image, size, stride, of):
    """What a function says of every window, by loops."""
    (height, width), (tall, wide), (down, right) = image.shape, size, stride
    return np.array([
        [of(image[y : y + tall, x : x + wide]) for x in range(0, width - wide + 1, right)]
        for y in range(0, height - tall + 1, down)
    ], dtype=float)  # fmt: skip


def centred(window):
    """1 where the mark lies in the middle of a window, and so stays there when that is turned."""
    return float(window.max() == 1 and (window == window[::-1, ::-1]).all())


WINDOWS = {
    "odd": ((5, 7), (1, 2)), "even": ((6, 4), (2, 3)), "mixed": ((4, 9), (3, 1)),
    "even-by-odd-stride": ((8, 6), (1, 5)), "touching": ((5, 6), (5, 6)), "gaps": ((3, 4), (5, 7)),
}  # fmt: skip
SIZE = (23, 41)


@pytest.mark.parametrize("case", WINDOWS)
def test_a_mark_is_coloured_where_it_lies(case):
    size, stride = WINDOWS[case]
    field = ReceptiveField(size, stride, (0, 0))
    for cell in ((0, 0), (1, 2), tuple(n - 1 for n in field.cells(SIZE))):
        # A pixel wide where the window is odd, two where it is even: only so is its middle its own.
        marks = [
            (i * s + (n - 1) // 2, i * s + n // 2 + 1)
            for i, s, n in zip(cell, stride, size, strict=True)
        ]
        image = np.full(SIZE, 0.5)
        image[tuple(slice(*mark) for mark in marks)] = 1
        scores = slid(image, size, stride, centred)
        assert scores.sum() == 1 and scores.shape == field.cells(SIZE)
        heat = np.stack([scores, np.zeros_like(scores)])
        part, scale = panels(heat_map(heat, np.full(SIZE, 0.5), field, classes=[0]), SIZE)[1]
        yellow = part[..., 0] - part[..., 2] > 0.2
        sides = [min(s, n) for s, n in zip(stride, size, strict=True)]
        for (low, high), mark, side in zip(box(yellow, scale), marks, sides, strict=True):
            assert abs(low + high - sum(mark)) < 3 / scale  # twice the middle
            assert abs(high - low - side) < 0.7  # the window's frame may lie on the cell's border


@pytest.mark.parametrize("case", ["odd", "even", "mixed", "even-by-odd-stride", "touching"])
def test_the_rim_stays_the_image(case):
    size, stride = WINDOWS[case]
    field = ReceptiveField(size, stride, (0, 0))
    rng = np.random.default_rng(1)
    image, cells = rng.random(SIZE), field.cells(SIZE)
    scores = rng.random((1, *cells)) / 4  # blue: grey is the middle of the ramp
    scores[0, 0, 0] = 1
    plain, (part, scale) = panels(heat_map(scores, image, field), SIZE)
    heat = coloured(part)
    for (low, high), n, s, c in zip(box(heat, scale), size, stride, cells, strict=True):
        middles = n / 2, (c - 1) * s + n / 2
        assert abs(low - (middles[0] - s / 2)) < 1.5 / scale
        assert abs(high - (middles[1] + s / 2)) < 1.5 / scale
    at = [((np.arange(1, n - 1) + 0.5) * scale).astype(int) for n in SIZE]  # pixels' middles
    rim = ~heat[np.ix_(*at)]
    rim[: size[0] + 1, : size[1] + 1] = False  # the frame of the highest score
    assert rim.sum() > 50
    assert np.abs(part[np.ix_(*at)][rim] - plain[0][np.ix_(*at)][rim]).max() < 0.01
    assert np.abs(part[np.ix_(*at)][rim][:, 0] - image[1:-1, 1:-1][rim]).max() < 0.01


@pytest.mark.parametrize("offset", [(0, 0), (3, 1), (-2, -1)])
def test_windows_that_start_elsewhere_are_coloured_there(offset):
    """Negative: by padding, which is as wide at the end."""
    size, stride = (5, 3), (2, 3)
    field = ReceptiveField(size, stride, offset)
    starts = [
        [at for at in range(o, n, s) if at + k <= n + max(0, -o)]
        for n, o, k, s in zip(SIZE, offset, size, stride, strict=True)
    ]
    scores = np.zeros((1, *map(len, starts)))
    scores[0, 4, 5] = 1
    part, scale = panels(heat_map(scores, np.full(SIZE, 0.5), field), SIZE)[1]
    yellow = part[..., 0] - part[..., 2] > 0.2
    middles = starts[0][4] + size[0] / 2, starts[1][5] + size[1] / 2
    for (low, high), middle in zip(box(yellow, scale), middles, strict=True):
        assert abs((low + high) / 2 - middle) < 2 / scale


def test_a_cell_has_the_colour_of_its_value_at_the_bar():
    """Read like a person: find the colour at the bar, and then the numbers around it."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-3, 5, (1, 4, 6))
    field = ReceptiveField((3, 3), (3, 3), (0, 0))
    figure = heat_map(values, np.full((12, 18), 0.3), field)
    part, scale = panels(figure, (12, 18))[1]
    bar = figure.axes[0].images[-1].get_extent()
    column = printed(figure)[round(bar[3] * DPI) : round(bar[2] * DPI), round(bar[0] * DPI) + 9]
    written = {
        text.get_position()[1]: float(text.get_text().replace("−", "-"))
        for text in figure.axes[0].texts if text.get_position()[0] > bar[1]
    }  # fmt: skip
    heights, numbers = np.array(sorted(written.items())).T
    assert len(numbers) >= 3
    slope, zero = np.polyfit(heights, numbers, 1)
    assert np.allclose(slope * heights + zero, numbers)
    for (i, j), value in np.ndenumerate(values[0]):
        shade = part[round((3 * i + 1) * scale), round((3 * j + 1) * scale)]
        at = np.abs(column - shade).sum(-1).argmin()
        assert abs(slope * (bar[3] + (at + 0.5) / DPI) + zero - value) < 0.1


def test_colours_get_lighter_with_the_value():
    scores = np.arange(40.0).reshape(1, 1, 40)
    field = ReceptiveField((1, 1), (1, 1), (0, 0))
    part, scale = panels(heat_map(scores, np.full((1, 40), 0.5), field), (1, 40))[1]
    shades = part[len(part) // 2, (np.arange(1, 40) * scale + scale / 2).astype(int)]
    luminance = (shades**2.2) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > 0).all()


def marked(**wins):
    """Scores of six classes on 3×4 windows; each class named wins so many."""
    scores = np.full((6, 12), -1.0)
    winners = [int(name[1:]) for name, count in wins.items() for _ in range(count)]
    scores[winners, range(12)] = 2.0
    return scores.reshape(6, 3, 4)


FIELD = ReceptiveField((4, 4), (2, 2), (0, 0))
GREY = np.full((8, 10), 0.5)


def titles(figure):
    return [text.split()[-1] for text in texts(figure) if text.startswith("class ")]


def test_the_classes_that_win_most_windows_are_drawn():
    scores = marked(c4=6, c1=4, c0=2)
    assert titles(heat_map(scores, GREY, FIELD)) == ["4", "1", "0"]
    scores = marked(c4=12)
    scores[2, 1, 1], scores[5, 0, 0] = 1.5, 1.0  # the highest of those that win nowhere follow
    figure = heat_map(scores, GREY, FIELD)
    assert titles(figure) == ["4", "2", "5"]
    assert "highest in 12 of 12 windows, up to 2" in texts(figure)
    assert "highest in 0 of 12 windows, up to 1.5" in texts(figure)
    assert titles(heat_map(scores, GREY, FIELD, classes=[5, 0, 3, 1])) == ["5", "0", "3", "1"]


def test_the_window_of_the_highest_score_is_framed():
    scores = marked(c0=12)
    scores[0, 2, 1] = 3
    axes = heat_map(scores, GREY, FIELD, classes=[0]).axes[0]
    left, right, bottom, top = axes.images[1].get_extent()
    frames = [patch.get_bbox() for patch in axes.patches if patch.get_width() < right - left]
    for frame in frames:
        x = (np.array(frame.intervalx) - left) / (right - left) * 10
        y = (np.sort(frame.intervaly) - top) / (bottom - top) * 8
        assert np.allclose([*x, *y], [2, 6, 4, 8])
    assert len(frames) == 2  # dark on light


def test_torch_and_numpy_colour_and_grey_draw_alike():
    scores, rng = marked(c0=7, c3=5), np.random.default_rng(0)
    grey, colour = rng.random((8, 10)), rng.random((3, 8, 10))
    first = printed(heat_map(scores, grey, FIELD))
    made = torch.from_numpy(scores).float().requires_grad_(), torch.from_numpy(grey)[None]
    assert (printed(heat_map(*made, FIELD)) == first).all()
    (image, _), (below, _), *_ = panels(heat_map(scores, colour, FIELD), (8, 10))
    assert coloured(image).any()
    corner = below[3:30, -30:-3]  # on the rim, whose class panels are grey
    assert not coloured(corner).any()


def test_names_are_the_titles_and_what_they_hold_is_no_command():
    names = ["a $b_c$ cat", "x" * 99, "\x1b[31m", *"def"]
    figure = heat_map(marked(c0=9, c1=2, c2=1), GREY, FIELD, names=names, words={"values": "Wert"})
    written = texts(figure)
    assert {"a $b_c$ cat", r"\x1b[31m", "Wert"} <= set(written)
    (cut,) = [text for text in written if text.startswith("xxx")]
    assert cut.endswith("x…") and len(cut) > 20


def test_nan_has_no_colour_and_infinity_the_last():
    scores = np.array([[[0.0, 1, 0.2, np.inf], [np.nan, 0.1, -np.inf, 0.3]]])
    field = ReceptiveField((4, 4), (4, 4), (0, 0))
    part, scale = panels(heat_map(scores, np.full((8, 16), 0.5), field), (8, 16))[1]
    shade = part[(np.array([1, 5]) * scale).astype(int)][
        :, (np.arange(1, 16, 4) * scale).astype(int)
    ]
    assert np.ptp(shade[1, 0]) < 0.01
    assert (shade[0, 3] == shade[0, 1]).all() and (shade[1, 2] == shade[0, 0]).all()


@pytest.mark.parametrize("value", [7.0, -3e-12, 0.0, 5e20])
def test_scores_that_are_all_the_same_are_in_the_middle_of_the_bar(value):
    scores = np.full((1, 3, 4), value)
    scores[0, 0, 0] = np.nextafter(value, 1e30)
    figure = heat_map(scores, GREY, FIELD)
    right = figure.axes[0].images[-1].get_extent()[1]
    numbers = [
        float(text.get_text().replace("−", "-"))
        for text in figure.axes[0].texts if text.get_position()[0] > right
    ]  # fmt: skip
    assert min(numbers) < value < max(numbers)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": marked(c0=12)[None]}, r"scores.shape is \(1, 6, 3, 4\), expected \(classes, rows"),
        ({"scores": marked(c0=12)[:, :2]},
         r"scores.shape is \(6, 2, 4\), expected \(classes, \*\(3, 4\)\) \(as many windows as an "
         r"image of 8×10"),
        ({"scores": marked(c0=12) * 1j}, "scores.dtype is complex128, expected real numbers"),
        ({"scores": np.full((6, 3, 4), np.nan)}, "scores is NaN or infinity, expected numbers"),
        ({"image": np.zeros((10, 8))}, r"scores.shape is \(6, 3, 4\), expected"),
        ({"image": np.zeros((4, 8, 10))}, r"image.shape is \(4, 8, 10\), expected \(rows, columns\)"),
        ({"image": GREY * 255}, r"image is 128, expected 0 to 1 \(as it was before mean and"),
        ({"image": -GREY}, "image is -0.5, expected 0 to 1"),
        ({"image": GREY * np.nan}, "image is nan, expected 0 to 1"),
        ({"image": np.full((8, 10), "a")}, "image.dtype is <U1, expected real numbers"),
        ({"field": ReceptiveField((4,), (2,), (0,))}, "field is ReceptiveField, expected a Recept"),
        ({"field": (4, 4)}, r"field is \(4, 4\), expected a ReceptiveField in 2-D"),
        ({"classes": [6]}, r"classes is \(6,\), expected one or more from 0 to 5"),
        ({"classes": []}, r"classes is \(\), expected one or more from 0 to 5"),
        ({"classes": ["cat"]}, r"classes is \('cat',\), expected whole numbers ≥ 0"),
        ({"names": ["a", "b"]}, "number of names is 2, expected 6, the classes"),
        ({"names": "abcdef"}, "number of names is 1, expected 6"),
        ({"words": {"score": "Wert"}}, "key of words is 'score', expected one of image, size"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change, words):
    arguments = {"scores": marked(c0=12), "image": GREY, "field": FIELD, **change}
    given = [arguments.pop(name) for name in ("scores", "image", "field")]
    with pytest.raises(Refused, match=f"^heat_map: {words}"):
        heat_map(*given, **arguments)
