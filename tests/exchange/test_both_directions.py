"""The law of every exchange: its weight map is the convolution, and its inverse gives the kernel."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from convlin import ConvGeometry, to_conv, to_linear
from convlin.exchange import TABLE, choose, choose_conv
from convlin.exchange.dense_at_size import DenseAtSize
from convlin.exchange.kernel_matrix import KernelMatrix
from geometry_strategies import integers

ROWS = {row.name: row for row in TABLE}
CASES = {
    "pointwise-1d": (ConvGeometry(4, 6, (1,), stride=2, groups=2), (7,), "pointwise"),
    "pointwise-2d": (ConvGeometry(3, 5, (1, 1), stride=(2, 1), padding=1), (4, 6), "pointwise"),
    "patchify-2d": (ConvGeometry(3, 5, (2, 3), stride=(2, 4)), (5, 9), "patchify"),
    "patchify-3d": (ConvGeometry(4, 6, (2, 1, 3), stride=(2, 1, 3), groups=2), (4, 2, 7), "patchify"),
    "covering-2d": (ConvGeometry(3, 5, (4, 6)), (4, 6), "covering_kernel"),
    "covering-padded": (ConvGeometry(4, 6, (3, 5), padding=(1, 0), groups=2), (1, 5), "covering_kernel"),
    "dense-1d": (ConvGeometry(2, 3, (3,), padding=2, dilation=2), (6,), "dense_at_size"),
    "dense-circular": (
        ConvGeometry(4, 6, (2, 3), padding=1, groups=2, padding_mode="circular"), (3, 4), "dense_at_size",
    ),
    "dense-transposed": (
        ConvGeometry(2, 3, (3, 2), stride=2, padding=1, output_padding=1, transposed=True),
        (3, 4),
        "dense_at_size",
    ),
    "windows-1d": (ConvGeometry(2, 3, (3,), stride=2, dilation=2), (8,), "windows"),
    "windows-3d": (ConvGeometry(4, 2, (2, 3, 2), padding=1, groups=2), (3, 4, 5), "windows"),
}  # fmt: skip
ARRAYS = {"numpy": lambda array: array.numpy(), "torch": lambda array: array}


def kernel_of(geometry):
    return integers(*geometry.weight_shape, seed=5)


def by_windows(exchange, weight, x):
    """Return the outputs that a fully connected layer gives on each window, index by index."""
    g = exchange.geometry
    padded = functional.pad(x, [side for pair in reversed(g.padding) for side in pair])
    out = g.output_size(tuple(x.shape[1:]))
    y = torch.zeros(g.out_channels, *out, dtype=x.dtype)
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    sizes = (inputs, *g.kernel)
    for position in itertools.product(*map(range, out)):
        for group in range(g.groups):
            window = torch.zeros(sizes, dtype=x.dtype)
            for c, *tap in itertools.product(*map(range, sizes)):
                steps = zip(position, tap, g.stride, g.dilation, strict=True)
                pixel = [p * s + t * d for p, t, s, d in steps]
                window[c, *tap] = padded[group * inputs + c, *pixel]
            vector = window.permute(*exchange.axes).reshape(-1)
            if exchange.blocks:
                wide = torch.zeros(g.groups, len(vector), dtype=x.dtype)
                wide[group] = vector
                own = (weight @ wide.reshape(-1))[group * outputs : (group + 1) * outputs]
            else:
                own = (weight if g.groups == 1 else weight[group]) @ vector
            y[group * outputs : (group + 1) * outputs, *position] = own
    return y


def convolved(geometry, kernel, x):
    """Return PyTorch's own outputs, in whole numbers."""
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[geometry.ndim - 1]
    if geometry.transposed:
        conv = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[geometry.ndim - 1]
    more = {"output_padding": geometry.output_padding} if geometry.transposed else {}
    layer = conv(
        geometry.in_channels, geometry.out_channels, geometry.kernel, geometry.stride,
        tuple(before for before, _ in geometry.padding), dilation=geometry.dilation,
        groups=geometry.groups, padding_mode=geometry.padding_mode, bias=False, **more,
    ).double()  # fmt: skip
    layer.weight.data = kernel.double()
    return layer(x.double()[None])[0].detach()


@pytest.mark.parametrize("geometry, size, name", CASES.values(), ids=CASES)
def test_the_weight_map_is_the_convolution(geometry, size, name):
    exchange, kernel = choose(geometry, size, name), kernel_of(geometry)
    assert type(exchange) is ROWS[name] and str(exchange) == name
    x = integers(geometry.in_channels, *size, seed=6)
    expected = convolved(geometry, kernel, x)
    if name == "dense_at_size":
        y = exchange.weight(kernel.double()) @ x.double().flatten()
        assert torch.equal(y, expected.flatten())
    else:
        assert torch.equal(by_windows(exchange, exchange.weight(kernel), x), expected.to(x.dtype))


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("geometry, size, name", CASES.values(), ids=CASES)
def test_the_inverse_gives_the_kernel_in_every_order(geometry, size, name, blocks, kind):
    """For each order of the columns, and for groups as blocks; on arrays of the same kind."""
    kernel = ARRAYS[kind](kernel_of(geometry))
    chosen = choose(geometry, size, name)
    exchanges = [chosen]
    if isinstance(chosen, KernelMatrix):
        orders = itertools.permutations(range(1 + geometry.ndim))
        exchanges = [type(chosen)(geometry, size, order, blocks) for order in orders]
    for exchange in exchanges:
        weight = exchange.weight(kernel)
        assert type(weight) is type(kernel)
        assert exchange.unfit(weight) == ()
        assert np.array_equal(exchange.kernel(weight), kernel)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("name", [row.name for row in TABLE if issubclass(row, KernelMatrix)])
