"""A layer whose attributes were changed is taken for what it does, or refused by name.

Cross product: every class of layers × attribute × value. What is accepted must equal the layer
itself; what PyTorch's code does not read, and so lies, must be refused.
"""

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

import convlin
from convlin import ConvlinError, Refused, to_conv, to_linear, unroll
from convlin.layers.behaviour import misdescribed
from convlin.layers.stock_layer import CONVOLUTIONS, require_stock_layer
from geometry_strategies import fill, integers

MODES = ("zeros", "reflect", "replicate", "circular")


def layers():
    for (ndim, transposed), cls in CONVOLUTIONS.items():
        for groups in (1, 2):
            for mode in MODES[: 1 if transposed else 4]:
                name = f"{cls.__name__}-g{groups}-{mode}"
                yield name, lambda cls=cls, groups=groups, mode=mode, ndim=ndim: fill(
                    cls(4, 6, (3, 2, 2)[:ndim], stride=2, padding=1, dilation=(1, 2, 1)[:ndim],
                        groups=groups, padding_mode=mode)
                )  # fmt: skip


CHANGES = {
    "in_channels": [2, 3, 8, 0, None],
    "out_channels": [3, 12, 0],
    "kernel_size": [3, (5,), (3, 3), (2, 2, 2), (1, 1, 1)],
    "stride": [1, 2, 3, 0, (1,), (3, 1), (1, 2, 3), "x"],
    "padding": [0, 1, 2, "same", "valid", (0,), (0, 0), (1, 0), (0, 1, 2), None],
    "dilation": [1, 2, (2,), (1, 1), (2, 1, 1), 0],
    "groups": [1, 2, 3, 4, 0],
    "padding_mode": [*MODES, "mirror"],
    "output_padding": [0, 1, (1,), (0, 1), (1, 0, 1)],
    "transposed": [True, False],
    "_reversed_padding_repeated_twice": [[0] * 6, [1, 2] * 3],
}


CALLED = {"kernel_size": "kernel", "_reversed_padding_repeated_twice": "padding"}


def form_of(layer, size):
    """Return the layer as a fully connected one."""
    name = "dense_at_size" if layer.transposed else "windows"
    return to_linear(layer, size if layer.transposed else None, exchange=name)


@pytest.mark.parametrize("attribute", CHANGES)
@pytest.mark.parametrize("make", [make for _, make in layers()], ids=[name for name, _ in layers()])
def test_a_changed_attribute_is_what_the_layer_does_or_refused(make, attribute):
    for value in CHANGES[attribute]:
        layer = make()
        size = (7, 6, 5)[: len(layer.kernel_size)]
        x = integers(2, 4, *size).float()
        setattr(layer, attribute, value)
        try:
            form, matrix = form_of(layer, size), unroll(layer, size)
        except ConvlinError as refused:
            assert str(refused).startswith((type(layer).__name__, "geometry")), refused
            assert CALLED.get(attribute, attribute) in str(refused), refused
            continue
        expected = layer(x)
        assert torch.equal(form(x), expected), (attribute, value)
        bias = layer.bias.repeat_interleave(expected[0, 0].numel())
        for image, y in zip(x, expected, strict=True):
            assert torch.equal(matrix @ image.flatten() + bias, y.flatten()), (attribute, value)


@pytest.mark.parametrize("make", [make for _, make in layers()], ids=[name for name, _ in layers()])
def test_an_unchanged_layer_is_taken(make):
    layer = make()
    require_stock_layer(layer, type(layer))
    require_stock_layer(layer.to("meta"), type(layer))


LIES = {
    "padding": (
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        {"padding": (0, 0)},
        r"Conv2d: padding is \(0, 0\), expected \(\(1, 1\), \(1, 1\)\)",
    ),
    "in_channels": (
        lambda: nn.Conv1d(4, 6, 3, groups=2), {"in_channels": 2},
        r"Conv1d: in_channels is 2, expected 4 \(weight.shape = \(6, 2, 3\) and groups = 2\)",
    ),
    "kernel_size": (
        lambda: nn.ConvTranspose2d(4, 6, 3), {"kernel_size": (2, 3)},
        r"ConvTranspose2d: kernel_size is \(2, 3\), expected \(3, 3\)",
    ),
    "transposed": (
        lambda: nn.Conv2d(4, 4, 3), {"transposed": True}, "Conv2d: transposed is True, expected False"
    ),
    "in_features": (
        lambda: nn.Linear(6, 4), {"in_features": 5}, r"Linear: in_features is 5, expected 6"
    ),
    "out_features": (
        lambda: nn.Linear(6, 4), {"out_features": 5}, r"Linear: out_features is 5, expected 4"
    ),
}  # fmt: skip


