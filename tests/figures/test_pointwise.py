"""`pointwise` draws one layer at several pixels, and refuses what is no 1×1 convolution."""

import numpy as np
import pytest

from convlin import ConvGeometry, ConvMatrix, Refused
from convlin.figures import pointwise
from convlin.figures.palette import MUTED, weight_colors
from figures.drawn import texts


def weights_of(figure):
    """The line of each weight, layer by layer."""
    return [line for line in figure.axes[0].lines if line.get_color() != MUTED]


def test_each_pixel_has_the_same_weights_in_the_same_colours():
    weight = np.array([[2, -3, 5], [7, 11, -13]]).reshape(2, 3, 1, 1)
    image = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    figure = pointwise(ConvMatrix(ConvGeometry(3, 2, (1, 1)), weight, (4, 5)), image)
    lines = weights_of(figure)
    assert len(lines) == 3 * 6
    for layer in (lines[:6], lines[6:12], lines[12:]):
        drawn = [
            (np.round(line.get_ydata(), 6).tolist(), line.get_color()) for line in layer
        ]  # inputs above each other, outputs too: order by height is order by channel
        left = sorted({ends[0] for ends, _ in drawn})
        right = sorted({ends[1] for ends, _ in drawn})
        assert (len(left), len(right)) == (3, 2)
        found = {(right.index(b), left.index(a)): color for (a, b), color in drawn}
        assert found == {
            (o, c): weight_colors((2, 3, 1, 1))[3 * o + c] for o in range(2) for c in range(3)
        }
    shown = texts(figure)
    assert [text for text in shown if text.startswith("at ")] == [
        "at (0, 0)",
        "at (2, 2)",
        "at (3, 4)",
    ]
    for y, x in ((0, 0), (2, 2), (3, 4)):
        for row in weight[:, :, 0, 0]:
            value = sum(int(row[c]) * int(image[c, y, x]) for c in range(3))
            assert str(value).replace("-", "−") in shown
    assert "the same 6 weights at each of 20 positions" in shown
    assert {"2", "−3", "5", "7", "11", "−13"} <= set(shown)


def test_positions_can_be_chosen_and_counted_from_one():
    geometry = ConvGeometry(3, 2, (1, 1))
    matrix = ConvMatrix(geometry, np.arange(6).reshape(2, 3, 1, 1), (4, 5))
    figure = pointwise(matrix, positions=[(1, 2), (3, 0)], first=1)
    assert len(weights_of(figure)) == 2 * 6
    shown = texts(figure)
    assert [text for text in shown if text.startswith("at ")] == ["at (2, 3)", "at (4, 1)"]
    assert [text for text in shown if text.startswith("channel ")] == [
        *("channel 1", "channel 2", "channel 3"), *("channel 1", "channel 2"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", [(4, 0), (0, -1), (1,), (0, 0, 0)])
def test_positions_that_are_not_there_are_refused(place):
    matrix = ConvMatrix(ConvGeometry(1, 1, (1, 1)), np.ones((1, 1, 1, 1)), (4, 5))
    with pytest.raises(Refused, match="pointwise: positions is .* expected outputs of") as caught:
        pointwise(matrix, positions=[(0, 0), place])
    assert str(place) in str(caught.value)


def test_stride_groups_and_signals():
    geometry = ConvGeometry(2, 4, (1,), stride=2, groups=2)
    figure = pointwise(ConvMatrix(geometry, np.arange(4).reshape(4, 1, 1), 9))
    assert len(weights_of(figure)) == 3 * 4  # within groups only
    assert {"at (0,)", "at (2,)", "at (4,)"} <= set(texts(figure))


def test_one_pixel_is_drawn_once_and_many_channels_are_cut():
    geometry = ConvGeometry(100, 20, (1, 1))
    figure = pointwise(ConvMatrix(geometry, np.ones(geometry.weight_shape), 1))
    assert len(weights_of(figure)) == 16
    assert texts(figure)[-1] == (
        "the same 2,000 weights at each of 1 positions; the first 4 channels of more"
    )
    assert "fully connected 100→20" in texts(figure)


def test_other_kernels_and_images_are_refused():
    wide = ConvMatrix(ConvGeometry(1, 1, (1, 3)), np.ones((1, 1, 1, 3)), 4)
    with pytest.raises(
        Refused, match=r"geometry.kernel is \(1, 3\), expected \(1, 1\) \(else an output"
    ):
        pointwise(wide)
    one = ConvMatrix(ConvGeometry(2, 1, (1, 1)), np.ones((1, 2, 1, 1)), 4)
    with pytest.raises(Refused, match=r"image.shape is \(4, 4\), expected \(2, 4, 4\) or \(32,\)$"):
        pointwise(one, np.ones((4, 4)))
    outside = ConvMatrix(ConvGeometry(1, 1, (1,), stride=3, padding=1), np.ones((1, 1, 1)), 1)
    with pytest.raises(Refused, match="no output reads a pixel"):
        pointwise(outside)
