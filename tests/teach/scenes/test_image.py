"""The picture of a matrix, pixel by pixel against a matrix made by PyTorch."""

import math
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from convlin import Refused
from convlin.figures.palette import SEVERAL, tap_colors
from convlin.teach.scenes.matrix_picture import matrix_png
from convlin.teach.scenes.page_state import State


def decoded(query):
    return np.array(Image.open(BytesIO(matrix_png(State.of(query)))).convert("RGBA"))


def rgb(color):
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def taps_by_torch(state):
    """Return, for every tap, the 0/1 matrix of what it joins: outputs of one-tap kernels."""
    g = state.geometry
    pad = [lo for lo, _ in g.padding]
    units = torch.eye(state.image.size).reshape(-1, *state.image.shape)
    for tap in np.ndindex(*g.kernel):
        kernel = torch.zeros(g.weight_shape)
        kernel[:, :, tap[0], tap[1]] = 1
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
}


@pytest.mark.parametrize("case", CASES)
def test_every_entry_has_its_taps_colour_and_nothing_else_has_one(case):
    state = State.of(CASES[case])
    colors = tap_colors(state.geometry.taps)
    matrices = list(taps_by_torch(state))
    held = sum(matrices)
    expected = np.zeros((*held.shape, 4), dtype=int)
    for matrix, color in zip(matrices, colors, strict=True):
        expected[matrix > 0] = [*rgb(color), 255]
    expected[held > 1] = [*rgb(SEVERAL), 255]
    found = decoded(CASES[case])
    assert found.shape == expected.shape
    assert np.array_equal(found[..., 3], expected[..., 3])
    assert np.array_equal(found[found[..., 3] > 0], expected[expected[..., 3] > 0])
    assert (held > 1).any() == (case in ("circular", "reflect"))


def test_4096_by_4096():
    query = "size=64&padding=1"
    found = decoded(query)
    assert found.shape == (4096, 4096, 4)
    assert np.count_nonzero(found[..., 3]) == (3 * 64 - 2) ** 2
    colors = tap_colors(9)
    assert (found[np.arange(4096), np.arange(4096), :3] == rgb(colors[4])).all()
    assert found[70, 5, :3].tolist() == rgb(colors[0])
    assert len(matrix_png(State.of(query))) < 150_000


def test_a_row_more_is_refused():
    state = State.of("size=64&in=2&kernel=1")
    assert math.prod(state.image.shape) == 8192
    with pytest.raises(Refused) as caught:
        matrix_png(state)
    assert str(caught.value) == (
        "explore: size is a matrix of 4,096 × 8,192, expected at most 4,096 × 4,096"
    )
