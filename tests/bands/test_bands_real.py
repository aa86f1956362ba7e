"""Real networks in bands: equal to one pass, every row of every layer once, whatever the cuts."""

import pytest
import torch
import torchvision
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import nn

from convlin import fully_convolutional
from convlin.internals.trees import tree_leaves
from convlin.models.bands import BandedNetwork
from trained_net import efficientnet_lite0

NETS = {
    "pnet": (PNet, (3, 12, 12), (47, 39)),
    "rnet": (RNet, (3, 24, 24), (61, 53)),
    "onet": (ONet, (3, 48, 48), (97, 71)),
    "resnet18": (torchvision.models.resnet18, (3, 64, 64), (131, 97)),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, (3, 64, 64), (131, 97)),
    "densenet121": (torchvision.models.densenet121, (3, 64, 64), (97, 67)),
    "convnext_tiny": (torchvision.models.convnext_tiny, (3, 64, 64), (97, 67)),
    "vgg11": (torchvision.models.vgg11, (3, 32, 32), (51, 37)),
    "efficientnet_lite0": (efficientnet_lite0, (3, 64, 64), (131, 97)),
}


def banded(name, dtype=torch.float64):
    build, window, size = NETS[name]
    torch.manual_seed(2)
    model = build().eval().to(dtype)
    network = fully_convolutional(model, window, allow_inexact=True, proofs=False, check=False)
    return network, BandedNetwork(network), size


def run_in(network, image, heights):
    run = network.start(image.shape[2:])
    parts = zip(*(run.push(band) for band in image.split(heights, dim=2)), strict=True)
    return [torch.cat(part, dim=2) for part in parts]


def layers_rows(network, run):
    """Return what all convolutions gave while `run` ran, joined along rows."""
    given, hooks = {}, []
    for name, layer in network.network.named_modules():
        if isinstance(layer, nn.Conv2d):

            def note(layer, args, result, name=name):
                given.setdefault(name, []).append(result.detach().clone())

            hooks.append(layer.register_forward_hook(note))
    run()
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts, dim=2) for name, parts in given.items()}


@pytest.mark.parametrize("name", NETS)
def test_bands_equal_one_pass(name):
    network, bands, size = banded(name)
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        wanted = tree_leaves(network(image))
    assert bands.channels == tuple(w.shape[1:-2] for w in wanted)
    assert bands.names == (("scores",) if len(wanted) == 1 else tuple(map(str, range(len(wanted)))))
    for heights in ([29, 1, 6, size[0] - 36], [size[0]])[: 1 if name == "vgg11" else 2]:
        for made, one in zip(run_in(bands, image, heights), wanted, strict=True):
            assert made.shape == one.shape
            assert (made - one).abs().max() < 1e-12 * one.abs().max()


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "onet"])
def test_every_row_of_every_layer_is_computed_once(name):
    network, bands, size = banded(name)
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        wanted = layers_rows(network, lambda: network(image))
    heights = [16, 16, *[5] * ((size[0] - 33) // 5)]
    heights.append(size[0] - sum(heights))
    made = layers_rows(network, lambda: run_in(bands, image, heights))
    assert len(made) == len(wanted) > 3
    for layer, rows in made.items():
        assert rows.shape == wanted[layer].shape, layer
        assert torch.allclose(rows, wanted[layer], rtol=1e-9, atol=1e-9), layer


def test_rows_of_a_band_are_the_same_bytes_whatever_bands_there_were_before():
    _, bands, _ = banded("mobilenet_v2", torch.float32)
    image = torch.rand(1, 3, 1024, 96)
    heights = [64] * 16
    before = [1, 50, 13, 64, 100, 28, 200, 56, 256]  # then as the others
    assert sum(before) == 768
    one = run_in(bands, image, heights)[0]
    run = bands.start((1024, 96))
    for band in image[:, :, :768].split(before, dim=2):
        run.push(band)
    done, rest = run.done, [run.push(band)[0] for band in image[:, :, 768:].split(64, dim=2)]
    assert torch.equal(torch.cat(rest, dim=2), one[:, :, done:])
    # a cold start 12·32 rows lower: what has read no row above it is the same
    start = 384
    cold = run_in(bands, image[:, :, start:], [64] * 10)[0]
    reach = -(-(bands.field.size[0] + bands.field.offset[0]) // 32) + 8  # of what is kept, too
    assert torch.equal(cold[:, :, reach:], one[:, :, start // 32 + reach :])
    assert not torch.equal(cold[:, :, :1], one[:, :, start // 32 : start // 32 + 1])


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "rnet"])
def test_a_cell_reads_its_field_and_nothing_else(name):
    network, bands, _ = banded(name)
    field = bands.field
    side = field.size[0] + 4 * field.stride[0]
    image = torch.rand(1, 3, side, 40 if name == "rnet" else 64, dtype=torch.float64)
    image.requires_grad_()
    scores = tree_leaves(network(image))
    cell = scores[0].shape[2] // 2
    sum(score[:, :, cell].abs().sum() for score in scores).backward()
    rows = image.grad.abs().amax((0, 1, 3)).nonzero().flatten()
    start, stop = field.reads((cell, 0))[0]
    # gradients of what a pool or ReLU passes over are 0
    assert max(0, start) <= rows[0] and rows[-1] < min(side, stop)
    assert rows[-1] - rows[0] > 0.7 * (min(side, stop) - max(0, start))
