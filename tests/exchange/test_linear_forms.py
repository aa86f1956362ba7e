"""`to_linear` against the convolution itself: values, gradients, the way back, shared storage."""

import copy

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from convlin import ConvGeometry, GeometryError, Refused, to_linear
from geometry_strategies import MODES, case_id, conv, convolutions, fill, integers

CASES = {
    "pointwise": [
        conv(1, 3, 5, 1),
        conv(1, 4, 6, 1, stride=3, padding=2, groups=2, dilation=4),
        conv(2, 3, 5, 1, stride=(2, 3)),
        conv(2, 3, 5, 1, padding=(1, 2), padding_mode="reflect", bias=False),
        conv(2, 6, 9, 1, groups=3, stride=2, padding=1),
        conv(3, 2, 5, 1, stride=(1, 2, 3), padding=(1, 0, 2), padding_mode="circular"),
        conv(2, 5, 5, 1, groups=5),
    ],
    "patchify": [
        conv(1, 3, 5, 4, stride=4),
        conv(2, 3, 5, (2, 3), stride=(2, 3)),
        conv(2, 4, 6, (2, 3), stride=(2, 3), groups=2, padding=(1, 2), padding_mode="replicate"),
        conv(2, 3, 5, (1, 3), stride=(2, 3), dilation=(4, 1)),
        conv(2, 3, 5, (3, 1), stride=(4, 1), padding=1),
        conv(2, 3, 5, (2, 2), stride=3, dilation=2),
        conv(3, 2, 7, (2, 3, 1), stride=(2, 3, 2)),
        conv(2, 4, 4, 2, stride=2, groups=4),
    ],
    "covering_kernel": [
        conv(1, 3, 5, 8),
        conv(2, 3, 5, (7, 9), stride=(2, 3)),
        conv(2, 4, 6, (7, 9), groups=2),
        conv(2, 4, 6, (9, 13), padding=(1, 2), padding_mode="reflect"),
        conv(3, 2, 5, (4, 7, 5)),
    ],
    "windows": [
        conv(1, 3, 5, 4, stride=2, padding=3, dilation=2),
        conv(2, 3, 5, (3, 2), padding="same"),
        conv(2, 4, 6, (3, 2), padding="same", dilation=(1, 3), groups=2, padding_mode="circular"),
        conv(2, 4, 6, (2, 3), stride=(1, 2), padding=(2, 1), padding_mode="reflect", bias=False),
        conv(2, 6, 6, 3, groups=6, padding="valid"),
        conv(3, 2, 5, (2, 1, 3), stride=(1, 2, 1), padding=(1, 0, 2), dilation=(2, 1, 1)),
    ],
}
SIZE = {1: (8,), 2: (7, 9), 3: (4, 7, 5)}
FORMS = [
    pytest.param(layer, name, id=f"{name}-{case_id(layer)}")
    for name, layers in CASES.items()
    for layer in layers
]


def size_of(layer):
    return SIZE[len(layer.kernel_size)]


def exchanged(layer, name, **options):
    size = size_of(layer) if name in ("covering_kernel", "dense_at_size") else None
    return to_linear(layer, size, exchange=name, **options)


def image(layer, *batch, seed=5):
    return integers(*batch, layer.in_channels, *size_of(layer), seed=seed)


def twins(parameters, other):
    """Yield parameters in pairs that must be the same bits, strides and settings."""
    other = dict(other)
    for key, one in parameters:
        two = other.pop(key)
        assert torch.equal(one, two)
        assert one.stride() == two.stride()
        assert (one.dtype, one.device, one.requires_grad) == (
            two.dtype,
            two.device,
            two.requires_grad,
        )
        yield one, two
    assert not other


@pytest.mark.parametrize("layer, name", FORMS)
@pytest.mark.parametrize("batch", [(2,), (1,), (0,), ()], ids=["two", "one", "empty", "unbatched"])
def test_the_same_outputs_in_the_same_memory_format(layer, name, batch):
    x = image(layer, *batch)
    y, expected = exchanged(layer, name)(x), layer(x)
    assert torch.equal(y, expected)
    assert y.dtype == expected.dtype
    assert y.is_contiguous()
    if 0 not in batch:
        assert y.stride() == expected.stride()


