"""Every form under autocast, traced and scripted: as the layer it stands for, or one clear line."""

import pytest
import torch
from torch import nn

from convlin import (
    ConvlinError,
    to_conv,
    to_conv1d,
    to_conv2d,
    to_linear,
    to_local,
    to_pointwise,
)
from geometry_strategies import fill


def conv(*sizes, **fields):
    return fill(nn.Conv2d(*sizes, **fields))


FORMS = {
    "pointwise": lambda **more: (conv(4, 6, 1, **more), to_linear),
    "patchify": lambda **more: (conv(4, 6, (2, 3), (2, 3), **more), to_linear),
    "windows": lambda **more: (
        conv(4, 6, (3, 2), padding=1, padding_mode="circular", **more),
        lambda layer: to_linear(layer, exchange="windows"),
    ),
    "blocks": lambda **more: (
        conv(4, 6, (2, 3), (2, 3), **more),
        lambda layer: to_linear(layer, groups="block_diagonal"),
    ),
    "covering_kernel": lambda **more: (conv(4, 6, (7, 5), **more), lambda layer: to_linear(layer, (7, 5))),
    "dense_at_size": lambda **more: (
        conv(4, 6, (3, 2), **more), lambda layer: to_linear(layer, (7, 5), exchange="dense_at_size")
    ),
    "unpatchify": lambda **more: (
        fill(nn.ConvTranspose2d(4, 6, (2, 3), (2, 3), **more)), to_linear
    ),
    "unpatchify-gaps": lambda **more: (
        fill(nn.ConvTranspose2d(4, 6, 2, 3, padding=1, **more)), to_linear
    ),
    "lines": lambda **more: (conv(4, 6, (1, 3), padding=(0, 1), **more), to_conv1d),
    "space_to_depth": lambda **more: (conv(4, 6, 2, 2, **more), to_pointwise),
    "local": lambda **more: (conv(4, 6, (3, 2), **more), lambda layer: to_local(layer, (7, 5))),
}  # fmt: skip
LINEARS = {
    "rows": lambda **more: (fill(nn.Linear(5, 6, **more)), to_conv),
    "rows-2d": lambda **more: (fill(nn.Linear(5, 6, **more)), to_conv2d),
    "map": lambda **more: (
        fill(nn.Linear(4 * 7 * 5, 6, **more)), lambda layer: to_conv(layer, (4, 7, 5), order="HWC")
    ),
}  # fmt: skip
CASES = {
    **{
        f"{name}-{'bias' if bias else 'bare'}-g{groups}": (
            lambda make=make, bias=bias, groups=groups: make(bias=bias, groups=groups)
        )
        for name, make in FORMS.items()
        for bias in (True, False)
        for groups in (1, 2)
    },
    **{
        f"{name}-{'bias' if bias else 'bare'}": lambda make=make, bias=bias: make(bias=bias)
        for name, make in LINEARS.items()
        for bias in (True, False)
    },
}
every_form = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


def given(layer, batch=3):
    """Return whole numbers small enough for sums in 16 bits to be those of the layer."""
    shape = (4, 7, 5) if not isinstance(layer, nn.Linear) else (layer.in_features,)
    numbers = torch.arange(batch * torch.Size(shape).numel())
    return (numbers % 5 - 2).float().reshape(batch, *shape)


@every_form
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_form_has_the_dtype_that_the_layer_has_under_autocast(make, dtype):
    layer, exchange = make()
    form, x = exchange(layer), given(layer)
    with torch.autocast("cpu", dtype), torch.no_grad():
        expected, y = layer(x), form(x)
        assert y.dtype == expected.dtype == dtype
        assert form(x.to(dtype)).dtype == layer(x.to(dtype)).dtype
    exact = layer(x)
    # Sums of at most 141 products of whole numbers up to 2 and 9, rounded once and once again.
    sizes = torch.nn.functional.relu(exact.abs()) + 1
    assert bool(((y.float() - exact).abs() <= 4 * torch.finfo(dtype).eps * sizes.amax()).all())


@every_form
def test_a_form_keeps_its_dtype_without_autocast(make):
    layer, exchange = make()
    assert torch.equal(exchange(layer)(given(layer)), layer(given(layer)))
    assert exchange(layer.double())(given(layer).double()).dtype == torch.float64


@every_form
@pytest.mark.filterwarnings("ignore")
def test_a_form_is_traced_for_any_batch(make):
    layer, exchange = make()
    form = exchange(layer)
    traced = torch.jit.trace(form, given(layer))
    for batch in (1, 3, 8):
        assert torch.equal(traced(given(layer, batch)), layer(given(layer, batch)))


@every_form
@pytest.mark.filterwarnings("ignore")
def test_a_form_that_is_scripted_says_what_works_instead(make):
    layer, exchange = make()
    form = exchange(layer)
    words = f"torch.jit.script: module is {type(form).__name__}, expected torch.jit.trace"
    for module in (form, nn.Sequential(nn.Identity(), form)):
        with pytest.raises(ConvlinError, match=words):
            torch.jit.script(module)
    if hasattr(form, "to_conv") or hasattr(form, "to_linear"):
        back = form.to_conv() if hasattr(form, "to_conv") else form.to_linear()
        assert torch.equal(torch.jit.script(back)(given(layer)), layer(given(layer)))
