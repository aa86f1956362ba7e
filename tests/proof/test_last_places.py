"""Merged weights: rounded, computed in their own dtype, or wrong."""

from __future__ import annotations

import copy
import itertools
from fractions import Fraction
from math import floor, isqrt

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from convlin.proof import Measured, Proved, Refuted, Rounded, last_places, prove

BITS = {torch.float32: 24, torch.bfloat16: 8, torch.float16: 11}


def exact(tensor):
    """Return a tensor's numbers as fractions, in an array of objects."""
    flat = [Fraction(float(number)) for number in tensor.detach().double().flatten()]
    return np.array(flat, dtype=object).reshape(tuple(tensor.shape))


def unit_in_last_place(number, dtype):
    """2^(e - bits + 1) for 2^e ≤ |number| < 2^(e + 1), in whole numbers."""
    if not number:
        return Fraction(0)
    e = abs(number.numerator).bit_length() - number.denominator.bit_length()
    e -= abs(number) < Fraction(2) ** e
    return Fraction(2) ** (e - BITS[dtype] + 1)


def nearest(number, dtype):
    """The nearest float; of two, the even one."""
    unit = unit_in_last_place(number, dtype)
    return float(round(number / unit) * unit) if unit else 0.0


def fill(tensor, numbers):
    with torch.no_grad():
        tensor.copy_(torch.tensor(numbers.astype(float).tolist(), dtype=torch.float64))


def chain(dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv1d(3, 4, 2, stride=2), nn.Conv1d(4, 5, 3)).to(dtype)


def merged_exactly(model):
    """Two convolutions as one of kernel 2 + 2·2 and stride 2, in fractions; the bias too."""
    (w1, b1), (w2, b2) = ((exact(conv.weight), exact(conv.bias)) for conv in model)
    weight = np.full((5, 3, 6), Fraction(0), dtype=object)
    for o, m, i, t1, t2 in itertools.product(range(5), range(4), range(3), range(2), range(3)):
        weight[o, i, t1 + 2 * t2] += w2[o, m, t2] * w1[m, i, t1]
    return weight, b2 + w2.sum(axis=2) @ b1


def rounded(weight, bias, dtype=torch.float32):
    conv = nn.Conv1d(3, 5, 6, stride=2, dtype=dtype)
    round_all = np.vectorize(lambda number: nearest(number, dtype))
    fill(conv.weight, round_all(weight))
    fill(conv.bias, round_all(bias))
    return conv


@pytest.mark.parametrize("dtype", BITS, ids=str)
@pytest.mark.parametrize("flipped", [False, True])
def test_merged_weights_that_are_rounded_are_told_so(dtype, flipped):
    """In either order; with the number of weights, and the largest rounding, counted by hand."""
    model = chain(dtype)
    weight, bias = merged_exactly(model)
    sides = (model, rounded(weight, bias, dtype))
    verdict = prove(*(sides[::-1] if flipped else sides), (3, 9))
    assert isinstance(verdict, Rounded), verdict
    assert not verdict
    assert verdict.up_to_rounding
    assert verdict.dtype == str(dtype).removeprefix("torch.")
    outputs = (9 - 6) // 2 + 1
    assert verdict.weights == outputs * (5 * 3 * 6 + 5)
    units = [
        abs(number - Fraction(nearest(number, dtype))) / unit_in_last_place(number, dtype)
        for number in (*weight.flatten(), *bias)
    ]
    assert verdict.units == pytest.approx(float(max(units)), rel=1e-6)
    assert verdict.rounding.within


def moved(conv, index, units):
    """Move one weight by whole units in the last place."""
    conv = copy.deepcopy(conv)
    with torch.no_grad():
        number = conv.weight[index]
        step = unit_in_last_place(Fraction(float(number)), conv.weight.dtype)
        number += float(units * step)
    return conv


@pytest.mark.parametrize("index", [(0, 0, 0), (3, 1, 4), (4, 2, 5)])
@pytest.mark.parametrize("units", [-4, -1, 1, 2, 4])
def test_one_weight_some_units_too_far_is_not_rounded(index, units):
    model = chain()
    conv = rounded(*merged_exactly(model))
    verdict = prove(model, moved(conv, index, units), (3, 9))
    assert isinstance(verdict, Measured), verdict
    off = float(verdict.reason.split("off by up to ")[1].split()[0])
    assert abs(off - abs(units)) <= 0.51  # of the unit that the rounding was
    assert not verdict.up_to_rounding


