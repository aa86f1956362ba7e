"""Counts in closed form against the definition, pixel by pixel."""

import itertools

import pytest

from convlin import ConvGeometry, GeometryError
from convlin.costs.four_forms import stored_entries

AXES = itertools.product((1, 2, 3, 5, 8), (1, 2, 4), (1, 2, 3), (0, 1, 3, 7), (0, 2), (1, 2, 5))
CASES = [*AXES]


def axis(mode, case):
    """Return a geometry of one dimension and an input size that it takes; None if there is none."""
    n, kernel, stride, before, after, dilation = case
    transposed = mode == "transposed"
    try:
        geometry = ConvGeometry(
            1, 1, (kernel,), stride, ((before, after),), dilation,
            padding_mode="zeros" if transposed else mode, transposed=transposed,
        )  # fmt: skip
        geometry.output_size(n)
    except GeometryError:
        return None
    return geometry, n


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular", "transposed"])
def test_pairs_are_those_of_the_definition(mode):
    tried = [found for case in CASES if (found := axis(mode, case))]
    assert len(tried) > 300
    for geometry, n in tried:
        outputs, taps = range(geometry.output_length(0, n)), range(geometry.kernel[0])
        read = [(o, geometry.source(0, n, o, t)) for o in outputs for t in taps]
        read = [pair for pair in read if pair[1] is not None]
        assert geometry.reading_pairs(0, n) == len(read), (geometry, n)
        assert stored_entries(geometry, (n,)) == len(set(read)), (geometry, n)


@pytest.mark.parametrize("n", [10**9, 10**15, 2**63, 10**30])
def test_any_size_is_counted_at_once(n):
    same = ConvGeometry(2, 3, (5,), padding=2)
    assert same.connections(n) == 6 * (5 * n - 6)
    for mode in ("reflect", "replicate", "circular"):
        folded = ConvGeometry(2, 3, (5,), padding=2, padding_mode=mode)
        assert folded.connections(n) == 30 * n
        merged = {"reflect": 0, "replicate": 6, "circular": 0}[mode]
        assert stored_entries(folded, (n,)) <= 6 * (5 * n - merged)
    turned = ConvGeometry(2, 3, (5,), stride=3, transposed=True)
    assert turned.connections(n) == 30 * n
