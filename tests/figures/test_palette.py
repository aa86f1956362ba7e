"""Colours that all eyes tell apart, and ink that can be read on them."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

from convlin.figures.palette import (
    BLANK,
    ENERGIES,
    FEW,
    INK,
    MARKS,
    MUTED,
    RAMP,
    VERDICTS,
    contrast,
    ink_on,
    paper_with,
    tap_colors,
    weight_colors,
)

# Machado, Oliveira and Fernandes (2009), severity 1; rows of linear RGB.
EYES = {
    "usual": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def seen(color, eye):
    """CIELAB of a colour as an eye sees it."""
    screen = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.where(screen <= 0.04045, screen / 12.92, ((screen + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(EYES[eye]) @ linear, 0, 1)
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ linear / [0.95047, 1, 1.08883]  # fmt: skip
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def apart(one, other, eye):
    return float(np.linalg.norm(seen(one, eye) - seen(other, eye)))


@pytest.mark.parametrize("eye", EYES)
def test_up_to_nine_taps_are_all_told_apart(eye):
    assert min(apart(a, b, eye) for n, a in enumerate(FEW) for b in FEW[:n]) > 14


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("taps", [10, 25, 49, 121])
def test_many_taps_are_told_from_their_neighbours(taps, eye):
    colors = tap_colors(taps)
    assert min(apart(a, b, eye) for a, b in itertools.pairwise(colors)) > 20


@pytest.mark.parametrize("eye", EYES)
def test_the_ramp_gets_lighter_in_steps_that_are_seen(eye):
    lightness = [seen(color, eye)[0] for color in RAMP]
    assert min(np.diff(lightness)) > 10
    assert min(apart(a, b, eye) for a, b in itertools.combinations(RAMP, 2)) > 10


@pytest.mark.parametrize("taps", [1, 2, 9, 10, 49, 997])
def test_every_tap_has_a_colour_of_its_own(taps):
    colors = tap_colors(taps)
    assert len(set(colors)) == len(colors) == taps
    assert all(re.fullmatch("#[0-9a-fA-F]{6}", color) for color in colors)
    assert BLANK not in colors and "#ffffff" not in colors
    assert tap_colors(taps) == colors


def test_few_taps_are_those_of_okabe_and_ito_without_black():
    okabe_ito = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]
    assert set(tap_colors(7)) == set(okabe_ito) and tap_colors(3) == tap_colors(7)[:3]


@pytest.mark.parametrize(
    "shape",
    [(8, 8, 11, 11), (3, 3, 3, 3), (2, 5), (8, 8, 1), (8, 8, 1, 1), (5, 7, 1, 1), (9, 4, 1, 1),
     (2, 11, 1), (64, 48, 1, 1), (4, 1, 3, 2), (1, 1, 11, 10), (1, 2, 2, 2, 2)],
)  # fmt: skip
def test_every_weight_has_a_colour_of_its_own_that_ink_can_be_read_on(shape):
    colors = weight_colors(shape)
    assert len(set(colors)) == len(colors) == np.prod(shape)
    assert all(contrast(ink_on(color), color) >= 4.5 for color in colors)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (5,), (2, 3, 4)])
def test_one_pair_of_channels_has_the_colours_of_its_taps(kernel):
    assert weight_colors((1, 1, *kernel)) == tap_colors(int(np.prod(kernel)))


def hue_and_lightness(color):
    """Of OKLab, from the matrices of Ottosson (2020) that lead there from linear sRGB."""
    screen = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.where(screen <= 0.04045, screen / 12.92, ((screen + 0.055) / 1.055) ** 2.4)
    lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
           [0.0883024619, 0.2817188376, 0.6299787005]] @ linear  # fmt: skip
    lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
           [0.0259040371, 0.7827717662, -0.8086757660]] @ np.cbrt(lms)  # fmt: skip
    return np.degrees(np.arctan2(lab[2], lab[1])) % 360, lab[0]


# Input and output channel of each weight, output channels counted within the group.
PAIRS = {
    "plain": ((3, 5), 1, False, lambda a, b: (b, a)),
    "transposed": ((3, 5), 1, True, lambda a, b: (a, b)),
    "groups": ((6, 2), 2, False, lambda a, b: (a // 3 * 2 + b, a % 3)),
    "transposed-groups": ((6, 2), 3, True, lambda a, b: (a, b)),
    "depthwise": ((4, 1), 4, False, lambda a, b: (a, 0)),
}


@pytest.mark.parametrize("pairs", PAIRS)
def test_of_1x1_the_hue_is_the_input_channel_and_the_lightness_the_output_channel(pairs):
    (first, second), groups, transposed, pair = PAIRS[pairs]
    colors = weight_colors((first, second, 1, 1), groups, transposed=transposed)
    places = [pair(a, b) for a in range(first) for b in range(second)]
    seen_as = [hue_and_lightness(color) for color in colors]
    for (place, (hue, light)), (other, (hue2, light2)) in itertools.combinations(
        zip(places, seen_as, strict=True), 2
    ):
        turn = abs((hue - hue2 + 180) % 360 - 180)
        assert turn < 8 if place[0] == other[0] else turn > 35
        assert np.sign(round(light - light2, 2)) == np.sign(place[1] - other[1])


@pytest.mark.parametrize("eye", EYES)
def test_the_six_weights_of_lesson_3_are_told_apart(eye):
    colors = weight_colors((2, 3, 1, 1))
    assert min(apart(a, b, eye) for a, b in itertools.combinations(colors, 2)) > 14


def test_paper_with_ink_is_neither_a_weight_nor_the_ink_on_one():
    greys = [paper_with(share / 100) for share in range(101)]
    assert greys[0] == BLANK and greys == sorted(greys, reverse=True)
    assert list(ENERGIES.values()) == [paper_with(0.8), paper_with(0.36), paper_with(0.12)]
    weights = {
        c for shape in ((1, 1, 3, 3), (8, 8, 1, 1), (8, 8, 11, 11)) for c in weight_colors(shape)
    }
    assert weights.isdisjoint(greys) and not {"#ffffff", "#000000", INK, MUTED} & set(greys)


def test_ink_can_be_read():
    colors = [*tap_colors(997), *FEW, *VERDICTS.values(), *ENERGIES.values()]
    assert [color for color in colors if contrast(ink_on(color), color) < 4.5] == []


def test_contrast_is_that_of_wcag():
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#ffffff", "#ff0000") == pytest.approx(4.00, abs=0.005)
    assert min(contrast(MUTED, BLANK), contrast(INK, BLANK)) >= 4.5


def test_a_verdict_is_told_by_more_than_its_colour():
    assert list(MARKS) == list(VERDICTS)
    assert len(set(MARKS.values())) == len(set(VERDICTS.values())) == len(MARKS)


def test_the_palette_needs_no_library():
    code = (
        "import sys; import convlin.figures.palette as p; p.tap_colors(30);"
        "print(sorted({'matplotlib', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
