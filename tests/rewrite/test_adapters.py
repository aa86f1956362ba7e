"""PEFT's own adapters, trained on one model and loaded into the other: the same function.

Adapters are drawn at random (a fresh one is zero), saved by PEFT, converted, and read by PEFT.
"""

import json
import math

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from convlin.errors import InputError, Refused
from convlin.models.rewrite.adapters import convert_adapter
from convlin.models.rewrite.entries import Entry
from convlin.models.rewrite.lora_factors import no_adapter
from convlin.models.rewrite.mapping import WeightMapping

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
        x = F.pad(x, sides)
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
            parameter.normal_()
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
                parameter.normal_()
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
        "rank_pattern": {"block.conv.linear": 2, "gpt.linear": 6},
        "alpha_pattern": {"conv.linear": 5, "head": 7},
    },
    "rslora": {"target_modules": ["linear"], "use_rslora": True, "lora_bias": True},
    "saved": {"target_modules": ["conv.linear"], "modules_to_save": ["row.linear", "head"]},
    "biases": {"target_modules": ["linear"], "bias": "all"},
}  # fmt: skip


def native_config(name):
    return LoraConfig(**{"r": 4, "lora_alpha": 3, **CONFIGS[name]})


def loaded(net, folder):
    return PeftModel.from_pretrained(net, folder, autocast_adapter_dtype=False).eval()


def layers(model):
    """Return the layers that carry an adapter."""
    return [name for name, module in model.named_modules() if hasattr(module, "lora_A")]


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
    merged, other_merged = model.merge_and_unload(), other.merge_and_unload()
    assert difference(merged(X), y) < 1e-10
    assert difference(other_merged(X), y) < 1e-10
    state = MAPPING.to_original(merged.state_dict())
    assert all(difference(state[k], v) < 1e-10 for k, v in other_merged.state_dict().items())
    convert_adapter(tmp_path / "original", tmp_path / "back", MAPPING, to="native")
    assert (tmp_path / "back" / TENSORS).read_bytes() == (tmp_path / "native" / TENSORS).read_bytes()
    again = loaded(nets()[1], tmp_path / "back")
    assert torch.equal(again.merge_and_unload()(X), merged(X))

