"""Along the null space weights change and the output does not: exactly, and only on this image."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from convlin.teach.scenes.other_weights import STEP, still
from convlin.teach.scenes.page_state import State
from convlin.teach.scenes.scene import scene

CASES = {
    "article": "at=output:0,2,1",
    "channels": "size=4x5&in=3&out=2&kernel=2x3&at=output:1,1,2",
    "groups": "size=4x5&in=4&out=2&groups=2&at=output:1,0,2",
    "several-taps-one-pixel": "size=3x4&padding=2x3&mode=circular&kernel=5x4&at=output:0,1,1",
    "transposed": "size=3x4&transposed=1&stride=2&out=2&at=output:1,3,4",
    "by-its-entry": "size=4x5&out=2&kernel=2&at=entry:17,3",
    "a-tap-pinned": "size=4x5&kernel=2&at=tap:0,0,1,1",
    "nothing-pinned": "size=4x5&kernel=2",
}
ROWS = {
    "article": 2 * 4 + 1, "channels": 3 * 3 + 1 * 3 + 2, "groups": 2 * 3 + 0 * 3 + 2, "several-taps-one-pixel": 1 * 7 + 1, "transposed": 7 * 9 + 3 * 9 + 4,
    "by-its-entry": 17, "a-tap-pinned": 0, "nothing-pinned": 0,
}  # fmt: skip


def row_by_torch(state, row):
    """Return one row of the matrix: the gradient of that output."""
    g = state.geometry
    kind = nn.ConvTranspose2d if g.transposed else nn.Conv2d
    layer = kind(
        g.in_channels, g.out_channels, g.kernel, g.stride, tuple(lo for lo, _ in g.padding),
        dilation=g.dilation, groups=g.groups, bias=False, padding_mode=g.padding_mode,
    ).double()  # fmt: skip
    layer.weight.data = torch.from_numpy(state.weights / 1000)
    x = torch.zeros(1, *state.image.shape, dtype=torch.float64, requires_grad=True)
    layer(x).flatten()[row].backward()
    return x.grad.flatten().tolist()


@pytest.mark.parametrize("along", ["0", "1", "-3", "2.5"])
@pytest.mark.parametrize("case", CASES)
def test_the_slider_changes_weights_and_not_outputs(case, along):
    state = State.of(f"{CASES[case]}&along={along}")
    shown = scene(state)
    neuron, pixels = shown["neuron"], shown["input"]["values"]
    before = shown["output"]["values"][neuron["row"]]
    assert neuron["base"] == row_by_torch(state, neuron["row"])
    # JSON's floats are read as they are: their sum of products is taken without any rounding.
    weights = [Fraction(weight) for weight in neuron["weights"]]
    assert sum(w * x for w, x in zip(weights, pixels, strict=True)) == before
    differing = changed(neuron)
    if along == "0":
        assert differing == 0
    else:
        assert differing >= len(pixels) - 1
    if along in ("1", "-3"):
        assert all(isinstance(weight, int) for weight in neuron["weights"])


def changed(neuron):
    return sum(a != b for a, b in zip(neuron["weights"], neuron["base"], strict=True))


@pytest.mark.parametrize("case", CASES)
def test_it_is_about_the_pinned_output(case):
    state = State.of(CASES[case])
    neuron = scene(state)["neuron"]
    assert neuron.keys() == {"row", "base", "weights"} and neuron["row"] == ROWS[case]


def test_other_images_tell_the_weights_apart():
    state = State.of("size=4x5&kernel=2&along=1")
    neuron, pixels = scene(state)["neuron"], state.image.ravel() // 1000
    other = np.roll(pixels, 1)
    difference = np.array(neuron["weights"]) - np.array(neuron["base"])
    assert difference @ pixels == 0 and difference @ other != 0


def test_a_black_image_fixes_nothing_and_a_single_pixel_everything():
    black = scene(State.of("size=1x3&kernel=1&image=0,0,0&along=2"))["neuron"]
    assert changed(black) == 3
    single = scene(State.of("size=1&kernel=1&image=7&along=2"))["neuron"]
    assert single["weights"] == single["base"]


@pytest.mark.parametrize("seed", range(30))
def test_any_image_has_a_direction_of_small_numbers(seed):
    generator = np.random.default_rng(seed)
    largest = int(generator.choice([1, 2, 9, 1000, 9_999_999]))
    image = generator.integers(-largest, largest + 1, size=int(generator.integers(1, 40)))
    direction = still(image)
    assert sum(int(d) * int(x) for d, x in zip(direction, image, strict=True)) == 0
    assert np.count_nonzero(direction) >= len(image) - 1
    assert abs(direction).max(initial=0) < 10 * STEP


def test_a_direction_has_six_decimals_and_no_more():
    """Of pixels with seven digits, the largest moves by single parts of a million."""
    assert still(np.array([9_999_991, 1_000_003])).tolist() == [1_000_003, -9_999_991]


def test_the_largest_numbers_there_may_be_stay_exact():
    values = ",".join(["9999.999", "-9999.998"] * 18)
    state = State.of(f"image={values}&weights={','.join(['9999.997'] * 9)}&along=-9.999")
    shown = scene(state)
    window = sum(Fraction(number, 1000) for number in state.image[0, :3, :3].ravel().tolist())
    assert shown["output"]["values"][0] == float(Fraction(9_999_997, 1000) * window)
    assert changed(shown["neuron"]) == 36


def test_two_numbers_of_seven_digits_have_a_direction():
    image = np.array([9_999_999, 1_000_003])
    direction = still(image)
    assert direction.all() and direction @ image == 0
