"""Colours, told apart by all eyes; pure Python, so that terminals and web pages use them too.

Up to nine taps have the seven colours of Okabe and Ito ("Color Universal Design", 2008; without
their black, which is for ink), a grey and a wine red. More taps than that walk through hue and
lightness (OKLCH) in two irrational steps: any two neighbours differ in lightness, which colour
blindness leaves, and no colour comes twice.
"""

from __future__ import annotations

import math

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
    "tap_colors",
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
ENERGIES = {"shared": "#0072B2", "local": "#E69F00", "off": "#009E73"}
VERDICTS = {kind: badge.paper for kind, badge in BADGES.items()}
MARKS = {kind: badge.mark for kind, badge in BADGES.items()}
INK = "#222222"
MUTED = "#767676"  # lines and small words beside what matters; 4.5 against white
BLANK = "#FFFFFF"
SEVERAL = "#222222"  # an entry that holds several taps, where there is no room to show each
# From low to high, in equal steps: dark blue over grey to yellow. Lightness rises evenly, and blue
# and yellow part for everybody.
RAMP = ("#00204D", "#31446B", "#666970", "#958F78", "#CBBA69", "#FFEA46")

# The plastic number's powers, whose multiples fill a square most evenly (Roberts, 2018).
HUE_STEP, LIGHTNESS_STEP = 0.7548776662466927, 0.5698402909980532
# Lightness and chroma in OKLCH. Beyond LIGHTEST yellow is lost on white, below DARKEST blue is ink;
# half of either leaves neighbours too alike. Half the chroma is greys, and twice no screen has.
DARKEST, LIGHTEST, CHROMA = 0.36, 0.90, 0.13


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
    """Return the colour after so many steps, of as much chroma as the screen has there."""
    hue = 2 * math.pi * ((0.68 + step * HUE_STEP) % 1)
    lightness = DARKEST + (LIGHTEST - DARKEST) * ((0.2 + step * LIGHTNESS_STEP) % 1)
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
