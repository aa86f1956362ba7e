"""Convolutions as locally connected layers, and the sparse matrix of those."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from convlin import ConvGeometry, GeometryError, Refused
from convlin.layers.forms.local import LocallyConnected1d, to_local
from geometry_strategies import case_id, conv, convolutions, fill, integers, probe

CASES = [
    (conv(1, 2, 3, 4), (9,)),
    (conv(1, 4, 2, 5, padding=4, padding_mode="circular", groups=2), (4,)),
    (conv(2, 3, 5, (3, 2), padding="same"), (5, 6)),
    (conv(2, 4, 6, (3, 2), padding=(2, 1), groups=2, padding_mode="reflect", bias=False), (5, 6)),
    (conv(2, 3, 5, 2, stride=(2, 3), padding=1, dilation=2, padding_mode="replicate"), (4, 7)),
    (conv(3, 2, 4, (2, 1, 3), padding=(1, 0, 2), padding_mode="circular"), (3, 2, 4)),
]
TABLE = pytest.mark.parametrize("layer, size", CASES, ids=[case_id(layer) for layer, _ in CASES])


@settings(max_examples=60)
@given(convolutions())
def test_any_convolution_gives_the_same_outputs(case):
    layer, size = case
    form = to_local(layer, size)
    x = integers(2, layer.in_channels, *size, seed=3)
    assert torch.equal(form(x), layer(x))


@settings(max_examples=40)
@given(convolutions(max_kernel=3))
def test_the_matrix_is_what_probing_finds(case):
    layer, size = case
    form = fill(to_local(layer, size), seed=5)
    form.in_channels = layer.in_channels
    matrix = form.matrix()
    assert np.array_equal(matrix.toarray(), probe(form, size).numpy())
    x = integers(layer.in_channels, *size, seed=3)
    y = torch.from_numpy(matrix @ x.flatten().numpy()).view(layer.out_channels, *form.output_size)
    assert torch.equal(y if form.bias is None else y + form.bias, form(x))


@TABLE
def test_gradients_summed_over_positions_are_the_convolutions(layer, size):
    form = to_local(layer, size)
    x = integers(2, layer.in_channels, *size, seed=3)
    cotangent = integers(*form(x).shape, seed=4)
    own = torch.autograd.grad(form(x), list(form.parameters()), cotangent)
    shared = torch.autograd.grad(layer(x), list(layer.parameters()), cotangent)
    assert torch.equal(own[0].flatten(0, len(size) - 1).sum(0), shared[0])
    if layer.bias is not None:
        assert torch.equal(own[1].flatten(1).sum(1), shared[1])


@TABLE
def test_kernels_are_copies_one_a_position(layer, size):
    form = to_local(layer, size)
    geometry = ConvGeometry.of(layer)
    assert form.geometry == geometry
    assert (form.input_size, form.output_size) == (size, geometry.output_size(size))
    assert form.weight.shape == (*form.output_size, *layer.weight.shape)
    assert all(torch.equal(w, layer.weight) for w in form.weight.flatten(0, len(size) - 1))
    assert all(p.is_contiguous() for p in form.parameters())


def test_storage_is_its_own_even_at_a_single_position():
    layer = conv(2, 3, 5, (3, 2)).to(memory_format=torch.channels_last)
    form = to_local(layer, (3, 2))
    assert not {p.data_ptr() for p in layer.parameters()} & {
        p.data_ptr() for p in form.parameters()
    }
    assert all(p.is_contiguous() for p in form.parameters())


def test_settings_are_carried():
    layer = nn.Conv2d(2, 3, 2, dtype=torch.bfloat16, padding="same", padding_mode="reflect").eval()
    layer.weight.requires_grad_(False)
    form = to_local(layer, 4)
    assert form.input_size == (4, 4)
    assert form.weight.dtype == form.bias.dtype == torch.bfloat16
    assert (form.weight.requires_grad, form.bias.requires_grad) == (False, True)
    assert not form.training
    assert form.spelling == "same"
    assert to_local(nn.Conv1d(1, 1, 2, device="meta"), 3).weight.is_meta


@TABLE
def test_the_limit_is_what_the_form_takes(layer, size):
    taken = sum(p.nbytes for p in to_local(layer, size).parameters())
    to_local(layer, size, memory_limit=taken)
    positions = math.prod(ConvGeometry.of(layer).output_size(size))
    with pytest.raises(Refused) as caught:
        to_local(layer, size, memory_limit=taken - 1)
    assert str(caught.value) == (
        f"{type(layer).__name__}: memory_limit is {taken - 1}, expected ≥ {taken} bytes "
        f"(a kernel at each of {positions} positions takes that)"
    )


def test_what_is_no_plain_convolution_is_refused():
    with pytest.raises(
        Refused, match="ConvTranspose2d: type is ConvTranspose2d, expected nn.Conv1d"
    ):
        to_local(nn.ConvTranspose2d(2, 3, 2), 4)
    with pytest.raises(Refused, match="Linear: type is Linear"):
        to_local(nn.Linear(2, 3), 4)
    hooked = nn.Conv1d(2, 3, 2)
    hooked.register_forward_hook(lambda *_: None)
    with pytest.raises(Refused, match="_forward_hooks"):
        to_local(hooked, 4)
    with pytest.raises(GeometryError, match=r"input_size\[0\] is 1, expected ≥ 2"):
        to_local(nn.Conv1d(2, 3, 2), 1)


def test_every_wire_is_stored_once_also_one_that_weighs_nothing():
    layer = LocallyConnected1d(2, 4, 5, 4, padding=4, padding_mode="circular", groups=2)
    nn.init.zeros_(layer.weight)
    matrix = layer.matrix()
    assert (matrix.shape, matrix.nnz) == ((4 * 8, 2 * 4), 32 * 4)  # five taps, four pixels
    assert matrix.has_canonical_format
    assert matrix.indices.dtype == np.int32


@pytest.mark.parametrize(
    "dtype, stored",
    [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("float64",) * 2],
)
def test_the_matrix_has_the_weights_dtype_where_numpy_has_it(dtype, stored):
    layer = LocallyConnected1d(1, 2, 2, 3, dtype=getattr(torch, dtype))
    matrix = layer.matrix()
    assert matrix.dtype == stored
    assert matrix[0, 0] == layer.weight[0, 0, 0, 0].item()
    assert matrix[3, 2] == layer.weight[1, 1, 0, 1].item()
