"""The picture of a matrix, pixel by pixel against a matrix made by PyTorch."""

import itertools
import math
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from convlin import Refused
from convlin.figures.palette import SEVERAL, tap_colors, weight_colors
from convlin.teach.scenes.matrix_picture import matrix_png
from convlin.teach.scenes.page_state import State


def decoded(query, **options):
    return np.array(Image.open(BytesIO(matrix_png(State.of(query), **options))).convert("RGBA"))


def rgb(color):
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def weights_by_torch(state):
    """Return, for every weight, the 0/1 matrix of what it joins: outputs of kernels of one 1."""
    g = state.geometry
    pad = [lo for lo, _ in g.padding]
    units = torch.eye(state.image.size).reshape(-1, *state.image.shape)
    for weight in np.ndindex(*g.weight_shape):
        kernel = torch.zeros(g.weight_shape)
        kernel[weight] = 1
        if g.transposed:
            y = functional.conv_transpose2d(
                units, kernel, stride=g.stride, padding=pad, groups=g.groups, dilation=g.dilation
            )
        else:
            mode = {"zeros": "constant"}.get(g.padding_mode, g.padding_mode)
            padded = functional.pad(units, (pad[1], pad[1], pad[0], pad[0]), mode)
            y = functional.conv2d(
                padded, kernel, stride=g.stride, groups=g.groups, dilation=g.dilation
            )
        yield y.flatten(1).T.numpy()


CASES = {
    "channels": "size=5x4&in=2&out=3&kernel=2x3&padding=1x0&weights=0:0",
    "stride-dilation": "size=9x8&stride=2x1&dilation=1x2",
    "groups": "size=4x5&in=4&out=2&groups=2&kernel=2x3",
    "circular": "size=3x4&padding=2x1&mode=circular&kernel=4x3",
    "reflect": "size=4x3&padding=2&mode=reflect",
    "many-taps": "size=12x11&kernel=7x9&padding=3x4",
    "transposed": "size=3x4&in=2&out=3&transposed=1&stride=2x3&padding=1x0&kernel=3x4",
    "point": "size=4x5&in=3&out=2&kernel=1",
    "point-groups": "size=2x3&in=4&out=6&groups=2&kernel=1",
    "point-transposed": "size=3x2&in=3&out=2&kernel=1&transposed=1",
    "more-weights-than-a-palette-has": "size=5x4&in=5&out=6&kernel=3x4&padding=1x2",
}


def expected_picture(state):
    """Return the picture, a pixel each, and whether some entry holds several weights."""
    g = state.geometry
    colors = weight_colors(g.weight_shape, g.groups, transposed=g.transposed)
    matrices = list(weights_by_torch(state))
    held = sum(matrices)
    expected = np.zeros((*held.shape, 4), dtype=int)
    for matrix, color in zip(matrices, colors, strict=True):
        expected[matrix > 0] = [*rgb(color), 255]
    expected[held > 1] = [*rgb(SEVERAL), 255]
    return expected, (held > 1).any()


@pytest.mark.parametrize("case", CASES)
def test_every_entry_has_its_weights_colour_and_nothing_else_has_one(case):
    expected, several = expected_picture(State.of(CASES[case]))
    found = decoded(CASES[case])
    assert found.shape == expected.shape
    assert np.array_equal(found[..., 3], expected[..., 3])
    assert np.array_equal(found[found[..., 3] > 0], expected[expected[..., 3] > 0])
    assert several == (case in ("circular", "reflect"))


def test_three_channels_have_the_colours_of_27_weights():
    found = decoded("size=3&in=3&out=2&kernel=3")
    assert found.shape == (2, 27, 4) and len({tuple(pixel) for pixel in found.reshape(-1, 4)}) == 54


@pytest.mark.parametrize("most", [1, 7, 16, 30, 1000])
@pytest.mark.parametrize(
    "case", ["channels", "stride-dilation", "reflect", "many-taps", "transposed", "point",
             "more-weights-than-a-palette-has"],
)  # fmt: skip
def test_a_smaller_picture_loses_no_entry(case, most):
    expected, _ = expected_picture(State.of(CASES[case]))
    rows, columns, _ = expected.shape
    found = decoded(CASES[case], most=most)
    height, width, _ = found.shape
    assert max(height, width) == min(most, max(rows, columns))
    assert abs(height * columns - width * rows) <= max(rows, columns)  # its proportions, rounded
    allowed = {}
    for row, column in itertools.product(range(rows), range(columns)):
        if expected[row, column, 3]:
            pixel = row * height // rows, column * width // columns
            allowed.setdefault(pixel, set()).add(tuple(expected[row, column]))
    shown = {(y, x): tuple(found[y, x]) for y, x in np.argwhere(found[..., 3]).tolist()}
    assert shown.keys() == allowed.keys()
    assert all(color in allowed[pixel] for pixel, color in shown.items())


def test_4096_by_4096():
    query = "size=64&padding=1"
    found = decoded(query)
    assert found.shape == (4096, 4096, 4)
    assert np.count_nonzero(found[..., 3]) == (3 * 64 - 2) ** 2
    colors = tap_colors(9)
    assert (found[np.arange(4096), np.arange(4096), :3] == rgb(colors[4])).all()
    assert found[70, 5, :3].tolist() == rgb(colors[0])
    assert len(matrix_png(State.of(query))) < 150_000


def test_4096_by_4096_in_512_pixels_is_a_band_without_gaps_in_all_nine_colours():
    found = decoded("size=64&padding=1", most=512)
    assert found.shape == (512, 512, 4)
    for beside in (-8, 0, 8):  # a row of the image is 64 pixels, 8 of the picture's
        assert np.diagonal(found[..., 3], beside).all()
    assert {tuple(pixel[:3]) for pixel in found[found[..., 3] > 0].tolist()} == {
        tuple(rgb(color)) for color in tap_colors(9)
    }


def test_a_row_more_is_refused():
    state = State.of("size=64&in=2&kernel=1")
    assert math.prod(state.image.shape) == 8192
    with pytest.raises(Refused) as caught:
        matrix_png(state)
    assert str(caught.value) == (
        "explore: size is a matrix of 4,096 × 8,192, expected at most 4,096 × 4,096"
    )
