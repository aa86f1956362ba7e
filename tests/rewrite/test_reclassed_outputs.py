"""A layer whose class was changed says what it said, in the same memory, and by another operation.

A sample of all that a layer can be asked for. On integers both sides are exact, so every output is
compared bit by bit. Which operations ran shows whether the layer took its form or went back to its
base's forward: it has to wherever its geometry has a form, and nowhere else.
"""

import random
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers.pytorch_utils import Conv1D

from convlin.layers.reclassed.reclass import reclass

BATCH, CHANNELS, OUT, SIZE = 3, 4, 6, (7, 5, 8)
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
CONVS = {f"Conv{n}d": getattr(nn, f"Conv{n}d") for n in (1, 2, 3)}
TRANSPOSED = {f"ConvTranspose{n}d": getattr(nn, f"ConvTranspose{n}d") for n in (1, 2, 3)}
EXCHANGES = [
    *((base, "linear") for base in (*CONVS.values(), *TRANSPOSED.values())),
    (nn.Conv1d, "conv2d"), (nn.ConvTranspose1d, "conv2d"), (nn.Conv3d, "conv2d"),
]  # fmt: skip
SAMPLE = 50


@dataclass(frozen=True)
class Case:
    """A convolution and the layout of what it is given."""

    base: Any
    target: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Any
    dilation: tuple[int, ...]
    groups: int
    mode: str
    bias: bool
    output_padding: tuple[int, ...]
    image_last: bool
    weight_last: bool
    dtype: torch.dtype
    batched: bool

    def __str__(self):
        values = ((f.name, getattr(self, f.name)) for f in fields(self)[2:])
        words = (_word(name, value) for name, value in values)
        return "-".join([self.base.__name__, "to", self.target, *filter(None, words)])

    def layer(self):
        more = {"padding_mode": self.mode}
        if self.transposed:
            more["output_padding"] = self.output_padding
        layer = self.base(
            CHANNELS, OUT, self.kernel, stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups, bias=self.bias, dtype=self.dtype, **more,
        )  # fmt: skip
        whole(layer)
        return layer.to(memory_format=LAST[self.ndim]) if self.weight_last else layer

    def image(self):
        x = integers(BATCH, CHANNELS, *SIZE[: self.ndim]).to(self.dtype)
        x = x.contiguous(memory_format=LAST[self.ndim]) if self.image_last else x
        return x if self.batched else x[0]

    @property
    def ndim(self):
        return len(self.kernel)

    @property
    def transposed(self):
        return self.base in TRANSPOSED.values()

    @property
    def has_form(self):
        """Whether the form exists, from the pixels that windows read, or that outputs fall on."""
        dims = list(zip(self.kernel, self.stride, self.dilation, strict=True))
        if self.target == "conv2d":
            k, s, d = dims[0]
            alone = self.padding_sums[0] == 0 and apart(k, s, d) and (d == 1 or k == 1)
            return self.ndim == 1 or alone
        if self.transposed:  # each pixel's outputs in a patch of their own
            return all(d * (k - 1) < s for k, s, d in dims)
        covers = all(
            size + pads == k and (d == 1 or k == 1)
            for size, pads, (k, _, d) in zip(SIZE, self.padding_sums, dims, strict=False)
        )
        return covers or all(apart(*dim) for dim in dims)

    @property
    def odd_memory(self):
        """Whether PyTorch has channels last or not by which of its kernels runs on a volume."""
        big = any(more >= s for more, s in zip(self.output_padding, self.stride, strict=True))
        last = self.image_last or self.weight_last
        return self.ndim == 3 and last and (big or not self.batched)

    @property
    def padding_sums(self):
        if self.padding == "valid":
            return (0,) * self.ndim
        if self.padding == "same":
            return tuple(d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True))
        return tuple(2 * side for side in self.padding)


def _word(name, value):
    match name, value:
        case (("kernel" | "stride" | "padding" | "dilation"), tuple()):
            return name[0] + "x".join(map(str, value))
        case "output_padding", _:
            return "op" + "x".join(map(str, value)) if any(value) else ""
        case _, bool():
            return name if value else ""
        case _, torch.dtype():
            return str(value).removeprefix("torch.")
        case "groups", _:
            return f"g{value}"
    return value


def apart(k, s, d):
    """Whether no two windows read one pixel."""
    windows = [{at * s + tap * d for tap in range(k)} for at in range(k * d + 1)]
    return sum(map(len, windows)) == len(set().union(*windows))


