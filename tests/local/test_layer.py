"""Locally connected layers against a slow twin that visits every position, and as good modules."""

import copy
import io
import itertools

import pytest
import torch
from torch import fx, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from convlin import GeometryError, Refused
from convlin.layers.forms.local import (
    LocallyConnected1d,
    LocallyConnected2d,
    LocallyConnected3d,
)
from geometry_strategies import fill, integers


def local(ndim: int, *numbers: object, **fields: object) -> nn.Module:
    cls = {1: LocallyConnected1d, 2: LocallyConnected2d, 3: LocallyConnected3d}[ndim]
    return fill(cls(*numbers, **{"dtype": torch.float64, **fields}))


CASES = [
    local(1, 2, 3, 4, 9),
    local(1, 3, 4, 4, 9, stride=2, padding=3, dilation=2, bias=False),
    local(1, 4, 6, 5, 4, padding=4, padding_mode="circular", groups=2),
    local(2, 3, 5, (3, 2), (5, 6)),
    local(2, 3, 5, (3, 2), (5, 7), padding="same", padding_mode="replicate"),
    local(2, 4, 6, (3, 2), (6, 9), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
    local(2, 4, 2, (2, 3), (5, 4), padding=(2, 1), groups=2, padding_mode="reflect", bias=False),
    local(2, 2, 3, (2, 3), (3, 4), padding=((0, 1), (2, 0))),
    local(2, 3, 2, (4, 5), (4, 5)),
    local(3, 2, 4, (2, 1, 3), (3, 2, 4), padding=(1, 0, 2), padding_mode="circular"),
    local(3, 4, 2, (2, 3, 1), (4, 5, 3), stride=(1, 2, 2), dilation=(2, 1, 1), groups=2),
]
TABLE = pytest.mark.parametrize(
    "layer", CASES, ids=[str(layer).split("(", 1)[1] for layer in CASES]
)


def by_position(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Visit every output position, group and channel: the definition of the layer."""
    g = layer.geometry
    sides = [side for pair in reversed(g.padding) for side in pair]
    mode = "constant" if g.padding_mode == "zeros" else g.padding_mode
    padded = functional.pad(x, sides, mode=mode) if any(sides) else x
    y = torch.empty(len(x), g.out_channels, *layer.output_size, dtype=x.dtype)
    inputs, outputs = g.in_channels // g.groups, g.out_channels // g.groups
    for p in itertools.product(*map(range, layer.output_size)):
        cut = [
            slice(at * s, at * s + e, d)
            for at, s, e, d in zip(p, g.stride, g.extent, g.dilation, strict=True)
        ]
        window = padded[(..., *cut)]
        for o in range(g.out_channels):
            first = o // outputs * inputs
            seen = window[:, first : first + inputs]
            y[(slice(None), o, *p)] = (seen * layer.weight[p][o]).flatten(1).sum(1)
            if layer.bias is not None:
                y[(slice(None), o, *p)] += layer.bias[(o, *p)]
    return y


@TABLE
@pytest.mark.parametrize("n", [0, 1, 3, 17])
def test_every_position_has_its_own_kernel(layer, n):
    x = integers(n, layer.geometry.in_channels, *layer.input_size, seed=3)
    y = layer(x)
    assert torch.equal(y, by_position(layer, x))
    assert y.is_contiguous()


@TABLE
def test_one_image_needs_no_batch(layer):
    x = integers(layer.geometry.in_channels, *layer.input_size, seed=3)
    assert torch.equal(layer(x), by_position(layer, x[None])[0])


@TABLE
@pytest.mark.parametrize("n", [3, 17])
def test_gradients_are_those_of_the_twin(layer, n):
    layer = copy.deepcopy(layer)
    grads = []
    for run in (layer, lambda x: by_position(layer, x)):
        x = integers(n, layer.geometry.in_channels, *layer.input_size, seed=3).requires_grad_()
        y = run(x)
        grads.append(torch.autograd.grad(y, [x, *layer.parameters()], integers(*y.shape, seed=4)))
    assert all(map(torch.equal, *grads))


def test_a_step_of_training_moves_only_what_the_loss_sees():
    layer = local(2, 2, 3, (2, 3), (4, 7), stride=(1, 2))
    before = copy.deepcopy(layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    y = layer(integers(2, 2, 4, 7, seed=5))
    y[:, 1, 2, 0].sum().backward()
    optimizer.step()
    weight, bias = layer.weight != before.weight, layer.bias != before.bias
    assert weight[2, 0, 1].all()
    assert bias.nonzero().tolist() == [[1, 2, 0]]
    weight[2, 0, 1] = False
    assert not weight.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("n", [2, 17])
def test_in_other_dtypes(dtype, n):
    layer = local(2, 3, 5, (3, 2), (5, 6), padding=1)
    x = integers(n, 3, 5, 6, seed=3)
    expected = layer(x)
    low = copy.deepcopy(layer).to(dtype)
    assert low.weight.dtype == low.bias.dtype == dtype
    y = low(x.to(dtype))
    assert y.dtype == dtype
    assert torch.equal(y, expected.to(dtype))  # float32 sums whole numbers exactly, rounds once


def test_autocast_gives_what_it_gives_for_a_convolution():
    layer = local(2, 3, 5, (3, 2), (5, 6), dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(2, 3, 5, 6)).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64], ids=str)
def test_another_dtype_is_named_next_to_the_layers(dtype):
    layer = local(2, 3, 5, (3, 2), (5, 6), dtype=torch.float32)
    with pytest.raises(Refused) as caught:
        layer(torch.zeros(2, 3, 5, 6, dtype=dtype))
    assert (
        str(caught.value)
        == f"input: dtype is {dtype}, expected torch.float32, as the layer's weight"
    )


def test_autocast_takes_what_it_casts():
    layer = local(2, 3, 5, (3, 2), (5, 6), dtype=torch.float32)
    x = integers(2, 3, 5, 6, seed=3)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x.float())
        assert torch.equal(layer(x.bfloat16()), y)
        assert torch.equal(compiled(x.bfloat16()), y)
        with pytest.raises(Refused, match="input: dtype is torch.float64, expected torch.float32"):
            layer(x)


def test_channels_last_images_give_channels_last_outputs():
    layer = local(2, 3, 5, (3, 2), (5, 6))
    x = integers(2, 3, 5, 6, seed=3)
    y = layer(x.contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, layer(x))


@TABLE
def test_saved_copied_and_traced(layer):
    x = integers(2, layer.geometry.in_channels, *layer.input_size, seed=3)
    y = layer(x)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other = copy.deepcopy(layer)
    other.reset_parameters()
    assert not torch.equal(other(x), y)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(x), y)
    assert torch.equal(fx.symbolic_trace(layer)(x), y)
    assert set(layer.state_dict()) == {name for name, _ in layer.named_parameters()}


FEW = pytest.mark.parametrize("layer", CASES[2::4], ids=["1d", "2d", "3d"])


@FEW
def test_one_export_for_every_batch(layer):
    shape = (layer.geometry.in_channels, *layer.input_size)
    free = {0: torch.export.Dim("batch")}
    exported = torch.export.export(layer, (integers(3, *shape),), dynamic_shapes=(free,)).module()
    for n in (1, 7, 17):
        x = integers(n, *shape, seed=3)
        assert torch.equal(exported(x), layer(x))


@FEW
def test_compile_sees_one_graph(layer):
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True, dynamic=True)
    for n in (2, 17):
        x = integers(n, layer.geometry.in_channels, *layer.input_size, seed=3)
        assert torch.equal(compiled(x), layer(x))


@TABLE
def test_the_words_that_print_it_make_it_again(layer):
    made = eval(repr(layer))
    assert made.geometry == layer.geometry
    assert made.input_size == layer.input_size
    assert (made.bias is None) == (layer.bias is None)
    assert repr(made) == repr(layer)


def test_it_starts_out_as_a_convolution_does():
    torch.manual_seed(0)
    layer = LocallyConnected2d(6, 8, 5, input_size=(9, 11), groups=2)
    limit = 1 / (3 * 25) ** 0.5
    for parameter in (layer.weight, layer.bias):
        assert 0.95 * limit < parameter.max() <= limit
        assert -limit <= parameter.min() < -0.95 * limit
    assert layer.weight.shape == (5, 7, 8, 3, 5, 5)
    assert layer.bias.shape == (8, 5, 7)


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 6), (1, 2, 3, 5, 6), (2, 4, 5, 6)], ids=str)
def test_any_other_size_is_named(shape):
    with pytest.raises(GeometryError) as caught:
        local(2, 3, 4, 2, (5, 6))(torch.zeros(shape, dtype=torch.float64))
    assert str(caught.value) == f"input: shape is {shape}, expected (N, 3, 5, 6) or (3, 5, 6)"


def test_numbers_that_fit_no_layer_are_refused():
    with pytest.raises(
        GeometryError, match=r"2d: kernel_size is \(3, 3, 3\), expected one number, or 2"
    ):
        LocallyConnected2d(1, 1, (3, 3, 3), 9)
    with pytest.raises(GeometryError, match=r"input_size\[1\] is 2, expected ≥ 3"):
        LocallyConnected2d(1, 1, 3, (5, 2))
    with pytest.raises(GeometryError, match="groups"):
        LocallyConnected1d(3, 4, 2, 5, groups=2)


class Products(TorchDispatchMode):
    """Notes how many numbers lie in a row of each product."""

    def __init__(self):
        super().__init__()
        self.inner = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten.bmm:
            self.inner.append(out.shape[-1])
        return out


def test_the_inner_axis_of_the_products_is_the_batch_from_16_images_on():
    layer = local(1, 2, 5, 3, 7, bias=False)
    with torch.no_grad(), Products() as products:
        for n in (15, 16):
            layer(integers(n, 2, 7))
    assert products.inner == [5, 16]
