"""PEFT's own adapters, trained on one model and loaded into the other: the same function.

Adapters are drawn at random (a fresh one is zero), saved by PEFT, converted, and read by PEFT.
"""

import copy
import json
import math

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from convlin.errors import InputError, Refused
from convlin.models.mapping.adapters import convert_adapter
from convlin.models.mapping.lora_factors import no_adapter
from convlin.models.mapping.mapping import WeightMapping
from convlin.models.mapping.mapping_entry import Entry

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"


class Block(nn.Module):
    """A layer whose name ends as that of another."""

    def __init__(self, layer):
        super().__init__()
        self.conv = layer

    def forward(self, x):
        return self.conv(x)


class Net(nn.Module):
    """Layers of every kind that PEFT lays out in another way; sizes are pairwise different."""

    def __init__(self, native=False):
        super().__init__()
        wrap = Slides if native else (lambda layer, order: layer)
        self.conv = wrap(nn.Conv2d(2, 7, (3, 2), stride=(1, 2), padding=(1, 0)), (0, 1, 2, 3))
        self.block = Block(wrap(nn.Conv2d(7, 5, (2, 4), stride=(2, 4)), (0, 2, 3, 1)))
        self.row = wrap(nn.Conv1d(5, 11, 2), (0, 1, 2))
        self.gpt = Turned(Conv1D(13, 11)) if native else Conv1D(13, 11)
        self.head = nn.Linear(13, 3)
        self.double().eval()

    def forward(self, x):
        x = self.row(self.block(self.conv(x)).flatten(2))
        return self.head(torch.tanh(self.gpt(x.mT.contiguous())))


class Slides(nn.Module):
    """A convolution as an nn.Linear on its windows, whose axes (c, *k) are in the order given."""

    def __init__(self, conv, order):
        super().__init__()
        self.conv = [conv]  # not a part of the model
        self.order = [axis - 1 for axis in order[1:]]
        self.linear = nn.Linear(conv.weight[0].numel(), conv.out_channels)

    def forward(self, x):
        conv = self.conv[0]
        sides = [side for p in reversed(conv.padding) for side in (p, p)]
        x = functional.pad(x, sides)
        n = len(conv.kernel_size)
        for axis, (k, s) in enumerate(zip(conv.kernel_size, conv.stride, strict=True)):
            x = x.unfold(2 + axis, k, s)  # (b, c, *out, *kernel)
        out = x.shape[2 : 2 + n]
        columns = [1 if axis == 0 else 1 + n + axis for axis in self.order]
        rows = x.permute(0, *range(2, 2 + n), *columns).flatten(1 + n)
        return self.linear(rows).flatten(1, -2).mT.unflatten(2, out)


