"""`merge`: every row of the table that merges, what it promises of numbers, and what it refuses."""

import copy
import itertools
import random
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import fusion

from convlin import ConvGeometry, Refused, merge, prove
from convlin.exchange.merges import Composition, ParallelSum, scale_and_shift
from convlin.layers.merged_layer import tap_size
from convlin.layers.rounded_once import rounded_once
from convlin.proof import Measured, Proved, Refuted, Rounded


def norm(channels, cls=nn.BatchNorm2d, **options):
    """Return a normalisation as after training."""
    layer = cls(channels, **options)
    with torch.no_grad():
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
        if layer.affine:
            layer.weight.normal_()
            layer.bias.normal_()
    return layer.eval()


def branch(*layers):
    return nn.Sequential(*layers)


def whole(*layers):
    """Give layers small whole numbers, in place; a normalisation those that scale by whole ones."""
    for layer in nn.Sequential(*layers).modules():
        if isinstance(layer, tuple(NORMS)):
            layer.eps = 0.0
            layer.running_var.fill_(0.25)
            layer.running_mean.copy_(torch.randint(-3, 4, layer.running_mean.shape))
        for parameter in layer._parameters.values():
            if parameter is not None:
                parameter.data = torch.randint(1, 5, parameter.shape).to(parameter.dtype)
    return layers


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
SEQUENCES = {
    "1x1-1x1": lambda: (nn.Conv2d(3, 4, 1, stride=2), nn.Conv2d(4, 5, 1)),
    "3x2-1x1": lambda: (
        nn.Conv2d(4, 6, (3, 2), padding=(1, 0), stride=(1, 2), groups=2),
        nn.Conv2d(6, 3, 1, groups=3),
    ),
    "1x1-3x3": lambda: (
        nn.Conv2d(3, 4, 1, bias=False),
        nn.Conv2d(4, 6, 3, padding=1, dilation=2, groups=2),
    ),
    "3x3-2x2": lambda: (nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 2, 2, stride=(1, 2))),
    "three-lines": lambda: (nn.Conv1d(2, 3, 2), nn.Conv1d(3, 4, 3), nn.Conv1d(4, 2, 2, stride=2)),
    "conv-norm": lambda: (nn.Conv2d(3, 4, 3, padding=1, bias=False), norm(4)),
    "norm-valid-conv": lambda: (norm(3), nn.Conv2d(3, 4, 2)),
    "depthwise-norm-pointwise": lambda: (
        branch(nn.Conv2d(4, 4, 3, padding=1, groups=4), norm(4)),
        nn.Conv2d(4, 3, 1),
    ),
    "volume-norm": lambda: (nn.Conv3d(2, 3, (1, 2, 2)), norm(3, nn.BatchNorm3d, affine=False)),
    "line-norm": lambda: (nn.Conv1d(2, 3, 2, padding="same"), norm(3, nn.BatchNorm1d)),
    "transposed-norm": lambda: (
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        norm(6),
    ),
    "pointwise-transposed": lambda: (
        nn.Conv2d(3, 4, 1, bias=False),
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2),
    ),
    "transposed-transposed": lambda: (
        nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1, bias=False),
        nn.ConvTranspose1d(3, 2, 2, stride=2, padding=1),
    ),
    "linear-norm": lambda: (nn.Linear(3, 4), norm(4, nn.BatchNorm1d)),
    "norm-linear": lambda: (norm(3, nn.BatchNorm1d), nn.Linear(3, 4)),
    "linear-linear": lambda: (nn.Linear(3, 6), nn.Identity(), nn.Linear(6, 2)),
    "norm-norm": lambda: (norm(3), norm(3)),
}
PARALLEL = {
    "repvgg": lambda: (
        branch(nn.Conv2d(4, 4, 3, padding=1, bias=False, groups=2), norm(4)),
        branch(nn.Conv2d(4, 4, 1, bias=False, groups=2), norm(4)),
        norm(4),
    ),
    "dilated": lambda: (
        nn.Conv2d(3, 4, 3, padding=1, stride=2),
        nn.Conv2d(3, 4, 3, padding=2, dilation=2, stride=2, bias=False),
    ),
    "identity": lambda: (nn.Conv1d(3, 3, 3, padding=1, groups=3), nn.Identity()),
    "transposed": lambda: (
        nn.ConvTranspose2d(3, 4, 3, padding=1, stride=2),
        nn.ConvTranspose2d(3, 4, 1, stride=2),
    ),
    "linear": lambda: (nn.Linear(3, 4), branch(nn.Linear(3, 2), nn.Linear(2, 4))),
    "norm-linear-norm": lambda: (
        norm(3, nn.BatchNorm1d),
        nn.Linear(3, 3),
        norm(3, nn.BatchNorm1d),
    ),
}
PADDED = {
    "reflect": lambda: (nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect")),
    "circular": lambda: (
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"),
    ),
    "norm": lambda: (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), norm(3)),
    "replicate": lambda: (
        nn.Conv1d(2, 3, 2, padding=1, padding_mode="replicate"),
        nn.Conv1d(3, 2, 3, padding=1, padding_mode="replicate"),
    ),
}
ROWS = {
    **{name: (make, {}) for name, make in SEQUENCES.items()},
    **{f"parallel-{name}": (make, {"parallel": True}) for name, make in PARALLEL.items()},
    "lora": (
        lambda: (
            nn.Conv2d(4, 6, 3, stride=2, padding=1),
            branch(nn.Conv2d(4, 2, 3, 2, 1, bias=False), nn.Conv2d(2, 6, 1, bias=False)),
        ),
        {"parallel": True, "scales": (1, 1.7)},
    ),
    "full-then-padded": (
        lambda: (nn.Conv1d(2, 3, 3, padding=2, bias=False), nn.Conv1d(3, 2, 3, padding=1)),
        {},
    ),
    "one-sided": (
        lambda: (
            nn.Conv2d(3, 4, 1, stride=2, bias=False),
            nn.Conv2d(4, 2, 2, padding="same"),
        ),
        {},
    ),
}


