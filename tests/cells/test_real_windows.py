"""Real classifiers, padded as they are: every window of a photograph, or a seeded sample of them."""

import dataclasses
import itertools
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from dense_oracle import photograph
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torchvision import models

from cells.planted_nets import conv, of
from cells.slide_oracle import CLOSE, crop, grid, multiply_adds_of, off, one_cell, shared, slid
from convlin import sliding_window
from convlin.demo.classifier import digit_classifier
from trained_net import efficientnet_lite0

SAMPLE = 200
VARYING = 1e-4  # what another window changes at least, of the largest score


@dataclasses.dataclass(frozen=True)
class Slide:
    """A model, its window, the stride, the image, and layers that windows share."""

    build: Callable[[], nn.Module]
    window: tuple[int, ...]
    stride: int
    size: tuple[int, ...]
    shares: tuple[str, ...]


def torchvision(name: str, window: tuple[int, ...], **options: Any) -> Callable[[], nn.Module]:
    """Return what builds the net, with every layer audible.

    Fresh nets hide mistakes: scales are alike in every channel, and batch norms do not fit what
    they get, so that deep down images hardly matter.
    """

    def build() -> nn.Module:
        torch.manual_seed(1)
        model = models.get_model(name, weights=None, **options)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
        with torch.no_grad():
            for parameter in model.parameters():
                if (parameter == parameter.flatten()[0]).all():
                    parameter.uniform_(-1, 1)
            for norm in norms:
                norm.momentum = 1
            if norms:
                model.train()(torch.randn(4, *window))
        return model

    return build


def residual(d: int, kernel: int) -> nn.Module:
    """A ResNet of one dimension, as for an electrocardiogram, or of three."""
    torch.manual_seed(1)
    half = kernel // 2

    class Block(nn.Module):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.one = conv(d, out, kernel, into, stride=2, padding=half)
            self.two = conv(d, out, kernel, out, padding=half)
            self.skip = conv(d, out, 1, into, stride=2)

        def forward(self, y):
            return (self.two(self.one(y).relu()) + self.skip(y)).relu()

    return nn.Sequential(
        conv(d, 8, kernel, 2, padding=half), nn.ReLU(), of("MaxPool", d)(3, 2, 1),
        Block(8, 12), Block(12, 16), of("AdaptiveAvgPool", d)(1), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip


def transformer() -> nn.Module:
    """A vision transformer, small."""
    torch.manual_seed(1)
    model = models.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=5)
    nn.init.normal_(model.heads.head.weight)
    return model


def net(
    name: str, window: tuple[int, ...], stride: int, size: tuple[int, ...], *shares: str
) -> Slide:
    """Return a slide of one of torchvision's nets."""
    slow = {"init_weights": False} if name == "googlenet" else {}
    return Slide(torchvision(name, window, **slow), window, stride, size, shares)


