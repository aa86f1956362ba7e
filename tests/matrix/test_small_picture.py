"""The picture of a matrix in Jupyter: of how large a matrix, at what size, in which inks."""

import re

import numpy as np
import pytest

from convlin import ConvGeometry, ConvMatrix


def page(kernel, n):
    geometry = ConvGeometry(1, 1, (kernel,), padding=((kernel - 1, 0),), padding_mode="circular")
    return ConvMatrix(geometry, np.arange(1.0, kernel + 1)[None, None], n)._repr_html_()


@pytest.mark.parametrize(
    "kernel, n, drawn",
    [(1, 128, True), (1, 129, False), (16, 128, True), (17, 128, False)],
    ids=["128-rows", "129-rows", "2048-entries", "2176-entries"],
)
def test_a_picture_stays_small_enough_to_read_and_to_store(kernel, n, drawn):
    assert ("<svg" in page(kernel, n)) == drawn


@pytest.mark.parametrize("n, side", [(10, 120), (40, 480), (41, 480), (128, 480)])
def test_an_entry_is_twelve_pixels_wide_or_less_if_the_whole_is_more_than_480(n, side):
    assert f'width="{side}" height="{side}"' in page(1, n)


def test_weights_are_drawn_in_four_inks():
    inks = re.findall(r'fill-opacity="([\d.]+)"', page(30, 40))
    assert [float(ink) for ink in inks] == [0.4, 0.7, 1.0]
