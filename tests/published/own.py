"""convlin's conversions and merges, on the same layers."""

from __future__ import annotations

import copy

from torch import nn

from convlin import merge, to_conv, to_conv2d, to_linear, to_pointwise
from convlin.testing.case import Case
from published.entry import Entry, Pair
from published.merged import CONVS, Branches, adapter, block, two, with_norm


def folded(case: Case) -> Pair:
    """Merge a layer and a BatchNorm."""
    both, shape = with_norm(case)
    return both, lambda: merge(*copy.deepcopy(both)).layer, shape


def adapted(case: Case) -> Pair:
    """Merge a layer and the branch of its adapter."""
    layer = adapter(case)

    def merged() -> nn.Module:
        branch = nn.Sequential(layer.lora_A["default"], layer.lora_B["default"])
        scales = (1, layer.scaling["default"])
        return merge(layer.base_layer, branch, parallel=True, scales=scales).layer

    return layer, merged, case.input_shape


def behind_each_other(case: Case) -> Pair:
    """Merge two convolutions."""
    both, shape = two(case)
    return both, lambda: merge(*copy.deepcopy(both)).layer, shape


def beside_each_other(case: Case) -> Pair:
    """Merge branches."""
    branches = block(case)
    return (
        Branches(*branches),
        lambda: merge(*copy.deepcopy(branches), parallel=True).layer,
        case.input_shape,
    )


FIELDS = "every field"
OWN = (
    Entry("to_linear", "convlin", FIELDS, CONVS, to_linear, unbatched=True),
    Entry("to_linear, at a size", "convlin", FIELDS, (nn.Conv2d,), to_linear, sized=True, unbatched=True),
    Entry("to_pointwise", "convlin", FIELDS, (nn.Conv2d,), to_pointwise, unbatched=True),
    Entry("to_conv", "convlin", FIELDS, (nn.Linear,), to_conv, unbatched=True),
    Entry("to_conv2d", "convlin", FIELDS, (nn.Conv1d, nn.Linear), to_conv2d, unbatched=True),
    Entry("merge, BatchNorm", "convlin", FIELDS, (*CONVS, nn.ConvTranspose2d, nn.Linear), pair=folded),
    Entry("merge, LoRA", "convlin", FIELDS, (*CONVS, nn.Linear), pair=adapted),
    Entry("merge, two convolutions", "convlin", FIELDS, (nn.Conv2d,), pair=behind_each_other),
    Entry("merge, branches", "convlin", FIELDS, (nn.Conv2d,), pair=beside_each_other),
)  # fmt: skip