@pytest.mark.parametrize("make, options", ROWS.values(), ids=ROWS)
def test_it_is_an_identity_and_each_weight_is_rounded_once(make, options):
    merged = merge(*make(), **options)
    verdict = merged.verdict
    assert isinstance(verdict, Rounded), verdict
    assert isinstance(verdict.identity, Proved)
    assert verdict.units < 0.5 + 2**-28  # sums in float64 round as well
    assert "merged weights rounded" in str(merged)


@pytest.mark.parametrize("make, options", ROWS.values(), ids=ROWS)
def test_of_whole_numbers_it_is_equal(make, options):
    layers = whole(*make())
    if "scales" in options:
        options = options | {"scales": (1, 3)}
    merged = merge(*layers, **options)
    if any(isinstance(m, NORMS) for m in merged.original.modules()):
        x = torch.randint(-9, 10, (2, *merged.input_shape)).float()
        assert torch.equal(merged.layer(x), merged.original(x))
    else:
        assert isinstance(merged.verdict, Proved), merged.verdict


@pytest.mark.parametrize("make", PADDED.values(), ids=PADDED)
def test_where_padding_repeats_pixels_each_weight_is_rounded_once_too(make):
    """There several taps read one pixel, and what it weighs is no single rounded weight."""
    merged = merge(*make())
    assert isinstance(merged.verdict, Rounded), merged.verdict
    assert isinstance(merged.verdict.identity, Proved)
    assert merged.verdict.units < 0.5 + 2**-28
    assert merged.verdict.rounding.within


@pytest.mark.parametrize("name", ["reflect", "circular", "replicate"])
def test_and_of_whole_numbers_it_is_equal_there(name):
    assert isinstance(merge(*whole(*PADDED[name]())).verdict, Proved)


def test_and_of_branches_it_is_measured():
    pads = {"padding": 1, "padding_mode": "reflect"}
    merged = merge(nn.Conv1d(2, 3, 3, **pads), nn.Conv1d(2, 3, 1), parallel=True)
    assert isinstance(merged.identity, Proved)
    assert isinstance(merged.verdict, Measured)
    assert merged.verdict.rounding.within


def with_largest_weight(layer, changed):
    """Return a copy whose largest weight is what is made of it."""
    other = copy.deepcopy(layer)
    weight = next(m.weight for m in other.modules() if hasattr(m, "weight"))
    with torch.no_grad():
        largest = weight.view(-1)[weight.abs().argmax()]
        largest.copy_(changed(largest))
    return other


def four_units_away(number):
    for _ in range(4):
        number = torch.nextafter(number, number.sign() * torch.inf)
    return number


@pytest.mark.parametrize("make, options", ROWS.values(), ids=ROWS)
def test_weights_that_are_one_percent_wrong_are_refuted(make, options):
    merged = merge(*make(), **options)
    wrong = with_largest_weight(merged.layer, lambda number: number * 1.01)
    assert isinstance(prove(merged.original, wrong, merged.input_shape), Refuted)


