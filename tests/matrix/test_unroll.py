"""unroll(layer) · flat(x) is the layer itself, whatever PyTorch can say; so is every built matrix."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry, ConvMatrix, GeometryError, Refused, unroll
from geometry_strategies import MODES, case_id, conv, convolutions, integers, probe
from matrix.torch_oracle import EVERY_ID, EVERY_KIND, by_torch, geometry_id, probed

ANY = st.one_of(convolutions(max_kernel=3), convolutions(transposed=True, max_kernel=3))

# Pairwise different along the dimensions, so that no two of them can be exchanged unnoticed.
KERNEL, SIZE = (3, 2, 4), (7, 6, 8)
STRIDES = {"s1": (1, 1, 1), "s231": (2, 3, 1)}
DILATIONS = {"d1": (1, 1, 1), "d212": (2, 1, 2)}
PADDINGS = {
    "p0": ((0, 0),) * 3,
    "p213": ((2, 2), (1, 1), (3, 3)),
    "sides": ((2, 0), (1, 3), (0, 4)),
}
CHANNELS = {"g1": (2, 3), "g2": (4, 6)}


def cross_product():
    """Every combination of dimensions, stride, padding, dilation, groups and padding mode."""
    for ndim, stride, padding, dilation, groups, mode in itertools.product(
        (1, 2, 3), STRIDES, PADDINGS, DILATIONS, CHANNELS, MODES
    ):
        yield ConvGeometry(
            *CHANNELS[groups], KERNEL[:ndim], STRIDES[stride][:ndim], PADDINGS[padding][:ndim],
            DILATIONS[dilation][:ndim], int(groups[1]), mode,
        )  # fmt: skip


def transposed_product():
    """Every combination for transposed convolutions, with every output padding below its limit."""
    for ndim, stride, padding, dilation, groups, extra in itertools.product(
        (1, 2, 3), STRIDES, ("p0", "p213"), DILATIONS, CHANNELS, (0, 1)
    ):
        limits = zip(STRIDES[stride][:ndim], DILATIONS[dilation][:ndim], strict=True)
        yield ConvGeometry(
            *CHANNELS[groups], KERNEL[:ndim], STRIDES[stride][:ndim], PADDINGS[padding][:ndim],
            DILATIONS[dilation][:ndim], int(groups[1]), transposed=True,
            output_padding=[extra * (max(limit) - 1) for limit in limits],
        )  # fmt: skip


# With nothing to add, output padding 1 · (1 - 1) says the same as none: each geometry once.
ALL = list(dict.fromkeys([*cross_product(), *transposed_product()]))


def input_size(geometry):
    """Return the sizes above, or the smallest that the geometry takes where that is more."""
    return tuple(map(max, SIZE, geometry.smallest_input))


@pytest.mark.parametrize("geometry", ALL, ids=map(geometry_id, ALL))
def test_the_product_and_the_matrix_are_pytorchs_convolution(geometry):
    size = input_size(geometry)
    weight = integers(*geometry.weight_shape, seed=1)
    x = integers(2, geometry.in_channels, *size, seed=2)
    expected = by_torch(geometry, weight, x).flatten(1).T
    A = ConvMatrix(geometry, weight, size)
    assert A.output_shape == by_torch(geometry, weight, x).shape[1:]
    assert torch.equal(A @ x.flatten(1).T, expected)
    assert np.array_equal(A @ x[1].flatten().numpy(), expected[:, 1])
    assert np.array_equal(A.tocsr() @ x.flatten(1).T.numpy(), expected)
    y = integers(A.shape[0], seed=3)
    assert torch.equal((A.T @ y) @ x[0].flatten(), y @ expected[:, 0])  # the dot test, exactly


def test_the_cross_product_is_whole():
    convolutions = [g for g in ALL if not g.transposed]
    assert len(convolutions) == 3 * 2 * 3 * 2 * 2 * 4
    assert {(g.ndim, g.padding_mode, g.groups) for g in convolutions} == set(
        itertools.product((1, 2, 3), MODES, (1, 2))
    )


@settings(max_examples=150)
@given(ANY)
def test_unroll_is_the_layer_and_its_matrix_the_one_that_probing_finds(case):
    layer, size = case
    A = unroll(layer, size)
    expected = probe(layer, size)
    x = integers(A.shape[1], seed=4)
    y = layer(x.reshape(1, *A.input_shape))[0]
    bias = 0 if layer.bias is None else layer.bias.reshape(-1, *(1,) * len(size))
    assert torch.equal((A @ x).reshape(A.output_shape) + bias, y)
    assert np.array_equal(A.tocsr().toarray(), expected)
    assert np.array_equal(A.tocoo().toarray(), expected)
    assert np.array_equal(A.toarray(), expected)
    for layout in ("sparse_csr", "sparse_coo", "strided"):
        assert torch.equal(A.to_torch(layout).to_dense(), expected)


@settings(max_examples=100)
@given(convolutions(max_kernel=3), st.data())
def test_unroll_judges_padding_of_each_side(case, data):
    """Geometries that no layer has: what is drawn, with other paddings after than before."""
    layer, size = case
    g = ConvGeometry.of(layer)
    after = [data.draw(st.integers(0, lo + 2)) for lo, _ in g.padding]
    sides = [(lo, hi) for (lo, _), hi in zip(g.padding, after, strict=True)]
    own = ConvGeometry(
        g.in_channels, g.out_channels, g.kernel, g.stride, sides, g.dilation, g.groups,
        g.padding_mode,
    )  # fmt: skip
    size = tuple(map(max, size, own.smallest_input))
    expected = probed(own, layer.weight, size)
    A = ConvMatrix(own, layer.weight, size)
    assert np.array_equal(A.tocsr().toarray(), expected)
    assert np.array_equal(A @ np.eye(A.shape[1]), expected)
    assert np.array_equal(A.T @ np.eye(A.shape[0]), expected.T)


@settings(max_examples=60)
@given(convolutions(modes=("zeros",), max_kernel=3))
def test_the_transposed_layer_with_the_same_weight_is_the_transposed_matrix(case):
    layer, size = case
    A = unroll(layer, size)
    g, n = A.geometry, A.output_size
    assume(all(lo == hi for lo, hi in g.padding))  # 'same' with an even kernel has no such layer
    unread = [
        (m + lo + hi - extent) % stride
        for m, (lo, hi), extent, stride in zip(size, g.padding, g.extent, g.stride, strict=True)
    ]
    turned = getattr(nn, f"ConvTranspose{g.ndim}d")(
        g.out_channels, g.in_channels, g.kernel, g.stride, [lo for lo, _ in g.padding], unread,
        g.groups, False, g.dilation, dtype=torch.float64,
    )  # fmt: skip
    turned.weight.data.copy_(layer.weight)
    B = unroll(turned, n)
    assert B.geometry.adjoint == g
    assert (B.tocsr() != A.tocsr().T.tocsr()).nnz == 0
    assert np.array_equal(B.toarray(), A.toarray().T)
    assert torch.equal(B.to_torch("strided"), probe(turned, n))


@pytest.mark.parametrize("op", EVERY_KIND, ids=EVERY_ID)
def test_with_a_column_for_every_pixel_both_directions_are_the_matrix(op):
    expected = probed(op.geometry, op.weight, op.input_size)
    assert op.shape == expected.shape
    assert torch.equal(op @ torch.eye(op.shape[1], dtype=torch.float64), expected)
    assert torch.equal(op.T @ torch.eye(op.shape[0], dtype=torch.float64), expected.T)
    assert torch.equal(op.T.T @ torch.eye(op.shape[1], dtype=torch.float64), expected)


def test_the_layers_weight_is_shared_not_copied():
    layer = conv(2, 2, 3, (2, 3))
    A = unroll(layer, (4, 5))
    assert A.weight is layer.weight
    with torch.no_grad():
        layer.weight.mul_(2)
    assert np.array_equal(A.toarray(), probe(layer, (4, 5)))


# Stored entries counted by hand: the first and last output of the Conv1d read one pixel twice.
REPRS = [
    (nn.Conv2d(3, 8, 3, padding=1), (16, 16), "<2048×768 ConvMatrix, 50,784 stored: Conv2d 3→8 k3 p1 on (16, 16)>"),
    (nn.Conv1d(4, 6, 5, stride=2, dilation=2, groups=2, padding=2, padding_mode="reflect"), (9,), "<18×36 ConvMatrix, 156 stored: Conv1d 4→6 k5 s2 p2 d2 g2 reflect on (9,)>"),
    (nn.ConvTranspose3d(2, 4, (1, 2, 3), stride=(1, 2, 3)), (2, 3, 4), "<576×48 ConvMatrix, 1,152 stored: ConvTranspose3d 2→4 k1×2×3 s1×2×3 on (2, 3, 4)>"),
    (nn.Conv2d(1, 2, (4, 3), padding="same"), (5, 6), "<60×30 ConvMatrix, 512 stored: Conv2d 1→2 k4×3 p1+2×1 on (5, 6)>"),
]  # fmt: skip


@pytest.mark.parametrize("layer, size, text", REPRS, ids=[case_id(row[0]) for row in REPRS])
def test_repr(layer, size, text):
    assert repr(unroll(layer, size)) == text


class Own(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * 2


def hooked():
    layer = nn.Conv2d(2, 3, 2)
    layer.register_forward_hook(lambda module, args, y: y + 1)
    return layer


REFUSED = {
    "linear": (lambda: nn.Linear(4, 3), "Linear: type is Linear, expected nn.Conv1d, nn.Conv2d, "),
    "own-forward": (lambda: Own(2, 3, 2), r"Own: forward is .*Own.forward, expected nn.Conv2d's"),
    "hook": (hooked, r"Conv2d: _forward_hooks is hooked.<locals>.<lambda>, expected none"),
    "lazy": (lambda: nn.LazyConv2d(3, 2), "expected nn.Conv2d .run a lazy layer once first"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_layers_that_compute_something_else_are_refused(case):
    make, words = REFUSED[case]
    with pytest.raises(Refused, match=words):
        unroll(make(), (4, 5))


@pytest.mark.parametrize(
    "size, words",
    [
        ((1, 5), r"input_size\[0\] is 1, expected ≥ 2"),
        ((5,), r"input_size is \(5,\), expected 2 numbers, one per kernel dimension"),
    ],
    ids=["too-small", "wrong-length"],
)
def test_input_sizes_that_do_not_fit_are_refused(size, words):
    with pytest.raises(GeometryError, match=words):
        unroll(nn.Conv2d(2, 3, 2), size)


def test_a_weight_of_another_shape_is_refused():
    geometry = ConvGeometry(4, 6, kernel=(3, 2), groups=2)
    words = r"^Conv2d: weight.shape is \(6, 4, 3, 2\), expected \(6, 2, 3, 2\)$"
    with pytest.raises(GeometryError, match=words):
        ConvMatrix(geometry, integers(6, 4, 3, 2), (5, 7))
    A = ConvMatrix(geometry, integers(6, 2, 3, 2), (5, 7))
    with pytest.raises(GeometryError, match=words):
        A.with_kernel(integers(6, 4, 3, 2))


def test_one_number_is_the_size_of_every_dimension():
    assert unroll(conv(2, 1, 2, 3), 5).input_size == (5, 5)