@pytest.mark.parametrize("groups", ["batched", "block_diagonal"])
@pytest.mark.parametrize("layer, name", FORMS)
def test_the_same_gradients(layer, name, groups):
    layer = copy.deepcopy(layer)
    form = exchanged(layer, name, groups=groups)
    grads = []
    for module in (layer, form):
        x = image(layer, 2).requires_grad_()
        y = module(x)
        y.backward(integers(*y.shape, seed=9))
        grads.append(x.grad)
        if module is layer:
            bias = None if layer.bias is None else layer.bias.grad.clone()
            layer.zero_grad()
    assert torch.equal(*grads)
    if bias is not None:
        assert torch.equal(layer.bias.grad, bias)
    # The Linear's gradient, taken back like a weight, is the kernel's gradient.
    y = layer(image(layer, 2))
    y.backward(integers(*y.shape, seed=9))
    back = copy.deepcopy(form)
    parameter = back.linear.weight if hasattr(back, "linear") else back.matrices
    given = (form.linear.weight if hasattr(form, "linear") else form.matrices).grad
    if hasattr(back, "linear") and layer.groups > 1:
        given = given * (parameter != 0)  # zeros off the blocks have gradients of their own
        expected = layer.weight.grad * (layer.weight != 0)
    else:
        expected = layer.weight.grad
    parameter.data = given
    assert torch.equal(back.to_conv().weight, expected)


@pytest.mark.parametrize("layer, name", FORMS)
def test_the_way_back_is_the_same_layer_bit_for_bit(layer, name):
    form = exchanged(layer, name)
    back = form.to_conv()
    assert type(back) is type(layer)
    assert repr(back) == repr(layer)
    assert back.padding == layer.padding
    assert form.geometry == ConvGeometry.of(back) == ConvGeometry.of(layer)
    for one, two in twins(layer.named_parameters(), back.named_parameters()):
        assert one.data_ptr() == two.data_ptr()
    assert back.bias is layer.bias
    assert torch.equal(back(image(layer, 2)), layer(image(layer, 2)))


@pytest.mark.parametrize("layer, name", FORMS)
def test_block_diagonal_is_one_linear_with_the_same_outputs_and_way_back(layer, name):
    form = exchanged(layer, name, groups="block_diagonal")
    assert type(form.linear) is nn.Linear
    assert form.linear.weight.shape[0] == layer.out_channels
    assert form.linear.weight.numel() == layer.weight.numel() * layer.groups
    assert torch.equal(form(image(layer, 3)), layer(image(layer, 3)))
    back = form.to_conv()
    assert repr(back) == repr(layer)
    assert len(list(twins(layer.named_parameters(), back.named_parameters()))) > 0
    assert form.linear.bias is layer.bias


@settings(max_examples=60)
@given(convolutions())
def test_any_convolution_as_windows(case):
    layer, size = case
    form = to_linear(layer, exchange="windows")
    x = integers(2, layer.in_channels, *size, seed=3)
    assert torch.equal(form(x), layer(x))
    assert torch.equal(form(x[0]), layer(x)[0])
    back = form.to_conv()
    assert repr(back) == repr(layer)
    assert torch.equal(back.weight, layer.weight)


@settings(max_examples=60)
@given(convolutions(max_kernel=3))
def test_whatever_is_chosen_is_equal_or_refused(case):
    layer, size = case
    x = integers(2, layer.in_channels, *size, seed=3)
    assert torch.equal(to_linear(layer, size)(x), layer(x))
    try:
        form = to_linear(layer)
    except Refused as refused:
        assert {r.field for r in refused.refusals} <= {"stride", "dilation", "input_size"}
    else:
        assert torch.equal(form(x), layer(x))


@pytest.mark.parametrize("layer, name", FORMS)
def test_weights_are_the_same_storage_unless_copied(layer, name):
    layer = copy.deepcopy(layer)
    shared, own = exchanged(layer, name), exchanged(layer, name, copy=True)
    x = image(layer, 2)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(2).add_(1)
        if layer.bias is not None:
            layer.bias.add_(4)
    assert torch.equal(shared(x), layer(x))
    assert torch.equal(own(x), before)
    assert not torch.equal(layer(x), before)
    pointers = {p.untyped_storage().data_ptr() for p in layer.parameters()}
    assert {p.untyped_storage().data_ptr() for p in shared.parameters()} == pointers
    assert not pointers & {p.untyped_storage().data_ptr() for p in own.parameters()}


def memory_format(layer):
    return torch.channels_last if len(layer.kernel_size) == 2 else torch.channels_last_3d


