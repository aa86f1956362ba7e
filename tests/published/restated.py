"""Conversions inside larger systems, restated: what is computed, and what is looked at before."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from convlin.testing.case import Case
from published.entry import Entry, Pair


class PatchesOrConv(nn.Module):
    """A convolution that runs as a product where its patches do not overlap.

    Its parameters keep their names and shapes. `fields` are what the system hands on.
    """

    def __init__(self, layer: nn.Module, padding: tuple[int, ...], **fields: object) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.kernel, self.ndim = layer.kernel_size, len(layer.kernel_size)
        self.stride, self.padding, self.fields = layer.stride, padding, fields
        self.train(layer.training)

    @property
    def apart(self) -> bool:
        whole = self.kernel == self.stride and not any(self.padding)
        return whole and self.fields["groups"] == 1

    def rows(self) -> Tensor:
        return self.weight.view(len(self.weight), -1)

    def forward(self, x: Tensor) -> Tensor:
        if not self.apart:
            run = getattr(functional, f"conv{self.ndim}d")
            return run(x, self.weight, self.bias, self.stride, self.padding, **self.fields)
        for dim, k in enumerate(self.kernel, 2):
            x = x.unfold(dim, k, k)
        channels_behind = (0, *range(2, 2 + self.ndim), 1, *range(2 + self.ndim, x.ndim))
        rows = x.permute(channels_behind).flatten(1 + self.ndim)
        return functional.linear(rows, self.rows(), self.bias).movedim(-1, 1)


def stock(layer: nn.Module) -> nn.Module:
    """Return a layer of PyTorch's own: models are written with another class in its place."""
    if type(layer) is not getattr(nn, type(layer).__name__, None):
        raise ValueError("a subclass is another layer")
    return layer


