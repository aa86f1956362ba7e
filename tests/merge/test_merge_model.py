"""`merge_model`: whole models, trained and not, and everything that keeps a layer as it is."""

import copy

import pytest
import torch
import torchvision.models as zoo
from torch import nn
from torch.nn import functional

from convlin import Refused, merge_model
from convlin.models.merging.seen_merged import apart, require_equal
from convlin.proof import Proved
from trained_net import efficientnet_lite0


def as_trained(model):
    """Give normalisations statistics and weights as after training."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
    return model.eval()


def rows(result):
    return {row.site: row for row in result.report.rows}


def seen_equal(model, result, *shape):
    x = torch.randn(2, *shape)
    with torch.no_grad():
        own, merged = model(x), result.model(x)
    return bool((own - merged).abs().max() <= 1e-4 * own.abs().max())


ZOO = {
    "resnet18": (zoo.resnet18, {}, 20),
    "mobilenet_v2": (zoo.mobilenet_v2, {"width_mult": 0.25}, 52),
}


@pytest.mark.parametrize("make, options, norms", ZOO.values(), ids=ZOO)
def test_every_normalisation_of_a_network_is_merged(make, options, norms):
    model = as_trained(make(weights=None, **options))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    told = []
    result = merge_model(model, (3, 33, 41), progress=lambda *done: told.append(done))
    assert result.report.merged == norms
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in result.model.modules())
    assert seen_equal(model, result, 3, 33, 41)
    assert result.verdict.rounding.within
    assert result.verdict.rounding.bound is not None
    assert told[-1][1:] == (len(told), len(told))
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()) == norms
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert f"{norms} of " in str(result)


def photographs():
    """A cat and a cup of coffee, as EfficientNet-Lite takes them."""
    from skimage.data import chelsea, coffee

    made = []
    for picture in (chelsea(), coffee()):
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()
        side = min(pixels.shape[2:])
        top, left = ((n - side) // 2 for n in pixels.shape[2:])
        square = pixels[..., top : top + side, left : left + side]
        made.append(functional.interpolate(square, size=(224, 224), mode="area"))
    return (torch.cat(made) - 127) / 128


def test_a_trained_network_names_the_same_five_classes_without_its_49_normalisations():
    model = efficientnet_lite0()
    norms = [name for name, layer in model.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    result = merge_model(model, (3, 224, 224))
    merged = rows(result)
    assert len(norms) == 49
    assert all(merged[name].merged for name in norms)
    # Its convolutions pad by code of their own: each kind was proved to merge.
    assert all(isinstance(merged[name].identity, Proved) for name in norms)
    assert result.verdict.rounding.within
    assert result.verdict.rounding.deviation < 1e-4 < result.verdict.rounding.bound
    x = photographs()
    with torch.no_grad():
        own, theirs = model(x), result.model(x)
    assert own.argmax(1).tolist() == [285, 967]  # Egyptian cat, espresso
    assert torch.equal(own.topk(5).indices, theirs.topk(5).indices)
    assert (own - theirs).abs().max() < 1e-5 * own.abs().max()


class Net(nn.Module):
    """Two convolutions, a normalisation, and how they are used."""

    def __init__(self, use, **options):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, **options)
        self.norm = nn.BatchNorm2d(4)
        self.two = nn.Conv2d(4, 4, 3, padding=1)
        self.use = use

    def forward(self, x):
        return self.use(self, x)


def twice(net, x):
    return net.norm(functional.relu(net.two(functional.relu(net.norm(net.one(x))))))


def read_twice(net, x):
    y = net.one(x)
    return net.norm(y) + y


def reads_weight(net, x):
    return net.norm(net.one(x)) * net.one.weight.sum()


def reads_statistics(net, x):
    return net.norm(net.one(x)) + net.norm.running_mean.sum()


def after_pool(net, x):
    return net.norm(functional.max_pool2d(net.one(x), 2))


def first(net, x):
    return net.one(x)


def first_normalised(net, x):
    return net.norm(net.one(x))


NOT_MERGED = {
    "called-twice": (twice, "norm", "layer is called 2 times"),
    "read-twice": (read_twice, "norm", "output is read 2 times"),
    "weight-read": (reads_weight, "norm", "weight is read by other code"),
    "statistics-read": (reads_statistics, "norm", "running_mean is read by other code"),
    "pool-between": (after_pool, "norm", "input is of aten.max_pool2d"),
}


@pytest.mark.parametrize("use, site, why", NOT_MERGED.values(), ids=NOT_MERGED)
def test_what_has_something_between_or_another_use_stays(use, site, why):
    model = as_trained(Net(use))
    result = merge_model(model, (3, 9, 10))
    row = rows(result)[site]
    assert not row.merged
    assert why in row.why
    assert isinstance(result.model.norm, nn.BatchNorm2d)
    assert torch.equal(*(side(torch.ones(1, 3, 9, 10)) for side in (model, result.model)))
    assert row.why in " ".join(str(result).split())


def norm_then_padded(net, x):
    return net.two(net.norm(functional.relu(net.one(x))))


def test_a_shift_before_zero_padding_is_refused_with_the_element():
    row = rows(merge_model(as_trained(Net(norm_then_padded)), (3, 9, 10)))["two"]
    assert not row.merged
    assert "two: padding is ((1, 1), (1, 1)), expected 0" in row.why
    assert "with whole numbers as weights, output (0, 0, 0) has bias" in row.why


def test_a_normalisation_before_a_kernel_is_merged_into_the_kernel():
    model = as_trained(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)))
    result = merge_model(model, (3, 9, 10))
    assert [type(layer) for layer in result.model] == [nn.ReLU, nn.Identity, nn.Conv2d]
    assert seen_equal(model, result, 3, 9, 10)
    [row] = result.report.rows
    assert (row.site, row.layer, row.neighbour, row.merged) == ("1", "BatchNorm2d", "2", True)


def hooked(model):
    model.norm.register_forward_hook(lambda *_: None)


def tied(model):
    model.other = nn.Conv2d(3, 4, 3)
    model.other.weight = model.one.weight


def named_twice(model):
    model.again = model.one


def parametrized(model):
    nn.utils.parametrizations.weight_norm(model.one)


@pytest.mark.parametrize(
    "change, why",
    [
        (hooked, "norm: _forward_hooks is"),
        (tied, "one: weight is that of other too"),
        (named_twice, "one: layer is shared"),
        (parametrized, "one: parametrizations is weight"),
    ],
)
def test_what_is_not_this_layers_alone_or_not_its_class_stays(change, why):
    model = as_trained(Net(first_normalised))
    change(model)
    model.eval()
    row = rows(merge_model(model, (3, 9, 10)))["norm"]
    assert why in row.why


def test_training_mode_is_refused_by_name():
    with pytest.raises(Refused, match=r"training is True in .*expected model.eval\(\)"):
        merge_model(as_trained(Net(first)).train(), (3, 9, 10))


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


class PadsItself(nn.Conv2d):
    def forward(self, x):
        return super().forward(functional.pad(x, (0, 1, 0, 1)))


def test_a_subclass_is_asked_by_a_proof_whether_it_scales():
    def net(cls):
        return as_trained(nn.Sequential(cls(3, 4, 2), nn.BatchNorm2d(4)))

    result = merge_model(net(PadsItself), (3, 9, 10))
    assert isinstance(result.model[0], PadsItself)
    assert isinstance(result.model[1], nn.Identity)
    assert isinstance(rows(result)["1"].identity, Proved)
    row = rows(merge_model(net(Standardised), (3, 9, 10)))["1"]
    assert not row.merged
    assert "Standardised.forward, expected one that scales as its weight and bias do" in row.why


def test_more_multiply_adds_only_where_asked_for():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)
    )
    as_trained(model)
    result = merge_model(model, (4, 9, 10))
    assert [row.merged for row in result.report.rows] == [False, True]
    [odd] = rows(result)["1"].refusals
    assert odd.field == "multiply-adds"
    whole = merge_model(model, (4, 9, 10), everything=True)
    assert [row.merged for row in whole.report.rows] == [True, True]
    assert isinstance(whole.model[0], nn.Conv2d)
    assert seen_equal(model, whole, 4, 9, 10)
    row = rows(whole)["1"]
    assert row.after > row.before > 0
    assert row.as_dict()["merged"]


@pytest.mark.parametrize("shape, merged", [((6,), True), ((6, 6), False)], ids=str)
def test_behind_a_linear_it_is_the_features_that_are_normalised(shape, merged):
    model = as_trained(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)))
    result = merge_model(model, shape)
    assert rows(result)["1"].merged == merged
    assert seen_equal(model, result, *shape)


def test_two_normalisations_of_rows_are_no_layer_and_of_maps_one():
    model = as_trained(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4), nn.BatchNorm1d(4)))
    assert not rows(merge_model(model, (4,)))["2"].merged
    result = merge_model(model, (4, 5))
    assert rows(result)["2"].merged
    assert seen_equal(model, result, 4, 5)


class Masked(nn.Conv2d):
    def forward(self, x, mask):
        return super().forward(x * mask)


def masked(net, x):
    return net.norm(net.one(x, x[:, :1]))


def test_a_layer_of_two_inputs_stays():
    model = Net(masked)
    model.one = Masked(3, 4, 3)
    assert not rows(merge_model(as_trained(model), (3, 9, 10)))["norm"].merged


def test_dropout_between_is_nothing():
    model = as_trained(nn.Sequential(nn.Conv1d(3, 4, 2), nn.Dropout(), nn.BatchNorm1d(4)))
    assert merge_model(model, (3, 8)).report.merged == 1


class AsksItsNorm(Net):
    def forward(self, x):
        return self.norm(self.one(x)) + self.norm.eps


def test_a_merged_model_that_does_not_run_is_not_returned():
    with pytest.raises(Refused, match="Identity' object has no attribute 'eps'"):
        merge_model(as_trained(AsksItsNorm(first)), (3, 9, 10))


def test_a_merge_that_is_wrong_is_seen_and_not_returned():
    model = as_trained(Net(first))

    def wrong(given):
        other = copy.deepcopy(given)
        nn.init.normal_(other.one.bias, std=1e-6)
        other.one.bias.data += given.one.bias
        return other

    x = torch.randn(1, 3, 9, 10)
    require_equal(model, copy.deepcopy, x)
    with pytest.raises(Refused, match="of the largest output, in float64"):
        require_equal(model, wrong, x)


def narrow_inside(net, x):
    return net.norm(net.one(x)).float().exp().to(x.dtype)


@pytest.mark.parametrize("use", [first_normalised, narrow_inside])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_dtypes_and_those_that_change_theirs(use, dtype):
    model = as_trained(Net(use)).to(dtype)
    result = merge_model(model, (3, 9, 10))
    assert rows(result)["norm"].merged
    assert result.model.one.weight.dtype == dtype
    x = torch.randn(2, 3, 9, 10, dtype=dtype)
    own = model(x)
    assert (own - result.model(x)).abs().max() <= 8 * torch.finfo(dtype).eps * own.abs().max()


def test_without_a_bound_it_is_said_through_what():
    model = nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1))
    rounding = apart(model, copy.deepcopy(model), torch.randn(2, 3), (), "alike").rounding
    assert rounding.bound is None
    assert "aten._softmax" in rounding.note
    assert rounding.deviation == 0


def test_what_reads_a_merged_layer_is_told_from_what_never_ran():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x):
            return self.norm(self.conv(x)) / self.norm.num_features

    with pytest.raises(Refused, match="forward is once merged, AttributeError: 'Identity'"):
        merge_model(Reads().eval(), (3, 8, 9))


def test_a_model_without_numbers_is_refused_by_name():
    with pytest.raises(Refused, match="0.weight: device is meta"):
        merge_model(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().to("meta"), (3, 8, 9)
        )


def test_a_normalisation_of_another_class_is_listed():
    result = merge_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4)).eval(), (3, 8, 9))
    [row] = result.report.rows
    assert not row.merged
    assert "type is SyncBatchNorm" in row.why


def test_a_pool_of_parts_that_set_strides_is_run_whole():
    class Last(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Last(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    assert merge_model(net.eval(), (3, 8, 9)).report.merged == 1


def test_a_worst_case_beyond_the_outputs_stands_beside_what_rounding_does():
    deep = nn.Sequential(*(layer for _ in range(30) for layer in (
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    ))).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in deep.parameters():
            parameter *= 2 if parameter.ndim == 4 else 1
    verdict = merge_model(deep, (8, 9, 10)).verdict
    assert verdict.rounding.bound > verdict.rounding.scale
    assert "a worst case, which says nothing here" in str(verdict)
    moved = float(str(verdict).partition("anew moves it by ")[2])
    assert 1e-9 * verdict.rounding.scale < moved < 1e-4 * verdict.rounding.scale
