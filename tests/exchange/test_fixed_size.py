"""Any convolution at one input size as a dense Linear: values, way back, limit."""

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry, GeometryError, Refused, to_linear
from convlin.exchange.dense_groups import DenseGroups
from geometry_strategies import case_id, conv, convolutions, integers, probe

CASES = [
    (conv(1, 3, 5, 4, stride=2, padding=3, dilation=2), (9,)),
    (conv(2, 3, 5, (3, 2), padding="same"), (5, 6)),
    (conv(2, 4, 6, (3, 2), padding=(2, 1), groups=2, padding_mode="reflect", bias=False), (5, 6)),
    (conv(2, 3, 5, 1, stride=2), (4, 7)),
    (conv(3, 2, 4, (2, 1, 3), padding=(1, 0, 2), padding_mode="circular"), (3, 2, 4)),
    (conv(1, 3, 5, 4, transposed=True, stride=3, output_padding=2), (5,)),
    (conv(2, 4, 6, (3, 2), transposed=True, stride=(3, 2), padding=1, groups=2), (3, 4)),
    (conv(3, 2, 3, 2, transposed=True, dilation=2, output_padding=1, bias=False), (2, 3, 1)),
]
TABLE = pytest.mark.parametrize("layer, size", CASES, ids=[case_id(layer) for layer, _ in CASES])


def fixed(layer, size, groups="block_diagonal", **options):
    """Return the form of one Linear, also with groups."""
    return to_linear(layer, size, exchange="dense_at_size", groups=groups, **options)


@TABLE
@pytest.mark.parametrize("batch", [(2,), (0,), ()], ids=["two", "empty", "unbatched"])
def test_the_same_outputs(layer, size, batch):
    x = integers(*batch, layer.in_channels, *size, seed=3)
    y = fixed(layer, size)(x)
    assert torch.equal(y, layer(x))
    assert y.is_contiguous()


@settings(max_examples=40)
@given(st.one_of(convolutions(max_kernel=3), convolutions(max_kernel=3, transposed=True)))
def test_any_convolution_at_one_size(case):
    layer, size = case
    form = fixed(layer, size)
    assert torch.equal(form.linear.weight.detach(), probe(layer, size))
    x = integers(2, layer.in_channels, *size, seed=3)
    assert torch.equal(form(x), layer(x))
    assert form.to_conv() is layer


@TABLE
def test_the_same_gradient_of_the_input(layer, size):
    grads = []
    for module in (layer, fixed(layer, size)):
        x = integers(2, layer.in_channels, *size, seed=3).requires_grad_()
        y = module(x)
        (grad,) = torch.autograd.grad(y, x, integers(*y.shape, seed=4))
        grads.append(grad)
    assert torch.equal(*grads)


@TABLE
def test_the_way_back_is_the_very_layer_and_no_part_of_the_form(layer, size):
    form = fixed(layer, size)
    assert form.to_conv() is layer
    names = {"linear.weight"} | ({"linear.bias"} if layer.bias is not None else set())
    assert set(form.state_dict()) == names
    assert [name for name, _ in form.named_children()] == ["linear"]
    assert form.geometry.output_size(size) == form.output_size


@TABLE
def test_storage_is_its_own(layer, size):
    layer = copy.deepcopy(layer)
    pointers = {p.data_ptr() for p in layer.parameters()}
    form = fixed(layer, size)
    assert not pointers & {p.data_ptr() for p in form.parameters()}
    x = integers(1, layer.in_channels, *size)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(2)
    assert torch.equal(form(x), before)


