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
    tap_colors,
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
    assert BLANK not in colors
    assert tap_colors(taps) == colors


def test_few_taps_are_those_of_okabe_and_ito_without_black():
    okabe_ito = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]
    assert set(tap_colors(7)) == set(okabe_ito) and tap_colors(3) == tap_colors(7)[:3]


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