def entries_to(layer):
    """Return every function of one layer that takes this one, by name."""
    if isinstance(layer, nn.Linear):
        return {
            "to_conv": lambda: to_conv(layer),
            "recognize": lambda: convlin.recognize(layer, (1, 6)),
            "nearest_conv": lambda: convlin.nearest_conv(
                layer, convlin.ConvGeometry(1, 1, (3,)), 6
            ),
            "same_outputs": lambda: convlin.same_outputs(layer, torch.ones(1, layer.in_features)),
        }
    size = (5,) * len(layer.kernel_size)
    channels = layer.in_channels
    found = {
        "to_linear": lambda: to_linear(layer, size, exchange="dense_at_size"),
        "unroll": lambda: unroll(layer, size),
        "singular_values": lambda: convlin.singular_values(layer, size),
        "nearest_conv": lambda: convlin.nearest_conv(torch.ones(2, 2), layer, size),
        "same_outputs": lambda: convlin.same_outputs(layer, torch.ones(1, channels, *size)),
    }
    if not isinstance(layer, nn.modules.conv._ConvTransposeNd):
        found["to_local"] = lambda: convlin.to_local(layer, size)
    return found


@pytest.mark.parametrize("lie", LIES)
def test_every_function_of_a_layer_refuses_the_lie_by_name(lie):
    make, attributes, words = LIES[lie]
    for name in entries_to(make()):
        layer = make()
        for attribute, value in attributes.items():
            setattr(layer, attribute, value)
        with pytest.raises(Refused, match=words):
            entries_to(layer)[name]()


@pytest.mark.parametrize("cls", [nn.Linear, *CONVOLUTIONS.values()])
def test_a_pruned_weight_is_refused_by_the_attributes_it_denies(cls):
    layer = cls(4, 6) if cls is nn.Linear else cls(4, 6, 2)
    layer.weight = nn.Parameter(layer.weight[1:].detach())
    with pytest.raises(Refused, match=r"weight\.shape = "):
        require_stock_layer(layer, cls)
    layer.weight = nn.Parameter(torch.ones(()))
    with pytest.raises(Refused, match=r"weight.shape is \(\), expected "):
        require_stock_layer(layer, cls)
    layer = cls(4, 6) if cls is nn.Linear else cls(4, 6, 2)
    layer.bias = nn.Parameter(torch.ones(1))
    with pytest.raises(Refused, match=rf"{cls.__name__}: bias.shape is \(1,\), expected \(6,\)"):
        require_stock_layer(layer, cls)


@pytest.mark.parametrize("cls", [nn.Linear, *CONVOLUTIONS.values()])
def test_a_replaced_forward_of_the_class_is_found_by_what_it_does(cls, monkeypatch):
    own = cls.forward
    layer = cls(4, 6) if cls is nn.Linear else cls(4, 6, 2)
    monkeypatch.setattr(cls, "forward", lambda self, x: own(self, x))
    require_stock_layer(layer, cls)  # it does the same
    monkeypatch.setattr(cls, "forward", lambda self, x: 2 * own(self, x))
    with pytest.raises(Refused, match=f"{cls.__name__}: forward is other outputs, of shape"):
        require_stock_layer(layer, cls)
    monkeypatch.setattr(cls, "forward", lambda self, x: 1 / 0)
    with pytest.raises(
        Refused, match="forward is ZeroDivisionError: division by zero, expected what"
    ):
        require_stock_layer(layer, cls)


REGISTERS = {
    "_global_forward_hooks": torch_module.register_module_forward_hook,
    "_global_forward_pre_hooks": torch_module.register_module_forward_pre_hook,
    "_global_backward_hooks": torch_module.register_module_full_backward_hook,
    "_global_backward_pre_hooks": torch_module.register_module_full_backward_pre_hook,
}