@pytest.mark.parametrize("index", [(0, 0, 0), (3, 1, 4), (4, 2, 5)])
def test_a_merge_that_is_a_hundredth_off_is_refuted_in_decimals(index):
    model = chain()
    weight, bias = merged_exactly(model)
    expected = weight[index]
    weight[index] *= Fraction(101, 100)
    verdict = prove(model, rounded(weight, bias), (3, 9))
    assert isinstance(verdict, Refuted), verdict
    shown = verdict.counterexample
    assert shown.kind == "weight"
    assert shown.output[0] == index[0]
    assert shown.input == (index[1], 2 * shown.output[1] + index[2])
    assert shown.expected == pytest.approx(float(expected), rel=1e-14)
    assert shown.got == pytest.approx(1.01 * float(expected), rel=1e-6)
    assert f"{shown.expected!r} against {shown.got!r}" in str(verdict)
    assert "units in the last place of float32" in str(verdict)


def test_what_computing_explains_is_counted_for_each_weight():
    """A weight is a sum of 4 products of 2: of 6 roundings. An output has 18 behind it."""
    model = chain()
    with torch.no_grad():
        for parameter in model.parameters():  # so that no sum cancels
            parameter.abs_().add_(1)
    conv = rounded(*merged_exactly(model))
    for units, kind in ((3, Measured), (7, Refuted)):
        verdict = prove(model, moved(conv, (3, 1, 4), units), (3, 9))
        assert isinstance(verdict, kind), verdict


def test_small_weights_beside_a_large_bias_keep_their_digits():
    model = chain()
    with torch.no_grad():
        for conv in model:
            conv.weight *= 1e-7
            conv.bias += 1e4
    conv = rounded(*merged_exactly(model))
    verdict = prove(model, conv, (3, 9))
    assert isinstance(verdict, Rounded), verdict
    assert isinstance(prove(model, moved(conv, (3, 1, 4), 1), (3, 9)), Measured)


def test_a_bias_that_is_off_is_shown_as_one():
    model = chain()
    conv = rounded(*merged_exactly(model))
    with torch.no_grad():
        conv.bias[3] += 1
    shown = prove(model, conv, (3, 9)).counterexample
    assert (shown.kind, shown.output[0], shown.input) == ("bias", 3, None)


def trained(norm, seed=0):
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.normal_()
        norm.running_var.uniform_(0.01, 3)
    return norm.eval()


def folded(conv, norm):
    """The fold in fractions, but for the root, which is right to 60 digits."""
    scale = []
    for v, g in zip(exact(norm.running_var), exact(norm.weight), strict=True):
        root = Fraction(isqrt(floor((v + Fraction(norm.eps)) * 10**120)), 10**60)
        scale.append(g / root)
    scale = np.array(scale, dtype=object)
    weight = exact(conv.weight) * scale.reshape(-1, *[1] * (conv.weight.ndim - 1))
    bias = (exact(conv.bias) - exact(norm.running_mean)) * scale + exact(norm.bias)
    new, round_all = copy.deepcopy(conv), np.vectorize(lambda n: nearest(n, torch.float32))
    fill(new.weight, round_all(weight))
    fill(new.bias, round_all(bias))
    return new