SLIDES = {
    # trained
    "pnet-1": Slide(PNet, (3, 12, 12), 1, (29, 25), ("conv1", "conv2")),
    "pnet-2": Slide(PNet, (3, 12, 12), 2, (41, 50), ("conv1", "conv2")),
    "rnet-2": Slide(RNet, (3, 24, 24), 2, (49, 38), ("conv1", "conv2", "conv3")),
    "rnet-5": Slide(RNet, (3, 24, 24), 5, (66, 57), ("conv1", "conv2")),
    "onet-1": Slide(ONet, (3, 48, 48), 1, (58, 55), ("conv1", "conv2", "conv3")),
    "onet-13": Slide(ONet, (3, 48, 48), 13, (90, 103), ("conv1",)),
    "digits-1": Slide(digit_classifier, (1, 32, 32), 1, (43, 40),
                      ("features.0", "features.3", "features.6")),
    "digits-5": Slide(digit_classifier, (1, 32, 32), 5, (60, 71), ("features.0", "features.3")),
    "efficientnet-lite0-32": Slide(efficientnet_lite0, (3, 224, 224), 32, (270, 300),
                                   ("_conv_stem", "_blocks.4._depthwise_conv")),
    "efficientnet-lite0-16": Slide(efficientnet_lite0, (3, 96, 96), 16, (150, 130),
                                   ("_conv_stem", "_blocks.3._depthwise_conv")),
    # architectures
    "resnet18-16": net("resnet18", (3, 96, 96), 16, (150, 135), "conv1", "layer1.1.conv2"),
    "resnet18-13": net("resnet18", (3, 96, 80), 13, (130, 125), "conv1"),
    "alexnet-20": net("alexnet", (3, 128, 128), 20, (170, 190), "features.0"),
    "mobilenet_v2-16": net("mobilenet_v2", (3, 96, 96), 16, (130, 130),
                          "features.0.0", "features.5.conv.1.0"),
    "mobilenet_v3_small-16": net("mobilenet_v3_small", (3, 96, 96), 16, (130, 130),
                                "features.0.0", "features.1.block.0.0"),
    "googlenet-32": net("googlenet", (3, 96, 96), 32, (170, 130),
                       "conv1.conv", "inception3a.branch2.0.conv"),
    "densenet121-32": net("densenet121", (3, 96, 96), 32, (130, 170),
                         "features.conv0", "features.denseblock1.denselayer2.conv2"),
    "volume-4": Slide(lambda: residual(3, 3), (2, 16, 24, 20), 4, (21, 31, 29), ("0", "3.one")),
    "signal-1": Slide(lambda: residual(1, 7), (2, 150), 1, (180,), ("0", "3.two", "4.skip")),
    "signal-13": Slide(lambda: residual(1, 7), (2, 150), 13, (430,), ("0",)),
    # every night
    "vgg11-32": net("vgg11", (3, 224, 224), 32, (384, 352), "features.0", "features.8"),
    "vgg11-8": net("vgg11", (3, 64, 64), 8, (170, 175), "features.0", "features.3"),
    "alexnet-32": net("alexnet", (3, 224, 224), 32, (640, 672), "features.0", "features.3"),
    "alexnet-5": net("alexnet", (3, 224, 224), 5, (300, 300), "features.0"),
    "alexnet-1": net("alexnet", (3, 96, 96), 1, (111, 110), "features.0", "features.3"),
    "resnet18-32": net("resnet18", (3, 224, 224), 32, (640, 672), "conv1", "layer2.1.conv2"),
    "resnet50-20": net("resnet50", (3, 128, 128), 20, (300, 310), "conv1", "layer1.0.conv2"),
    "densenet121-16": net("densenet121", (3, 128, 128), 16, (290, 270), "features.conv0"),
    "mobilenet_v2-32": net("mobilenet_v2", (3, 224, 224), 32, (512, 480), "features.0.0"),
    "mobilenet_v3_small-32": net("mobilenet_v3_small", (3, 224, 224), 32, (512, 480),
                                "features.0.0", "features.1.block.0.0"),
    "googlenet-16": net("googlenet", (3, 128, 128), 16, (300, 290), "conv1.conv", "conv3.conv"),
    "convnext_tiny-32": net("convnext_tiny", (3, 224, 224), 32, (384, 352), "features.0.0"),
    "convnext_tiny-16": net("convnext_tiny", (3, 96, 96), 16, (200, 190), "features.0.0"),
    "efficientnet-lite0-13": Slide(efficientnet_lite0, (3, 224, 224), 13, (300, 451),
                                   ("_conv_stem",)),
    "efficientnet-lite0-1": Slide(efficientnet_lite0, (3, 96, 96), 1, (111, 110), ("_conv_stem",)),
    "r3d_18-8": net("r3d_18", (3, 9, 48, 48), 8, (17, 48, 64), "stem.0"),
    "r3d_18-16": net("r3d_18", (3, 8, 64, 64), 16, (24, 112, 130), "stem.0"),
}  # fmt: skip
NIGHTLY = list(SLIDES)[list(SLIDES).index("vgg11-32") :]