def test_a_changed_linear_cannot_go_back():
    form = fixed(conv(2, 3, 5, 2), (3, 4))
    with torch.no_grad():
        form.linear.weight[7, 11] = 0.5
        form.linear.bias[9] += 3
    (conv_of_it,) = form._origin
    was, bias = probe(conv_of_it, (3, 4))[7, 11].item(), conv_of_it.bias[9 // 6].item()
    with pytest.raises(Refused) as caught:
        form.to_conv()
    reason = "the Linear or its convolution was changed since"
    assert str(caught.value) == (
        f"linear: weight[7, 11] is 0.5, expected {was} ({reason})\n"
        f"linear: bias[9] is {bias + 3}, expected {bias} ({reason})"
    )


def test_a_changed_convolution_is_no_way_back():
    layer = conv(1, 2, 3, 2)
    form = fixed(layer, (4,))
    with torch.no_grad():
        layer.weight[1, 0, 1] += 1
    with pytest.raises(Refused, match=r"linear: weight\[3, 1\] is .*changed since"):
        form.to_conv()


def test_a_bias_that_came_or_went_is_a_change():
    bare, biased = (fixed(conv(1, 2, 3, 2, bias=bias), (4,)) for bias in (False, True))
    bare.linear.bias, biased.linear.bias = biased.linear.bias, None
    with pytest.raises(
        Refused, match=r"linear: bias is of shape \(9,\), expected None .the Linear or"
    ):
        bare.to_conv()
    with pytest.raises(
        Refused, match=r"linear: bias is None, expected of shape \(9,\) .the Linear or"
    ):
        biased.to_conv()


def test_a_convolution_whose_numbers_or_hooks_changed_is_no_way_back():
    layer = conv(1, 2, 3, 2)
    form = fixed(layer, (4,))
    layer.stride = (2,)
    with pytest.raises(
        Refused, match=r"Conv1d: geometry is 2→3 k2 s2, expected 2→3 k2 .the Linear"
    ):
        form.to_conv()
    layer.stride = (1,)
    layer.register_forward_hook(lambda *_: None)
    with pytest.raises(Refused, match="_forward_hooks"):
        form.to_conv()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_after_a_change_of_dtype_the_way_back_has_it_too(dtype):
    layer = nn.Conv2d(2, 3, 2, dtype=torch.float64)
    form = fixed(layer, (3, 4)).to(dtype)
    back = form.to_conv()
    assert back is not layer
    assert layer.weight.dtype == torch.float64
    assert torch.equal(back.weight, layer.weight.to(dtype))
    assert torch.equal(back.bias, layer.bias.to(dtype))
    lossy = fixed(layer, (3, 4)).to(dtype).to(torch.float64)
    with pytest.raises(Refused, match=r"linear: weight\[0, 0\]"):
        lossy.to_conv()


def test_nan_weights_are_untouched_weights():
    layer = conv(1, 2, 3, 2)
    layer.weight.data[0, 0, 0] = torch.nan
    assert fixed(layer, (4,)).to_conv() is layer


def test_deep_copies_and_saved_forms_have_a_way_back_of_their_own():
    layer = conv(1, 2, 3, 2)
    form = fixed(layer, (4,))
    twin = copy.deepcopy(form)
    assert twin.to_conv() is not layer
    assert torch.equal(twin.to_conv().weight, layer.weight)
    buffer = io.BytesIO()
    torch.save(form, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert torch.equal(loaded.to_conv().weight, layer.weight)


def test_beyond_the_limit_it_is_refused_by_the_byte_before_anything_is_allocated():
    layer = nn.Conv2d(3, 64, 3, padding=1)
    needed = (64 * 224 * 224 * 3 * 224 * 224 + 64 * 224 * 224) * 4
    with pytest.raises(Refused) as caught:
        to_linear(layer, (224, 224))
    assert str(caught.value) == (
        f"Conv2d: memory_limit is 2147483648, expected ≥ {needed} bytes "
        "(a dense Linear at (224, 224) takes that)"
    )


@TABLE
def test_the_limit_is_what_the_form_takes(layer, size):
    taken = sum(p.nbytes for p in fixed(layer, size).parameters())
    fixed(layer, size, memory_limit=taken)
    with pytest.raises(Refused, match=f"expected ≥ {taken} bytes"):
        fixed(layer, size, memory_limit=taken - 1)


def test_settings_are_carried():
    layer = conv(1, 2, 3, 2).eval()
    layer.weight.requires_grad_(False)
    form = fixed(layer, (4,))
    assert not form.linear.weight.requires_grad
    assert form.linear.bias.requires_grad
    assert not form.training
    assert not form.linear.training


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 6), (1, 2, 3, 5, 6), (2, 4, 5, 6)], ids=str)
def test_any_other_size_is_named(shape):
    form = fixed(conv(2, 3, 4, 2), (5, 6))
    with pytest.raises(GeometryError) as caught:
        form(torch.zeros(shape, dtype=torch.float64))
    assert str(caught.value) == f"input: shape is {shape}, expected (N, 3, 5, 6) or (3, 5, 6)"