@pytest.mark.parametrize("make, options", ROWS.values(), ids=ROWS)
def test_a_weight_that_is_four_units_too_far_is_told_apart(make, options):
    """Which is less than computing in float32 explains of some sums, and more of others."""
    merged = merge(*make(), **options)
    wrong = with_largest_weight(merged.layer, four_units_away)
    verdict = prove(merged.original, wrong, merged.input_shape)
    assert isinstance(verdict, Measured | Refuted), verdict
    assert re.search(r"\b[345](\.\d+)? units in the last place of float32", str(verdict)), verdict


APPLES = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)


def test_two_padded_kernels_are_refused_with_the_element_that_would_be_wrong():
    with pytest.raises(Refused) as refused:
        merge(*APPLES)
    [odd] = refused.value.refusals
    assert (odd.site, odd.field, odd.value) == ("1 (Conv2d)", "padding", ((1, 1), (1, 1)))
    assert odd.allowed == "0"
    assert odd.reason.startswith(
        "or padding of the first ≥ (2, 2) and no bias; with whole numbers as weights, "
        "output (0, 0, 0) meets input (0, 0, 0) with weight "
    )


def test_and_made_all_the_same_they_are_refuted_there():
    first, second = APPLES
    weight = Composition(*map(ConvGeometry.of, APPLES)).weight(
        first.weight.double(), second.weight.double()
    )
    naive = nn.Conv2d(3, 5, 5, padding=2)
    with torch.no_grad():
        naive.weight.copy_(weight)
        naive.bias.copy_(second.weight.sum((2, 3)) @ first.bias + second.bias)
    verdict = prove(nn.Sequential(*APPLES), naive, (3, 6, 7))
    assert isinstance(verdict, Refuted)
    at = verdict.counterexample.output
    assert not (0 < at[1] < 5 and 0 < at[2] < 6)  # on the border


def refusals(*layers, **options):
    with pytest.raises(Refused) as refused:
        merge(*layers, **options)
    return [(odd.site, odd.field) for odd in refused.value.refusals]


class Scaled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked(layer):
    layer.register_forward_hook(lambda *_: None)
    return layer


REFUSED = {
    "shift-before-zeros": ((norm(3), nn.Conv2d(3, 4, 3, padding=1)), "1 (Conv2d)", "padding"),
    "channels": ((nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)), "1 (Conv2d)", "in_channels"),
    "train": ((nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), "1 (BatchNorm2d)", "training"),
    "batch-statistics": (
        (nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False).eval()),
        "1 (BatchNorm2d)", "running_mean",
    ),
    "subclass": ((Scaled(3, 4, 1), norm(4)), "0 (Scaled)", "forward"),
    "hook": ((branch(nn.Identity(), hooked(norm(3))), nn.Conv2d(3, 4, 1)), "0.1 (BatchNorm2d)", "_forward_hooks"),
    "hook-on-container": ((hooked(branch(norm(3))), nn.Conv2d(3, 4, 1)), "0 (Sequential)", "_forward_hooks"),
    "activation": ((nn.Conv2d(3, 4, 1), nn.ReLU()), "1 (ReLU)", "type"),
    "rows-and-maps": ((nn.Linear(3, 4), nn.Conv1d(4, 2, 1)), "1 (Conv1d)", "layer"),
    "dimensions": ((nn.Conv2d(3, 4, 1), norm(4, nn.BatchNorm1d)), "1 (BatchNorm1d)", "layer"),
    "dtype": ((nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1).double()), "1 (Conv2d)", "weight.dtype"),
    "meta": ((nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1, device="meta")), "1 (Conv2d)", "weight.device"),
    "modes": (
        (nn.Conv1d(2, 2, 1, padding=1), nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular")),
        "1 (Conv1d)", "padding_mode",
    ),
    "bias-before-transposed": (
        (nn.Conv1d(2, 3, 1), nn.ConvTranspose1d(3, 2, 3)), "0 (Conv1d)", "bias",
    ),
    "crop-before-transposed": (
        (nn.ConvTranspose1d(2, 3, 3, padding=1, bias=False), nn.ConvTranspose1d(3, 2, 3)),
        "0 (ConvTranspose1d)", "padding",
    ),
    "nothing": ((nn.Identity(), branch()), "merge", "layers"),
}  # fmt: skip