class Turned(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.linear = nn.Linear(layer.weight.shape[0], layer.nf)

    def forward(self, x):
        return self.linear(x)


def weight(site, old, permute, child="linear"):
    new = math.prod(old[axis] for axis in permute[1:])
    return Entry(f"{site}.weight", f"{site}.{child}.weight", old, permute, (old[permute[0]], new))


def bias(site, size, child="linear"):
    return Entry(f"{site}.bias", f"{site}.{child}.bias", (size,), None, (size,))


MAPPING = WeightMapping((
    weight("conv", (7, 2, 3, 2), (0, 1, 2, 3)), bias("conv", 7),
    weight("block.conv", (5, 7, 2, 4), (0, 2, 3, 1)), bias("block.conv", 5),
    weight("row", (11, 5, 2), (0, 1, 2)), bias("row", 11),
    weight("gpt", (11, 13), (1, 0)), bias("gpt", 13),
))  # fmt: skip
X = torch.sin(torch.arange(3 * 2 * 6 * 16, dtype=torch.float64)).reshape(3, 2, 6, 16)


def nets():
    torch.manual_seed(0)
    old, new = Net(), Net(native=True)
    with torch.no_grad():
        for parameter in old.parameters():
            parameter.normal_(std=0.3)
    new.load_state_dict(MAPPING.from_original(old.state_dict()))
    assert torch.allclose(new(X), old(X), rtol=1e-12, atol=1e-12)
    return old, new


def adapted(net, config):
    """Return PEFT's model with an adapter that is not zero, as after training."""
    model = get_peft_model(net, config, autocast_adapter_dtype=False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.mul_(1 + torch.rand_like(parameter))
            elif parameter.requires_grad:
                parameter.normal_(std=0.3)
    return model.eval()


def difference(a, b):
    return float((a - b).detach().abs().max() / b.detach().abs().max())


CONFIGS = {
    "lora": {"target_modules": ["linear"]},
    "dora": {"target_modules": ["linear"], "use_dora": True},
    "one": {"target_modules": "conv.linear"},
    "few": {"target_modules": ["conv.linear", "gpt.linear"], "exclude_modules": ["block.conv.linear"]},
    "patterns": {
        "target_modules": ["linear", "head"],
        "rank_pattern": {"^conv.linear": 2, "gpt.linear": 6},
        "alpha_pattern": {"^conv.linear": 5, "head": 7},
    },
    "rslora": {"target_modules": ["linear"], "use_rslora": True, "lora_bias": True},
    "saved": {"target_modules": ["conv.linear"], "modules_to_save": ["row.linear", "head"]},
    "biases": {"target_modules": ["linear"], "bias": "all"},
}  # fmt: skip


def native_config(name):
    return LoraConfig(**{"r": 4, "lora_alpha": 3, **CONFIGS[name]})


def loaded(net, folder):
    return PeftModel.from_pretrained(net, folder, autocast_adapter_dtype=False).eval()


def layers(model, mark="lora_A"):
    """Return the layers that carry an adapter."""
    return [name for name, module in model.named_modules() if hasattr(module, mark)]


# What PEFT says of models with both kinds of Linear, and of what it saves itself.
MIXED = pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning")
BIASES = pytest.mark.filterwarnings("ignore:Adapter 'default'. 4 LoRA tensor:UserWarning")
MARKS = {"patterns": MIXED, "rslora": BIASES}


@pytest.mark.parametrize("case", [pytest.param(c, marks=MARKS.get(c, ())) for c in CONFIGS])
def test_an_adapter_of_the_native_model_is_the_same_function_on_the_original(tmp_path, case):
    old, new = nets()
    model = adapted(new, native_config(case))
    model.save_pretrained(tmp_path / "native")
    convert_adapter(tmp_path / "native", tmp_path / "original", MAPPING)
    other = loaded(old, tmp_path / "original")
    y = model(X)
    assert difference(other(X), y) < 1e-10
    assert difference(nets()[0](X), y) > 1e-3  # the adapter does something
    assert len(layers(other)) == len(layers(model))
    assert len(layers(other, "modules_to_save")) == len(layers(model, "modules_to_save"))
    merged, other_merged = model.merge_and_unload(), other.merge_and_unload()
    assert difference(merged(X), y) < 1e-10
    assert difference(other_merged(X), y) < 1e-10
    state = MAPPING.to_original(merged.state_dict())
    assert all(difference(state[k], v) < 1e-10 for k, v in other_merged.state_dict().items())
    convert_adapter(tmp_path / "original", tmp_path / "back", MAPPING, to="native")
    assert (tmp_path / "back" / TENSORS).read_bytes() == (
        tmp_path / "native" / TENSORS
    ).read_bytes()
    again = loaded(nets()[1], tmp_path / "back")
    assert torch.equal(again.merge_and_unload()(X), merged(X))


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_an_adapter_of_the_original_is_the_same_function_on_the_native_model(tmp_path, dora):
    old, new = nets()
    config = LoraConfig(
        r=4,
        lora_alpha=3,
        target_modules=["conv", "row"],
        rank_pattern={"block.conv": 5},
        use_dora=dora,
    )
    model = adapted(old, config)
    model.save_pretrained(tmp_path / "original")
    convert_adapter(tmp_path / "original", tmp_path / "native", MAPPING, to="native")
    other = loaded(new, tmp_path / "native")
    y = model(X)
    assert difference(other(X), y) < 1e-10
    assert difference(other.merge_and_unload()(X), y) < 1e-10
    convert_adapter(tmp_path / "native", tmp_path / "back", MAPPING)
    assert (tmp_path / "back" / TENSORS).read_bytes() == (
        tmp_path / "original" / TENSORS
    ).read_bytes()


def test_a_linear_adapter_goes_onto_a_pointwise_convolution(tmp_path):
    class Points(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(5, 7, 1)

        def forward(self, x):
            return self.conv(x.mT.unsqueeze(2)).squeeze(2).mT

    class Holds(nn.Module):
        def __init__(self, site):
            super().__init__()
            self.site = site
            self.double().eval()

        def forward(self, x):
            return self.site(x)

    mapping = WeightMapping((
        Entry("site.weight", "site.conv.weight", (7, 5), None, (7, 5, 1, 1)), bias("site", 7, "conv"),
    ))  # fmt: skip
    old, new = Holds(nn.Linear(5, 7)), Holds(Points())
    new.load_state_dict(mapping.from_original(old.state_dict()))
    x = torch.sin(torch.arange(30, dtype=torch.float64)).reshape(2, 3, 5)
    model = adapted(old, LoraConfig(r=3, target_modules=["site"], use_dora=True))
    model.save_pretrained(tmp_path / "original")
    convert_adapter(tmp_path / "original", tmp_path / "native", mapping, to="native")
    assert load_file(tmp_path / "native" / TENSORS)[
        "base_model.model.site.conv.lora_magnitude_vector"
    ].shape == (1, 7, 1, 1)
    assert difference(loaded(new, tmp_path / "native")(x), model(x)) < 1e-10


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_states_of_a_model_in_training(dora):
    """With adapters' names, base layers, whole modules, and the optimizer's moments of all that."""
    old, new = nets()
    fields = {"r": 4, "use_dora": dora, "modules_to_save": ["head"]}
    model = adapted(new, LoraConfig(target_modules=["conv.linear", "row.linear"], **fields))
    other = adapted(old, LoraConfig(target_modules=["conv", "row"], **fields))
    state = MAPPING.to_original(model.state_dict())
    other.load_state_dict(state)
    assert difference(other(X), model(X)) < 1e-10
    adapter = MAPPING.to_original(get_peft_model_state_dict(model))
    expected = get_peft_model_state_dict(other)
    assert adapter.keys() == expected.keys()
    assert all(torch.equal(adapter[name], expected[name]) for name in expected)

    trained, other_trained = (
        {name: p for name, p in net.named_parameters() if p.requires_grad} for net in (model, other)
    )
    one, two = (torch.optim.Adam(p.values(), lr=0.01) for p in (trained, other_trained))
    step(model, one)
    other.load_state_dict(MAPPING.to_original(model.state_dict()))
    moments = MAPPING.to_original(
        one.state_dict(), names=list(trained), target_names=list(other_trained)
    )
    two.load_state_dict(copy.deepcopy(moments))  # load_state_dict() shares what it is given
    step(model, one)
    step(other, two)
    moved = MAPPING.to_original(model.state_dict())
    assert all(difference(moved[name], value) < 1e-10 for name, value in other.state_dict().items())


def test_layers_that_no_adapter_wraps_may_be_saved_as_the_original_saves_them():
    """That is what a rewritten layer does until something takes the place of its inner layer."""
    old, new = nets()
    model = adapted(new, LoraConfig(r=4, target_modules=["gpt.linear"]))
    other = adapted(old, LoraConfig(r=4, target_modules=["gpt"], fan_in_fan_out=True))
    state = MAPPING.to_original(model.state_dict())
    plain = {n: t for n, t in state.items() if ".gpt." not in n}
    wrapped = {n: t for n, t in model.state_dict().items() if ".gpt." in n}
    other.load_state_dict(MAPPING.to_original(plain | wrapped))
    assert difference(other(X), model(X)) < 1e-10
    assert MAPPING.to_original(plain | wrapped).keys() == state.keys()


def step(model, optimizer):
    optimizer.zero_grad()
    model(X).square().sum().backward()
    optimizer.step()


# --- where PEFT's adapter of a convolution is none of its matrix -----------------------------------

LAYERS = {
    "plain": nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0)),
    "same": nn.Conv2d(4, 6, 3, padding="same"),
    "reflect": nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    "reflect-by-0": nn.Conv2d(4, 6, 3, padding=0, padding_mode="reflect"),
    "circular-same": nn.Conv2d(4, 6, 3, padding="same", padding_mode="circular"),
    "circular-same-of-1": nn.Conv2d(4, 6, 1, padding="same", padding_mode="circular"),
    "circular-valid": nn.Conv2d(4, 6, 3, padding="valid", padding_mode="circular"),
    "dilation": nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    "dilation-of-1": nn.Conv2d(4, 6, 1, dilation=2),
    "groups": nn.Conv2d(4, 6, 3, groups=2),
    "row-replicate": nn.Conv1d(4, 6, 3, padding=2, padding_mode="replicate"),
}


def peft_is_right(layer):
    """Return whether PEFT computes, beside a layer, what merging the adapter into it computes."""
    torch.manual_seed(0)
    net = nn.Sequential(layer).double()
    model = adapted(net, LoraConfig(r=2, target_modules=["0"]))
    x = torch.sin(torch.arange(2 * 4 * 7 * 8, dtype=torch.float64)).reshape(2, 4, 7, 8)
    x = x if layer.weight.ndim == 4 else x[:, :, 0]
    try:
        y = model(x)
        return difference(model.merge_and_unload()(x), y) < 1e-10
    except (RuntimeError, NotImplementedError):  # of sizes that do not fit, and of groups
        return False


@pytest.mark.filterwarnings("ignore:LoRA adapter added to ConvNd layer with groups:UserWarning")
@pytest.mark.parametrize("case", LAYERS)
def test_what_is_said_of_a_layer_is_what_peft_does(case):
    assert (no_adapter(LAYERS[case]) == "") == peft_is_right(LAYERS[case])


def test_what_is_said_of_a_layer_in_words():
    said = {case: no_adapter(layer) for case, layer in LAYERS.items() if no_adapter(layer)}
    assert said == {
        "reflect": "padding_mode='reflect', and PEFT's lora_A pads with zeros",
        "circular-same": "padding_mode='circular', and PEFT's lora_A pads with zeros",
        "dilation": "dilation=(2, 2), and PEFT's lora_A has none",
        "groups": "groups=2, and PEFT's lora_A joins all channels",
        "row-replicate": "padding_mode='replicate', and PEFT's lora_A pads with zeros",
    }
    assert no_adapter(nn.Linear(2, 3)) == no_adapter(Conv1D(3, 2)) == ""


FACTOR = "base_model.model.a.linear.lora_A.weight"
REFUSED = {
    "reflect": (
        Entry("a.weight", "a.linear.weight", (6, 4, 3), None, (6, 12), "padding_mode='reflect', …"),
        (2, 12),
        "a.weight: layer is padding_mode='reflect', …, expected a layer whose LoRA is the same "
        "function in both layouts; merge the adapter where it was trained, and map the merged weights",
    ),
    "transposed": (
        Entry("a.weight", "a.linear.weight", (6, 4, 3), (1, 2, 0), (12, 6)), (2, 6),
        "a.weight: shape is (6, 4, 3) ↔ (12, 6), expected a layer with its outputs on one axis in "
        "both layouts, which PEFT can adapt; merge the adapter where it was trained, and map the merged weights",
    ),
    "transposed-pointwise": (
        Entry("a.weight", "a.linear.weight", (6, 4, 1), (1, 2, 0), (4, 6)), (2, 6), "a.weight: shape is",
    ),
    "groups": (
        Entry("a.weight", "a.linear.weight", (6, 2, 3), None, (2, 3, 6)), (2, 6), "a.weight: shape is",
    ),
    "rank-0": (Entry("a.weight", "a.linear.weight", (6,), None, (6,)), (2, 6), "a.weight: shape is"),
    "wrong-A": (
        Entry("a.weight", "a.linear.weight", (6, 4, 3), None, (6, 12)), (2, 13),
        "base_model.model.a.linear.lora_A.weight: shape is (2, 13), expected (2, 12)",
    ),
    "wrong-A-rank": (
        Entry("a.weight", "a.linear.weight", (6, 4, 3), None, (6, 12)), (),
        "base_model.model.a.linear.lora_A.weight: shape is (), expected (0, 12)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_an_adapter_that_is_another_function_is_refused_in_words(case):
    entry, shape, words = REFUSED[case]
    with pytest.raises(Refused) as error:
        WeightMapping((entry,)).to_original({FACTOR: torch.zeros(shape)})
    assert words in str(error.value)


def test_an_adapter_is_not_mapped_twice(tmp_path):
    _, new = nets()
    adapted(new, native_config("dora")).save_pretrained(tmp_path / "native")
    with pytest.raises(Refused, match="layout is the rewritten model's, expected the original's"):
        convert_adapter(tmp_path / "native", tmp_path / "twice", MAPPING, to="native")
    assert not (tmp_path / "twice").exists()


# --- files ----------------------------------------------------------------------------------------

BAD = {
    "ia3": ({"peft_type": "IA3"}, "adapter_config.json: peft_type is 'IA3', expected LORA"),
    "pissa": ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', expected True or False or gaussian"),
    "parameters": ({"target_parameters": ["a"]}, "target_parameters is ['a'], expected None or False"),
    "no-r": ({"r": None}, "adapter_config.json: r is None, expected a number"),
}  # fmt: skip


def a_saved_adapter(folder):
    folder.mkdir()
    save_file({"base_model.model.gpt.linear.lora_A.weight": torch.zeros(4, 11)}, folder / TENSORS)
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 2, "target_modules": ["linear"]}
    (folder / CONFIG).write_text(json.dumps(config))
    return config


@pytest.mark.parametrize("case", BAD)
def test_a_config_that_cannot_be_granted_is_refused_in_words(tmp_path, case):
    change, words = BAD[case]
    config = a_saved_adapter(tmp_path / "native")
    (tmp_path / "native" / CONFIG).write_text(json.dumps(config | change))
    with pytest.raises(Refused) as error:
        convert_adapter(tmp_path / "native", tmp_path / "new", MAPPING)
    assert words in str(error.value)
    assert not (tmp_path / "new").exists()


def test_files_that_are_not_there_or_no_config(tmp_path):
    a_saved_adapter(tmp_path / "native")
    (tmp_path / "native" / CONFIG).write_text("{")
    with pytest.raises(
        InputError, match="adapter_config.json: no readable config: JSONDecodeError"
    ):
        convert_adapter(tmp_path / "native", tmp_path / "new", MAPPING)
    (tmp_path / "native" / CONFIG).write_text("[]")
    with pytest.raises(Refused, match="adapter_config.json: content is .*, expected a LoraConfig"):
        convert_adapter(tmp_path / "native", tmp_path / "new", MAPPING)
    (tmp_path / "native" / TENSORS).rename(tmp_path / "native" / "adapter_model.bin")
    with pytest.raises(InputError, match="adapter_model.safetensors: no readable safetensors file"):
        convert_adapter(tmp_path / "native", tmp_path / "new", MAPPING)
    assert not (tmp_path / "new").exists()


def test_the_config_says_which_layers_and_which_way_round(tmp_path):
    a_saved_adapter(tmp_path / "native")
    convert_adapter(tmp_path / "native", tmp_path / "original", MAPPING)
    config = json.loads((tmp_path / "original" / CONFIG).read_text())
    assert (config["target_modules"], config["fan_in_fan_out"]) == ("gpt", True)
    convert_adapter(tmp_path / "original", tmp_path / "back", MAPPING, to="native")
    config = json.loads((tmp_path / "back" / CONFIG).read_text())
    assert (config["target_modules"], config["fan_in_fan_out"]) == (r"gpt\.linear", False)
