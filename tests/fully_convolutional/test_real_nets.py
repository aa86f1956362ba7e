"""Real classifiers: at their own window, and, without padding, on every window of photographs."""

import pytest
import torch
from dense_oracle import EQUAL, photograph, worst
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import nn
from torchvision import models

from convlin import fully_convolutional
from trained_net import efficientnet_lite0


def without_padding(model):
    """Return the model with every padding written to 0: no longer the trained function, but exact."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            module.padding = (0, 0) if isinstance(module, nn.Conv2d) else 0
    return model


def with_floor_pools(model):
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = False
    return model


@pytest.mark.parametrize(
    ("build", "window", "stride", "sizes"),
    [
        (PNet, (3, 12, 12), 2, [(12, 12), (37, 51), (64, 29)]),
        # windows at which the ceil_mode pools leave no remainder
        (RNet, (3, 25, 25), 4, [(25, 25), (39, 51), (64, 29)]),
        # with floor, 50 pixels give ONet the 3×3 map that it flattens
        (lambda: with_floor_pools(ONet()), (3, 54, 54), 8, [(54, 54), (71, 87), (90, 65)]),
    ],
    ids=["PNet", "RNet", "ONet"],
)
def test_mtcnn_equals_its_crops_on_every_window(build, window, stride, sizes):
    model = build().eval().double()
    network = fully_convolutional(model, window)
    assert network.report.exact
    assert network.stride == (stride, stride)
    pools = {row.exchange for row in network.report.rows if row.operation == "MaxPool2d"}
    assert pools == (
        {"kept"} if build not in (PNet, RNet) else {"ceil_mode ⇒ floor, alike at the window"}
    )
    for row in network.report.rows:
        if row.operation == "Linear":
            assert row.verdict.kind == "proved", row
    for seed, size in enumerate(sizes):
        assert worst(model, network, photograph(3, size, seed=seed)) < EQUAL


@pytest.mark.parametrize(
    ("build", "window", "breaking"),
    [(RNet, (3, 24, 24), {"pool1"}), (ONet, (3, 48, 48), {"pool1"})],
    ids=["RNet", "ONet"],
)
def test_mtcnn_at_its_own_window_breaks_at_a_ceil_pool(build, window, breaking):
    model = build().eval().double()
    images = photograph(3, (83, 77))
    network = fully_convolutional(model, window, images, allow_inexact=True)
    assert {row.layer for row in network.report.rows if not row.equal} == breaking
    assert all("ceil_mode" in row.why for row in network.report.rows if not row.equal)
    assert worst(model, network, photograph(3, window[1:])) < EQUAL
    assert network.report.deviation.relative > 1e-3
    heads = network(images)
    assert [head.shape[1] for head in heads] == ([4, 2] if build is RNet else [4, 10, 2])


# name: (options, window, a layer that breaks it and why)
TORCHVISION = {
    "alexnet": ({}, (3, 224, 224), "features.0", "padding"),
    "vgg11": ({}, (3, 224, 224), "features.0", "padding"),
    "resnet18": ({}, (3, 96, 65), "layer4.1.conv2", "padding"),
    "mobilenet_v3_small": ({}, (3, 96, 65), "features.4.block.2.avgpool", "squeeze-excite"),
    "squeezenet1_1": ({}, (3, 96, 65), "features.2", "ceil_mode"),
    "shufflenet_v2_x0_5": ({}, (3, 96, 65), "maxpool", "padding"),
    "convnext_tiny": ({}, (3, 32, 64), "features.1.0.block.0", "padding"),
    "densenet121": ({}, (3, 64, 33), "features.pool0", "padding"),
    "inception_v3": ({"init_weights": False}, (3, 75, 99), "Mixed_5b.branch_pool.conv", ""),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_at_its_window_equals_the_model_and_names_what_breaks(name):
    torch.manual_seed(1)
    options, window, layer, why = TORCHVISION[name]
    model = getattr(models, name)(weights=None, **options).eval().double()
    with torch.no_grad():  # random BatchNorm statistics: the defaults hide a swap of channels
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    network = fully_convolutional(model, window, allow_inexact=True, proofs=False)
    assert not network.report.exact
    row = next(row for row in network.report.rows if row.layer == layer)
    assert row.equal is (why == "")
    assert why in row.why
    assert worst(model, network, photograph(3, window[1:])) < EQUAL


@pytest.mark.parametrize(
    ("side", "exchange", "sizes"),
    [
        (355, "Linear 9216→4096 ⇒ Conv2d 256→4096 k6", (419, 387)),
        (224, "k1, the pool to (6, 6) folded in (copied)", (291, 323)),
    ],
    ids=["355-map-6x6", "224-pool-folded"],
)
def test_alexnet_without_padding_equals_its_crops(side, exchange, sizes):
    torch.manual_seed(1)
    model = without_padding(models.alexnet(weights=None)).eval().double()
    network = fully_convolutional(model, (3, side, side), proofs=False)
    assert network.report.exact
    row = next(row for row in network.report.rows if row.layer == "classifier.1")
    assert row.exchange.endswith(exchange)
    rows, columns = network.cells(sizes)
    corners = [(0, 0), (rows - 1, columns - 1), (rows - 1, 0)]
    assert worst(model, network, photograph(3, sizes), corners) < EQUAL


def test_squeezenet_without_padding_equals_its_crops():
    torch.manual_seed(1)
    model = with_floor_pools(models.squeezenet1_1(weights=None))
    for fire in (module for module in model.modules() if hasattr(module, "expand3x3")):
        # A 3×3 without padding would not fit beside the 1×1 it is concatenated with.
        fire.expand3x3 = nn.Conv2d(fire.squeeze.out_channels, fire.expand3x3.out_channels, 1)
    model = model.eval().double()
    network = fully_convolutional(model, (3, 71, 55), proofs=False)
    assert network.report.exact
    assert worst(model, network, photograph(3, (121, 89))) < EQUAL


def test_efficientnet_lite0_reads_the_photograph_as_trained():
    from skimage.data import chelsea

    model = efficientnet_lite0()
    cat = torch.from_numpy(chelsea().copy()).permute(2, 0, 1)[None].float().sub(127).div(128)
    images = [cat[..., 38:262, 68:324]]  # two windows
    network = fully_convolutional(model, (3, 224, 224), images, allow_inexact=True)
    with torch.inference_mode():
        scores = network(cat)
    assert tuple(scores.shape[2:]) == network.cells((300, 451)) == (3, 8)
    assert 285 in scores.argmax(1)  # Egyptian cat
    breaking = {row.layer: row.why for row in network.report.rows if not row.equal}
    assert "padding" in breaking["_conv_stem.static_padding"]
    assert network.report.deviation.windows == 2
    assert 1e-3 < network.report.deviation.relative < 1
    window = cat[..., 38:262, 100:324].double()
    with torch.inference_mode():
        own, dense = model.double()(window), network.double()(window)[..., 0, 0]
    assert ((own - dense).abs().max() / own.abs().max()).item() < EQUAL
    assert own.argmax().item() == 285
