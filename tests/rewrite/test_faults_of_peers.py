"""Faults of other tools that swap layers of whole models, as cases that must be right here."""

import pytest
import timm
import torch
from torch import nn
from torchvision import models

import convlin
from convlin import ConvlinError
from rewrite.real_models import MODELS, audible, difference, in_double, run

KEYS = pytest.mark.parametrize("keys", ["same", "native"])
ROUNDING = 1e-10


def equal_to_its_rewrite(model, example, to="linear", keys="same"):
    """Rewrite in float64, compare the outputs, and return the result."""
    model, example = model.eval().double(), in_double(example)
    with torch.no_grad():
        expected = run(model, example)
        result = convlin.rewrite(model, to, keys=keys, example=example, proofs=False)
        assert difference(expected, run(result.model, example)) < ROUNDING
    return result


def answers_of(result):
    return {row.site: row.answer for row in result.report.rows}


@KEYS
@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"kernel_size": 2, "stride": 2, "dilation": 2}, "not exchanged"),
        ({"kernel_size": 2, "stride": 2, "padding": 1, "padding_mode": "reflect"}, None),
        ({"kernel_size": 2, "padding": "same"}, "not exchanged"),
        ({"kernel_size": 3, "padding": "same", "dilation": 2}, "not exchanged"),
        ({"kernel_size": 1, "stride": 2}, "exchanged"),
        ({"kernel_size": 1, "groups": 3}, "exchanged"),
        ({"kernel_size": 1, "padding": 1}, "exchanged"),
        ({"kernel_size": 2, "stride": 2}, "exchanged"),
        ({"kernel_size": (1, 2), "stride": (1, 2)}, "exchanged"),
        ({"kernel_size": (2, 1), "stride": (2, 2)}, None),
        ({"kernel_size": (2, 3), "stride": (2, 2)}, "not exchanged"),
    ],
    ids=str,
)  # fmt: skip
def test_every_field_of_a_convolution_counts(fields, answer, keys):
    model = nn.Sequential(nn.Conv2d(3, 6, **fields), nn.ReLU())
    result = equal_to_its_rewrite(model, torch.randn(2, 3, 7, 7), keys=keys)
    assert answer is None or answers_of(result)["0"] == answer


@KEYS
def test_weights_in_channels_last_have_no_view_and_go_all_the_same(keys):
    model = nn.Sequential(nn.Conv2d(3, 5, 2, stride=2)).to(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError):
        model[0].weight.view(5, -1)
    result = equal_to_its_rewrite(model, torch.randn(2, 3, 6, 8), keys=keys)
    assert answers_of(result)["0"] == "exchanged"
    assert result.model[0].weight.data_ptr() == model[0].weight.data_ptr()


STRIDED = {
    "resnet18": lambda: models.resnet18(),
    "regnet": lambda: models.regnet_x_400mf(),
    "resnext": lambda: models.ResNet(
        models.resnet.Bottleneck, [1, 1, 1, 1], groups=4, width_per_group=8
    ),
    "wide": lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], width_per_group=96),
}


@pytest.mark.parametrize("name", STRIDED)
def test_pointwise_downsampling_has_a_stride(name):
    torch.manual_seed(0)
    model, images = STRIDED[name](), torch.randn(2, 3, 64, 64)
    audible(model, images)
    result = equal_to_its_rewrite(model, images)
    strided = {
        name
        for name, m in model.named_modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1) and m.stride == (2, 2)
    }
    assert strided
    assert all(answers_of(result)[name] == "exchanged" for name in strided)


@KEYS
@pytest.mark.parametrize("layer", ["ScaledStdConv2d", "StdConv2d", "ScaledStdConv2dSame"])
def test_weight_standardisation_is_not_what_the_weight_says(layer, keys):
    torch.manual_seed(0)
    made = getattr(timm.layers, layer)(6, 5, kernel_size=1)
    result = equal_to_its_rewrite(nn.Sequential(made), torch.randn(2, 6, 4, 5), keys=keys)
    assert answers_of(result) == {"0": "not exchanged"}
    assert layer in str(result.report)


@KEYS
def test_frozen_shared_and_evaluated_layers_stay_so(keys):
    shared = nn.Conv2d(4, 4, 1).requires_grad_(False)
    model = nn.Sequential(shared, nn.ReLU(), shared).eval()
    result = equal_to_its_rewrite(model, torch.randn(2, 4, 3, 5), keys=keys)
    assert len([*result.model.parameters()]) == 2
    assert not any(p.requires_grad for p in result.model.parameters())
    assert not any(m.training for m in result.model.modules())
    assert result.model[0] is result.model[2]


@KEYS
def test_one_image_without_a_batch_goes_through(keys):
    for fields in ({}, {"groups": 2}, {"stride": 2}):
        equal_to_its_rewrite(
            nn.Sequential(nn.Conv2d(4, 6, 1, **fields)), torch.randn(4, 5, 7), keys=keys
        )


@KEYS
def test_the_root_is_a_layer_too(keys):
    result = equal_to_its_rewrite(nn.Conv2d(3, 5, 1), torch.randn(2, 3, 4, 6), keys=keys)
    assert answers_of(result) == {"": "exchanged"}
    assert type(result.model) is not nn.Conv2d


@KEYS
@pytest.mark.parametrize(
    ("name", "to"), [("torchvision.vit", "conv2d"), ("torchvision.swin", "conv")]
)
def test_linears_whose_weights_their_parents_read(name, to, keys):
    model = MODELS[name].model().requires_grad_(False)
    result = equal_to_its_rewrite(model, MODELS[name].examples()[0], to, keys)
    assert "read, not called" in answers_of(result).values()
    assert "exchanged" in answers_of(result).values()
    assert not any(p.requires_grad for p in result.model.parameters())


@KEYS
def test_the_fast_path_of_attention_reads_weights_too(keys):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(24, 2, 40, batch_first=True).eval().double()
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            result = convlin.rewrite(layer, "conv", keys=keys, example=x, proofs=False)
            assert difference(layer(x), result.model(x)) < ROUNDING
            answers = answers_of(result)
            assert answers["self_attn.out_proj"] == "read, not called"
    # With gradients the feed-forward layers are called; without them the block reads them as well.
    assert answers["linear1"] == answers["linear2"] == "read, not called"


@KEYS
@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (lambda: nn.Linear(6, 5), (2, 9, 6)),
        (lambda: nn.Conv1d(6, 5, 3, padding=2, dilation=2, stride=2), (2, 6, 9)),
    ],
    ids=["Linear", "Conv1d"],
)
def test_the_singleton_of_the_conv2d_form_stands_before_the_long_axis(layer, size, keys):
    model = nn.Sequential(layer())
    result = equal_to_its_rewrite(model, torch.randn(size), "conv2d", keys)
    maps = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if "conv" in getattr(function, "__name__", ""):
                maps.append((kwargs.get("input", args[0] if args else None)).shape)
            return function(*args, **kwargs)

    with Watch():
        result.model(torch.randn(size, dtype=torch.float64))
    assert maps
    for shape in maps:
        assert len(shape) == 4
        assert shape[-2] == 1
        assert shape[-1] == 9


def test_a_pattern_that_matches_nothing_is_no_silent_success():
    with pytest.raises(ConvlinError, match="conv9"):
        convlin.rewrite(nn.Sequential(nn.Conv2d(3, 5, 1)), "linear", only="conv9")