def vllm(layer: nn.Module) -> nn.Module:
    """Make vLLM's layer: "same" is half the kernel, and the padding mode goes nowhere."""
    layer = stock(layer)
    named = {"valid": (0,) * len(layer.kernel_size), "same": [k // 2 for k in layer.kernel_size]}
    padding = layer.padding
    if isinstance(padding, str):
        padding = tuple(named[padding])
    return PatchesOrConv(layer, padding, dilation=layer.dilation, groups=layer.groups)


class Reshaped(PatchesOrConv):
    """The same for parameters that have no view, as those in channels_last."""

    def rows(self) -> Tensor:
        return self.weight.reshape(len(self.weight), -1)


def in_patches(layer: nn.Module) -> list[str]:
    """Return the fields by which a convolution is no product of patches."""
    dims = len(layer.kernel_size)
    plain = {
        "stride": layer.kernel_size, "padding": (0,) * dims, "dilation": (1,) * dims, "groups": 1,
    }  # fmt: skip
    return [name for name, fits in plain.items() if getattr(layer, name) != fits]


def sglang_layers(layer: nn.Module) -> nn.Module:
    """Make sglang's shared layer: all else runs as PyTorch's own does."""
    layer = stock(layer)
    if in_patches(layer):
        fields = ("stride", "padding", "dilation", "groups", "padding_mode")
        new = type(layer)(
            layer.in_channels, layer.out_channels, layer.kernel_size, bias=layer.bias is not None,
            **{field: getattr(layer, field) for field in fields},
        )  # fmt: skip
        new.weight, new.bias = layer.weight, layer.bias
        return new.train(layer.training)
    return Reshaped(layer, layer.padding, dilation=1, groups=1)


class PatchRows(nn.Module):
    """A Linear on flattened patches, in the place of a patch embedding."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        width = layer.in_channels * math.prod(layer.kernel_size)
        self.linear = nn.Linear(width, layer.out_channels, dtype=layer.weight.dtype)

    def copy_from(self, layer: nn.Module) -> None:
        with torch.no_grad():
            self.linear.weight.copy_(layer.weight.view(layer.out_channels, -1))
            self.linear.bias.copy_(layer.bias)

    def forward(self, patches: Tensor) -> Tensor:
        return self.linear(patches.flatten(1)).view(-1, self.linear.out_features, 1, 1, 1)


def sglang(layer: nn.Module, size: tuple[int, ...], copied: bool = True) -> nn.Module:
    """Replace what reads one patch, as each model's loader does when it is done."""
    if size != layer.kernel_size:
        raise ValueError("its models hand over one patch a row")
    new = PatchRows(layer)
    if copied:
        new.copy_from(layer)
    return new


def sglang_forgotten(layer: nn.Module, size: tuple[int, ...]) -> nn.Module:
    """Replace the same in one of the models whose loader did not call that."""
    return sglang(layer, size, copied=False)


class OnImages(nn.Module):
    """A 1×1 convolution for what a Linear takes: rows, or sequences (time, batch, features)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        out, into = linear.weight.shape
        self.conv = nn.Conv2d(into, out, 1, bias=linear.bias is not None)
        self.conv.weight.data = linear.weight.data.view(out, into, 1, 1)
        if linear.bias is not None:
            self.conv.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return self.conv(x[:, :, None, None])[:, :, 0, 0]
        if x.dim() != 3:
            raise ValueError(f"{x.dim()} dimensions")
        return self.conv(x.permute(1, 2, 0).unsqueeze(2)).squeeze(2).permute(2, 0, 1)


class OneRow(nn.Module):
    """A Conv1d as a Conv2d with an axis of one pixel behind the others."""

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__()
        self.weight, self.bias, self.groups = layer.weight, layer.bias, layer.groups
        self.stride, self.dilation = (*layer.stride, 1), (*layer.dilation, 1)
        padding = layer.padding
        self.padding = padding if isinstance(padding, str) else (*padding, 0)
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.conv2d(
            x.unsqueeze(-1), self.weight.unsqueeze(-1), self.bias, self.stride, self.padding,
            self.dilation, self.groups,
        )  # fmt: skip
        return y.squeeze(-1)


def tico_conv1d(layer: nn.Conv1d) -> nn.Module:
    """Rewrite the operation conv1d, which a layer's padding by a mode is not part of."""
    if stock(layer).padding_mode != "zeros":
        raise NotImplementedError("the graph has other operations around it")
    return OneRow(layer)


def tico_patches(layer: nn.Conv2d) -> nn.Module:
    """Rewrite a patch embedding, or name the fields that do not fit."""
    odd = in_patches(stock(layer))
    if odd:
        raise NotImplementedError(", ".join(odd))
    return Reshaped(layer, layer.padding, dilation=1, groups=1)


class ChannelsBehind(nn.Module):
    """A product over the channels of every pixel."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.movedim(1, -1), self.weight[:, :, 0, 0], self.bias).movedim(
            -1, 1
        )


def onnx_conv2matmul(layer: nn.Conv2d) -> nn.Module:
    """Rewrite a Conv of kernel 1, stride 1, no padding and one group."""
    plain = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0, 0), "groups": 1}
    if any(getattr(stock(layer), name) != fits for name, fits in plain.items()):
        raise ValueError("left as it is")
    return ChannelsBehind(layer)


def caffe(case: Case) -> Pair:
    """Give a fully connected layer's numbers to the convolution that a new net has in its place.

    The convolution's fields are the user's: any that give one position on this map.
    """
    layer = stock(case.layer())
    if case.dtype == torch.bfloat16 or case.geometry.output_size(case.size) != (1, 1):
        raise ValueError("NumPy's numbers, and one position")
    fc = nn.Linear(math.prod(case.input_shape), case.channels[1], case.bias, dtype=case.dtype)

    def transplanted() -> nn.Module:
        with torch.no_grad():
            for name, parameter in fc.named_parameters():
                numbers = np.empty(
                    layer.get_parameter(name).shape, parameter.detach().numpy().dtype
                )
                numbers.flat = parameter.detach().numpy().flat  # as often as it goes in
                layer.get_parameter(name).copy_(torch.from_numpy(numbers))
        return nn.Sequential(layer, nn.Flatten())

    return nn.Sequential(nn.Flatten(), fc), transplanted, case.input_shape


RESTATED = (
    Entry(
        "conv layers", "vLLM 045d757, restated", "stride, padding, groups", (nn.Conv2d, nn.Conv3d),
        vllm,
    ),
    Entry(
        "conv layers", "sglang 2cfb13a, restated", "stride, padding, dilation, groups",
        (nn.Conv2d, nn.Conv3d), sglang_layers,
    ),
    Entry(
        "Conv3d of one patch → Linear", "sglang's GLM-4V, restated", "nothing",
        (nn.Conv3d,), sglang, sized=True,
    ),
    Entry(
        "… its call forgotten", "sglang's GLM-4V, restated", "nothing", (nn.Conv3d,),
        sglang_forgotten, sized=True,
    ),
    Entry(
        "replace_linear_with_conv2d", "Qualcomm zipformer, restated", "the input's dimensions",
        (nn.Linear,), OnImages,
    ),
    Entry(
        "patch embedding → Linear", "Samsung TICO, restated", "every field", (nn.Conv2d,),
        tico_patches,
    ),
    Entry("conv1d → conv2d", "Samsung TICO, restated", "the operation", (nn.Conv1d,), tico_conv1d),
    Entry(
        "Conv → MatMul", "onnx-conv2matmul 0.1.1, restated", "kernel, stride, padding, groups",
        (nn.Conv2d,), onnx_conv2matmul,
    ),
    Entry(
        "net surgery by .flat", "Caffe, FCN 0b07df9, restated", "nothing", (nn.Conv2d,), pair=caffe
    ),
)  # fmt: skip
