"""`energy` draws the three shares as they are."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from convlin import ConvGeometry, Refused
from convlin.figures import energy
from convlin.figures.palette import ENERGIES, contrast
from convlin.structure import nearest
from figures.drawn import texts
from rounding import agree

POINT = ConvGeometry(1, 1, kernel=(1,))


def energy_of(shared, local, off):
    """A 2×2 matrix with these energies: [[a+b, c], [0, a-b]] is a² + a² shared, 2b² local, c² off."""
    a, b, c = np.sqrt([shared / 2, local / 2, off])
    return nearest(np.array([[a + b, c], [0, a - b]]), POINT, (2,)).energy


def bars(axes):
    """Left edge, width and place of each bar, in the order they are drawn."""
    return [
        (bar.get_x(), bar.get_width(), bar.get_y() + bar.get_height() / 2) for bar in axes.patches
    ]


def test_one_energy_is_one_bar_of_three_shares():
    figure = energy(energy_of(72, 8, 20))
    drawn = bars(figure.axes[0])
    assert agree(drawn, [(0, 0.72, 0), (0.72, 0.08, 0), (0.8, 0.2, 0)], 4, 1)
    assert {"72.0%", "8.0%", "20.0%"} <= set(texts(figure))
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["shared", "local, not shared", "off the support"]


def test_a_few_are_bars_with_their_labels():
    figure = energy([energy_of(1, 0, 0), energy_of(30, 60, 10)], labels=["before", "after"])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["before", "after"]
    after = sorted(bars(axes), key=lambda bar: bar[2])[3:]
    assert agree(after, [(0, 0.3, 1), (0.3, 0.6, 1), (0.9, 0.1, 1)], 4, 1)


def course(length):
    return [energy_of(100 - 3 * n, 2 * n, n) for n in range(length)]


def test_a_course_is_an_area_and_lines():
    figure = energy(course(14), labels=range(0, 140, 10))
    area, lines = figure.axes
    corners = [collection.get_paths()[0].vertices for collection in area.collections]
    ends = [part[part[:, 0] == 130][:, 1] for part in corners]
    bounds = [(end.min(), end.max()) for end in ends]
    assert agree(bounds, [(0, 0.61), (0.61, 0.87), (0.87, 1)], 4, 1)
    assert [to_hex(part.get_facecolor()) for part in area.collections] == list(ENERGIES.values())
    assert len({line.get_linestyle() for line in lines.lines}) == 3
    for line, factor in zip(lines.lines[1:], (0.02, 0.01), strict=True):
        places, shares = line.get_data()
        assert places.tolist() == list(range(0, 140, 10))
        assert np.isnan(shares[0]) and agree(shares[1:], factor * np.arange(1, 14), 4, 1)
    assert {"shared 61.0%", "local, not shared 26.0%", "off the support 13.0%"} <= set(
        texts(figure)
    )


def test_several_courses_stand_side_by_side_on_a_given_figure():
    figure = Figure()
    returned = energy({"first": course(13), "second": course(13)}, into=figure)
    assert returned is figure and [axes.get_title() for axes in figure.axes] == [
        "first",
        "second",
        "",
        "",
    ]


def test_parts_are_told_apart_without_colour_and_their_numbers_can_be_read():
    figure = energy(energy_of(50, 30, 20))
    bars = [bar for bar in figure.axes[0].patches if bar.get_width()]
    looks = [(to_hex(bar.get_facecolor()), bar.get_hatch()) for bar in bars]
    assert len(set(looks)) == 3 and [hatch for _, hatch in looks].count("") == 2
    assert min(contrast(a, b) for (a, _), (b, _) in combinations(looks, 2)) > 1.6
    inks = [to_hex(text.get_color()) for text in figure.axes[0].texts]
    behind = [to_hex(text.get_bbox_patch().get_facecolor()) for text in figure.axes[0].texts]
    assert behind == [face for face, _ in looks]
    assert min(map(contrast, inks, behind)) >= 4.5


def test_the_zero_matrix_has_no_bar():
    assert [bar[1] for bar in bars(energy(energy_of(0, 0, 0)).axes[0])] == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: energy([]), "number of energies is 0, expected 1 or more"),
        (lambda: energy({}), "number of energies is 0"),
        (lambda: energy(course(3), ["a"]), r"len\(labels\) is 1, expected 3"),
        (lambda: energy(course(13), ["a"] * 13), r"labels\[0\] is 'a', expected a number"),
        (lambda: energy(course(13), [*range(12), "a"]), r"labels\[12\] is 'a', expected a number"),
        (
            lambda: energy(course(3), words={"epoch": "Epoche"}),
            "key of words is 'epoch', expected one of",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(Refused, match=words):
        call()


@pytest.mark.parametrize(("count", "panels"), [(12, 1), (13, 2)])
def test_more_than_twelve_are_a_course(count, panels):
    assert len(energy(course(count)).axes) == panels


@pytest.mark.parametrize(("share", "drawn"), [(1.5e-4, True), (7e-5, False)])
def test_four_decades_of_a_course_have_lines(share, drawn):
    line = energy([energy_of(1 - share, share, 0)] * 13).axes[1].lines[1]
    assert bool(np.isfinite(line.get_ydata()).all()) is drawn


@pytest.mark.parametrize(("percent", "written"), [(6, True), (4, False)])
def test_a_number_stands_in_its_part_where_it_fits(percent, written):
    figure = energy(energy_of(100 - percent, percent, 0))
    assert (f"{percent}.0%" in texts(figure)) is written


def test_names_of_equal_shares_are_a_line_apart():
    figure = energy([energy_of(1, 1, 1)] * 13)
    figure.draw_without_rendering()
    names = [text for text in figure.axes[1].texts if "%" in text.get_text()]
    heights = sorted(text.get_window_extent().y0 / figure.dpi * 72 for text in names)
    assert all(9 < gap < 20 for gap in np.diff(heights)) and len(heights) == 3