def test_both_maps_are_views_where_a_view_will_do(name, groups):
    kernel_size = (1, 1) if name == "pointwise" else (2, 3)
    transposed = name == "unpatchify"
    geometry = ConvGeometry(
        4, 6, kernel_size, stride=kernel_size, groups=groups, transposed=transposed
    )
    exchange = choose(geometry, kernel_size, name)
    kernel = kernel_of(geometry).numpy()
    weight = exchange.weight(kernel)
    assert np.shares_memory(weight, kernel)
    assert np.shares_memory(exchange.kernel(weight), kernel)


ORDERS = [None, "HWC", "WCH", [7, *range(7), *range(8, 30)]]


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("order", ORDERS, ids=["C", "HWC", "WCH", "scattered"])
def test_a_linear_on_a_flattened_map_in_any_order(order, kind):
    exchange = choose_conv(30, 7, feature_size=(3, 2, 5), order=order)
    weight = ARRAYS[kind](integers(7, 30, seed=8))
    kernel = exchange.kernel(weight)
    numbers = torch.arange(30).reshape(3, 2, 5)
    if order is None or isinstance(order, str):
        axes = ["CHW".index(letter) for letter in order or "CHW"]
        numbers = numbers.permute(*axes).reshape(-1).tolist()
    else:
        numbers = order
    for o, (j, element) in itertools.product(range(7), enumerate(numbers)):
        c, rest = divmod(element, 10)
        assert kernel[o, c, rest // 5, rest % 5] == weight[o, j]
    assert np.array_equal(exchange.weight(kernel), weight)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_linear_on_rows(ndim):
    exchange = choose_conv(5, 7, ndim=ndim)
    weight = integers(7, 5, seed=9).numpy()
    assert np.array_equal(exchange.kernel(weight).reshape(7, 5), weight)
    assert np.array_equal(exchange.weight(exchange.kernel(weight)), weight)


DENSE = {key: case[:2] for key, case in CASES.items() if case[2] == "dense_at_size"}


@pytest.mark.parametrize("geometry, size", DENSE.values(), ids=DENSE)
def test_a_dense_matrix_with_one_entry_changed_has_no_way_back(geometry, size):
    """Every entry, those that are 0 in each such matrix too."""
    exchange = DenseAtSize(geometry, size)
    weight = exchange.weight(kernel_of(geometry).numpy())
    wired = set(np.flatnonzero(exchange.weight(np.ones(geometry.weight_shape))).tolist())
    for entry in range(0, weight.size, 7):
        row, column = divmod(entry, weight.shape[1])
        changed = weight.copy()
        changed[row, column] += 1
        (refusal,) = exchange.unfit(changed)
        assert (
            refusal.field.startswith("weight[") and refusal.reason == "as its tap weighs elsewhere"
        )
        if entry not in wired:
            assert refusal.field == f"weight[{row}, {column}]"
            assert (refusal.value, refusal.allowed) == (1, "0.0")


def test_a_dense_weight_of_another_shape_is_named():
    exchange = DenseAtSize(ConvGeometry(1, 2, (2,)), (3,))
    (refusal,) = exchange.unfit(np.zeros((4, 5)))
    assert str(refusal) == "linear: weight.shape is (4, 5), expected (4, 3)"


def test_taps_that_meet_padding_only_come_back_as_0():
    """On one pixel with padding 2 the middle tap of five is read, and no other."""
    exchange = DenseAtSize(ConvGeometry(1, 1, (5,), padding=2), (1,))
    kernel = exchange.kernel(exchange.weight(np.arange(1.0, 6).reshape(1, 1, 5)))
    assert kernel.tolist() == [[[0, 0, 3, 0, 0]]]
    assert exchange.unfit(exchange.weight(kernel)) == ()


def test_taps_that_only_ever_add_up_have_no_inverse():
    exchange = DenseAtSize(ConvGeometry(1, 1, (3,), padding=1, padding_mode="circular"), (1,))
    weight = exchange.weight(np.array([[[1, 2, 4]]]))
    assert weight.tolist() == [[7]]
    assert [str(refusal) for refusal in exchange.unfit(weight)] == [
        "linear: weight[0, 0] is 7, expected 0 (as its tap weighs elsewhere)"
    ]


def test_forms_of_both_sides_keep_their_exchange():
    linear = nn.Linear(30, 7)
    rows, on_map = to_conv(linear), to_conv(linear, feature_size=(3, 2, 5), order="WHC")
    assert repr(rows.exchange) == "<Pointwise: Conv2d 30→7 k1>"
    assert repr(on_map.exchange) == "<CoveringKernel: Conv2d 3→7 k2×5 on (2, 5)>"
    assert on_map.exchange.order == (2, 1, 0)
    assert repr(on_map).splitlines()[1].strip() == "covering_kernel"
    back = to_linear(on_map.conv, (2, 5)).exchange
    assert type(back) is type(on_map.exchange) and back.geometry == on_map.exchange.geometry
