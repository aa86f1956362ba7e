"""What a cell has room for: letters, lines, a frame; and what is drawn in its place where it has not."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from convlin import ConvGeometry, ConvMatrix
from convlin.figures import matrix
from convlin.figures.canvas import blank
from convlin.figures.cells import Sheet
from convlin.figures.palette import BLANK, contrast
from convlin.figures.stored_entries import all_entries, kernel_colors, separate_entries


def sheet(side, rows=5, columns=7):
    return Sheet(1.0, 1.0, rows, columns, side)


def lines(axes, width=None):
    return [
        segment
        for collection in axes.collections
        if isinstance(collection, LineCollection)
        and (width is None or collection.get_linewidths()[0] == width)
        for segment in collection.get_segments()
    ]


def test_letters_are_as_small_as_print_and_no_larger_than_the_texts_around_them():
    sizes = {sheet(side / 100).letters(count) for side in range(1, 80) for count in (1, 3, 6)}
    assert 4 < min(sizes - {0.0}) < 6 and 9 < max(sizes) < 12


@pytest.mark.parametrize(("side", "drawn"), [(0.06, 2 + 2), (0.1, 6 + 8)])
def test_lines_stand_between_cells_where_they_leave_the_cells_visible(side, drawn):
    _, axes = blank(3, 3)
    sheet(side).rule(axes)
    assert len(lines(axes)) == drawn


@pytest.mark.parametrize(("side", "thick"), [(0.07, 1.0), (0.15, 1.8)])
def test_a_frame_leaves_its_cell_visible(side, thick):
    _, axes = blank(3, 3)
    sheet(side).frame(axes, (1, 2), (1, 2))
    assert axes.patches[0].get_linewidth() == thick
    assert thick / 72 < side / 2


def ones(size):
    geometry = ConvGeometry(1, 1, (3, 3), padding=1)
    return ConvMatrix(geometry, np.ones(geometry.weight_shape), size)


@pytest.mark.parametrize(("size", "apart"), [((60, 20), False), ((30, 20), True)])
def test_lines_stand_between_the_rows_of_maps_that_lie_apart(size, apart):
    assert bool(lines(matrix(ones(size)).axes[0], 0.6)) is apart


@pytest.mark.parametrize(("size", "squares"), [((8, 9), True), ((11, 15), False)])
def test_cells_are_squares_down_to_a_size_that_shows_their_colours(size, squares):
    assert bool(matrix(ones(size)).axes[0].images) is not squares


def test_an_image_has_as_many_pixels_as_its_print():
    image = matrix(ones((40, 60))).axes[0].images[0].get_array()
    assert 6.5 * 100 <= max(image.shape[:2]) <= 6.5 * 200


@pytest.mark.parametrize("size", [(3, 40), (50, 60)])
def test_weights_that_are_not_shared_are_noise_of_greys_that_show_on_paper(size):
    for entries in (separate_entries("forms", ones(size)), all_entries(ones(size))):
        shown, counts = np.unique(entries.color, return_counts=True)
        assert len(shown) == len(set(entries.colors)) > 30
        assert counts.max() < 2.5 * counts.mean() + 10
        assert min(contrast(grey, BLANK) for grey in entries.colors) > 1.1
        # The nth grey says nothing of those after it, a row of the matrix further on or anywhere.
        for ahead in range(1, min(len(entries.color) // 2, 4000)):
            same = entries.color[ahead:] == entries.color[:-ahead]
            assert same.mean() < 3 / len(shown) + 8 / len(same)


def test_colours_of_more_weights_than_there_are_colours_come_again_off_the_rows():
    """Else each row of a kernel as wide as there are colours would look like the one above."""
    geometry = ConvGeometry(64, 48, (1, 1))
    colors = kernel_colors(ConvMatrix(geometry, np.ones(geometry.weight_shape), 1))
    assert len(colors) == len(set(colors)) > 500
    assert all(len(colors) % side for side in range(2, 40))