@pytest.mark.parametrize("layers, site, field", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_by_name(layers, site, field):
    assert refusals(*layers)[0] == (site, field)


REFUSED_PARALLEL = {
    "size": ((nn.Conv1d(2, 2, 3, padding=1), nn.Conv1d(2, 2, 1, padding=1)), "padding"),
    "stride": ((nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1, stride=2)), "stride"),
    "channels": ((nn.Conv1d(2, 2, 1), nn.Conv1d(2, 4, 1)), "out_channels"),
    "modes": (
        (nn.Conv1d(2, 2, 3, padding=1), nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular")),
        "padding_mode",
    ),
    "rows-and-maps": (
        (norm(2, nn.BatchNorm1d), nn.Linear(2, 2), nn.Conv1d(2, 2, 1)), "layer",
    ),
    "transposed": ((nn.ConvTranspose1d(2, 2, 3, padding=1), nn.Conv1d(2, 2, 3, padding=1)), "transposed"),
}  # fmt: skip


@pytest.mark.parametrize("layers, field", REFUSED_PARALLEL.values(), ids=REFUSED_PARALLEL)
def test_branches_that_do_not_fit_are_refused_by_name(layers, field):
    assert field in [odd for _, odd in refusals(*layers, parallel=True)]


@pytest.mark.parametrize("scales", [2, (1,), (1, "2"), (1, float("nan")), "12", {1, 2}], ids=str)
def test_scales_are_one_finite_number_a_branch(scales):
    layers = nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1)
    if scales != (1, "2"):  # which float() reads
        assert refusals(*layers, parallel=True, scales=scales) == [("merge", "scales")]
    assert refusals(*layers, scales=(1, 1)) == [("merge", "scales")]


def test_a_shift_or_bias_of_zeros_is_none_where_one_would_be_in_the_way():
    plain, conv = norm(3), nn.Conv2d(3, 4, 3, padding=1)
    with torch.no_grad():
        plain.running_mean.zero_()
        plain.bias.zero_()
    assert isinstance(merge(plain, conv).verdict, Rounded)
    first = nn.Conv2d(3, 3, 1)
    nn.init.zeros_(first.bias)
    assert isinstance(merge(first, nn.Conv2d(3, 4, 3, padding=1, bias=False)).verdict, Rounded)


def test_too_large_for_the_dtype_is_refused_and_not_infinite():
    first, second = nn.Conv1d(2, 2, 1).half(), nn.Conv1d(2, 2, 1).half()
    for layer in (first, second):
        nn.init.constant_(layer.weight, 300)
    with pytest.raises(Refused, match=r"weight\[0, 0, 0\] is 180000.0, expected a finite number"):
        merge(first, second)


def test_a_kernel_that_would_fill_memory_is_refused():
    far, near = (nn.Conv2d(2, 2, 3, dilation=d, padding=d) for d in (10**5 + 1, 10**5))
    assert refusals(far, near, parallel=True)[0][1] == "weight.shape"
    # Taps of one common step need no zeros between.
    one = nn.Conv2d(2, 2, 1)
    assert merge(one, near, parallel=True).layer.dilation == (10**5, 10**5)


def test_what_a_module_is_besides_its_numbers():
    conv, after = nn.Conv2d(3, 4, 3), norm(4)
    conv.requires_grad_(False)
    merged = merge(conv, after)
    assert all(p.requires_grad for p in merged.layer.parameters())
    assert merged.layer.training
    assert not after.training  # the given layers are left alone
    after.requires_grad_(False)
    merged = merge(conv.eval(), after)
    assert not any(p.requires_grad for p in merged.layer.parameters())
    assert not merged.layer.training
    wide = conv.double()
    same = merge(wide, nn.Identity()).layer
    assert torch.equal(same.weight, wide.weight)
    assert same.weight.data_ptr() != wide.weight.data_ptr()


def test_a_block_may_come_alone():
    block = branch(nn.Conv2d(3, 4, 3), norm(4))
    assert torch.equal(merge(block).layer.weight, merge(*block).layer.weight)
    for alone, options in ((nn.Conv2d(3, 4, 3), {}), (block, {"parallel": True})):
        with pytest.raises(Refused, match="second is None, expected a layer"):
            merge(alone, **options)


@pytest.mark.parametrize(
    ("field", "number"),
    [("running_var", -3.0), ("running_var", float("nan")), ("weight", float("inf"))],
)
def test_the_number_that_cannot_be_merged_is_named_where_it_is(field, number):
    bad = norm(4)
    with torch.no_grad():
        getattr(bad, field)[2] = number
    with pytest.raises(Refused, match=rf"1 \(BatchNorm2d\): {field}\[2\] is {number}"):
        merge(nn.Conv2d(3, 4, 3), bad)