def drawn(draw, base, target):
    """Return a case: every second stride is the kernel, every eighth kernel all of the image."""
    ndim = int(base.__name__[-2])
    transposed = base in TRANSPOSED.values()
    kernel = tuple(draw.choices((1, 2, 3), k=ndim))
    stride = kernel if draw.random() < 0.5 else tuple(draw.choices((1, 2, 3), k=ndim))
    dilation = tuple(draw.choices((1, 1, 1, 2, 3), k=ndim))
    padding = tuple(draw.choices((0, 0, 1), k=ndim))
    if not transposed and draw.random() < 0.3:
        padding = draw.choice(("same", "valid"))
    if target == "linear" and not transposed and draw.random() < 0.125:
        padding = tuple(draw.choices((0, 1), k=ndim))
        kernel = tuple(n + 2 * side for n, side in zip(SIZE, padding, strict=False))
        dilation = (1,) * ndim
    if padding == "same":
        stride = (1,) * ndim
    least = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
    more = tuple(draw.choice((0, n - 1)) if transposed else 0 for n in least)
    modes = ("zeros",) if transposed else ("zeros", "zeros", "reflect", "circular", "replicate")
    image_last, weight_last = (ndim > 1 and draw.random() < 0.4 for _ in range(2))
    return Case(
        base, target, kernel, stride, padding, dilation, draw.choice((1, 1, 2)), draw.choice(modes),
        draw.random() < 0.7, more, image_last, weight_last,
        draw.choice((torch.float64, torch.float32)), draw.random() < 0.7,
    )  # fmt: skip


def sample():
    draw = random.Random(7)
    return [drawn(draw, *exchange) for exchange in EXCHANGES for _ in range(SAMPLE)]


CASES = sample()


def integers(*shape):
    return torch.randint(-9, 10, shape)


@torch.no_grad()
def whole(layer):
    """Give a layer whole numbers for weights."""
    for parameter in layer.parameters():
        parameter.copy_(integers(*parameter.shape))


class Operations(TorchFunctionMode):
    """Which operations compute products of weights."""

    def __init__(self):
        super().__init__()
        self.ran = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in {"linear", "matmul", "addmm"} or name.startswith("conv"):
            self.ran.add(name)
        return function(*args, **(kwargs or {}))


def said(layer, *inputs):
    """Return the outputs or the error, and the operations that ran."""
    with Operations() as operations, torch.no_grad():
        try:
            return layer(*inputs), operations.ran
        except Exception as error:
            return error, operations.ran


def took_its_form(base, target, ran):
    """Whether only operations of the form ran."""
    own = base.__name__.lower().replace("conv", "conv_", 1) if "Transpose" in base.__name__ else ""
    own = own or {"Linear": "linear", "Conv1D": "addmm"}.get(base.__name__, base.__name__.lower())
    wanted = {"linear": {"linear", "matmul"}, "conv": {"conv2d"}}.get(target)
    wanted = wanted or {"conv_transpose2d" if "Transpose" in base.__name__ else "conv2d"}
    assert ran <= {own} or ran <= wanted, ran
    return bool(ran) and ran <= wanted


def assert_same(expected, got):
    if isinstance(expected, Exception):
        assert (type(got), str(got)) == (type(expected), str(expected))
        return
    assert not isinstance(got, Exception), got
    assert got.dtype == expected.dtype and torch.equal(got, expected)