@pytest.mark.parametrize("name", REGISTERS)
def test_a_hook_on_all_modules_is_refused_by_name(name):
    layer = nn.Conv2d(2, 3, 1)
    handle = REGISTERS[name](lambda *_: None)
    try:
        with pytest.raises(Refused, match=f"Conv2d: {name} is .*lambda.*, expected none"):
            to_linear(layer)
    finally:
        handle.remove()
    assert to_linear(layer).linear.in_features == 2


def test_an_instance_norm_asks_its_flag_and_not_its_statistics():
    norm = nn.InstanceNorm2d(3, track_running_stats=True)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), norm, nn.Flatten(), nn.Linear(3 * 20, 2)).eval()
    assert convlin.fully_convolutional(model, (2, 4, 5), proofs=False).report.exact
    norm.track_running_stats = False
    with pytest.raises(Refused, match="1: statistics is over space"):
        convlin.fully_convolutional(model, (2, 4, 5), proofs=False)


def test_a_network_is_not_made_of_a_layer_that_lies():
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    conv.padding = (0, 0)
    model = nn.Sequential(conv, nn.Flatten(), nn.Linear(3 * 20, 2)).eval()
    with pytest.raises(Refused, match=r"0: padding is \(0, 0\), expected "):
        convlin.fully_convolutional(model, (2, 4, 5), allow_inexact=True)


@pytest.mark.parametrize("ndim", (1, 2, 3))
def test_a_locally_connected_layer_of_other_sizes_is_refused(ndim):
    layer = getattr(convlin, f"LocallyConnected{ndim}d")(2, 3, 2, input_size=(5, 4, 3)[:ndim])
    layer.input_size = (6, 4, 3)[:ndim]
    with pytest.raises(Refused, match=r"weight.shape is "):
        convlin.same_outputs(layer, torch.ones(1, 2, *layer.input_size))
    with pytest.raises(Refused, match=r"weight.shape is "):
        convlin.recognize(layer, (2, *layer.input_size))


def test_asking_changes_nothing():
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")
    before = {name: id(value) for name, value in vars(layer).items()}
    state, draws = torch.random.get_rng_state(), layer.weight.clone()
    require_stock_layer(layer, nn.Conv2d)
    assert before == {name: id(value) for name, value in vars(layer).items()}
    assert torch.equal(state, torch.random.get_rng_state()) and torch.equal(draws, layer.weight)


def test_it_is_asked_with_attributes_alone_where_nothing_small_would_tell():
    layer = nn.Conv2d(2, 3, 3, dilation=10**5)
    require_stock_layer(layer, nn.Conv2d)
    layer.in_channels = 3
    with pytest.raises(Refused, match="in_channels is 3, expected 2"):
        require_stock_layer(layer, nn.Conv2d)


class Recorded(nn.Conv1d):
    """A convolution whose class notes what it was run on."""

    seen = None

    def _conv_forward(self, x, weight, bias):
        type(self).seen = (tuple(x.shape), tuple(weight.shape))
        return nn.Conv1d._conv_forward(self, x, weight, bias)


def stand_in(*sizes, **fields):
    """Return the shapes of image and weight that stand in for a layer; None where none does."""
    layer = Recorded(*sizes, **fields, device="meta")
    Recorded.seen = None
    assert list(misdescribed(layer, Recorded, layer.weight, layer.bias)) == []
    return Recorded.seen


def test_a_stand_in_has_two_groups_of_two_channels_and_three_outputs():
    """What tells groups and channels apart, and no more."""
    assert stand_in(1, 1, 2) == ((1, 2, 3), (3, 2, 2))
    assert stand_in(12, 18, 2, groups=6) == ((1, 4, 3), (6, 2, 2))
    assert stand_in(12, 18, 2) == ((1, 2, 3), (3, 2, 2))


def test_a_stand_in_has_at_most_2_22_numbers():
    """Three outputs of d + 2 pixels each, as two taps at distance d read."""
    most = 2**22 // 3 - 2
    assert stand_in(1, 1, 2, dilation=most) == ((1, 2, most + 2), (3, 2, 2))
    assert stand_in(1, 1, 2, dilation=most + 1) is None