def test_the_weight_lies_in_memory_as_the_first_kernel_does():
    conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    last = merge(conv, norm(4)).layer.weight
    assert last.stride() == conv.weight.stride()
    assert merge(nn.Conv2d(3, 4, 3), norm(4)).layer.weight.is_contiguous()


@pytest.mark.parametrize("seed", range(40))
def test_of_the_tap_size_every_tap_is_read(seed):
    """And of one pixel less along the first dimension not, unless the layer takes no less."""
    draw = random.Random(seed)
    kernel, stride, dilation = (draw.randint(1, 4) for _ in range(3))
    padding = (draw.randint(0, 6), draw.randint(0, 6))
    geometry = ConvGeometry(97, 2, (kernel,), stride, (padding,), dilation)

    def read(size):
        line = torch.ones(1, 1, size)
        padded = functional.pad(line, padding)
        windows = padded.unfold(2, geometry.extent[0], stride)
        return bool((windows[..., ::dilation].sum(2) > 0).all())

    (size,) = tap_size(geometry)
    assert read(size)
    assert size == geometry.smallest_input[0] or not read(size - 1)


def test_one_layer_twice_is_two_layers():
    conv = nn.Conv1d(2, 2, 3)
    merged = merge(conv, conv)
    assert merged.layer.kernel_size == (5,)
    assert isinstance(merged.verdict, Rounded)