@pytest.mark.parametrize("layer, name", [p for p in FORMS if len(p.values[0].kernel_size) > 1])
@pytest.mark.parametrize("weights", [True, False], ids=["weights-last", "weights-first"])
@pytest.mark.parametrize("images", [True, False], ids=["images-last", "images-first"])
@pytest.mark.parametrize("groups", ["batched", "block_diagonal"])
def test_channels_last_weights_and_images(layer, name, weights, images, groups):
    layer, x = copy.deepcopy(layer), image(layer, 2)
    layer = layer.to(memory_format=memory_format(layer)) if weights else layer
    x = x.to(memory_format=memory_format(layer)) if images else x
    form = exchanged(layer, name, groups=groups)
    y = form(x)
    assert torch.equal(y, layer(x))
    if not images:
        assert y.is_contiguous()
    back = form.to_conv()
    for one, two in twins(layer.named_parameters(), back.named_parameters()):
        if groups == "batched" or layer.groups == 1:
            assert one.data_ptr() == two.data_ptr()


@pytest.mark.parametrize("layer, name", [p for p in FORMS if p.values[0].in_channels > 2])
def test_a_channels_last_image_stays_one(layer, name):
    if len(layer.kernel_size) == 1:
        x = image(layer, 2).transpose(1, 2).contiguous().transpose(1, 2)
        assert torch.equal(exchanged(layer, name)(x), layer(x))
        return
    x = image(layer, 2).to(memory_format=memory_format(layer))
    y = exchanged(layer, name)(x)
    assert torch.equal(y, layer(x))
    assert y.is_contiguous(memory_format=memory_format(layer))


def test_one_channel_is_no_sign_of_channels_last():
    layer = conv(2, 1, 3, 2)
    form = to_linear(layer, exchange="windows")
    assert form(integers(2, 1, 5, 6)).is_contiguous()


def test_a_strided_image():
    layer = CASES["windows"][2]
    wide = integers(2, 8, 14, 18)
    x = wide[:, ::2, ::2, ::2]
    form = exchanged(layer, "windows")
    assert torch.equal(form(x), layer(x.contiguous()))
    assert form(x).is_contiguous()


DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.complex64, torch.complex128]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("groups", [1, 2])
def test_dtypes(dtype, mode, groups):
    layer = nn.Conv2d(2, 4, (2, 3), padding=1, padding_mode=mode, groups=groups, dtype=dtype)
    for parameter in layer.parameters():
        parameter.data.copy_(integers(*parameter.shape, seed=2).clamp(-3, 3))
    x = integers(2, 2, 5, 6, seed=4).clamp(-3, 3).to(dtype)
    expected = layer(x)
    for name in ("windows", "dense_at_size"):
        form = to_linear(layer, (5, 6) if name == "dense_at_size" else None, exchange=name)
        assert torch.equal(form(x), expected)
        assert form(x).dtype == dtype
        back = form.to_conv()
        assert repr(back) == repr(layer)
        assert torch.equal(back.weight, layer.weight)


@pytest.mark.parametrize("layer, name", FORMS)
def test_frozen_parameters_and_train_mode_are_carried(layer, name):
    layer = copy.deepcopy(layer).eval()
    layer.weight.requires_grad_(False)
    for options in ({}, {"copy": True}, {"groups": "block_diagonal"}):
        form = exchanged(layer, name, **options)
        weight = form.linear.weight if hasattr(form, "linear") else form.matrices
        assert not weight.requires_grad
        assert all(p.requires_grad for key, p in form.named_parameters() if key.endswith("bias"))
        assert not any(m.training for m in form.modules())
        assert not form.to_conv().training
        assert form.train().to_conv().training


def test_ties_stay_ties():
    one, two = conv(2, 3, 5, 2, stride=2), conv(2, 3, 5, 2, stride=2)
    two.weight, two.bias = one.weight, one.bias
    first, second = to_linear(one), to_linear(two)
    assert first.linear.bias is second.linear.bias is one.bias
    with torch.no_grad():
        first.linear.weight.add_(1)
    x = integers(1, 3, 4, 6)
    assert torch.equal(second(x), one(x))


def test_a_trained_form_goes_back_trained():
    layer = conv(2, 3, 4, (2, 3), stride=(2, 3))
    form = to_linear(layer, copy=True)
    optimizer = torch.optim.SGD(form.parameters(), lr=0.5)
    form(integers(2, 3, 4, 6)).sum().backward()
    optimizer.step()
    back = form.to_conv()
    assert not torch.equal(back.weight, layer.weight)
    x = integers(2, 3, 4, 6, seed=8)
    assert torch.equal(back(x), form(x))


@pytest.mark.parametrize("layer, name", FORMS)
def test_forms_are_copied_moved_and_saved_like_any_module(layer, name):
    form = exchanged(layer, name)
    twin = copy.deepcopy(form)
    assert torch.equal(twin(image(layer, 2)), layer(image(layer, 2)))
    assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in form.parameters()}
    other = exchanged(fill(copy.deepcopy(layer), seed=50), name)
    other.load_state_dict(form.state_dict())
    assert torch.equal(other(image(layer, 2)), layer(image(layer, 2)))
    assert other.to(torch.float32)(image(layer, 2).float()).dtype == torch.float32
    assert other.to_conv().weight.dtype == torch.float32


