"""Classifiers of torchvision and timm: converted, or refused for an operation that they contain.

What stands against a conversion is mathematics: an operation that has no equal form for larger
images. How a model's Python is written, and whether convlin can follow it, is no such reason.
"""

import pytest
import timm
import torch
from dense_oracle import EQUAL, photograph, worst
from torch import nn
from torchvision import models

from convlin import Refused, fully_convolutional


def of(library, names):
    return [f"{library}.{name}" for name in names.split()]


CONVERTED = of("torchvision", """
    alexnet vgg11 vgg16 vgg16_bn resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121
    googlenet inception_v3 squeezenet1_0 squeezenet1_1 mobilenet_v2 mobilenet_v3_small
    mobilenet_v3_large shufflenet_v2_x1_0 mnasnet1_0 efficientnet_b0 efficientnet_v2_s
    regnet_x_400mf regnet_y_400mf convnext_tiny
""") + of("timm", """
    vgg11 tf_efficientnet_b0 tf_efficientnet_lite0 resnest14d skresnet18 resnet26d nf_resnet26
    nfnet_l0 resnetv2_50x1_bit rexnet_100 ghostnet_100 mobilenetv4_conv_small mixnet_s dla34 dpn68
    res2net50_26w_4s xception41 inception_v4 convnext_atto convnextv2_atto mobileone_s0 cspresnet50
    ese_vovnet19b_dw poolformer_s12
""")  # fmt: skip

# Every refusal says one of its words: of attention, or of what leads to it, which is the cells of a
# map in one line with a token among them, or patches of a map that stand as images in the batch.
ATTENTION = "every cell looks at all others"
TOKENS = (ATTENTION, "position embedding", "side by side")
PATCHES = (ATTENTION, "one row an image")
REFUSED = {
    "torchvision.vit_b_16": TOKENS,
    "torchvision.swin_t": PATCHES,
    "timm.deit_tiny_patch16_224": TOKENS,
    "timm.coatnet_nano_rw_224": (ATTENTION,),
    "timm.mobilevit_xxs": PATCHES,
    "timm.efficientvit_b0": (ATTENTION, "a map of (384, 14, 14) was flattened across its axes"),
    "timm.mixer_s16_224": ("the channels of a cell, or all of the map once",),
    "timm.hrnet_w18_small": ("upsampling",),
}

# By day: layers that ask sizes, sums, stacks, norms over space, squeeze-excite, and both refusals.
DAILY = {
    "torchvision.mobilenet_v3_small", "timm.vgg11", "timm.tf_efficientnet_b0", "timm.resnest14d",
    "timm.skresnet18", "timm.convnextv2_atto", "timm.mobilevit_xxs", "timm.hrnet_w18_small",
}  # fmt: skip

# How far apart the scores of two photographs must be for a fault to be seen among them: one that
# changes a hundredth of that.
VARYING = 100 * EQUAL


def pytest_generate_tests(metafunc):
    every = metafunc.config.getoption("seeds") > 2
    for argument, zoo in (("converted", CONVERTED), ("refused", REFUSED)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, [name for name in zoo if every or name in DAILY])


def classifier(name):
    """Return the classifier with random weights, and its window."""
    torch.manual_seed(1)
    library, _, name = name.partition(".")
    if library == "timm":
        model = timm.create_model(name, pretrained=False)
        return model, model.pretrained_cfg["input_size"]
    slow = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    side = 299 if name == "inception_v3" else 224
    return models.get_model(name, weights=None, **slow), (3, side, side)


def alive(model, window):
    """Return the model with every layer audible, in eval mode.

    Fresh networks hide mistakes: residual branches begin at zero, scales and shifts are alike in
    every channel, and batch norms do not fit what they get, so that images hardly matter.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter.uniform_(-1, 1)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = 1
        model.train()(torch.randn(2, *window))
    return model.eval()


def converting(model, window):
    return fully_convolutional(model, window, allow_inexact=True, proofs=False, check=False)


def test_a_zoo_of_55():
    assert len({*CONVERTED, *REFUSED}) == 55
    assert {*CONVERTED, *REFUSED} > DAILY


def test_converts_and_is_the_model_at_its_window(converted):
    model, window = classifier(converted)
    model = alive(model, window).double()
    network = converting(model, window)
    images = [photograph(3, window[1:], seed=seed) for seed in range(2)]
    with torch.inference_mode():
        one, other = map(model, images)
    assert (one - other).abs().max() > VARYING * one.abs().max()
    assert worst(model, network, images[0]) < EQUAL


def test_is_refused_for_operations_without_an_equal_form(refused):
    model, window = classifier(refused)
    with pytest.raises(Refused) as caught:
        converting(model.eval(), window)
    for refusal in caught.value.refusals:
        assert any(reason in str(refusal) for reason in REFUSED[refused]), refusal