def steps(tensor):
    """Return the strides of all axes that have a second element."""
    return [step for step, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_convolution_says_what_it_said(case):
    torch.manual_seed(0)
    layer, x = case.layer(), case.image()
    expected, ran = said(layer, x)
    assert isinstance(expected, Exception) or not took_its_form(case.base, case.target, ran)
    got, ran = said(reclass(layer, case.base, case.target), x)
    assert_same(expected, got)
    if isinstance(expected, Exception):
        return
    assert took_its_form(case.base, case.target, ran) == case.has_form
    if not case.odd_memory:
        assert steps(got) == steps(expected)


@pytest.mark.parametrize(("base", "target"), EXCHANGES)
def test_the_sample_has_every_value_of_every_field_with_a_form_and_mostly_without(base, target):
    cases = [case for case in CASES if (case.base, case.target) == (base, target)]
    assert len(set(map(str, cases))) > SAMPLE * 0.9
    if "Transpose" not in base.__name__:
        assert {"same", "valid"} <= {case.padding for case in cases}
    for has_form in (True, False):
        some = [case for case in cases if case.has_form == has_form]
        always = (base, target) in [(nn.Conv1d, "conv2d"), (nn.ConvTranspose1d, "conv2d")]
        assert bool(some) or (always and not has_form)
        if not some:
            continue
        for name in ("batched", "bias", "dtype", "groups"):
            assert len({getattr(case, name) for case in some}) == 2, name
        if len(some[0].kernel) > 1:
            layouts = {(case.image_last, case.weight_last) for case in some if case.batched}
            assert len(layouts) == 4
        if "Transpose" not in base.__name__:
            assert len({case.mode for case in some}) == 4


ROWS = {
    "one": (5,), "rows": (7, 5), "batch": (2, 7, 5), "images": (2, 3, 7, 5), "none": (0, 5),
    "none-in-batch": (2, 0, 5), "too-few": (7, 4), "too-many": (2, 7, 6), "nothing": (),
}  # fmt: skip
HAS_ROWS = {"one", "rows", "batch", "images"}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("target", ["conv", "conv2d"])
@pytest.mark.parametrize("rows", ROWS)
def test_a_linear_says_what_it_said(rows, target, bias):
    torch.manual_seed(0)
    layer = nn.Linear(5, 11, bias=bias, dtype=torch.float64)
    whole(layer)
    x = integers(*ROWS[rows]).double()
    expected, _ = said(layer, x)
    got, ran = said(reclass(layer, nn.Linear, target), x)
    assert_same(expected, got)
    assert took_its_form(nn.Linear, target, ran) == (rows in HAS_ROWS)
    if rows in HAS_ROWS:
        assert steps(got) == steps(expected)


@pytest.mark.parametrize("target", ["linear", "conv", "conv2d"])
@pytest.mark.parametrize("rows", ROWS)
def test_a_conv1d_of_gpt2_says_what_it_said(rows, target):
    torch.manual_seed(0)
    layer = Conv1D(11, 5).double()
    whole(layer)
    x = integers(*ROWS[rows]).double()
    expected, _ = said(layer, x)
    got, ran = said(reclass(layer, Conv1D, target), x)
    assert_same(expected, got)
    if not isinstance(expected, Exception) and (target != "linear" or rows in HAS_ROWS):
        assert took_its_form(Conv1D, target, ran) == (rows in HAS_ROWS)


@pytest.mark.parametrize("target", ["conv", "conv2d"])
def test_rows_that_lie_across_memory_are_taken(target):
    layer = nn.Linear(5, 11, dtype=torch.float64)
    whole(layer)
    x = integers(5, 7, 3).double().permute(2, 1, 0)
    expected, _ = said(layer, x)
    got, ran = said(reclass(layer, nn.Linear, target), x)
    assert_same(expected, got)
    assert took_its_form(nn.Linear, target, ran) and steps(got) == steps(expected)


@pytest.mark.parametrize("base", TRANSPOSED.values())
def test_an_output_size_that_is_asked_for_is_given(base):
    ndim = int(base.__name__[-2])
    layer = base(CHANNELS, OUT, 2, stride=3, dtype=torch.float64)
    whole(layer)
    x = integers(BATCH, CHANNELS, *SIZE[:ndim]).double()
    size = tuple(3 * n + 1 for n in SIZE[:ndim])
    expected = layer(x, output_size=size)
    assert expected.shape[2:] == size != layer(x).shape[2:]
    targets = ["linear", "conv2d"] if ndim == 1 else ["linear"]
    for target in targets:
        layer.__class__ = base
        assert torch.equal(reclass(layer, base, target)(x, output_size=size), expected)


TOO_SMALL = {
    "one-pixel": {"kernel_size": 3, "size": 1},
    "no-pixels": {"kernel_size": 3, "size": 0},
    "dilated": {"kernel_size": 3, "dilation": 4, "stride": 12, "size": 8},
    "dilated-beyond-its-image": {"kernel_size": 3, "dilation": 2, "size": 3},
    "reflecting-more-than-there-is": {
        "kernel_size": 1, "padding": 6, "padding_mode": "reflect", "size": 5,
    },
    "wrapping-more-than-there-is": {
        "kernel_size": 1, "padding": 6, "padding_mode": "circular", "size": 5,
    },
    "other-channels": {"kernel_size": 1, "channels": 5, "size": 4},
    "no-channels": {"kernel_size": 1, "channels": 0, "size": 4},
    "no-samples": {"kernel_size": 1, "batch": 0, "size": 4},
}  # fmt: skip


@pytest.mark.parametrize(("base", "target"), [e for e in EXCHANGES if e[0] in CONVS.values()])
@pytest.mark.parametrize("case", TOO_SMALL)
def test_what_the_layer_says_of_an_input_that_does_not_fit(case, base, target):
    geometry = dict(TOO_SMALL[case])
    n, batch = geometry.pop("size"), geometry.pop("batch", BATCH)
    x = torch.ones(batch, geometry.pop("channels", CHANNELS), *(n,) * int(base.__name__[-2]))
    layer = base(CHANNELS, OUT, **geometry)
    whole(layer)
    expected, _ = said(layer, x)
    assert isinstance(expected, Exception) or not x.numel()
    got, _ = said(reclass(layer, base, target), x)
    assert_same(expected, got)


@pytest.mark.parametrize(("kernel", "dilation"), [(2, 1), (4, 3), (3, 2)])
def test_the_same_size_is_padded_one_more_behind_than_before(kernel, dilation):
    layer = nn.Conv1d(CHANNELS, OUT, kernel, dilation=dilation, padding="same", dtype=torch.float64)
    whole(layer)
    x = integers(BATCH, CHANNELS, 11).double()
    expected, _ = said(layer, x)
    got, ran = said(reclass(layer, nn.Conv1d, "conv2d"), x)
    assert_same(expected, got)
    assert took_its_form(nn.Conv1d, "conv2d", ran)


@pytest.mark.parametrize("target", ["linear", "conv2d"])
def test_the_same_size_at_a_stride_is_refused_as_the_layer_refuses_it(target):
    layer = nn.Conv1d(CHANNELS, OUT, 2, padding="same")
    layer.stride = (2,)
    x = integers(BATCH, CHANNELS, 11).float()
    expected, _ = said(layer, x)
    assert isinstance(expected, RuntimeError)
    assert_same(expected, said(reclass(layer, nn.Conv1d, target), x)[0])