PAIRS = {
    "conv1d": (lambda: nn.Conv1d(2, 3, 2), nn.BatchNorm1d, (2, 5)),
    "conv2d": (lambda: nn.Conv2d(3, 5, (2, 3), padding=1, groups=1), nn.BatchNorm2d, (3, 4, 6)),
    "conv3d": (lambda: nn.Conv3d(2, 4, (1, 2, 3), groups=2), nn.BatchNorm3d, (2, 2, 3, 4)),
    "linear": (lambda: nn.Linear(7, 5), nn.BatchNorm1d, (7,)),
}


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize(("layer", "norm", "shape"), PAIRS.values(), ids=PAIRS)
def test_a_folded_normalisation_is_rounded_or_computed(layer, norm, shape, draw):
    """PyTorch's own fold computes in float32: further off, and within what that explains."""
    torch.manual_seed(draw)
    layer = layer()
    norm = trained(norm(layer.weight.shape[0]), draw)
    model = nn.Sequential(layer, norm).eval()
    verdict = prove(model, folded(layer, norm), shape)
    assert isinstance(verdict, Rounded), verdict
    assert verdict.units <= 0.5 + 1e-6
    fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
    theirs = prove(model, fuse(layer.eval(), norm), shape)
    assert isinstance(theirs, Rounded | Measured), theirs
    if isinstance(theirs, Measured):
        assert "merged weights are off by up to" in theirs.reason
    wrong = folded(layer, norm)
    with torch.no_grad():
        wrong.weight[1] *= 1.01
    assert isinstance(prove(model, wrong, shape), Refuted)


def test_forgetting_epsilon_is_refuted():
    conv, norm = nn.Conv2d(3, 5, 2), trained(nn.BatchNorm2d(5))
    forgetful = copy.deepcopy(norm)
    forgetful.eps = 0.0
    verdict = prove(nn.Sequential(conv, norm).eval(), folded(conv, forgetful), (3, 4, 5))
    assert isinstance(verdict, Refuted), verdict


