"""`neuron` draws the wires that the loops find, in the colours of their weights."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch

from article import IMAGE, KERNEL
from convlin import ConvGeometry, ConvMatrix, Refused
from convlin.figures import neuron
from convlin.figures.neuron_layout import arrange
from convlin.figures.palette import weight_colors
from figures.drawn import reads, squares, texts

# channels in and out, kernel, input size, options, output
CASES = {
    "article": (1, 1, (3, 3), (6, 6), {}, (0, 1, 3)),
    "pointwise": (3, 2, (1, 1), (3, 4), {}, (1, 2, 1)),
    "stride-dilation-padding": (
        2,
        3,
        (3, 2),
        (9, 11),
        {"stride": 2, "padding": 1, "dilation": 2},
        (2, 0, 4),
    ),
    "reflect": (1, 2, (3, 3), (4, 5), {"padding": 2, "mode": "reflect"}, (1, 0, 0)),
    "digit": (1, 2, (5, 4), (28, 27), {"padding": 2}, (1, 9, 26)),
    "wide": (2, 1, (2, 3), (2, 16), {}, (0, 0, 5)),
    "signal": (2, 3, (4,), (13,), {"stride": 3}, (1, 2)),
}


def made(case):
    inputs, outputs, kernel, size, options, output = CASES[case]
    geometry = ConvGeometry(
        inputs, outputs, kernel, options.get("stride", 1), options.get("padding", 0),
        options.get("dilation", 1), padding_mode=options.get("mode", "zeros"),
    )  # fmt: skip
    count = np.prod(geometry.weight_shape)
    weight = (np.arange(count) * 7 % 11 - 4).reshape(geometry.weight_shape)
    image = (np.arange(inputs * np.prod(size)) * 5 % 13).reshape(inputs, *size)
    return ConvMatrix(geometry, weight, size), image, output


def colors_of(inputs, kernel):
    """The colour of each weight of one output channel, by input channel and tap."""
    colors = (color.lower() for color in weight_colors((1, inputs, *kernel)))
    return dict(zip(np.ndindex(inputs, *kernel), colors, strict=True))


def layout_of(matrix):
    shapes = [
        (1, *shape)[-2:]
        for shape in (matrix.input_size, matrix.geometry.kernel, matrix.output_size)
    ]
    channels = range(matrix.geometry.in_channels)
    return arrange(channels, channels, *shapes)


@pytest.mark.parametrize("case", CASES)
def test_pixels_and_taps_have_the_colours_of_the_wires(case):
    matrix, image, output = made(case)
    inputs, _, kernel, size, options, _ = CASES[case]
    colors = colors_of(inputs, kernel)
    axes = neuron(matrix, image, output).axes[0]
    layout = layout_of(matrix)
    for channel in range(inputs):
        pixels, taps = {}, {}
        for tap, pixel in reads(size, kernel, output[1:], **options):
            color = colors[(channel, *tap)]
            pixels.setdefault((0, *pixel)[-2:], []).append(color)
            taps[(0, *tap)[-2:]] = [color]
        sheet = layout.inputs[channel]
        assert squares(axes, sheet.left, sheet.top, sheet.side, sheet.rows, sheet.columns) == pixels
        sheet = layout.kernels[channel]
        drawn = squares(axes, sheet.left, sheet.top, sheet.side, sheet.rows, sheet.columns)
        assert len(drawn) == np.prod(kernel)
        assert {place: drawn[place] for place in taps} == taps
        unread = {drawn[place][0] for place in drawn if place not in taps}
        assert len(unread) <= 1 and not unread & set(colors)


@pytest.mark.parametrize("case", CASES)
def test_every_wire_runs_from_its_pixel_over_its_tap_to_the_output(case):
    matrix, image, output = made(case)
    inputs, _, kernel, size, options, _ = CASES[case]
    layout = layout_of(matrix)
    target = layout.output.middle(*(0, *output[1:])[-2:])
    expected = set()
    for channel in range(inputs):
        for tap, pixel in reads(size, kernel, output[1:], **options):
            color = colors_of(inputs, kernel)[(channel, *tap)]
            start = layout.inputs[channel].middle(*(0, *pixel)[-2:])
            over = layout.kernels[channel].middle(*(0, *tap)[-2:])
            expected |= {(near(start), near(over), color), (near(over), near(target), color)}
    drawn = [
        (near(patch.get_path().vertices[0]), near(patch.get_path().vertices[-1]), to_hex(patch.get_edgecolor()))
        for patch in neuron(matrix, image, output).axes[0].patches
        if isinstance(patch, PathPatch)
    ]  # fmt: skip
    assert set(drawn) == expected and len(drawn) == len(expected)


def near(place):
    return tuple(round(float(part), 6) for part in place)


@pytest.mark.parametrize("case", CASES)
def test_the_sentence_is_what_the_loops_sum_up(case):
    matrix, image, output = made(case)
    inputs, _, kernel, size, options, _ = CASES[case]
    wires = list(reads(size, kernel, output[1:], **options))
    value = sum(
        int(image[(channel, *pixel)]) * int(matrix.weight[(output[0], channel, *tap)])
        for channel in range(inputs)
        for tap, pixel in wires
    )
    sentence = texts(neuron(matrix, image, output))[-1]
    assert f"output {output} = {value}:".replace("-", "−") in sentence
    assert (
        f": {len(wires) * inputs} wires, where a fully connected layer has {matrix.shape[1]:,}"
        in sentence
    )


def test_the_article_has_its_numbers_in_the_cells():
    matrix = ConvMatrix(ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], 6)
    shown = texts(neuron(matrix, IMAGE, (0, 0, 0)))
    assert {"input 6×6", "kernel 3×3", "output 4×4"} <= set(shown)
    numbers = [text for text in shown if text.replace("−", "").isdigit()]
    # Every pixel, tap and output; those that are coloured are written twice, over the grey.
    assert len(numbers) == 36 + 9 + 16 + 9 + 1


def test_torch_flat_and_channelless_images_and_rows_are_the_same_figure():
    matrix = ConvMatrix(ConvGeometry(1, 1, (3, 3)), torch.tensor(KERNEL[None, None]), 6)
    given = [(IMAGE, (0, 0, 1)), (IMAGE.ravel(), 1), (torch.tensor(IMAGE[None]), (0, 0, 1))]
    first, *others = [texts(neuron(matrix, image, output)) for image, output in given]
    assert all(other == first for other in others)


def test_channels_and_outputs_can_be_counted_from_one():
    matrix, image, _ = made("stride-dilation-padding")
    shown = texts(neuron(matrix, image, (2, 0, 4), first=1))
    assert any(text.startswith("output (3, 1, 5) = ") for text in shown)
    assert {text for text in shown if text.startswith("channel")} == {"channel 1", "channel 2"}


def test_groups_read_their_own_channels():
    geometry = ConvGeometry(4, 6, (2, 2), groups=2)
    matrix = ConvMatrix(geometry, np.ones(geometry.weight_shape), (3, 4))
    axes = neuron(matrix, np.zeros((4, 3, 4)), (5, 1, 1)).axes[0]
    layout = arrange(range(4), (2, 3), (3, 4), (2, 2), (2, 3))
    for channel, sheet in layout.inputs.items():
        drawn = squares(axes, sheet.left, sheet.top, sheet.side, 3, 4)
        assert set(drawn) == ({(1, 1), (1, 2), (2, 1), (2, 2)} if channel > 1 else set())


def test_of_many_channels_four_are_drawn_and_it_says_so():
    geometry = ConvGeometry(12, 6, (2, 2), groups=2)
    matrix = ConvMatrix(geometry, np.ones(geometry.weight_shape), (3, 4))
    shown = texts(neuron(matrix, np.zeros((12, 3, 4)), (5, 1, 1)))
    assert "4 of 12 input channels are drawn" in shown
    assert {"channel 6", "channel 9"} <= set(shown) and not {"channel 5", "channel 10"} & set(shown)
    assert "24 wires" in shown[-1]


def refuse(call):
    with pytest.raises(Refused) as caught:
        call()
    return str(caught.value)


def test_what_does_not_fit_is_refused_with_what_would():
    matrix = ConvMatrix(ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], 6)
    assert refuse(lambda: neuron(matrix, IMAGE[:5])) == (
        "neuron: image.shape is (5, 6), expected (1, 6, 6) or (36,) or (6, 6)"
    )
    assert "image.dtype is <U1, expected numbers" in refuse(
        lambda: neuron(matrix, np.full(36, "a"))
    )
    assert "output is (0, 4, 0)" in refuse(lambda: neuron(matrix, IMAGE, (0, 4, 0)))
    assert "key of words is 'title', expected one of input" in refuse(
        lambda: neuron(matrix, IMAGE, words={"title": "x"})
    )
    solid = ConvMatrix(ConvGeometry(1, 1, (2, 2, 2)), np.ones((1, 1, 2, 2, 2)), 3)
    assert refuse(lambda: neuron(solid, np.ones(27))) == (
        "neuron: matrix.geometry.ndim is 3, expected 1 or 2 (paper has two dimensions)"
    )