def test_one_number_is_the_size_of_every_dimension():
    conv = nn.Conv2d(2, 3, 3, padding=1)
    assert to_linear(conv, input_size=4).linear.in_features == 2 * 4 * 4


GROUPED = [
    *(case for case in CASES if case[0].groups > 1),
    (conv(1, 6, 9, 3, padding=2, groups=3, dilation=2, padding_mode="circular"), (7,)),
    (conv(2, 4, 4, (3, 2), padding=1, groups=4), (5, 3)),
    (
        conv(2, 6, 4, (3, 2), transposed=True, stride=2, output_padding=1, groups=2, bias=False),
        (3, 4),
    ),
]
GROUPS = pytest.mark.parametrize(
    "layer, size", GROUPED, ids=[case_id(layer) for layer, _ in GROUPED]
)  # fmt: skip


def batched(layer, size, **options):
    return fixed(layer, size, groups="batched", **options)


@GROUPS
@pytest.mark.parametrize("batch", [(2,), (0,), ()], ids=["two", "empty", "unbatched"])
def test_a_matrix_a_group_gives_the_same_outputs(layer, size, batch):
    x = integers(*batch, layer.in_channels, *size, seed=3)
    y = batched(layer, size)(x)
    assert torch.equal(y, layer(x))
    assert y.is_contiguous()


@GROUPS
def test_the_matrices_are_the_blocks_of_the_one_and_hold_all_that_is_not_0(layer, size):
    form, whole = batched(layer, size), probe(layer, size)
    groups, rows, columns = form.matrices.shape
    assert (groups * rows, groups * columns) == whole.shape
    for g in range(groups):
        at = slice(g * rows, (g + 1) * rows), slice(g * columns, (g + 1) * columns)
        assert torch.equal(form.matrices[g].detach(), whole[at])
        whole[at] = 0
    assert not whole.any()
    assert form.to_conv() is layer
    assert layer.bias is None or torch.equal(form.bias, layer.bias)


@GROUPS
def test_the_limit_counts_the_matrices(layer, size):
    taken = sum(p.nbytes for p in batched(layer, size).parameters())
    assert taken < sum(p.nbytes for p in fixed(layer, size).parameters())
    batched(layer, size, memory_limit=taken)
    with pytest.raises(Refused, match=f"expected ≥ {taken} bytes .a dense Linear a group at"):
        batched(layer, size, memory_limit=taken - 1)


def test_groups_of_many_channels_are_small_without_being_asked_for():
    layer = nn.Conv2d(384, 384, 3, padding=1, groups=384)
    form = to_linear(layer, (14, 14))
    assert sum(p.nbytes for p in form.parameters()) == 384 * (14 * 14) ** 2 * 4 + 384 * 4  # 59 MB
    one = (384 * 14 * 14) ** 2 * 4 + 384 * 14 * 14 * 4  # 23 GB
    with pytest.raises(Refused, match=f"expected ≥ {one} bytes"):
        fixed(layer, (14, 14))


@GROUPS
def test_the_matrices_have_the_same_gradients(layer, size):
    form, grads = batched(layer, size), []
    for module in (layer, form):
        x = integers(2, layer.in_channels, *size, seed=3).requires_grad_()
        y = module(x)
        (grad,) = torch.autograd.grad(y, x, integers(*y.shape, seed=4))
        grads.append(grad)
    assert torch.equal(*grads)


def test_changed_matrices_cannot_go_back():
    form = batched(*GROUPED[0])
    with torch.no_grad():
        form.matrices[1, 2, 3] += 0.5
    with pytest.raises(Refused, match=r"linear: weight\[1, 2, 3\] is .*changed since"):
        form.to_conv()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@GROUPS
def test_the_map_of_a_matrix_a_group_on_plain_arrays(layer, size, kind):
    exchange = DenseGroups(ConvGeometry.of(layer), size)
    kernel = layer.weight.detach()
    kernel = kernel.numpy() if kind == "numpy" else kernel
    weight = exchange.weight(kernel)
    assert type(weight) is type(kernel)
    assert exchange.unfit(weight) == ()
    assert (exchange.kernel(weight) == kernel).all()
    weight[1, 0, 0] += 1
    (refusal,) = exchange.unfit(weight)
    assert refusal.site == "matrices" and refusal.field.startswith("weight[1, ")