def of_pixels(channels: int, size: tuple[int, ...]) -> Tensor:
    """Return an image in float64: of three dimensions noise, elsewhere a photograph."""
    if len(size) == 3:
        return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(2)).double()
    return photograph(channels, size)


def crops_of(model, images, cells, window, stride):
    """Return each output of the model on some crops, run alone, one behind the other."""
    with torch.no_grad():
        own = [model(crop(images, cell, window, stride)) for cell in cells]
    leaves = zip(*map(pytree.tree_leaves, own), strict=True)
    return [torch.stack(list(map(one_cell, outputs))) for outputs in leaves]


def pytest_generate_tests(metafunc):
    every = metafunc.config.getoption("seeds") > 2
    if "slide" in metafunc.fixturenames:
        names = [name for name in SLIDES if every or name not in NIGHTLY]
        metafunc.parametrize("slide", [SLIDES[name] for name in names], ids=names)


def test_windows_of_a_photograph_are_the_classifier_on_their_crops(slide):
    model = slide.build().double().eval()
    window, stride = slide.window[1:], len(slide.size) * (slide.stride,)
    windows = sliding_window(model, slide.window, stride=stride, check=False)
    plan = windows.plan(slide.size)
    for layer in slide.shares:
        shared(plan, layer)
    assert plan.ratio > 1
    images = of_pixels(slide.window[0], slide.size)
    scores = []
    with torch.no_grad():
        assert multiply_adds_of(lambda: scores.append(windows(images))) == plan.multiply_adds
    cells = list(itertools.product(*map(range, grid(slide.size, window, stride))))
    assert plan.windows == len(cells)
    some = Random(1).sample(cells, min(SAMPLE, len(cells)))
    for output, expected in zip(
        pytree.tree_leaves(scores[0]), crops_of(model, images, some, window, stride), strict=True
    ):
        here = torch.stack([output[(..., *cell)] for cell in some])
        assert off(here, expected) < CLOSE
        assert off(expected[1:], expected[:1].expand_as(expected[1:])) > VARYING


def test_squeeze_excite_ends_the_sharing():
    slide = SLIDES["mobilenet_v3_small-16"]
    windows = sliding_window(slide.build().eval(), slide.window, stride=slide.stride, check=False)
    plan = windows.plan(slide.size)
    assert plan.ends.startswith("features.1.block.1.avgpool")
    behind = [
        row.share
        for row in plan.rows
        if not row.layer.startswith(("features.0", "features.1.block.0"))
    ]
    assert behind and not any(behind)


def test_the_trained_net_finds_the_cat():
    model = efficientnet_lite0()
    windows = sliding_window(model, (3, 224, 224), stride=32)
    with torch.no_grad():
        scores = windows(photograph(3, (300, 451)).float())
    assert windows.seen.difference < CLOSE
    assert 285 in scores.argmax(1)  # Egyptian cat


@torch.no_grad()
def test_a_transformer_shares_its_patches_alone_and_says_why():
    model = transformer().double().eval()
    images = photograph(3, (47, 40))
    windows = sliding_window(model, (3, 32, 32), stride=4)
    plan = windows.plan((47, 40))
    assert [row.layer for row in plan.rows if row.share] == ["conv_proj"]
    assert "reshape" in plan.ends
    assert off(windows(images), slid(model, images, (32, 32), (4, 4))) < CLOSE


@torch.no_grad()
@pytest.mark.parametrize(
    ("build", "channels"), [(transformer, 3), (digit_classifier, 1)], ids=["transformer", "digits"]
)
def test_windows_side_by_side_share_nothing(build, channels):
    model = build().double().eval()
    windows = sliding_window(model, (channels, 32, 32), stride=32)
    plan = windows.plan((64, 99))
    assert plan.ratio == 1.0
    assert not any(row.share for row in plan.rows)
    assert plan.rows[0].layer in plan.ends
    assert "no two windows overlap" in plan.ends
    images = photograph(channels, (64, 99))
    assert off(windows(images), slid(model, images, (32, 32), (32, 32))) < CLOSE
