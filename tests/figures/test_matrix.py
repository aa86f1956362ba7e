"""`matrix` and `forms` colour every entry as the loops say."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from article import KERNEL
from convlin import ConvGeometry, ConvMatrix, Refused
from convlin.figures import forms, matrix
from convlin.figures.palette import SEVERAL, tap_colors, weight_colors
from convlin.figures.unrolled import ABOVE, CELL, HEIGHT, MARGIN, WIDTH
from figures.drawn import reads, squares, texts

# channels in and out, kernel, input size, options
CASES = {
    "article": (1, 1, (3, 3), (6, 6), {}),
    "stride-dilation-padding": (2, 3, (3, 2), (7, 6), {"stride": 2, "padding": 1, "dilation": 2}),
    "reflect": (1, 2, (3, 3), (4, 5), {"padding": 1, "mode": "reflect"}),
    "signal": (2, 3, (4,), (13,), {"stride": 3}),
    "digit": (1, 1, (5, 4), (28, 27), {"padding": 1}),
    "image-reflect": (1, 1, (3, 3), (20, 22), {"padding": 1, "mode": "reflect"}),
}


def made(case):
    inputs, outputs, kernel, size, options = CASES[case]
    geometry = ConvGeometry(
        inputs, outputs, kernel, options.get("stride", 1), options.get("padding", 0),
        options.get("dilation", 1), padding_mode=options.get("mode", "zeros"),
    )  # fmt: skip
    count = np.prod(geometry.weight_shape)
    return ConvMatrix(geometry, (np.arange(count) - 4).reshape(geometry.weight_shape), size)


def entries(case, output_size):
    """Colours of each (row, column): one for every tap that is there."""
    inputs, outputs, kernel, size, options = CASES[case]
    colors = [color.lower() for color in tap_colors(int(np.prod(kernel)))]
    found = {}
    for o, c in itertools.product(range(outputs), range(inputs)):
        for place in np.ndindex(*output_size):
            row = int(np.ravel_multi_index((o, *place), (outputs, *output_size)))
            for tap, pixel in reads(size, kernel, place, **options):
                column = int(np.ravel_multi_index((c, *pixel), (inputs, *size)))
                color = colors[int(np.ravel_multi_index(tap, kernel))]
                found.setdefault((row, column), []).append(color)
    return found


@pytest.mark.parametrize("case", ["article", "stride-dilation-padding", "reflect", "signal"])
def test_every_entry_has_the_colour_of_its_tap(case):
    A = made(case)
    rows, columns = A.shape
    side = min(CELL, WIDTH / columns, HEIGHT / rows)
    drawn = squares(matrix(A).axes[0], MARGIN, ABOVE, side, rows, columns)
    assert drawn == entries(case, A.output_size)
    assert len(drawn) == A.nnz


@pytest.mark.parametrize("case", ["digit", "image-reflect"])
def test_a_larger_one_is_an_image_of_one_pixel_each(case):
    A = made(case)
    image = matrix(A).axes[0].images[0].get_array()
    assert image.shape == (*A.shape, 4)
    expected = entries(case, A.output_size)
    assert {tuple(place) for place in np.argwhere(image[..., 3] > 0).tolist()} == set(expected)
    for place, colors in expected.items():
        wanted = colors[0] if len(colors) == 1 else SEVERAL
        assert to_hex(image[place]) == wanted
    assert ("several taps" in texts(matrix(A))) is (case == "image-reflect")


def test_one_of_4096_by_4096_is_an_image_where_each_pixel_has_a_tap_that_is_there():
    geometry = ConvGeometry(1, 1, (3, 3), padding=1)
    A = ConvMatrix(geometry, np.ones(geometry.weight_shape), (64, 64))
    figure = matrix(A)
    image = figure.axes[0].images[0].get_array()
    high, wide, _ = image.shape
    assert max(high, wide) <= 1024
    allowed = {}
    for y, x in np.ndindex(64, 64):
        for tap, pixel in reads((64, 64), (3, 3), (y, x), padding=1):
            at = (64 * y + x) * high // 4096, (64 * pixel[0] + pixel[1]) * wide // 4096
            allowed.setdefault(at, set()).add(tap_colors(9)[3 * tap[0] + tap[1]].lower())
    seen = {tuple(at): to_hex(image[tuple(at)]) for at in np.argwhere(image[..., 3] > 0).tolist()}
    assert set(seen) == set(allowed)
    assert all(color in allowed[at] for at, color in seen.items())
    assert set(seen.values()) == {color.lower() for color in tap_colors(9)}
    assert "36,100 stored entries of 16,777,216; 9 weights in all" in texts(figure)
    assert "enlarged" in texts(figure)


def test_numbers_stand_in_the_cells_of_a_small_one():
    A = ConvMatrix(ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], 6)
    shown = texts(matrix(A))
    assert shown.count("1") == 3 * 16 + 3 and shown.count("−1") == 6 * 16 + 6


def test_one_tap_has_a_colour_for_each_weight():
    geometry = ConvGeometry(3, 2, (1, 1))
    A = ConvMatrix(geometry, np.arange(6).reshape(geometry.weight_shape), (2, 4))
    drawn = squares(matrix(A).axes[0], MARGIN, ABOVE, 0.3, 16, 24)
    assert drawn == {
        (8 * o + p, 8 * c + p): [weight_colors((2, 3, 1, 1))[3 * o + c]]
        for o, c, p in itertools.product(range(2), range(3), range(8))
    }


def test_forms_count_weights_as_cost_does_and_show_who_shares():
    from convlin.figures import three_forms as module

    A = ConvMatrix(ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], 6)
    figure = forms(A)
    shown = texts(figure)
    assert [text for text in shown if "weights" in text] == [
        "9 weights, shared", "144 weights, one each", "576 weights, one each",
    ]  # fmt: skip
    side = module.PANEL / 36
    width = 36 * side
    support = entries("article", (4, 4))
    conv, local, linear = (
        squares(
            figure.axes[0], module.MARGIN + n * (width + module.GAP), module.ABOVE, side, 16, 36
        )
        for n in range(3)
    )
    assert conv == support
    assert set(local) == set(support) and set(linear) == set(np.ndindex(16, 36))
    for drawn in (local, linear):
        greys = {place: color for place, (color,) in drawn.items()}
        assert all(len({color[1:3], color[3:5]}) == 1 for color in greys.values())
        # Noise: along no direction does a colour come again more often than by chance, of 31.
        for step in ((0, 1), (1, 0), (1, 1), (1, 6), (4, 6), (1, -1)):
            pairs = [
                color == greys[row + step[0], column + step[1]]
                for (row, column), color in greys.items()
                if (row + step[0], column + step[1]) in greys
            ]
            assert not pairs or sum(pairs) <= 5 + len(pairs) / 15


def test_forms_have_a_colour_for_each_weight_of_several_channels():
    from convlin.figures import three_forms as module

    geometry = ConvGeometry(2, 3, (2, 3))
    A = ConvMatrix(geometry, np.ones(geometry.weight_shape), (3, 5))
    figure = forms(A)
    side = min(module.CELL, module.PANEL / 18, module.PANEL / 30)
    left = module.MARGIN + (max(30 * side, module.NARROW) - 30 * side) / 2
    conv = squares(figure.axes[0], left, module.ABOVE, side, 18, 30)
    colors = np.reshape([color.lower() for color in tap_colors(36)], (3, 2, 2, 3))
    assert conv == {
        (6 * o + 3 * y + x, 15 * c + 5 * (y + u) + x + v): [colors[o, c, u, v]]
        for o, c, u, v, y, x in itertools.product(*map(range, (3, 2, 2, 3, 2, 3)))
    }


def test_forms_of_a_large_one_is_three_images():
    geometry = ConvGeometry(2, 3, (3, 3), padding=1)
    A = ConvMatrix(geometry, np.ones(geometry.weight_shape), (40, 30))
    conv, local, linear = (image.get_array()[..., 3] > 0 for image in forms(A).axes[0].images)
    assert (conv == local).all() and conv.mean() < 0.1 and linear.all()
    weights = (54, 54 * 1200, 3 * 1200 * 2 * 1200)
    assert [t.split()[0] for t in texts(forms(A)) if "weights" in t] == [f"{n:,}" for n in weights]


@pytest.mark.parametrize("draw", [matrix, forms])
def test_what_does_not_fit_is_refused(draw):
    solid = ConvMatrix(ConvGeometry(1, 1, (2, 2, 2)), np.ones((1, 1, 2, 2, 2)), 3)
    with pytest.raises(Refused, match="geometry.ndim is 3, expected 1 or 2"):
        draw(solid)
    geometry = ConvGeometry(64, 64, (3, 3), padding=1)
    large = ConvMatrix(geometry, np.ones(geometry.weight_shape), 56)
    with pytest.raises(
        Refused, match=r"matrix.nnz is \d+, expected 16,777,216 stored entries or fewer"
    ):
        draw(large)
