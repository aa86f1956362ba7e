"""Which exchange is made, and the words of the refusals, on geometries alone."""

import copy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convlin import ConvGeometry, GeometryError, Refused, to_linear
from convlin.exchange import TABLE, choose
from convlin.exchange.patchify import Patchify


def geometry(kernel, **fields):
    return ConvGeometry(4, 6, kernel=kernel, **fields)


CHOSEN = {
    "kernel-1": (geometry((1, 1)), None, "pointwise"),
    "kernel-1-everything": (
        geometry((1, 1), stride=(2, 3), padding=2, dilation=5, groups=2, padding_mode="reflect"),
        None,
        "pointwise",
    ),
    "kernel-1-at-a-size": (geometry((1,)), (7,), "pointwise"),
    "kernel-is-stride": (geometry((4, 2), stride=(4, 2)), None, "patchify"),
    "kernel-is-stride-padded": (geometry((4, 2), stride=(4, 2), padding=3), None, "patchify"),
    "stride-beyond-kernel": (geometry((2, 2), stride=(3, 2)), None, "patchify"),
    "mixed": (geometry((1, 3), stride=(2, 3), dilation=(4, 1)), None, "patchify"),
    "dilated-and-disjoint": (geometry((2,), stride=3, dilation=2), None, "patchify"),
    "full-size": (geometry((3, 5)), (3, 5), "covering_kernel"),
    "full-size-any-stride": (geometry((3, 5), stride=2), (3, 5), "covering_kernel"),
    "full-size-padded": (geometry((3, 5), padding=(1, 0)), (1, 5), "covering_kernel"),
    "full-size-dilated-where-1": (geometry((3, 1), dilation=(1, 7)), (3, 1), "covering_kernel"),
    "larger-than-kernel": (geometry((3, 5)), (3, 6), "dense_at_size"),
    "dilated-to-one-cell": (geometry((2, 2), dilation=2), (3, 3), "dense_at_size"),
    "transposed": (geometry((3, 3), transposed=True), (3, 3), "dense_at_size"),
    "transposed-kernel-1": (geometry((1, 1), transposed=True), (3, 3), "unpatchify"),
    "transposed-apart": (geometry((3, 2), stride=(3, 4), transposed=True), None, "unpatchify"),
    "transposed-dilated-apart": (
        geometry((2,), stride=3, dilation=2, padding=1, output_padding=2, transposed=True),
        (3,),
        "unpatchify",
    ),
}


@pytest.mark.parametrize("given_geometry, size, name", CHOSEN.values(), ids=CHOSEN)
def test_first_that_fits(given_geometry, size, name):
    assert choose(given_geometry, size).name == name


def test_windows_are_never_chosen_unasked():
    assert choose(geometry((3, 3)), None, "windows").name == "windows"
    assert [row.name for row in TABLE if not row.by_default] == ["windows"]


def test_former_names_are_still_taken():
    assert choose(geometry((3, 3)), (3, 3), "full_size").name == "covering_kernel"
    assert choose(geometry((3, 3)), (7, 5), "fixed_size").name == "dense_at_size"