class Added(nn.Module):
    """Branches whose outputs are added."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


def test_branches_that_are_added_round_too():
    torch.manual_seed(1)
    wide, narrow = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1)
    weight, bias = exact(wide.weight), exact(wide.bias) + exact(narrow.bias)
    weight[:, :, 1:2, 1:2] += exact(narrow.weight)
    new = copy.deepcopy(wide)
    round_all = np.vectorize(lambda number: nearest(number, torch.float32))
    fill(new.weight, round_all(weight))
    fill(new.bias, round_all(bias))
    verdict = prove(Added(wide, narrow), new, (2, 4, 5))
    assert isinstance(verdict, Rounded), verdict


def test_weights_that_somebody_chose_are_never_called_rounded():
    """One unit apart, half a unit of the larger at a power of two, or rounded to 16 bits."""
    torch.manual_seed(0)
    conv = nn.Conv1d(3, 5, 2)
    assert isinstance(prove(conv, moved(conv, (2, 1, 0), 1), (3, 7)), Refuted)
    one, below = (nn.Conv1d(1, 1, 1, bias=False) for _ in range(2))
    with torch.no_grad():
        one.weight.fill_(1)
        below.weight.fill_(1 - 2.0**-24)
    assert isinstance(prove(one, below, (1, 3)), Refuted)
    short = copy.deepcopy(conv)
    with torch.no_grad():
        short.weight.copy_(conv.weight.bfloat16())
    assert isinstance(prove(conv, short, (3, 7)), Refuted)


def test_in_float64_nothing_is_said_of_half_a_unit():
    """What sums the exact weights is no finer there than what rounds them."""
    model = chain(torch.float64)
    weight, bias = merged_exactly(model)
    conv = nn.Conv1d(3, 5, 6, stride=2, dtype=torch.float64)
    fill(conv.weight, weight)
    fill(conv.bias, bias)
    verdict = prove(model, conv, (3, 9))
    assert isinstance(verdict, Measured), verdict
    assert "float64" in verdict.reason
    with torch.no_grad():
        conv.weight[1, 1, 1] *= 1 + 1e-12
    assert isinstance(prove(model, conv, (3, 9)), Refuted)


class Bent(nn.Module):
    def __init__(self, model, bend):
        super().__init__()
        self.model, self.bend = model, bend

    def forward(self, x):
        return self.bend(self.model(x), self.model)


@pytest.mark.parametrize(
    "bend",
    [
        lambda y, model: y.abs() * (y.detach() >= 0) - y.abs() * (y.detach() < 0),
        lambda y, model: y + 0 * y.sum().item(),
        lambda y, model: y * (y / y),
        lambda y, model: torch.where(y > 100, y + 1e-30, y),
    ],
)
def test_what_is_not_affine_in_its_input_is_not_called_rounded(bend):
    model = chain()
    conv = rounded(*merged_exactly(model))
    verdict = prove(Bent(model, bend), conv, (3, 9))
    assert not isinstance(verdict, Rounded), verdict


def test_quotients_by_weights_are_affine():
    model = chain()
    conv = rounded(*merged_exactly(model))
    halved = Bent(model, lambda y, m: y / torch.full((), 2.0) * 2)
    assert isinstance(prove(halved, conv, (3, 9)), Rounded)


class InItsOwnWay(nn.Module):
    """A merged layer that is another where one condition holds."""

    def __init__(self, conv, where):
        super().__init__()
        self.conv, self.where = conv, where

    def forward(self, x):
        return self.conv(x) * (1.001 if self.where(x) else 1)


@pytest.mark.parametrize(
    "where",
    [
        lambda x: x.dtype == torch.float32,
        lambda x: len(x) == 5,
        lambda x: len(x) == 1,
        lambda x: not x.is_contiguous(),
        lambda x: x.requires_grad,
        lambda x: x.is_inference(),
    ],
    ids=["float32", "batch of 5", "batch of 1", "strides", "gradients", "inference"],
)
def test_a_merge_that_is_another_in_some_way_is_not_rounded(where):
    model = chain()
    conv = rounded(*merged_exactly(model))
    verdict = prove(model, InItsOwnWay(conv, where), (3, 9))
    assert isinstance(verdict, Refuted | Measured), verdict


def test_a_fold_that_is_another_in_float32_alone_is_not_rounded():
    conv, norm = nn.Conv2d(3, 5, 2), trained(nn.BatchNorm2d(5))
    model, fold = nn.Sequential(conv, norm).eval(), folded(conv, norm)
    assert isinstance(prove(model, fold, (3, 4, 6)), Rounded)
    other = InItsOwnWay(fold, lambda x: x.dtype == torch.float32)
    verdict = prove(model, other, (3, 4, 6))
    assert isinstance(verdict, Refuted | Measured), verdict
    assert "in float32" in str(verdict)


class Fails(nn.Module):
    def __init__(self, fold, batch):
        super().__init__()
        self.fold, self.batch = fold, batch

    def forward(self, x):
        if len(x) == self.batch:
            raise ValueError("too many")
        return self.fold(x)


def test_a_fold_that_fails_on_some_batch_is_refuted_there():
    conv, norm = nn.Conv2d(3, 5, 2), trained(nn.BatchNorm2d(5))
    model, fold = nn.Sequential(conv, norm).eval(), folded(conv, norm)
    verdict = prove(model, Fails(fold, 5), (3, 4, 6))
    assert isinstance(verdict, Refuted), verdict
    assert verdict.counterexample.kind == "exception"
    assert "a batch of 5" in verdict.counterexample.note


def test_no_outputs_are_measured_as_before():
    conv, norm = nn.Conv2d(3, 5, 2), trained(nn.BatchNorm2d(5))
    model, fold = nn.Sequential(conv, norm).eval(), folded(conv, norm)
    none = [Bent(side, lambda y, _: y[:, :0]) for side in (model, fold)]
    assert isinstance(prove(*none, (3, 4, 6)), Measured)


def test_squares_are_not_compared_as_if_they_were_affine():
    conv, norm = nn.Conv2d(3, 5, 2), trained(nn.BatchNorm2d(5))
    model, fold = nn.Sequential(conv, norm).eval(), folded(conv, norm)
    squares = [Bent(side, lambda y, _: y * y) for side in (model, fold)]
    verdict = prove(*squares, (3, 4, 6))
    assert isinstance(verdict, Measured)
    assert "merged weights" not in verdict.reason


def test_of_large_inputs_some_are_compared_and_it_is_said(monkeypatch):
    model = chain()
    conv = rounded(*merged_exactly(model))
    monkeypatch.setattr(last_places, "AT_MOST", 100)
    verdict = prove(model, conv, (3, 9))
    assert isinstance(verdict, Measured)
    assert "the weights of 10 of 27 inputs were compared" in verdict.reason
    with torch.no_grad():
        conv.weight *= 1.01
    assert isinstance(prove(model, conv, (3, 9)), Refuted)


def test_equal_merges_are_proved():
    """Where nothing has to be rounded, as with whole numbers."""
    model = chain()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 30).round())
    assert isinstance(prove(model, rounded(*merged_exactly(model)), (3, 9)), Proved)
