"""Every faulty conversion is flagged, on the smallest layer that shows its fault, in seconds."""

from __future__ import annotations

import time

import pytest
from torch import nn

from convlin.testing import Broken, answer, check
from mutants import CONVERSIONS

MUTANTS = {mutant.name: mutant for mutant in CONVERSIONS}
MOST = 160
"""Layers judged in one check, those to shrink included: about 50 ms each."""
SECONDS = 30
"""CPU seconds of one check on a busy machine: the slowest takes 4 on an idle one."""


def plain(conv):
    """Whether nothing but kernel and channels is unusual."""
    return (
        type(conv) is nn.Conv2d
        and conv.stride == conv.dilation == (1, 1)
        and conv.padding == (0, 0)
        and conv.groups == 1
    )


def pointwise(conv):
    return type(conv) is nn.Conv2d and conv.kernel_size == (1, 1)


def patches(conv):
    """Whether 2×2 patches are cut out of an unpadded image."""
    cut = type(conv) is nn.Conv2d and conv.kernel_size == conv.stride == (2, 2)
    return cut and conv.padding == (0, 0) and conv.groups == 1


def padded(mode):
    def claimed(conv):
        by_one = type(conv) is nn.Conv2d and conv.kernel_size == (3, 3) and conv.padding == (1, 1)
        stepwise = conv.stride == conv.dilation == (1, 1)
        return by_one and stepwise and conv.groups == 1 and conv.padding_mode in ("zeros", mode)

    return claimed


# What its author claims that it takes, and the layer and input on which that is shown to be wrong.
CLAIMS = {
    "pointwise_without_stride": (
        lambda c: pointwise(c) and c.padding == (0, 0) and c.groups == 1,
        "nn.Conv2d(1, 1, 1, stride=2)", (1, 1, 2),
    ),
    "pointwise_without_padding": (
        lambda c: pointwise(c) and c.stride == (1, 1) and c.groups == 1,
        "nn.Conv2d(1, 1, 1, padding=1)", (1, 1, 1),
    ),
    "pointwise_without_groups": (
        lambda c: pointwise(c) and c.stride == (1, 1) and c.padding == (0, 0),
        "nn.Conv2d(2, 2, 1, groups=2)", (2, 1, 1),
    ),
    "wrong_phase": (
        lambda c: pointwise(c) and c.stride == (2, 2) and c.padding == (0, 0) and c.groups == 1,
        "nn.Conv2d(1, 1, 1, stride=2)", (1, 2, 3),
    ),
    "patchified_without_dilation": (
        patches, "nn.Conv2d(1, 1, 2, stride=2, dilation=2)", (1, 3, 3),
    ),
    "remainder_dropped_before": (
        lambda c: patches(c) and c.dilation == (1, 1), "nn.Conv2d(1, 1, 2, stride=2)", (1, 2, 3),
    ),
    "remainder_padded": (
        lambda c: patches(c) and c.dilation == (1, 1), "nn.Conv2d(1, 1, 2, stride=2)", (1, 2, 3),
    ),
    "remainder_refused": (
        lambda c: patches(c) and c.dilation == (1, 1), "nn.Conv2d(1, 1, 2, stride=2)", (1, 2, 3),
    ),
    "ignored_padding_mode": (
        padded("reflect"), "nn.Conv2d(1, 1, 3, padding=1, padding_mode='reflect')", (1, 2, 2),
    ),
    "replicated_for_reflected": (
        lambda c: padded("reflect")(c) and c.padding_mode == "reflect",
        "nn.Conv2d(1, 1, 3, padding=1, padding_mode='reflect')", (1, 2, 2),
    ),
    "transposed_kernel": (
        lambda c: plain(c) and c.kernel_size == (3, 3), "nn.Conv2d(1, 1, 3)", (1, 3, 3),
    ),
    "flipped_kernel": (plain, "nn.Conv2d(1, 1, (1, 2))", (1, 1, 2)),
    "ignored_offset": (plain, "nn.Conv2d(1, 1, 1)", (1, 1, 2)),
    "dropped_bias": (plain, "nn.Conv2d(1, 1, 1)", (1, 1, 1)),
    "shifted_bias": (plain, "nn.Conv2d(1, 2, 1)", (1, 1, 1)),
    "gradients_gained": (
        lambda c: plain(c) and c.bias is not None, "nn.Conv2d(1, 1, 1).requires_grad_(False)",
        (1, 1, 1),
    ),
    "mode_lost": (plain, "nn.Conv2d(1, 1, 1).eval()", (1, 1, 1)),
}  # fmt: skip


@pytest.fixture
def judged(monkeypatch):
    """Count the layers that the judge is asked about."""
    asked = []
    audit = answer.audit
    monkeypatch.setattr(answer, "audit", lambda *a, **k: asked.append(a) or audit(*a, **k))
    return asked


def failure(mutant, **options):
    with pytest.raises(Broken) as raised:
        check(mutant.convert, type(mutant.layer()), **mutant.options, **options)
    return raised.value


@pytest.mark.parametrize("name", MUTANTS)
def test_every_faulty_conversion_is_flagged(name, judged):
    start = time.process_time()
    broken = failure(MUTANTS[name])
    assert time.process_time() - start < SECONDS
    assert len(judged) < MOST
    case = broken.answer.case
    assert str(case) in str(broken)
    # Nothing unusual is left in it but what these faults need: channels, a wider kernel, a mode.
    assert sum(case.channels) <= 7
    assert sum(case.kernel) <= case.ndim + 2
    assert sum(case.size) <= case.ndim + 2


@pytest.mark.parametrize("name", CLAIMS)
def test_of_what_its_author_claims_the_smallest_layer_is_shown(name):
    claimed, layer, shape = CLAIMS[name]
    case = failure(MUTANTS[name], where=claimed).answer.case
    assert (str(case), case.input_shape) == (layer, shape)
