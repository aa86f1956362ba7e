"""What is looked at in parts, for memory's sake, is looked at whole: the last of each part too."""

import numpy as np
import pytest
import torch

from convlin import ConvGeometry, recognize
from convlin.structure import axis_space, fibres
from convlin.structure.axis_space import AxisSpace
from convlin.structure.axis_support import AxisSupport
from geometry_strategies import case_id, conv, probe
from rounding import STABLE, gamma

LAYERS = [
    (conv(1, 1, 1, 3, padding=1, bias=False), 5),
    (conv(1, 1, 1, 3, padding=2, padding_mode="reflect", bias=False), 4),
    (conv(1, 1, 1, 4, padding=3, dilation=2, padding_mode="replicate", bias=False), 7),
]


TOLERANCE = gamma(STABLE * 100)  # sums of taps are solved for, from a hundred numbers at most


@pytest.mark.parametrize("layer, n", LAYERS, ids=[case_id(layer) for layer, _ in LAYERS])
@pytest.mark.parametrize("step", [1, 2, 3, 6, 7, 100])
def test_an_odd_array_is_found_in_any_part(layer, n, step, monkeypatch):
    """Seven arrays, the first by itself, the others `step` at a time."""
    arrays = []
    for seed in range(7):
        numbers = np.random.default_rng(seed).permutation(layer.weight.numel()) + 1.0 + seed
        layer.weight.data.copy_(torch.from_numpy(numbers).view_as(layer.weight))
        arrays.append(probe(layer, (n,)).numpy())
    support = AxisSupport.of(np.stack(arrays).any(axis=0))
    held = np.stack([array[support.output, support.pixel] for array in arrays])
    space = AxisSpace(ConvGeometry.of(layer), 0, n)
    monkeypatch.setattr(axis_space, "HELD", step * space.table.size)
    assert space.explains(support, held, TOLERANCE)
    for odd in range(7):
        for entry in (0, -1):
            wrong = held.copy()
            wrong[odd, entry] += 1
            assert not space.explains(support, wrong, TOLERANCE)


@pytest.mark.parametrize("limit", [0, 20, 29, 1000])
def test_pairs_too_many_for_a_table_are_kept_as_a_list(limit, monkeypatch):
    """Of 6·5 pairs along the first dimension, 7·7 along the second, and 3·2 of channels."""
    layer = conv(2, 2, 3, (2, 3), padding=1)
    layer.weight.data.copy_(torch.arange(1.0, 37).view_as(layer.weight))
    matrix = probe(layer, (5, 7))
    monkeypatch.setattr(fibres, "TABLE", limit)
    monkeypatch.setattr(fibres, "CHUNK", 11)  # several parts have each pair
    found = recognize(matrix, (2, 5, 7), (3, 6, 7))
    assert found.geometry == ConvGeometry.of(layer)
    assert torch.equal(found.weight, layer.weight)