REFUSED = {
    "overlapping": (
        geometry((3, 3)), None, None,
        "Conv2d: stride is (1, 1), expected (3, 3), at least the kernel (3, 3) (windows overlap)\n"
        "Conv2d: input_size is None, expected (3, 3), which the kernel covers; any size, for one dense "
        "Linear; None with exchange='windows'",
    ),
    "dilated-patches": (
        geometry((2, 2), stride=2, dilation=2), None, None,
        "Conv2d: dilation is (2, 2), expected (1, 1) (windows overlap)\n"
        "Conv2d: input_size is None, expected any size, for one dense Linear; None with exchange='windows'",
    ),
    "stride-and-dilation": (
        geometry((4, 1, 2), stride=(1, 2, 2), dilation=(2, 3, 1)), None, None,
        "Conv3d: stride is (1, 2, 2), expected (4, 2, 2), at least the kernel (4, 1, 2) (windows overlap)\n"
        "Conv3d: dilation is (2, 3, 1), expected (1, 3, 1) (at stride (4, 2, 2))\n"
        "Conv3d: input_size is None, expected any size, for one dense Linear; None with exchange='windows'",
    ),
    "reflect-cannot-cover": (
        geometry((3,), padding=1, padding_mode="reflect"), None, None,
        "Conv1d: stride is (1,), expected (3,), at least the kernel (3,) (windows overlap)\n"
        "Conv1d: input_size is None, expected any size, for one dense Linear; None with exchange='windows'",
    ),
    "transposed": (
        geometry((3,), stride=2, transposed=True), None, None,
        "ConvTranspose1d: stride is (2,), expected (3,), at least the extent (3,) (outputs overlap)\n"
        "ConvTranspose1d: input_size is None, expected any size, for one dense Linear",
    ),
    "not-pointwise": (
        geometry((1, 2)), None, "pointwise", "Conv2d: kernel is (1, 2), expected (1, 1)",
    ),
    "transposed-pointwise": (
        geometry((1,), transposed=True), None, "pointwise",
        "ConvTranspose1d: transposed is True, expected False",
    ),
    "not-full-size": (
        geometry((3, 5), dilation=(2, 1)), (5, 6), "covering_kernel",
        "Conv2d: dilation is (2, 1), expected (1, 1)\n"
        "Conv2d: input_size is (5, 6), expected (3, 5), which the kernel covers",
    ),
    "full-size-of-what": (
        geometry((3, 5)), None, "covering_kernel",
        "Conv2d: input_size is None, expected (3, 5), which the kernel covers",
    ),
    "kernel-within-padding": (
        geometry((3, 5), padding=2), (5, 6), "covering_kernel",
        "Conv2d: padding is ((2, 2), (2, 2)), expected 0 (the kernel (3, 5) covers padding only)",
    ),
    "fixed-at-what": (
        geometry((3,)), None, "dense_at_size",
        "Conv1d: input_size is None, expected the size of the inputs, in pixels",
    ),
    "not-transposed": (
        geometry((3,), stride=3), None, "unpatchify",
        "Conv1d: transposed is False, expected True",
    ),
    "transposed-windows": (
        geometry((3,), transposed=True), None, "windows",
        "ConvTranspose1d: transposed is True, expected False (it has no windows)",
    ),
    "no-such-exchange": (
        geometry((3,)), None, "im2col",
        "to_linear: exchange is 'im2col', expected None, pointwise, patchify, unpatchify, covering_kernel, dense_at_size, windows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("given_geometry, size, name, words", REFUSED.values(), ids=REFUSED)
def test_refusals_name_every_field_and_what_would_fit(given_geometry, size, name, words):
    with pytest.raises(Refused) as caught:
        choose(given_geometry, size, name)
    assert str(caught.value) == words


def test_what_a_refusal_says_would_fit_does_fit():
    assert choose(geometry((4, 1, 2), stride=(4, 2, 2), dilation=(1, 3, 1))).name == "patchify"
    assert choose(geometry((3, 3)), (3, 3)).name == "covering_kernel"
    assert choose(geometry((2, 2), stride=2)).name == "patchify"


def test_impossible_sizes_are_geometry_errors_whatever_the_exchange():
    with pytest.raises(GeometryError, match=r"input_size\[1\] is 2, expected ≥ 3"):
        choose(geometry((3, 3)), (7, 2))
    with pytest.raises(GeometryError, match="2 numbers, one per kernel dimension"):
        choose(geometry((3, 3)), (7, 8, 9), "windows")


@given(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))
def test_patches_are_windows_that_share_no_pixel(kernel, stride, dilation):
    layer = ConvGeometry(1, 1, kernel=(kernel,), stride=stride, dilation=dilation)
    windows = [{p * stride + t * dilation for t in range(kernel)} for p in range(80)]
    shared = any(a & b for a, b in itertools.combinations(windows, 2))
    assert bool(Patchify.refusals(layer)) == shared


def test_a_form_keeps_the_exchange_that_it_was_made_by_and_shows_it():
    """Two exchanges may give the same Linear: what the form says tells them apart."""
    conv = nn.Conv2d(4, 6, 1, stride=2)
    forms = {name: to_linear(conv, exchange=name) for name in ("pointwise", "patchify", "windows")}
    for name, form in forms.items():
        assert type(form.exchange) in TABLE and form.exchange.name == name
        assert repr(form).splitlines()[1].strip() == f"{name}, for Conv2d 4→6 k1 s2"
        assert copy.deepcopy(form).exchange == form.exchange
    dense = to_linear(nn.Conv1d(2, 3, 2, padding=1), 5)
    assert repr(dense).splitlines()[1].strip() == "dense_at_size, for Conv1d 2→3 k2 p1 on (5,)"
