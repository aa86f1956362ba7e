"""What is handed over in one way only is seen, and every way is tried."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from convlin.proof import Measured, Proved, Refuted, audit, prove, twins
from convlin.proof.draws import Draws
from convlin.proof.ways import (
    EMPTY,
    EXPANDED,
    LAYOUTS,
    MODES,
    PLAIN,
    UNBATCHED,
    Way,
    batches_for,
    in_words,
    one_round,
)
from mutants import HONEST, LIES, VARIATIONS, calls, forked
from mutants.enrol import PLAIN as CONV
from mutants.enrol import Form

SHAPE = (3, 4, 7)
LARGE = (1, 1025, 1024)

pytestmark = pytest.mark.usefixtures("one_thread")


TRUE_AFTER_ALL = {
    ("batch-1", "samples-reversed"),
    ("stride-0-batch", "samples-reversed"),
    ("stride-0-channels", "channels-reversed"),
}
PAIRS = [pair for pair in itertools.product(VARIATIONS, LIES) if pair not in TRUE_AFTER_ALL]
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize(("variation", "lie"), PAIRS, ids=map("-".join, PAIRS))
def test_no_lie_told_in_one_way_passes(variation, lie):
    conv = CONV()
    seed = hash_of(variation, lie)
    other = forked(copy.deepcopy(conv), VARIATIONS[variation], LIES[lie])
    assert not prove(*((conv, other) if seed % 2 else (other, conv)), SHAPE, seed=seed)
    assert not audit(lambda c: forked(c, VARIATIONS[variation], LIES[lie]), conv, SHAPE, seed=seed)


TRUE = list(itertools.product(VARIATIONS, HONEST))


@pytest.mark.parametrize(("variation", "rule"), TRUE, ids=map("-".join, TRUE))
def test_what_is_right_in_every_way_is_proved(variation, rule):
    conv = CONV()
    other = forked(copy.deepcopy(conv), VARIATIONS[variation], HONEST[rule])
    verdict = prove(conv, other, SHAPE, seed=hash_of(variation, rule))
    assert isinstance(verdict, Proved), verdict
    assert "in float64 and float32" in verdict.scope
    verdict = audit(lambda c: forked(c, VARIATIONS[variation], HONEST[rule]), conv, SHAPE)
    assert isinstance(verdict, Proved), verdict


def hash_of(*words):
    """Return a seed of its own for each test, the same on every machine."""
    return sum(map(ord, "".join(words)))


@pytest.mark.parametrize("variation", ["batch-2", "learning-input", "stride-0-batch", "float32"])
def test_a_heavy_layer_goes_through_all_ways_once(variation, monkeypatch):
    """Later draws are handed over in one way."""
    monkeypatch.setattr(twins, "HEAVY", 2000)
    conv = nn.Conv2d(70, 30, 1)
    other = forked(conv, VARIATIONS[variation], LIES["flipped"])
    other.rule = _with_lie(VARIATIONS[variation])
    assert not prove(conv, other, (70, 1, 2))
    honest = forked(conv, VARIATIONS[variation], HONEST["bias-behind"])
    assert "each once" in prove(conv, honest, (70, 1, 2)).scope


def test_a_layer_of_more_than_four_million_weights_is_heavy():
    conv = nn.Conv2d(2100, 2050, 1)
    assert "each once" in prove(conv, _flat(conv), (2100, 1, 2)).scope
    conv = nn.Conv2d(2040, 2050, 1)
    assert "each once" not in prove(conv, _flat(conv), (2040, 1, 2)).scope


def _flat(conv):
    return Form(conv, lambda x, w, b: functional.conv2d(x, w) + b.view(-1, 1, 1))


def _with_lie(variation):
    def rule(x, w, b):
        y = functional.conv2d(x, w, b)
        return y.roll(1, -1) if variation(x) else y

    return rule


def test_samples_are_told_apart_at_any_size():
    """Above a million numbers the batch is two, and not one: samples may still be mixed up."""
    conv = nn.Conv2d(1, 3, 5, stride=5)
    mixed = Form(conv, lambda x, w, b: functional.conv2d(x, w, b, 5).roll(1, 0))
    assert isinstance(prove(conv, mixed, LARGE), Refuted)
    assert not audit(lambda c: Form(c, mixed.rule), conv, LARGE, draws=1)
    honest = Form(conv, lambda x, w, b: functional.conv2d(x, w, stride=5) + b.view(-1, 1, 1))
    verdict = prove(conv, honest, LARGE)
    assert isinstance(verdict, Proved), verdict
    assert "batches of 1 and 2," in verdict.scope
    verdict = audit(lambda c: Form(c, honest.rule), conv, LARGE, draws=1)
    assert isinstance(verdict, Proved), verdict
    assert "batches of 1 and 2," in verdict.scope


def test_a_bias_dropped_in_float32_is_seen_below_the_rounding_bound():
    """25,088 summands: a bias of 0.006 lies far within what float32 may round."""
    torch.manual_seed(0)
    layer = nn.Linear(25_088, 3)

    def short(m):
        return Form(
            m, lambda x, w, b: functional.linear(x, w, None if x.dtype == torch.float32 else b)
        )

    verdict = prove(layer, short(layer), (25_088,))
    assert isinstance(verdict, Measured), verdict
    assert "in float32" in verdict.reason
    assert not audit(short, layer, (25_088,))


def test_other_numbers_leave_the_own_dtype_measured():
    """A transposed copy holds the same numbers in another order: they cannot be drawn alike."""
    linear = nn.Linear(5, 4)
    other = Form(linear, lambda x, w, b: functional.linear(x, w.t(), b))
    other.weight = nn.Parameter(linear.weight.detach().t().contiguous())
    verdict = prove(linear, other, (5,))
    assert isinstance(verdict, Proved), verdict
    assert "in float64 (float32 is measured)" in verdict.scope
    assert verdict.own is None


def test_equal_for_these_weights_only_is_proved_for_them():
    """Without a bias of zeros the two differ: the proof is of these weights, in float64."""
    conv = CONV()
    nn.init.zeros_(conv.bias)
    other = Form(conv, lambda x, w, b: functional.conv2d(x, w) + 0 * b.view(-1, 1, 1))
    verdict = prove(conv, other, SHAPE)
    assert isinstance(verdict, Proved), verdict
    assert "float32 is measured" in verdict.scope


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_sixteen_bits_are_measured(dtype):
    conv = CONV().to(dtype)
    other = forked(conv, VARIATIONS["batch-2"], HONEST["bias-behind"])
    name = str(dtype).removeprefix("torch.")
    verdict = prove(conv, other, SHAPE)
    assert f"in float64 ({name} is measured)" in verdict.scope
    assert (verdict.own, verdict.rounding.dtype) == (None, name)


def test_only_what_both_served_is_claimed():
    """Both raise on what no view can flatten: such inputs decide nothing, and are not claimed."""
    linear = nn.Linear(6, 5)
    flat = Form(linear, lambda x, w, b: functional.linear(x.view(x.size(0), -1), w, b))
    other = Form(linear, lambda x, w, b: functional.linear(x.view(x.size(0), -1), w) + b)
    verdict = prove(flat, other, (2, 3))
    assert isinstance(verdict, Proved), verdict
    assert "transposed" not in verdict.scope and "contiguous" in verdict.scope
    picky = Form(linear, lambda x, w, b: _refuse_all())
    assert not audit(lambda layer: picky, flat, (2, 3))


def _refuse_all():
    raise ValueError("never")


@given(shape=SHAPES, seed=st.integers(0, 2**32))
def test_a_round_holds_every_level_of_every_factor(shape, seed):
    ways = one_round(Draws(seed), shape)
    layouts = LAYOUTS if len(shape) in (3, 4) else LAYOUTS[:-1]
    assert {way.batch for way in ways} == set(batches_for(shape))
    assert {way.layout for way in ways} == set(layouts)
    assert {way.mode for way in ways} == set(MODES)
    assert {way.offset > 0 for way in ways} == {False, True}
    apart = [way for way in ways if not way.layout.startswith("expanded")]
    assert {way.batch for way in apart} == set(batches_for(shape))
    several = [way for way in apart if way.batch > 1]  # where mixed samples show
    assert {way.mode for way in several} == set(MODES)
    assert {way.layout for way in several} == set(layouts) - set(EXPANDED)
    assert ways[0] == PLAIN
    assert ways == one_round(Draws(seed), shape)


@given(shape=SHAPES, seed=st.integers(0, 2**32))
def test_a_way_changes_no_number(shape, seed):
    draws = Draws(seed)
    x = draws.numbers((5, *shape), 1000)
    for way in (*one_round(draws, shape), EMPTY, UNBATCHED):
        with way.grad_mode():
            y = way.hand(x)
        first = x[0] if way.batch is None else x[: way.batch]
        if way.layout == "expanded batch":
            first = first[:1].expand(first.shape)
        if way.layout == "expanded channels":
            first = first[:, :1].expand(first.shape)
        assert torch.equal(y, first)
        assert y.requires_grad is (way.mode == "a learning input")
        assert y.is_inference() is (way.mode == "inference mode")
        assert (y.storage_offset() > 0) is (way.offset > 0 and y.numel() > 0)


@given(
    shape=st.lists(st.integers(2, 5), min_size=1, max_size=4).map(tuple), seed=st.integers(0, 99)
)
def test_no_layout_but_the_plain_one_is_contiguous(shape, seed):
    draws = Draws(seed)
    for way in one_round(draws, shape):
        y = way.hand(draws.numbers((5, *shape), 9))
        assert y.is_contiguous() is (way.layout == "contiguous"), way


def test_how_each_layout_lies_in_memory():
    x = torch.arange(5 * 2 * 3 * 4.0).view(5, 2, 3, 4)
    strides = {layout: Way(2, layout).hand(x).stride() for layout in LAYOUTS}
    assert strides == {
        "contiguous": (24, 12, 4, 1),
        "transposed": (24, 12, 1, 3),
        "expanded batch": (0, 12, 4, 1),
        "expanded channels": (24, 0, 4, 1),
        "channels_last": (24, 1, 8, 2),
    }


def test_only_what_every_round_varied_is_said():
    one = [Way(1), Way(2, "transposed", "gradients"), Way(3, "expanded batch", "inference mode")]
    assert in_words(one, one[:1]) == "batch of 1, contiguous, without gradients"
    assert "expanded batch" in in_words(one) and "channels" not in in_words(one)


def test_a_conversion_for_batches_is_judged_as_such():
    """It need not take one input without a batch; whatever else is wrong with it is still seen."""
    shape = 3, 2, 4
    assert audit(calls.fails_on_one_input, CONV(), shape).counterexample.kind == "exception"
    verdict = audit(calls.fails_on_one_input, CONV(), shape, unbatched=False)
    assert isinstance(verdict, Proved), verdict
    assert "in inference mode, no unbatched input" in verdict.scope
    for mutant in (calls.fails_on_an_empty_batch, calls.right_at_batch_1, calls.wrong_at_first):
        assert isinstance(audit(mutant, CONV(), shape, unbatched=False), Refuted)


def test_a_step_for_unbatched_inputs_alone_is_not_run_where_none_is_asked_for():
    assert isinstance(audit(calls.clamps_one_input, CONV(), SHAPE), Measured)
    assert isinstance(audit(calls.clamps_one_input, CONV(), SHAPE, unbatched=False), Proved)
