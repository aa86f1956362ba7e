"""What is decided of each site, in which words; and that a rewrite leaves everything else alone."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from transformers.pytorch_utils import Conv1D

import convlin
from convlin import Proved, Refused, Refuted, rewrite
from convlin.models import claims

KEYS = pytest.mark.parametrize("keys", ["same", "native"])
unproved = partial(rewrite, proofs=False)  # where the verdict is not what is looked at


def rows_of(model, to="linear", **options):
    """Return every row as (site, answer, exchange, why)."""
    rows = rewrite(model, to, plan=True, **options).report.rows
    return [(row.site, row.answer, row.exchange, row.why) for row in rows]


def with_tensor(layer, **parameters):
    for name, value in parameters.items():
        setattr(layer, name, nn.Parameter(value))
    return layer


class Twice(nn.Conv2d):
    """Not its base's."""

    def forward(self, x):
        return 2 * super().forward(x)


def with_own_forward():
    layer = nn.Conv2d(3, 5, 1)
    layer.forward = lambda x: x
    return layer


# name → (layer, to, (exchange, why))
ROWS = {
    "pointwise": (lambda: nn.Conv2d(3, 5, 1), "linear", ("pointwise", "")),
    "patchify": (lambda: nn.Conv3d(3, 5, (2, 1, 3), stride=(2, 1, 4)), "linear", ("patchify", "")),
    "unpatchify": (lambda: nn.ConvTranspose1d(3, 5, 2, stride=3), "linear", ("unpatchify", "")),
    "transposed": (lambda: Conv1D(5, 3), "linear", ("transposed", "")),
    "rows": (lambda: nn.Linear(3, 5), "conv", ("pointwise", "")),
    "rows-2d": (lambda: nn.Linear(3, 5), "conv2d", ("pointwise", "")),
    "line": (lambda: nn.Conv1d(3, 5, 4, padding=2, padding_mode="circular"), "conv2d", ("line", "")),
    "transposed-line": (lambda: nn.ConvTranspose1d(3, 5, 4), "conv2d", ("line", "")),
    "frames": (lambda: nn.Conv3d(3, 5, 2, stride=(2, 1, 1)), "conv2d", ("frames", "")),
    "parametrized": (
        lambda: parametrizations.weight_norm(nn.Conv2d(3, 5, 1)), "linear",
        ("", "parametrizations is weight, expected none (rewrite first, parametrize after)"),
    ),
    "pruned": (
        lambda: prune.identity(nn.Conv2d(3, 5, 1), "weight"), "linear",
        ("", "weight is computed from other parameters, expected an nn.Parameter (rewrite first, "
             "prune or normalise after)"),
    ),
    "another-layers-code": (
        lambda: Twice(3, 5, 1), "linear",
        ("", f"forward is {__name__}.Twice.forward, expected Conv2d's"),
    ),
    "an-own-forward": (
        with_own_forward, "linear",
        ("", "forward is set on this one layer, expected Conv2d's (no form would run it)"),
    ),
    "no-view": (
        lambda: with_tensor(nn.Conv2d(3, 5, (1, 2), stride=2), weight=torch.ones(5, 3, 1, 4)[..., :2]),
        "linear",
        ("", "weight.stride() is (12, 4, 4, 1), expected steps of which a view is a matrix: "
             "weight.contiguous()"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_the_row_of_a_site(case):
    build, to, (exchange, why) = ROWS[case]
    answer = "exchanged" if exchange else "not exchanged"
    assert rows_of(nn.Sequential(nn.ReLU(), build()), to) == [("1", answer, exchange, why)]
    # The model itself, as a site, has no name.
    assert rows_of(build(), to) == [("", answer, exchange, why)]


def test_everything_in_the_way_is_said():
    (row,) = rewrite(nn.Conv2d(3, 5, (2, 3), stride=(2, 1), dilation=(1, 2)), plan=True).report.rows
    assert row.answer == "not exchanged"
    assert {refusal.site for refusal in row.refusals} == {row.refusals[0].site}
    (named,) = rewrite(nn.Sequential(nn.Conv2d(3, 5, 3)), plan=True).report.rows
    assert {refusal.site for refusal in named.refusals} == {"0"}
    text = " ".join(map(str, named.refusals))
    assert "stride" in text


class Reads(nn.Module):
    """Calls one layer, reads another, calls and reads a third, and knows a fourth."""

    def __init__(self):
        super().__init__()
        self.called, self.read = nn.Linear(3, 4), nn.Linear(4, 4)
        self.both, self.unreached = nn.Linear(4, 5), nn.Linear(5, 7)

    def forward(self, x):
        y = self.called(x) @ self.read.weight
        return self.both(y) * self.both.weight.sum()


@KEYS
def test_the_five_answers(keys):
    rows = unproved(Reads(), "conv", keys=keys, example=torch.ones(2, 3)).report.rows
    got = {row.site: (row.answer, row.exchange, row.seen, bool(row.readers)) for row in rows}
    assert got == {
        "called": ("exchanged", "pointwise", True, False),
        "read": ("read, not called", "", False, True),
        "both": ("called and read", "pointwise" if keys == "same" else "", True, True),
        "unreached": ("not reached", "", False, False),
    }
    both = next(row for row in rows if row.site == "both")
    words = "a layer that is only called, or keys='same'"
    assert (words in both.why) == (keys == "native")
    assert "Reads" in both.why


@KEYS
def test_without_an_example_nobody_looked_but_at_the_code(keys):
    rows = {row.site: row for row in rewrite(Reads(), "conv", keys=keys, plan=True).report.rows}
    assert all(row.seen is None for row in rows.values())
    got = {site: row.answer for site, row in rows.items()}
    read = "exchanged" if keys == "same" else "not exchanged"
    assert got == {"called": "exchanged", "read": read, "both": read, "unreached": "exchanged"}


# Layers whose weight others hold


class Tied(nn.Module):
    def __init__(self, head, of):
        super().__init__()
        self.of, self.head = of, head
        self.head.weight = self.of.weight

    def forward(self, x):
        return self.head(self.of(x))


TIED = {
    "to-an-embedding": (lambda: (nn.Linear(3, 7), nn.Embedding(7, 3)), "conv", ["head"], "of.weight"),
    "to-an-equal-site": (lambda: (nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 1)), "linear", [], ""),
    "to-a-site-of-another-shape": (
        lambda: (nn.Conv1d(6, 4, 1, groups=2), nn.Conv1d(3, 4, 1)), "linear", ["of", "head"],
        "head.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TIED)
def test_tied_weights_are_exchanged_together_or_under_the_same_keys(case):
    build, to, refused, holder = TIED[case]
    model = Tied(*build())
    rows = rewrite(model, to, keys="native", plan=True).report.rows
    assert [row.site for row in rows if not row.exchanged] == refused
    if refused:
        words = f"weight is tied to {holder}, expected a parameter of its own, or keys='same'"
        assert words in [row.why for row in rows if not row.exchanged]
    assert all(row.exchanged for row in rewrite(model, to, plan=True).report.rows)


def test_tied_sites_of_native_keys_hold_one_parameter():
    shared = nn.Conv1d(4, 4, 1)
    model = Tied(nn.Conv1d(4, 4, 1), shared)
    native = unproved(model, keys="native").model
    assert native.of.linear.weight is native.head.linear.weight
    assert len([*native.parameters()]) == 3


def test_a_bias_may_be_held_by_anyone():
    model = nn.Sequential(nn.Conv1d(3, 4, 1), nn.LayerNorm(4))
    model[0].bias = model[1].bias
    native = unproved(model, keys="native", only="0").model
    assert native[0].linear.bias is native[1].bias is model[1].bias


# Layers of others' classes


class Kept(nn.Conv2d):
    """Adds code, and computes as its base does."""

    def forward(self, x):
        return super().forward(x) + 0


class Sometimes(nn.Conv1d):
    """Computes as its base does at sizes that its stride divides, and nowhere else."""

    def forward(self, x):
        y = super().forward(x)
        return y if x.shape[-1] % self.stride[-1] == 0 else 2 * y


class Asks(nn.Conv2d):
    """Takes more than an input."""

    def forward(self, x, scale=1):
        return super().forward(x) * scale


@KEYS
def test_a_layer_with_code_of_its_own_is_exchanged_if_it_is_proved_to_be_equal(keys):
    model = nn.Sequential(Kept(2, 3, 2, stride=2), Twice(3, 1, 1))
    kept, twice = rewrite(model, keys=keys, plan=True).report.rows
    assert kept.answer == "exchanged" and isinstance(kept.verdict, Proved)
    assert twice.answer == "not exchanged" and twice.exchange == ""
    assert isinstance(twice.verdict, Refuted) and "forward is" in twice.why


def test_a_layer_that_was_judged_to_be_decided_is_not_judged_again(audits):
    rewrite(Kept(2, 3, 1), plan=True)
    judged = len(audits)
    assert judged > 0
    assert rewrite(Kept(2, 3, 1)).report.rows[0].exchange == "pointwise"
    assert len(audits) == 2 * judged


class Squared(nn.Linear):
    """Not its base's."""

    def forward(self, x):
        return super().forward(x) ** 2


def test_a_layer_that_is_called_and_read_stays_so_where_it_is_refused():
    model = Reads()
    model.both = Squared(4, 5)
    rows = rewrite(model, "conv", example=torch.ones(2, 3), plan=True).report.rows
    both = next(row for row in rows if row.site == "both")
    assert (both.answer, both.exchange) == ("called and read", "")
    assert "forward is" in both.why


def test_a_layer_is_judged_at_sizes_that_its_stride_does_not_divide():
    (row,) = rewrite(Sometimes(2, 3, 2, stride=2), plan=True).report.rows
    assert row.answer == "not exchanged" and isinstance(row.verdict, Refuted)


def test_a_layer_that_is_not_made_yet_refuses_the_model():
    with pytest.raises(Refused, match="0: layer is lazy, expected one that has its parameters"):
        rewrite(nn.Sequential(nn.LazyConv2d(5, 1)))


def test_a_layer_that_takes_more_than_an_input_is_not_guessed_at():
    (row,) = rewrite(nn.Sequential(Asks(3, 5, 1))).report.rows
    assert row.answer == "not exchanged" and row.verdict is None


def test_hooks_are_not_part_of_the_proof():
    model, called = nn.Sequential(nn.Conv2d(3, 5, 1)), []
    model[0].register_forward_hook(lambda *_: called.append(1))
    result = rewrite(model)
    assert isinstance(result.report.rows[0].verdict, Proved) and not called
    result.model(torch.ones(2, 3, 4, 6))
    assert called == [1]


# Proofs


@pytest.fixture
def audits(monkeypatch):
    """The number of audits that were made."""
    made, audit = [], claims.audit

    def counted(*args, **options):
        made.append(args)
        return audit(*args, **options)

    monkeypatch.setattr(claims, "audit", counted)
    return made


@KEYS
def test_equal_geometries_are_proved_once_each_for_all_weights(keys, audits):
    layers = [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 5, 1), nn.Conv2d(5, 3, 2, 2)]
    model = nn.Sequential(*layers, nn.Conv2d(3, 3, 1))
    steps = []
    result = rewrite(model, keys=keys, progress=lambda *step: steps.append(step))
    assert len(audits) == 3
    assert all(isinstance(row.verdict, Proved) for row in result.report.rows)
    assert [row.verdict.scope for row in result.report.rows][::4] == [
        result.report.rows[0].verdict.scope, "as 0, for all weights",
    ]  # fmt: skip
    assert steps == [(str(site), site + 1, 5) for site in range(5)]


def test_proofs_can_be_left_out(audits):
    steps = []
    result = rewrite(nn.Conv2d(3, 5, 1), proofs=False, progress=lambda *step: steps.append(step))
    assert result.report.rows[0].verdict is None and not audits and not steps
    assert "not proved" in result.report.verdict
    rewrite(nn.Conv2d(3, 5, 1), progress=lambda *step: steps.append(step))
    assert steps == [("the model", 1, 1)]


# What a rewrite leaves alone


class Drawing(nn.Module):
    """Draws, counts in a buffer and has batch statistics: all that a run sets."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), nn.Dropout(0.5)
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        self.runs += 1
        return self.drop(self.norm(self.conv(x)))


def everything_of(model):
    """Return classes, modes and bits of a model, and the state of the generator."""
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    return [(type(m), m.training) for m in model.modules()], state, torch.get_rng_state()


def assert_untouched(before, after):
    assert before[0] == after[0]
    assert before[1].keys() == after[1].keys()
    assert all(torch.equal(before[1][key], after[1][key]) for key in before[1])
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluated"])
@pytest.mark.parametrize(
    "options", [{"plan": True}, {}, {"keys": "native"}, {"copy": True}], ids=str
)
def test_the_model_given_and_the_generator_are_as_they_were(options, training):
    model, x = Drawing().train(training), torch.randn(2, 3, 4, 6)
    before = everything_of(model)
    result = rewrite(model, example=x, **options)
    assert_untouched(before, everything_of(model))
    if result.model is not None:
        assert result.model.training == training
        assert all(map(torch.equal, result.model.state_dict().values(), before[1].values()))


@KEYS
def test_in_place_is_undone_where_the_result_does_not_run(keys):
    class Once(nn.Module):
        """Runs on its own layer, and raises with any other."""

        def __init__(self):
            super().__init__()
            self.conv, self.also = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 4, 1)

        def forward(self, x):
            if type(self.also) is not nn.Conv2d:
                raise LookupError("another layer")
            return self.also(self.conv(x))

    model = Once()
    before, modules = everything_of(model), [*model.modules()]
    with pytest.raises(Refused, match="another layer"):
        rewrite(model, keys=keys, example=torch.ones(2, 3, 4, 6), in_place=True)
    assert_untouched(before, everything_of(model))
    assert all(now is then for now, then in zip(model.modules(), modules, strict=True))


def test_a_result_that_is_off_on_the_example_is_refused():
    class ByClass(nn.Module):
        """Computes by the class of its layer."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 1)

        def forward(self, x):
            return self.conv(x) * (1 if type(self.conv) is nn.Conv2d else 2)

    with pytest.raises(
        Refused, match=r"ByClass: output is off by 0.5 of the largest output, .*derived"
    ):
        rewrite(ByClass(), example=torch.ones(2, 3, 4, 6))


def test_native_keys_cannot_replace_the_model_in_place():
    model = nn.Conv2d(3, 5, 1)
    with pytest.raises(Refused, match="in_place is True, expected False, or keys='same'"):
        rewrite(model, keys="native", in_place=True)
    assert type(model) is nn.Conv2d
    assert rewrite(model, in_place=True).model is model
    assert type(model) is not nn.Conv2d


# Given back


@KEYS
@pytest.mark.parametrize("to", ["conv", "conv2d"])
def test_a_form_is_given_back_by_the_rewrite_to_its_kind(keys, to):
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))
    there = unproved(model, to, keys=keys).model
    assert rows_of(there, to) == []
    back = unproved(there, "linear", keys=keys)
    assert [(row.site, row.exchange) for row in back.report.rows] == [
        ("0", "given back"), ("2", "given back"),
    ]  # fmt: skip
    assert [type(m) for m in back.model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert back.model[0].weight.data_ptr() == model[0].weight.data_ptr()
    state = back.mapping.from_original(dict(there.named_parameters())) if keys == "native" else {}
    own = dict(back.model.named_parameters())
    assert all(torch.equal(own[name], value) for name, value in state.items())
    assert (state.keys() == own.keys()) == (keys == "native")


# Keys


ENTRIES = {
    "contiguous": (torch.contiguous_format, (0, 1, 2, 3)),
    "channels-last": (torch.channels_last, (0, 2, 3, 1)),
}


@pytest.mark.parametrize("layout", ENTRIES)
def test_the_mapping_says_in_which_order_a_view_has_the_weight(layout):
    memory, permute = ENTRIES[layout]
    model = nn.Sequential(nn.Conv2d(3, 5, (2, 4), stride=4)).to(memory_format=memory)
    result = unproved(model, keys="native")
    (weight,) = [e for e in result.mapping.entries if e.old == "0.weight"]
    assert (weight.new, weight.old_shape, weight.new_shape) == (
        "0.linear.weight", (5, 3, 2, 4), (5, 24),
    )  # fmt: skip
    assert weight.permute == permute
    expected = model[0].weight.permute(permute).reshape(5, 24)
    assert torch.equal(result.model[0].linear.weight, expected)


def test_the_same_keys_need_no_entry():
    assert unproved(nn.Conv2d(3, 5, 1)).mapping.entries == ()


@pytest.mark.parametrize("keys", ["same", "native"])
def test_sites_under_two_names_are_one_row_and_stay_one_module(keys):
    shared = nn.Conv2d(3, 3, 1)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared)})
    result = unproved(model, keys=keys)
    assert [row.site for row in result.report.rows] == ["a"]
    assert result.model["a"] is result.model["b"][0] and type(result.model["a"]) is not nn.Conv2d
    assert copy.deepcopy(result.model)["a"].weight.shape == (3, 3, 1, 1)


def test_the_whole_input_is_covered_at_the_one_size_that_was_seen():
    model = nn.Sequential(nn.Conv2d(3, 5, (4, 6)))
    assert rows_of(model)[0][1] == "not exchanged"
    (row,) = unproved(model, example=torch.ones(2, 3, 4, 6)).report.rows
    assert (row.answer, row.exchange) == ("exchanged", "covering_kernel")
    (row,) = unproved(model, example=torch.ones(2, 3, 4, 7)).report.rows
    assert row.answer == "not exchanged"


def test_arguments_that_contradict_each_other():
    with pytest.raises(
        convlin.ConvlinError, match="in_place is True, expected False with copy=True"
    ):
        rewrite(nn.Conv2d(3, 5, 1), copy=True, in_place=True)
    with pytest.raises(convlin.ConvlinError, match=r"progress is 3, expected None, or a function"):
        rewrite(nn.Conv2d(3, 5, 1), progress=3)