def test_nothing_is_allocated_for_a_shared_form():
    layer = nn.Conv2d(3, 5, 4, stride=4, device="meta")
    form = to_linear(layer)
    assert form.linear.weight.is_meta
    assert form(torch.empty(2, 3, 8, 13, device="meta")).shape == (2, 5, 2, 3)
    layer = conv(2, 3, 5, 4, stride=4)
    state = torch.get_rng_state()
    to_linear(layer).to_conv()
    assert torch.equal(torch.get_rng_state(), state)


def test_storage_that_is_no_matrix_is_refused_with_copy_offered():
    layer = conv(2, 3, 5, (2, 3), stride=(2, 3))
    layer.weight = nn.Parameter(integers(5, 3, 2, 6)[..., :3])
    with pytest.raises(Refused) as caught:
        to_linear(layer)
    assert str(caught.value) == (
        "Conv2d: weight.stride() is (36, 12, 6, 1), expected copy=True "
        "(no view of this storage holds the kernel as a matrix)"
    )
    form = to_linear(layer, copy=True)
    x = integers(2, 3, 4, 6)
    assert torch.equal(form(x), layer(x))
    assert torch.equal(form.to_conv().weight, layer.weight)


def test_storage_that_is_no_matrix_can_still_be_blocks():
    layer = conv(2, 6, 4, (2, 3), stride=(2, 3), groups=2)
    layer.weight = nn.Parameter(integers(4, 3, 2, 6)[..., :3])
    with pytest.raises(Refused, match="no view of this storage"):
        to_linear(layer)
    form = to_linear(layer, groups="block_diagonal")
    x = integers(2, 6, 4, 6)
    assert torch.equal(form(x), layer(x))
    assert torch.equal(form.to_conv().weight, layer.weight)


def test_a_leak_between_groups_cannot_go_back():
    form = to_linear(conv(1, 4, 6, 1, groups=2), groups="block_diagonal")
    with torch.no_grad():
        form.linear.weight[4, 1] = 0.25
    with pytest.raises(Refused) as caught:
        form.to_conv()
    assert str(caught.value) == (
        "linear: weight[4, 1] is 0.25, expected 0 "
        "(off the blocks: output group 1 would read input group 0)"
    )


def test_blocks_beyond_the_memory_limit_are_refused_by_the_byte():
    layer = conv(2, 6, 9, (2, 3), stride=(2, 3), groups=3)
    needed = 9 * 6 * 2 * 3 * 8
    with pytest.raises(Refused) as caught:
        to_linear(layer, groups="block_diagonal", memory_limit=needed - 1)
    assert str(caught.value) == (
        f"Conv2d: memory_limit is {needed - 1}, expected ≥ {needed} bytes "
        "(3 groups as blocks of one Linear takes that)"
    )
    form = to_linear(layer, groups="block_diagonal", memory_limit=needed)
    assert form.linear.weight.nbytes == needed


def test_groups_must_be_one_of_two_words():
    with pytest.raises(Refused, match="groups is 'dense', expected 'batched' or 'block_diagonal'"):
        to_linear(conv(1, 2, 4, 1, groups=2), groups="dense")


@pytest.mark.parametrize(
    "shape, words",
    [
        ((2, 4, 8, 9), r"(2, 4, 8, 9), expected (N, 3, ≥3, ≥2) or (3, ≥3, ≥2)"),
        ((8, 9), r"(8, 9), expected (N, 3, ≥3, ≥2) or (3, ≥3, ≥2)"),
        ((1, 2, 3, 8, 9), r"(1, 2, 3, 8, 9), expected (N, 3, ≥3, ≥2) or (3, ≥3, ≥2)"),
        ((2, 3, 2, 9), r"(2, 3, 2, 9), expected (N, 3, ≥3, ≥2) or (3, ≥3, ≥2)"),
        ((3, 8, 1), r"(3, 8, 1), expected (N, 3, ≥3, ≥2) or (3, ≥3, ≥2)"),
    ],
    ids=["channels", "rank-2", "rank-5", "too-low", "too-narrow"],
)
def test_wrong_images_are_named(shape, words):
    form = to_linear(conv(2, 3, 5, (3, 2)), exchange="windows")
    with pytest.raises(GeometryError) as caught:
        form(torch.zeros(shape, dtype=torch.float64))
    assert str(caught.value) == "input: shape is " + words
