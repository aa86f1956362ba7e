"""Colours, told apart by all eyes; pure Python, so that terminals and web pages use them too.

A colour is one weight, wherever it is used; what is no weight is paper with more or less ink.

Up to nine taps have the seven colours of Okabe and Ito ("Color Universal Design", 2008; without
their black, which is for ink), a grey and a wine red. More taps than that walk through hue and
lightness (OKLCH) in two irrational steps: any two neighbours differ in lightness, which colour
blindness leaves, and no colour comes twice. The weights of a 1×1 kernel have a table of colours:
a hue for each input channel, a lightness for each output channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from convlin.display.badges import BADGES

__all__ = [
    "BLANK",
    "ENERGIES",
    "INK",
    "MARKS",
    "MUTED",
    "RAMP",
    "SEVERAL",
    "VERDICTS",
    "contrast",
    "ink_on",
    "inked",
    "paper_with",
    "tap_colors",
    "weight_colors",
]

FEW = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#F0E442",  # yellow
    "#D55E00",  # vermilion
    "#56B4E9",  # sky blue
    "#882255",  # wine
    "#BBBBBB",  # grey
)
# Three greys, as no energy is a weight: `paper_with` 0.8, 0.36 and 0.12 of ink. Between the first
# two neither paper nor ink can be read.
ENERGIES = {"shared": "#4e4e4d", "local": "#afafae", "off": "#e4e4e3"}
VERDICTS = {kind: badge.paper for kind, badge in BADGES.items()}
MARKS = {kind: badge.mark for kind, badge in BADGES.items()}
INK = "#222222"
MUTED = "#767676"  # lines and small words beside what matters; 4.5 against white
BLANK = "#fffffe"  # paper, which a dark page turns dark; white ink on a colour is #ffffff
SEVERAL = "#222222"  # an entry that holds several taps, where there is no room to show each
# From low to high, in equal steps: dark blue over grey to yellow. Lightness rises evenly, and blue
# and yellow part for everybody.
RAMP = ("#00204D", "#31446B", "#666970", "#958F78", "#CBBA69", "#FFEA46")

# The plastic number's powers, whose multiples fill a square most evenly (Roberts, 2018).
HUE_STEP, LIGHTNESS_STEP = 0.7548776662466927, 0.5698402909980532
# Lightness and chroma in OKLCH. Beyond LIGHTEST yellow is lost on white, below DARKEST blue is ink;
# half of either leaves neighbours too alike. Half the chroma is greys, and twice no screen has.
DARKEST, LIGHTEST, CHROMA = 0.36, 0.90, 0.13
# Of the table of a 1×1 kernel: channels that it has rows and columns for, the first hue in degrees
# (blue; from there the three of lesson 3 are told apart by all eyes), and its lightness. Half as
# many channels leave out those of the sliders, of twice as many nobody tells the hues apart. A
# line that is darker is lost on dark pages, one that is lighter on light ones.
TABLE, FIRST_HUE, DARK, LIGHT = 8, 250, 0.48, 0.78


def tap_colors(taps: int) -> list[str]:
    """Return a colour "#rrggbb" for each of so many taps, or for each of so many weights.

    >>> tap_colors(2)
    ['#0072B2', '#E69F00']
    >>> len(set(tap_colors(121)))
    121
    """
    if taps <= len(FEW):
        return list(FEW[:taps])
    return [_walked(step) for step in range(taps)]


def weight_colors(shape: Sequence[int], groups: int = 1, *, transposed: bool = False) -> list[str]:
    """Return a colour for each weight of a kernel, in C order of its shape.

    shape: (out, in/groups, *kernel), transposed (in, out/groups, *kernel). One pair of channels
    has the colours of its taps. In a 1×1 kernel, of up to eight channels a side, the hue is the
    input channel and the lightness the output channel. No colour comes twice up to 8×8 channels of
    11×11.

    >>> weight_colors((1, 1, 1, 2)) == tap_colors(2)
    True
    >>> weight_colors((2, 3, 1, 1))  # blue, red, green; dark, light
    ['#0c60a3', '#98374d', '#456b09', '#7dbdfe', '#fe93a4', '#9cc86c']
    """
    first, second, *kernel = shape
    taps = math.prod(kernel)
    if first * second == 1 or taps > 1:
        return tap_colors(first * second * taps)
    # Weight (a, b): of input b of the group that output a is in; transposed, of input a.
    each = first // groups
    places = [
        (a, b) if transposed else (a // each * second + b, a % each)
        for a in range(first) for b in range(second)
    ]  # fmt: skip
    inputs, outputs = (1 + max(place[side] for place in places) for side in (0, 1))
    if max(inputs, outputs) > TABLE:
        return tap_colors(first * second)
    step = (LIGHT - DARK) / max(outputs - 1, 1)
    darkest = DARK if outputs > 1 else (DARK + LIGHT) / 2
    return [
        _oklch(darkest + step * out, math.radians(FIRST_HUE + 360 * channel / inputs))
        for channel, out in places
    ]


def paper_with(ink: float) -> str:
    """Return paper with a share of ink on it, from `BLANK` for 0 on.

    Its blue is one below its red and green: so a page that turns paper dark knows it from the
    colour of a weight.

    >>> paper_with(0) == BLANK, paper_with(0.2)
    (True, '#d3d3d2')
    """
    grey = round(255 - ink * (255 - int(INK[1:3], 16)))
    return f"#{grey:02x}{grey:02x}{grey - 1:02x}"


def inked(color: str) -> float | None:
    """Return the share of ink of a colour that `paper_with` made, None for any other.

    >>> inked("#d3d3d2"), inked(BLANK), inked("#bbbbbb")
    (0.2, 0.0, None)
    """
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    if red != green or blue != red - 1:
        return None
    return round((255 - red) / (255 - int(INK[1:3], 16)), 2)


def ink_on(color: str) -> str:
    """Return black or white, whichever is read better on a colour; its contrast is 4.5 or more.

    >>> ink_on("#F0E442"), ink_on("#0072B2")
    ('#000000', '#ffffff')
    """
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, color))


def contrast(one: str, other: str) -> float:
    """Return the WCAG 2 contrast ratio of two colours "#rrggbb", from 1 to 21.

    >>> round(contrast("#000000", "#ffffff"), 2)
    21.0
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    """Return the relative luminance, from 0 to 1."""
    parts = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _walked(step: int) -> str:
    """Return the colour after so many steps."""
    hue = 2 * math.pi * ((0.68 + step * HUE_STEP) % 1)
    return _oklch(DARKEST + (LIGHTEST - DARKEST) * ((0.2 + step * LIGHTNESS_STEP) % 1), hue)


def _oklch(lightness: float, hue: float) -> str:
    """Return a colour by lightness and hue (radians), of as much chroma as the screen has there."""
    chroma = CHROMA
    while True:
        linear = _linear_rgb(lightness, chroma * math.cos(hue), chroma * math.sin(hue))
        if all(-1e-9 <= c <= 1 + 1e-9 for c in linear):
            return "#" + "".join(f"{_screen(c):02x}" for c in linear)
        chroma -= 0.005


def _linear_rgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """Return linear sRGB of a colour in OKLab (Ottosson, 2020)."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _screen(linear: float) -> int:
    """Return a linear channel as a byte of sRGB."""
    c = min(max(linear, 0.0), 1.0)
    return round(255 * (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055))
