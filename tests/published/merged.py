"""Merges of several layers into one: from packages, and restated."""

from __future__ import annotations

import copy

import peft
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from convlin.testing.case import Case
from published.entry import Entry, Pair
from published.packaged import package

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def normalisation(case: Case, channels: int | None = None) -> nn.Module:
    """Return a BatchNorm in eval mode, with numbers as after training."""
    channels = case.channels[1] if channels is None else channels
    norm = NORMS[case.ndim](channels, dtype=case.dtype)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 2)
    return norm.eval()


def sixteen_bits(case: Case) -> None:
    """Leave these out: a weight that is computed in them is off by what they round."""
    if case.dtype == torch.bfloat16:
        raise ValueError("bfloat16")


def with_norm(case: Case) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a layer with a BatchNorm behind it, and the shape of one input."""
    sixteen_bits(case)
    if not case.ndim and case.size:
        raise ValueError("a BatchNorm behind a Linear takes rows")
    return nn.Sequential(case.layer(), normalisation(case)).eval(), case.input_shape


def torch_conv_bn(case: Case) -> Pair:
    """Fold a BatchNorm into a convolution."""
    both, shape = with_norm(case)
    return both, lambda: fuse_conv_bn_eval(*both, transpose=case.transposed), shape


def torch_linear_bn(case: Case) -> Pair:
    """Fold a BatchNorm into a Linear."""
    both, shape = with_norm(case)
    return both, lambda: fuse_linear_bn_eval(*both), shape


class Holder(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def adapter(case: Case) -> nn.Module:
    """Return PEFT's layer around a layer, with an adapter that is not zero, as after training."""
    sixteen_bits(case)
    config = peft.LoraConfig(target_modules=["layer"], r=2, lora_alpha=3)
    model = peft.get_peft_model(Holder(case.layer()), config, autocast_adapter_dtype=False).eval()
    layer = model.base_model.model.layer
    nn.init.normal_(layer.lora_B["default"].weight)
    return layer


def peft_lora(case: Case) -> Pair:
    """Merge an adapter, as PEFT does."""
    layer = adapter(case)

    def merged() -> nn.Module:
        other = copy.deepcopy(layer)
        other.merge()
        return other.base_layer

    return layer, merged, case.input_shape


def two(case: Case) -> tuple[nn.Sequential, tuple[int, ...]]:
    """Return a convolution and a second one with its fields, and the shape of one input.

    That is larger by what the second one reads of the first.
    """
    sixteen_bits(case)
    fields = {
        name: getattr(case, name) for name in ("stride", "padding", "dilation", "padding_mode")
    }
    second = nn.Conv2d(case.channels[1], 3, case.kernel, **fields, dtype=case.dtype)
    geometry = case.geometry
    sides = zip(case.size, geometry.stride, geometry.extent, strict=True)
    size = (n + stride * extent for n, stride, extent in sides)
    return nn.Sequential(case.layer(), second), (case.channels[0], *size)


def apple(case: Case) -> Pair:
    """Convolve two kernels, and add up what they pad."""
    both, shape = two(case)
    first, second = both

    def fused() -> nn.Module:
        plain = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
        if any(getattr(layer, n) != v for layer in both for n, v in plain.items()):
            raise ValueError("of stride 1, undilated and in one group")
        if isinstance(first.padding, str) or case.subclassed:
            raise ValueError("numbers for padding, of layers as they are")
        # The second kernel, turned, slides over the first, each pair of channels summed.
        reach = [k - 1 for k in second.kernel_size]
        turned = second.weight.flip(-2, -1)
        weight = torch.conv2d(first.weight.transpose(0, 1), turned, padding=reach).transpose(0, 1)
        padding = [p + q for p, q in zip(first.padding, second.padding, strict=True)]
        kernel = tuple(weight.shape[2:])
        new = nn.Conv2d(
            first.in_channels, 3, kernel, padding=padding, padding_mode=first.padding_mode,
            dtype=case.dtype,
        )  # fmt: skip
        with torch.no_grad():
            new.weight.copy_(weight)
            new.bias.copy_(second.bias)
            if first.bias is not None:
                new.bias += second.weight.sum((2, 3)) @ first.bias
        return new

    return both, fused, shape


class Branches(nn.Module):
    """Branches that read one input, and whose outputs are added."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (branch(x) for branch in self.branches)
        return sum(others, first)


def block(case: Case) -> list[nn.Module]:
    """Return a convolution of 3×3 beside one of 1×1 and, where sizes allow, nothing: normalised."""
    sixteen_bits(case)
    if case.subclassed or (case.kernel, case.padding, case.dilation) != ((3, 3), (1, 1), (1, 1)):
        raise ValueError("a kernel of 3 and padding of 1")
    small = nn.Conv2d(
        *case.channels, 1, case.stride, groups=case.groups, bias=False, dtype=case.dtype
    )
    branches = [
        nn.Sequential(case.layer(), normalisation(case)),
        nn.Sequential(small, normalisation(case)),
    ]
    if case.channels[0] == case.channels[1] and case.stride == (1, 1):
        branches.append(normalisation(case))
    return [branch.eval() for branch in branches]


def repvgg(case: Case) -> Pair:
    """Add up the branches' folded kernels, the small ones amid zeros."""
    branches = block(case)

    def fused() -> nn.Module:
        dense = branches[0][0]
        new = copy.deepcopy(dense)
        new.bias = nn.Parameter(torch.zeros(dense.out_channels, dtype=case.dtype))
        with torch.no_grad():
            new.weight.zero_()
            for branch in branches:
                norm = branch[1] if isinstance(branch, nn.Sequential) else branch
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                shift = norm.bias - norm.running_mean * scale
                if isinstance(branch, nn.Sequential):
                    kernel, bias = branch[0].weight, branch[0].bias
                    shift = shift if bias is None else shift + bias * scale
                else:
                    kernel = torch.zeros_like(dense.weight[..., :1, :1])
                    channels = torch.arange(dense.in_channels)
                    kernel[channels, channels % kernel.shape[1]] = 1
                rim = (3 - kernel.shape[-1]) // 2
                kernel = nn.functional.pad(kernel, (rim,) * 4)
                new.weight += kernel * scale.view(-1, 1, 1, 1)
                new.bias += shift
        return new

    return Branches(*branches), fused, case.input_shape


MERGED = (
    Entry("fuse_conv_bn_eval", package("torch"), "eval mode", (*CONVS, nn.ConvTranspose2d), pair=torch_conv_bn),
    Entry("fuse_linear_bn_eval", package("torch"), "eval mode", (nn.Linear,), pair=torch_linear_bn),
    Entry("LoRA, merged", package("peft"), "nothing", (*CONVS, nn.Linear), pair=peft_lora),
    Entry(
        "convolution fusion", "Apple Core AI example, restated", "stride, dilation, groups",
        (nn.Conv2d,), pair=apple,
    ),
    Entry(
        "structural re-parameterisation", "RepVGG, restated", "kernel 3, padding 1", (nn.Conv2d,),
        pair=repvgg,
    ),
)  # fmt: skip
