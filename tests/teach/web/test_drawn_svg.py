"""Figures on the page: in its own paper and ink, light and dark, and legible on both."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from article import IMAGE, KERNEL
from convlin import ConvGeometry, ConvMatrix
from convlin.figures import energy, forms, matrix, neuron, pointwise
from convlin.figures.palette import BLANK, INK, MUTED, contrast, tap_colors, weight_colors
from convlin.structure import nearest
from convlin.teach.web.drawn_svg import as_svg

SCHEMES = {
    "light": {"--paper": "#ffffff", "--ink": "#1c1c1c", "--soft": "#5c5c5c"},
    "dark": {"--paper": "#16181a", "--ink": "#e6e6e3", "--soft": "#a3a6a8"},
}
ARTICLE = ConvMatrix(ConvGeometry(1, 1, (3, 3)), KERNEL[None, None], 6)
PADDED = ConvMatrix(ConvGeometry(1, 1, (3, 3), padding=1), KERNEL[None, None], 6)
MIXING = ConvMatrix(
    ConvGeometry(3, 2, (1, 1)), np.array([2, -3, 5, 7, 11, -13]).reshape(2, 3, 1, 1), (4, 5)
)


def steps(count):
    rng = np.random.default_rng(1)
    return [
        nearest(np.eye(4) + n * rng.random((4, 4)), ConvGeometry(1, 1, (1,)), (4,)).energy
        for n in range(count)
    ]


FIGURES = {
    "neuron": lambda: neuron(ARTICLE, IMAGE, (0, 1, 2)),
    "neuron-in-the-corner": lambda: neuron(PADDED, IMAGE, (0, 0, 0)),
    "matrix": lambda: matrix(ARTICLE),
    "forms": lambda: forms(ARTICLE),
    "pointwise": lambda: pointwise(MIXING, np.arange(60).reshape(3, 4, 5) % 7),
    "bars": lambda: energy(steps(3), ["一", "b", "c"]),
    "course": lambda: energy(steps(14)),
}


@pytest.fixture(scope="module", params=FIGURES)
def figure(request):
    return FIGURES[request.param]()


def test_no_colour_is_left_but_those_of_weights_and_the_ink_on_them(figure):
    root = ElementTree.fromstring(as_svg(figure, "f-", "a & b"))
    texts, shapes = set(), set()
    for element in root.iter():
        found = set(re.findall("#[0-9a-fA-F]{6}", " ".join(element.attrib.values())))
        (texts if element.tag.endswith("}text") else shapes).update(found)
    weights = {color.lower() for color in [*tap_colors(9), *weight_colors((2, 3, 1, 1))]}
    assert shapes <= weights
    assert texts <= {"#ffffff", "#000000"}


def test_every_grey_is_named_once_and_mixed_of_the_page(figure):
    svg = as_svg(figure, "f-", "label")
    root = ElementTree.fromstring(svg)
    names = re.findall(
        r"(--ink-\d+):color-mix\(in srgb,var\(--ink\) (\d+)%,var\(--paper\)\);", root.get("style")
    )
    assert [name for name, _ in names] == [f"--ink-{share}" for _, share in names]
    assert len(set(names)) == len(names)
    used = set(re.findall(r"var\((--[\w-]+)\)", svg))
    assert used <= {name for name, _ in names} | {"--ink", "--paper", "--soft"}


def test_nothing_is_drawn_in_the_black_that_an_svg_has_where_none_is_named(figure):
    """Shapes without a colour are black, and so are letters: those stand on a weight's colour."""
    root = ElementTree.fromstring(as_svg(figure, "f-", "label"))
    spread = "{http://www.w3.org/2000/svg}"
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in root.iter():
        if element.tag not in (spread + "path", spread + "use") or parents[element].tag in (
            spread + "clipPath",
            spread + "defs",
        ):
            continue
        style = element.get("style") or ""
        assert "fill" in style or parents[element].tag == spread + "pattern", element.attrib
        assert "#000000" not in style


def test_names_are_its_own_and_it_says_what_it_is(figure):
    svg = as_svg(figure, "lesson-1-", 'a "b" < c')
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", 'a "b" < c')
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert ids and all(name.startswith("lesson-1-") for name in ids) and len(ids) == len(set(ids))
    for name in re.findall(r'(?:href="#|url\(#)([^")]+)', svg):
        assert name in ids
    assert "<metadata" not in svg and len(svg) < 110_000


def shown(color, scheme):
    """The colour that a page shows for one of a figure."""
    color = color.lower()
    page = SCHEMES[scheme]
    if color in (INK, MUTED):
        return page["--ink" if color == INK else "--soft"]
    red, green, blue = (int(color[n : n + 2], 16) for n in (1, 3, 5))
    if not red == green == blue + 1:
        return color
    share = (255 - red) / (255 - 0x22)
    mixed = [
        round(share * int(page["--ink"][n : n + 2], 16) + (1 - share) * int(page["--paper"][n : n + 2], 16))
        for n in (1, 3, 5)
    ]  # fmt: skip
    return "#" + "".join(f"{part:02x}" for part in mixed)


def behind(axes, text):
    """The colour that a text stands on: its own box, or the topmost cell or node at its place."""
    if text.get_bbox_patch():
        return to_hex(text.get_bbox_patch().get_facecolor())
    under = [(-1, BLANK)]
    for collection in axes.collections:
        if isinstance(collection, PolyCollection):
            faces = collection.get_facecolor()
            for number, path in enumerate(collection.get_paths()):
                if path.contains_point(text.get_position()):
                    under.append((collection.get_zorder(), to_hex(faces[number % len(faces)])))
    for patch in axes.patches:
        if (
            isinstance(patch, Circle)
            and np.hypot(*np.subtract(patch.center, text.get_position())) < patch.radius
        ):
            under.append((patch.get_zorder(), to_hex(patch.get_facecolor())))
    return max(
        (layer for layer in under if layer[0] < text.get_zorder()), key=lambda layer: layer[0]
    )[1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_can_be_read_light_and_dark(figure, scheme):
    seen = 0
    for axes in figure.axes:
        for text in filter(lambda text: text.get_text().strip(), axes.texts):
            ink, ground = shown(to_hex(text.get_color()), scheme), shown(behind(axes, text), scheme)
            assert contrast(ink, ground) >= 4.5, (text.get_text(), ink, ground)
            seen += 1
        labels = [
            *axes.get_xticklabels(),
            *axes.get_yticklabels(),
            axes.title,
            axes.xaxis.label,
            axes.yaxis.label,
        ]
        assert {
            to_hex(label.get_color()) for label in labels if label.get_text() and axes.axison
        } <= {INK}
    assert seen > 2
