"""How much is shown: what has no room is folded, shortened or left to other views."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import convlin
from convlin import ConvGeometry, ConvMatrix
from convlin.costs import CostTable, LayerCost, linear_forms
from convlin.display.terminal_view import as_text
from convlin.models.dense.report import Report, Row
from convlin.structure.energy_blocks import split
from rounding import agree, approx


def test_costs_say_what_each_layer_is_where_no_line_is_folded_for_it():
    with torch.device("meta"):
        table = convlin.cost(
            nn.Sequential(*(nn.Conv2d(96, 96, 1, groups=n) for n in (1, 2, 3))), 64
        )
    narrow, less, wide = (as_text(table, width).splitlines() for width in (80, 109, 110))
    assert "Conv2d 96→96 k1 g3" in "\n".join(wide)
    assert "Conv2d 96→96 k1 g3" not in "\n".join(less)
    assert len(narrow) == len(wide) == len(as_text(table, 300).splitlines())


@pytest.mark.parametrize(("features", "shown"), [(9_999_999, "9,999,999"), (10**7, "10.0 M")])
def test_sums_are_exact_while_they_are_no_wider_than_their_title(features, shown):
    layer = LayerCost("", "Linear", "linear", linear_forms(features, 1, bias=False))
    line = str(CostTable("Linear", (features,), (layer,))).splitlines()[2]
    assert line.startswith(f"conv    {shown:>10}  ")


@pytest.mark.parametrize("breaking", [4, 5])
def test_a_summary_names_four_layers(breaking):
    rows = tuple(Row(f"layer.{n}", "Conv2d", "kept", None, False, "why") for n in range(breaking))
    outcome = Report(rows, False, None, 1, 1).summary[0]
    more = " and 1 more" if breaking == 5 else ""
    assert outcome.endswith(f"window: layer.0, layer.1, layer.2, layer.3{more}")


def picture(outputs, inputs, size):
    """Return the (width, height) of the picture of a 1×1 convolution's matrix, and the page."""
    geometry = ConvGeometry(inputs, outputs, (1,))
    page = ConvMatrix(geometry, np.ones(geometry.weight_shape), size)._repr_html_()
    found = re.search(r'<svg viewBox="[^"]*" width="(\d+)" height="(\d+)"', page)
    return found and (int(found[1]), int(found[2])), page


def test_a_matrix_has_a_picture_while_it_is_small():
    assert picture(1, 1, 128)[0] == (480, 480) and picture(1, 1, 129)[0] is None  # rows
    assert picture(64, 32, 1)[0] == (240, 480) and picture(33, 63, 1)[0] is None  # entries
    assert picture(3, 5, 1)[0] == (60, 36)  # twelve pixels an entry
    assert len(picture(64, 32, 1)[1]) < 20 * 2048


def test_one_percent_of_the_energy_can_be_seen():
    bar = split((0.01, 0.5, 0.49))[1]
    (x, _, width, height), *others = (rectangle for [rectangle] in bar.inks.values())
    assert (x, width) == (0, 3) and height == 14
    assert sum(each[2] for each in others) + width == approx(bar.size[0], 4)
    assert agree([each[0] for each in others], [3, 153], 4, bar.size[0])  # ends of the bar round
