"""Honest conversions, written here in plain PyTorch, are proved."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin.errors import Refusal, Refused
from convlin.proof import Proved, audit, prove
from mutants.enrol import Form
from rounding import approx


def pointwise(conv):
    ndim, stride = len(conv.kernel_size), conv.stride

    def rule(x, w, b):
        every = (..., *(slice(None, None, step) for step in stride))
        y = functional.linear(x[every].movedim(-ndim - 1, -1), w.flatten(1), b)
        return y.movedim(-1, -ndim - 1)

    return Form(conv, rule)


def full_size(conv):
    ndim = len(conv.kernel_size)

    def rule(x, w, b):
        y = functional.linear(x.flatten(-ndim - 1), w.flatten(1), b)
        return y.unflatten(-1, (-1, *(1,) * ndim))

    return Form(conv, rule)


def unfolded(conv):
    """Cut windows and multiply; any non-transposed convolution, one group or many."""
    ndim, groups = len(conv.kernel_size), conv.groups
    sides = [side for pair in reversed(_pads(conv)) for side in pair]
    mode = {"zeros": "constant"}.get(conv.padding_mode, conv.padding_mode)
    cells, taps = "xyz"[:ndim], "ijk"[:ndim]

    def rule(x, w, b):
        x, batched = (x, True) if x.ndim == ndim + 2 else (x[None], False)
        y = functional.pad(x, sides, mode=mode) if any(sides) else x
        extents = [d * (k - 1) + 1 for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
        for dim, (extent, step) in enumerate(zip(extents, conv.stride, strict=True)):
            y = y.unfold(dim + 2, extent, step)
        y = y[(..., *(slice(None, None, d) for d in conv.dilation))]
        rows = y.unflatten(1, (groups, -1))
        matrix = w.unflatten(0, (groups, -1))
        y = torch.einsum(f"ngc{cells}{taps},goc{taps}->ngo{cells}", rows, matrix)
        y = y.flatten(1, 2)
        y = y if b is None else y + b.view(-1, *(1,) * ndim)
        return y if batched else y[0]

    return Form(conv, rule)


def _pads(conv):
    if conv.padding == "same":
        totals = [d * (k - 1) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in conv.padding]


def dense(shape):
    """Multiply by the whole matrix, put together weight by weight, for a transposed layer."""

    def convert(conv):
        (height, width), channels, outputs = shape[1:], shape[0], conv.out_channels
        (kh, kw), (sh, sw), (ph, pw) = conv.kernel_size, conv.stride, conv.padding
        rows = (height - 1) * sh - 2 * ph + kh + conv.output_padding[0]
        columns = (width - 1) * sw - 2 * pw + kw + conv.output_padding[1]
        matrix = conv.weight.new_zeros(outputs, rows, columns, channels, height, width)
        with torch.no_grad():
            for y in range(height):
                for x in range(width):
                    for a in range(kh):
                        for b in range(kw):
                            row, column = y * sh + a - ph, x * sw + b - pw
                            if 0 <= row < rows and 0 <= column < columns:
                                matrix[:, row, column, :, y, x] = conv.weight[:, :, a, b].t()
        form = Form(conv, None)
        form.weight = nn.Parameter(matrix.flatten(3).flatten(0, 2))
        form.bias = nn.Parameter(conv.bias.detach().repeat_interleave(rows * columns))
        form.rule = lambda x, w, b: functional.linear(x.flatten(-3), w, b).unflatten(
            -1, (outputs, rows, columns)
        )
        return form

    return convert


def patchify(conv):
    def rule(x, w, b):
        kh, kw = conv.kernel_size
        x = x[..., : x.shape[-2] // kh * kh, : x.shape[-1] // kw * kw]
        patches = x.unflatten(-1, (-1, kw)).unflatten(-3, (-1, kh))  # (… C, h, kh, w, kw)
        order = (*range(patches.ndim - 5), *(patches.ndim - i for i in (4, 2, 5, 3, 1)))
        rows = patches.permute(order)
        return functional.linear(rows.flatten(-3), w.flatten(1), b).movedim(-1, -3)

    return Form(conv, rule)


CASES = {
    "pointwise-conv1d": (pointwise, lambda: nn.Conv1d(3, 5, 1), (3, 7)),
    "pointwise-conv2d-s2-3": (pointwise, lambda: nn.Conv2d(3, 5, 1, stride=(2, 3)), (3, 4, 7)),
    "pointwise-conv3d-nobias": (pointwise, lambda: nn.Conv3d(3, 5, 1, bias=False), (3, 2, 4, 3)),
    "full-conv1d": (full_size, lambda: nn.Conv1d(3, 5, 7), (3, 7)),
    "full-conv2d": (full_size, lambda: nn.Conv2d(3, 5, (2, 4)), (3, 2, 4)),
    "full-conv3d": (full_size, lambda: nn.Conv3d(2, 5, (2, 4, 3)), (2, 2, 4, 3)),
    "patchify-k2x3-remainder": (patchify, lambda: nn.Conv2d(3, 5, (2, 3), (2, 3)), (3, 5, 8)),
    "unfold-conv1d-p2-d2": (unfolded, lambda: nn.Conv1d(3, 5, 4, padding=2, dilation=2), (3, 9)),
    "unfold-conv2d-s2-reflect": (
        unfolded,
        lambda: nn.Conv2d(3, 5, (2, 3), stride=(2, 1), padding=(1, 2), padding_mode="reflect"),
        (3, 4, 7),
    ),
    "unfold-conv2d-circular": (
        unfolded,
        lambda: nn.Conv2d(3, 5, 3, padding=(1, 2), padding_mode="circular"),
        (3, 4, 7),
    ),
    "unfold-conv2d-replicate-g2": (
        unfolded,
        lambda: nn.Conv2d(4, 6, (3, 2), padding=1, groups=2, padding_mode="replicate"),
        (4, 5, 7),
    ),
    "unfold-conv3d-g3": (unfolded, lambda: nn.Conv3d(3, 6, (1, 2, 3), groups=3), (3, 2, 3, 5)),
    "dense-transposed-s2-p1-op1": (
        dense((3, 3, 4)),
        lambda: nn.ConvTranspose2d(3, 2, (3, 2), stride=2, padding=1, output_padding=1),
        (3, 3, 4),
    ),
}  # fmt: skip


def varied(shape):
    """Return what a verdict must claim of the ways to hand over inputs of a shape: all of them."""
    innermost = ", channels_last" if len(shape) > 2 else ""
    layouts = f"contiguous, transposed{innermost} and expanded"
    modes = "with and without gradients, in inference mode"
    return f"batches of 1, 2, 3 and 5, {layouts}, {modes}"


@pytest.mark.parametrize(("convert", "layer", "shape"), CASES.values(), ids=CASES)
def test_an_honest_conversion_is_proved(convert, layer, shape):
    verdict = audit(convert, layer(), shape, seed=3)
    assert isinstance(verdict, Proved), verdict
    assert verdict.draws == 3
    assert verdict.failure_probability < 1e-17
    assert verdict.own.dtype == "float32" and verdict.own.failure_probability <= 1e-9
    assert "in float64 and float32" in verdict.scope
    assert verdict.scope.endswith(varied(shape))
    assert verdict.rounding.within and verdict.rounding.bound is not None


@pytest.mark.parametrize(("convert", "layer", "shape"), CASES.values(), ids=CASES)
def test_an_honest_pair_is_proved(convert, layer, shape):
    left = layer()
    verdict = prove(left, convert(left), shape, seed=3)
    assert isinstance(verdict, Proved), verdict
    assert verdict.failure_probability <= 1e-9
    assert verdict.scope.endswith(varied(shape))


def test_every_flatten_order_is_proved_by_its_own_conversion():
    """A Linear behind channels-last flattening is the permuted full-size convolution."""
    shape = (3, 2, 4)

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 24))
            self.bias = nn.Parameter(torch.randn(5))

        def forward(self, x):
            return functional.linear(x.movedim(-3, -1).flatten(-3), self.weight, self.bias)

    def as_convolution(layer):
        def rule(x, w, b):
            kernel = w.unflatten(1, (2, 4, 3)).movedim(-1, 1)
            return functional.conv2d(x, kernel, b).flatten(-3)

        return Form(layer, rule)

    verdict = audit(as_convolution, Classifier(), shape, copies=False)
    assert isinstance(verdict, Proved), verdict
    assert "weights shared" in verdict.scope


@pytest.mark.parametrize("copies", [True, False])
def test_a_conversion_may_share_or_copy(copies):
    def convert(conv):
        form = Form(conv, lambda x, w, b: functional.conv2d(x, w, b))
        if copies:
            form.weight = nn.Parameter(conv.weight.detach().clone())
            form.bias = nn.Parameter(conv.bias.detach().clone())
        return form

    verdict = audit(convert, nn.Conv2d(3, 5, 2), (3, 4, 5), copies=copies)
    assert isinstance(verdict, Proved), verdict
    assert ("weights shared", "copied")[copies] in verdict.scope


def test_refusing_channels_last_weights_is_honest():
    def convert(conv):
        if not conv.weight.is_contiguous():
            raise Refused(Refusal("conv", "weight", "channels_last", "contiguous"))
        form = full_size(conv)
        form.weight = nn.Parameter(conv.weight.view(5, -1))
        return form

    assert audit(convert, nn.Conv2d(3, 5, (2, 4)), (3, 2, 4))


def test_a_composition_of_affine_layers_is_proved_with_more_draws():
    first, second = nn.Linear(12, 7), nn.Linear(7, 5)
    fused = nn.Linear(12, 5)
    one = nn.Sequential(first, second)
    other = nn.Sequential(first, nn.Identity(), second)
    verdict = prove(one, other, (12,))
    assert isinstance(verdict, Proved)
    assert not prove(one, fused, (12,))


def test_modules_in_two_dtypes_are_compared_in_exact_arithmetic():
    conv = nn.Conv2d(3, 5, 2)
    wide = nn.Conv2d(3, 5, 2, dtype=torch.float64)
    wide.load_state_dict(conv.state_dict())
    assert prove(conv, wide, (3, 4, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_float_dtype_is_proved(dtype):
    conv = nn.Conv2d(3, 5, (2, 4), dtype=dtype)
    verdict = prove(conv, full_size(conv), (3, 2, 4))
    assert isinstance(verdict, Proved), verdict
    assert verdict.rounding.dtype == str(dtype).removeprefix("torch.")


def test_sums_as_long_as_those_of_vgg_fc6_are_audited_and_proved():
    """25,088 products and a bias: M = 599,174 and three draws, for 8 outputs or for 4,096."""
    conv = nn.Conv2d(512, 8, 7)
    verdict = audit(full_size, conv, (512, 7, 7))
    assert isinstance(verdict, Proved), verdict
    assert verdict.failure_probability == approx((2 / (2 * 599_174 + 1)) ** 3, 8)
    assert math.isfinite(verdict.rounding.bound)
    assert prove(conv, full_size(conv), (512, 7, 7))
