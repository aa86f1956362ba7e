"""`to_conv` against the Linear itself, on rows, vectors and maps."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from convlin import ConvGeometry, GeometryError, Refused, to_conv
from geometry_strategies import fill, integers


def linear(features, outputs, bias=True):
    return fill(nn.Linear(features, outputs, bias=bias, dtype=torch.float64))


ROWS = [(5,), (2, 5), (2, 3, 5), (2, 3, 4, 5), (0, 5), (2, 0, 5), (1, 1, 5)]


@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
def test_pointwise_on_rows_of_any_rank(shape, ndim, bias):
    given = linear(5, 7, bias)
    form = to_conv(given, ndim=ndim)
    assert type(form.conv) is getattr(nn, f"Conv{ndim}d")
    assert form.conv.kernel_size == (1,) * ndim
    x = integers(*shape, seed=3)
    y = form(x)
    assert torch.equal(y, given(x))
    assert y.stride() == given(x).stride()
    back = form.to_linear()
    assert torch.equal(back.weight, given.weight)
    assert back.weight.data_ptr() == given.weight.data_ptr() == form.conv.weight.data_ptr()
    assert back.bias is given.bias
    assert repr(back) == repr(given)


def test_pointwise_on_rows_that_lie_anyhow():
    given = linear(5, 7)
    x = integers(4, 10, 6, seed=3).transpose(1, 2)[..., ::2]
    assert torch.equal(to_conv(given)(x), given(x))


@pytest.mark.parametrize("shape", [(), (4,), (2, 5, 6)], ids=str)
def test_rows_of_another_length_are_named(shape):
    with pytest.raises(GeometryError) as caught:
        to_conv(linear(5, 7))(torch.zeros(shape).double())
    assert str(caught.value) == f"input: shape is {shape}, expected (..., 5)"


SIZES = {"CL": (3, 7), "CHW": (3, 2, 5), "CDHW": (3, 2, 5, 4)}
ORDERS = ["".join(p) for letters in SIZES for p in itertools.permutations(letters)]


def flattened(maps, order):
    """Flatten maps (N, C, …) as the letters say, one axis after the other."""
    letters = "".join(sorted(order, key="CDLHW".index))
    return maps.permute(0, *(letters.index(letter) + 1 for letter in order)).flatten(1)


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_axes_shares_storage(order):
    letters = next(letters for letters in SIZES if sorted(letters) == sorted(order))
    size = SIZES[letters]
    given = linear(int(np.prod(size)), 7)
    form = to_conv(given, size, order=order)
    maps = integers(4, *size, seed=3)
    vectors = flattened(maps, order)
    expected = given(vectors)
    assert form.feature_size == size
    assert torch.equal(form(maps).flatten(1), expected)
    assert form(maps).shape == (4, 7, *(1,) * (len(size) - 1))
    assert torch.equal(form(maps[0]).flatten(), expected[0])
    assert torch.equal(form(vectors), expected)
    assert torch.equal(form(vectors[0]), expected[0])
    assert torch.equal(form(vectors.reshape(2, 2, -1)), expected.reshape(2, 2, -1))
    assert form(vectors[:0]).shape == (0, 7)
    assert form(maps[:0]).shape == (0, 7, *(1,) * (len(size) - 1))
    back = form.to_linear()
    assert torch.equal(back.weight, given.weight)
    assert back.weight.stride() == given.weight.stride()
    assert back.weight.data_ptr() == given.weight.data_ptr() == form.conv.weight.data_ptr()
    assert back.bias is form.conv.bias is given.bias
    # The same order, as the index array that flattening would give.
    index = flattened(torch.arange(given.in_features).reshape(1, *size), order)[0]
    for array in (index, index.numpy(), index.tolist()):
        by_index = to_conv(given, size, order=array)
        assert torch.equal(by_index.conv.weight, form.conv.weight)
        assert by_index.conv.weight.data_ptr() == given.weight.data_ptr()


def test_larger_maps_slide():
    given = linear(30, 7)
    form = to_conv(given, (3, 2, 5), order="HWC")
    image = integers(2, 3, 4, 9, seed=3)
    y = form(image)
    assert y.shape == (2, 7, 3, 5)
    for i, j in itertools.product(range(3), range(5)):
        window = flattened(image[:, :, i : i + 2, j : j + 5], "HWC")
        assert torch.equal(y[:, :, i, j], given(window))


def merged(image):
    """Return Swin's merged patches, (N, H/2, W/2, 4·C), of images (N, H, W, C)."""
    corners = [image[:, i::2, j::2] for i, j in [(0, 0), (1, 0), (0, 1), (1, 1)]]
    return torch.cat(corners, -1)