def test_it_says_when_it_costs_more():
    merged = merge(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 7, 1))
    before, after = merged.multiply_adds((8, 9))
    assert after > before == 4 * (3 * 8 - 2) * (3 * 9 - 2) + 28 * 72
    assert "more than before" in str(merged)
    assert "more than before" not in str(merge(nn.Linear(3, 6), nn.Linear(6, 2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mixed", [False, True])
def test_of_16_bits_each_weight_is_rounded_once_too(dtype, mixed):
    after = norm(5)
    merged = merge(nn.Conv2d(3, 5, 3, padding=1).to(dtype), after if mixed else after.to(dtype))
    assert merged.layer.weight.dtype == dtype
    assert isinstance(merged.verdict, Rounded), merged.verdict


def test_complex_layers_are_merged_and_not_judged():
    layers = [nn.Conv1d(2, 3, 2, dtype=torch.complex64), nn.Conv1d(3, 2, 1, dtype=torch.complex64)]
    merged = merge(*layers)
    x = torch.randn(2, 2, 5, dtype=torch.complex64)
    assert merged.layer.weight.dtype == torch.complex64
    assert torch.allclose(merged.layer(x), merged.original(x), atol=1e-6)
    assert isinstance(merged.verdict, Measured)


def test_rounding_to_16_bits_is_numpys_and_not_by_way_of_float32():
    tie = 1 + 2.0**-11  # halfway between two numbers of float16
    numbers = np.array(
        [tie + 2.0**-40, tie - 2.0**-40, tie, -tie - 2.0**-40, 7e-8, 0.0, 1e30, -2.98e-8]
    )
    numbers = np.concatenate([numbers, np.random.default_rng(0).normal(size=1000)])
    with np.errstate(over="ignore"):
        expected = numbers.astype(np.float16)
    assert torch.equal(rounded_once(torch.tensor(numbers), torch.float16), torch.tensor(expected))
    twice = torch.tensor(numbers).half()
    assert not torch.equal(twice, torch.tensor(expected))


FUSED = {
    "conv": lambda: (nn.Conv2d(16, 8, 3, padding=1, stride=2), norm(8)),
    "no-bias": lambda: (nn.Conv1d(16, 8, 3, bias=False), norm(8, nn.BatchNorm1d)),
    "not-affine": lambda: (nn.Conv3d(4, 8, 2), norm(8, nn.BatchNorm3d, affine=False)),
    "transposed": lambda: (nn.ConvTranspose2d(16, 8, 2, stride=2), norm(8)),
    "linear": lambda: (nn.Linear(16, 8), norm(8, nn.BatchNorm1d)),
}


@pytest.mark.parametrize("make", FUSED.values(), ids=FUSED)
def test_pytorchs_own_folds_are_within_a_few_units_in_the_last_place(make):
    layer, after = make()
    ours = merge(layer, after).layer
    if isinstance(layer, nn.Linear):
        theirs = fusion.fuse_linear_bn_eval(layer.eval(), after)
    else:
        transposed = isinstance(layer, nn.ConvTranspose2d)
        theirs = fusion.fuse_conv_bn_eval(layer.eval(), after, transpose=transposed)
    place = torch.nextafter(ours.weight.abs(), torch.tensor(torch.inf)) - ours.weight.abs()
    assert ((ours.weight - theirs.weight).abs() <= 4 * place).all()
    # A bias is a difference: of terms as large as these, each rounded a few times.
    scale, shift = scale_and_shift(
        after.running_mean, after.running_var, after.eps, after.weight, after.bias
    )
    terms = (shift.abs() + 2 * (after.running_mean * scale).abs()) + 1
    assert ((ours.bias - theirs.bias).abs() <= 8 * torch.finfo(torch.float32).eps * terms).all()


ARRAYS = {
    "groups-divide": (ConvGeometry(4, 8, (2,), groups=2), ConvGeometry(8, 8, (3,), groups=4)),
    "groups-do-not": (ConvGeometry(8, 12, (2, 1), groups=4), ConvGeometry(12, 6, (1, 2), groups=6)),
    "dilated": (
        ConvGeometry(2, 3, (3,), stride=2, dilation=2),
        ConvGeometry(3, 2, (2,), dilation=3),
    ),
}


@pytest.mark.parametrize("first, second", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_numpy_and_torch_merge_alike_and_as_written(first, second):
    """Against the sum, term by term: Σ_m Σ w₂[o, m, u]·w₁[m, c, t], each at its own position."""
    both = Composition(first, second)
    w1, w2 = (
        np.random.default_rng(1).integers(-9, 10, layer.weight_shape) for layer in (first, second)
    )
    merged, weight = both.geometry, both.weight(w1, w2)
    dense = np.zeros((merged.out_channels, merged.in_channels, *merged.kernel), dtype=int)
    mids = first.out_channels
    for o, m, *u in np.ndindex(w2.shape):
        mid = o // (second.out_channels // second.groups) * (mids // second.groups) + m
        for c, *t in np.ndindex(w1.shape[1:]):
            channel = mid // (mids // first.groups) * (first.in_channels // first.groups) + c
            at = [
                (a * first.dilation[d] + b * second.dilation[d] * first.stride[d])
                // merged.dilation[d]
                for d, (a, b) in enumerate(zip(t, u, strict=True))
            ]
            dense[o, channel, *at] += w2[o, m, *u] * w1[mid, c, *t]
    step = merged.in_channels // merged.groups
    for o in range(merged.out_channels):
        start = o // (merged.out_channels // merged.groups) * step
        assert np.array_equal(weight[o], dense[o, start : start + step])
        assert (
            not dense[o]
            .sum(axis=tuple(range(1, dense.ndim - 1)))[
                [c for c in range(merged.in_channels) if not start <= c < start + step]
            ]
            .any()
        )
    assert np.array_equal(both.weight(torch.tensor(w1), torch.tensor(w2)), weight)


def test_dilations_have_the_largest_common_step():
    first, second = ConvGeometry(1, 1, (3,), dilation=4), ConvGeometry(1, 1, (2,), dilation=6)
    merged = Composition(first, second).geometry
    assert (merged.kernel, merged.dilation) == ((8,), (2,))
    branches = (
        ConvGeometry(1, 1, (3,), dilation=4, padding=4),
        ConvGeometry(1, 1, (2,), padding=((2, 0),), dilation=2),
    )
    merged = ParallelSum(branches).geometry
    assert (merged.kernel, merged.dilation) == ((5,), (2,))


def test_every_pair_of_kinds_is_merged_or_refused():
    kinds = [
        nn.Conv1d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv3d(4, 4, 1), nn.ConvTranspose1d(4, 4, 1),
        nn.ConvTranspose2d(4, 4, 1), nn.ConvTranspose3d(4, 4, 1), nn.Linear(4, 4), nn.Identity(),
        *(norm(4, cls) for cls in NORMS),
    ]  # fmt: skip
    merged = 0
    for first, second in itertools.product(kinds, repeat=2):
        try:
            result = merge(first, second)
        except Refused:
            continue
        merged += 1
        x = torch.randn(2, *result.input_shape)
        assert torch.allclose(result.layer(x), result.original(x), atol=1e-5)
    # Three kinds and the identity for each dimension, and those on rows; not the identity alone.
    assert merged == 3 * (3 * 3 + 2 * 3) + 5
