"""Random networks in random bands give what they give for the whole image."""

import pytest
import torch

from bands.random_banded_nets import bands_of, drawn
from convlin.models.bands import BandedNetwork

EQUAL = 1e-12  # of the largest output, in float64
OFTEN = {1: 20, 2: 16, 3: 8}  # times --seeds


def in_bands(banded, image, heights):
    run = banded.start(image.shape[2:])
    given = [run.push(band) for band in image.split(heights, dim=2)]
    assert run.rows == image.shape[2]
    assert run.done == banded.cells(image.shape[2:])[0]
    assert run.kept_bytes == 0
    return [
        torch.cat(parts, dim=parts[0].ndim - image.ndim + 2) for parts in zip(*given, strict=True)
    ]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_random_nets_in_bands_equal_one_pass(ndim, request):
    for seed in range(OFTEN[ndim] * request.config.getoption("seeds")):
        network, names, rng = drawn(seed, ndim)
        banded = BandedNetwork(network)
        pixels = network.window[1:]
        sizes = [
            pixels,
            tuple(
                n + rng.randint(0, 2 * s + 7) for n, s in zip(pixels, network.stride, strict=True)
            ),
        ]
        for size in sizes:
            image = torch.randn(rng.choice((1, 2)), 3, *size, dtype=torch.float64)
            with torch.no_grad():
                wanted = network(image)
            assert banded.names == tuple(wanted)
            heights = bands_of(rng, size[0])
            for name, made in zip(banded.names, in_bands(banded, image, heights), strict=True):
                off = (made - wanted[name]).abs().max() / wanted[name].abs().max()
                assert made.shape == wanted[name].shape, (seed, names)
                assert off < EQUAL, (seed, names, heights, float(off))


def test_all_kinds_are_drawn():
    names = [name for ndim in (1, 2, 3) for seed in range(24) for name in drawn(seed, ndim)[1]]
    for kind in ("conv reflect", "conv replicate", "conv zeros", "max ceil True", "plain",
                 "strided", "beside", "twice", "cut", "slice", "function", "constant", "rowwise 4",
                 "'count_include_pad': False", "'ceil_mode': True", "divisor_override"):  # fmt: skip
        assert any(kind in name for name in names), kind
