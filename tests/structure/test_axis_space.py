"""Whether arrays are sums of taps: one that is not is found among others, wherever it is odd."""

import numpy as np
import pytest
import torch

from convlin import ConvGeometry
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
def test_an_odd_array_is_found_among_others(layer, n):
    arrays = []
    for seed in range(7):
        numbers = np.random.default_rng(seed).permutation(layer.weight.numel()) + 1.0 + seed
        layer.weight.data.copy_(torch.from_numpy(numbers).view_as(layer.weight))
        arrays.append(probe(layer, (n,)).numpy())
    support = AxisSupport.of(np.stack(arrays).any(axis=0))
    held = np.stack([array[support.output, support.pixel] for array in arrays])
    space = AxisSpace(ConvGeometry.of(layer), 0, n)
    assert space.explains(support, held, TOLERANCE)
    for odd in range(7):
        for entry in (0, -1):
            wrong = held.copy()
            wrong[odd, entry] += 1
            assert not space.explains(support, wrong, TOLERANCE)
