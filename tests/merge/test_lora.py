"""LoRA is a merge of branches: beside PEFT's own, which is wrong where the base pads by reflection."""

import peft
import pytest
import torch
from torch import nn

from convlin import Refused, merge
from convlin.proof import Proved, Rounded


class Net(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def adapted(base):
    """Return PEFT's layer around a base, with an adapter that is not zero, as after training."""
    config = peft.LoraConfig(target_modules=["layer"], r=2, lora_alpha=3)
    model = peft.get_peft_model(Net(base), config, autocast_adapter_dtype=False).eval()
    layer = model.base_model.model.layer
    nn.init.normal_(layer.lora_B["default"].weight)
    return layer


def merged_by_us(layer):
    adapter = nn.Sequential(layer.lora_A["default"], layer.lora_B["default"])
    scales = (1, layer.scaling["default"])
    return merge(layer.base_layer, adapter, parallel=True, scales=scales)


BASES = {
    "linear": lambda: (nn.Linear(4, 6), (2, 4)),
    "line": lambda: (nn.Conv1d(4, 6, 3, padding=2), (2, 4, 9)),
    "image": lambda: (nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0)), (2, 4, 7, 8)),
    "volume": lambda: (nn.Conv3d(2, 3, 2), (2, 2, 3, 4, 5)),
}
NO_MERGE = pytest.mark.filterwarnings("ignore:LoRA adapter added to ConvNd layer with groups")


def grouped():
    return nn.Conv2d(4, 6, 3, padding=1, groups=2), (2, 4, 7, 8)


@NO_MERGE
@pytest.mark.parametrize("make", [*BASES.values(), grouped], ids=[*BASES, "grouped"])
def test_it_is_what_the_adapter_computes(make):
    base, shape = make()
    layer = adapted(base)
    merged = merged_by_us(layer)
    assert isinstance(merged.verdict, Rounded), merged.verdict
    assert isinstance(merged.verdict.identity, Proved)
    x = torch.randn(shape)
    expected = layer(x)
    assert (merged.layer(x) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("make", BASES.values(), ids=BASES)
def test_where_pefts_merge_is_right_it_is_ours_but_for_rounding(make):
    layer = adapted(make()[0])
    ours = merged_by_us(layer).layer
    terms = ours.weight.abs() + layer.base_layer.weight.abs()
    layer.merge()
    difference = (layer.base_layer.weight - ours.weight).abs()
    assert (difference <= 8 * torch.finfo(torch.float32).eps * (terms + 1)).all()
    assert torch.equal(layer.base_layer.bias, ours.bias)


@NO_MERGE
def test_groups_are_merged_where_peft_has_no_merge():
    with pytest.raises(NotImplementedError):
        adapted(grouped()[0]).merge()


def test_where_the_base_pads_by_reflection_pefts_merge_is_wrong_and_ours_refused():
    layer = adapted(nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"))
    with pytest.raises(
        Refused, match=r"1.0 .* to 1.1 .*: padding_mode is 'zeros', expected reflect"
    ):
        merged_by_us(layer)
    x = torch.randn(2, 4, 7, 8)
    before = layer(x)
    layer.merge()
    after = layer(x)
    assert (after - before).abs().max() > 0.5
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert (after - before)[inside].abs().max() < 1e-5