def embedded(image):
    """Return flattened patches 2×3, (N, H/2, W/3, C·2·3), of images (N, H, W, C)."""
    n, h, w, c = image.shape
    patches = image.reshape(n, h // 2, 2, w // 3, 3, c).permute(0, 1, 3, 5, 2, 4)
    return patches.reshape(n, h // 2, w // 3, -1)


PATCHES = {
    "swin-merging": (merged, (3, 2, 2), "WHC", 2),
    "swin-merging-pair": (merged, (3, 2, 2), "WHC", [2, 2]),
    "patch-embedding": (embedded, (3, 2, 3), None, (2, 3)),
}


@pytest.mark.parametrize("cut, size, order, stride", PATCHES.values(), ids=PATCHES)
def test_with_a_stride_the_linear_is_applied_to_every_patch(cut, size, order, stride):
    given = linear(int(np.prod(size)), 7)
    form = to_conv(given, size, order=order, stride=stride)
    image = integers(4, 6, 24, 3, seed=3)
    maps = image.permute(0, 3, 1, 2)
    assert torch.equal(form(maps).permute(0, 2, 3, 1), given(cut(image)))
    assert torch.equal(form.conv(maps), form(maps))
    assert form.exchange.geometry == ConvGeometry.of(form.conv)
    vectors = cut(image).flatten(0, 2)
    assert torch.equal(form(vectors), given(vectors))
    back = form.to_linear()
    assert torch.equal(back.weight, given.weight)
    assert back.weight.data_ptr() == given.weight.data_ptr()


BAD_STRIDES = {
    "zero": ({"stride": 0}, "to_conv: stride is 0, expected a whole number ≥ 1, or one for each of 2 dimensions"),
    "too-few": ({"stride": (2,)}, "to_conv: stride is (2,), expected a whole number ≥ 1, or one for each of 2 dimensions"),
    "fraction": ({"stride": (2, 1.5)}, "to_conv: stride is (2, 1.5), expected a whole number ≥ 1, or one for each of 2 dimensions"),
    "rows": (
        {"stride": 2, "order": "HWC", "feature_size": None},
        "to_conv: order is 'HWC', expected None without feature_size\n"
        "to_conv: stride is 2, expected None without feature_size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("options, words", BAD_STRIDES.values(), ids=BAD_STRIDES)
def test_strides_that_are_none_are_named(options, words):
    with pytest.raises(Refused) as caught:
        to_conv(linear(30, 7), **{"feature_size": (3, 2, 5), **options})
    assert str(caught.value) == words


def test_an_order_of_no_axes_takes_a_copy_and_goes_back():
    given = linear(30, 7)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    with pytest.raises(Refused) as caught:
        to_conv(given, (3, 2, 5), order=order)
    assert str(caught.value) == (
        "to_conv: order is an array that is no order of axes, expected copy=True "
        "(no view of the Linear's storage holds the kernel in this order)"
    )
    form = to_conv(given, (3, 2, 5), order=order, copy=True)
    maps = integers(4, 3, 2, 5, seed=3)
    vectors = maps.flatten(1)[:, order]
    assert torch.equal(form(vectors), given(vectors))
    assert torch.equal(form(maps).flatten(1), given(vectors))
    assert torch.equal(form.to_linear().weight, given.weight)
    assert set(form.state_dict()) == {"conv.weight", "conv.bias"}
    assert form.conv.bias is not given.bias
    assert torch.equal(copy.deepcopy(form)(vectors), given(vectors))


@pytest.mark.parametrize(
    "options", [{}, {"feature_size": (3, 2, 5), "order": "WCH"}], ids=["rows", "map"]
)
def test_copies_are_independent_and_settings_carried(options):
    given = linear(30, 7).eval()
    given.weight.requires_grad_(False)
    x = integers(4, 30, seed=3)
    before = given(x)
    form, shared = to_conv(given, copy=True, **options), to_conv(given, **options)
    assert not form.conv.weight.requires_grad
    assert form.conv.bias.requires_grad
    assert not any(m.training for m in form.modules())
    assert not form.to_linear().training
    with torch.no_grad():
        given.weight.mul_(3)
        given.bias.add_(1)
    assert torch.equal(form(x), before)
    assert torch.equal(shared(x), given(x))
    assert not torch.equal(before, given(x))


@pytest.mark.parametrize(
    "options", [{}, {"feature_size": (3, 2, 5), "order": "WCH"}], ids=["rows", "map"]
)
def test_the_same_gradients(options):
    given = linear(30, 7)
    form = to_conv(given, **options)
    grads = []
    for module in (given, form):
        x = integers(4, 30, seed=3).requires_grad_()
        given.bias.grad = None
        module(x).backward(integers(4, 7, seed=4))
        grads.append((x.grad, given.bias.grad))
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
    gradient = form.conv.weight.grad
    if options:
        gradient = flattened(gradient, options["order"])
    assert torch.equal(gradient.reshape(7, 30), given.weight.grad)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64], ids=str
)
@pytest.mark.parametrize("options", [{}, {"feature_size": (3, 2, 5)}], ids=["rows", "map"])
def test_dtypes(dtype, options):
    given = linear(30, 7).to(dtype)
    given.weight.data.clamp_(-3, 3) if not dtype.is_complex else None
    x = integers(4, 30, seed=3).clamp(-3, 3).to(dtype)
    form = to_conv(given, **options)
    assert form.conv.weight.dtype == dtype
    assert torch.equal(form(x), given(x))


def test_a_trained_channels_last_convolution_goes_back():
    given = linear(30, 7)
    form = to_conv(given, (3, 2, 5), order="HWC")
    assert form.conv.weight.is_contiguous(memory_format=torch.channels_last)
    form = form.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        form.conv.weight.add_(1)
    x = integers(4, 30, seed=3)
    assert torch.equal(form.to_linear()(x), form(x))


def test_an_input_that_could_be_either_is_refused():
    form = to_conv(nn.Linear(6, 4), feature_size=(1, 2, 3))
    with pytest.raises(GeometryError, match=r"shape is \(2, 1, 5, 6\).*this one reads both ways"):
        form(torch.zeros(2, 1, 5, 6))
    assert form.conv(torch.zeros(2, 1, 5, 6)).shape == (2, 4, 4, 4)
    assert form(torch.zeros(2, 5, 6)).shape == (2, 5, 4)


@pytest.mark.parametrize(
    "shape", [(), (29,), (2, 4, 2, 5), (2, 3, 1, 5), (3, 2, 4), (1, 2, 3, 2, 5)], ids=str
)
def test_other_shapes_are_named(shape):
    with pytest.raises(GeometryError) as caught:
        to_conv(linear(30, 7), (3, 2, 5))(torch.zeros(shape).double())
    assert str(caught.value) == (
        f"input: shape is {shape}, expected vectors (..., 30), or maps (N, 3, ≥2, ≥5)"
    )


REFUSED = {
    "product": (
        {"feature_size": (3, 2, 4)},
        "to_conv: feature_size is (3, 2, 4), expected sizes whose product is 30 (in_features, and not 24)",
    ),
    "rank": (
        {"feature_size": (30,)},
        "to_conv: feature_size is (30,), expected (C, L), (C, H, W) or (C, D, H, W)",
    ),
    "negative": (
        {"feature_size": (3, -2, -5)},
        "to_conv: feature_size is (3, -2, -5), expected (C, L), (C, H, W) or (C, D, H, W)",
    ),
    "order-alone": ({"order": "HWC"}, "to_conv: order is 'HWC', expected None without feature_size"),
    "ndim": ({"ndim": 4}, "to_conv: ndim is 4, expected 1, 2 or 3"),
    "letters": (
        {"feature_size": (3, 2, 5), "order": "HW"},
        "to_conv: order is 'HW', expected a permutation of 'CHW' (feature_size = (3, 2, 5))",
    ),
}  # fmt: skip


@pytest.mark.parametrize("options, words", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_named(options, words):
    with pytest.raises(Refused) as caught:
        to_conv(linear(30, 7), **options)
    assert str(caught.value) == words


def test_strided_weights_stay_shared():
    given = linear(30, 7)
    given.weight = nn.Parameter(integers(30, 7, seed=2).T)
    form = to_conv(given, (3, 2, 5), order="WHC")
    x = integers(4, 30, seed=3)
    assert torch.equal(form(x), given(x))
    assert form.conv.weight.data_ptr() == given.weight.data_ptr()


@pytest.mark.parametrize("feature_size", [24, "abc", (2.0, 3, 4)], ids=str)
def test_a_feature_size_that_is_none_is_refused(feature_size):
    with pytest.raises(Refused, match=r"feature_size is .*, expected \(C, L\), \(C, H, W\) or"):
        to_conv(nn.Linear(24, 5), feature_size=feature_size)


def test_an_order_that_repeats_says_what():
    with pytest.raises(Refused, match=r"order is int64 array of shape \(6,\) that repeats 0, 4,"):
        to_conv(nn.Linear(6, 5), feature_size=(1, 2, 3), order=[0, 0, 4, 4, 1, 2])
