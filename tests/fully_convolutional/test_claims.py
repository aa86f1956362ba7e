"""Equal sites are proved once, for all weights, and each shows that it is made that way."""

import pytest
import torch
from small_nets import Net, conv
from torch import nn

from convlin import Measured, Proved, Refuted, fully_convolutional, prove
from convlin.models import claims
from convlin.models.dense.rules import linear

WINDOW = (3, 8, 7)


def channels_last(m, x):
    y = m.a(x).permute(0, 2, 3, 1)
    for layer in (m.one, m.two, m.wide, m.three):
        y = layer(y).relu()
    return m.head(y.permute(0, 3, 1, 2).flatten(1)), m.other(y.permute(0, 3, 1, 2).flatten(1))


def repeating():
    torch.manual_seed(3)
    return Net(
        channels_last, a=conv(3, 4, 3), one=nn.Linear(4, 4), two=nn.Linear(4, 4), wide=nn.Linear(4, 5),
        three=nn.Linear(5, 5), head=nn.Linear(5 * 6 * 5, 3), other=nn.Linear(5 * 6 * 5, 3),
    ).eval()  # fmt: skip


def verdicts(model, **options):
    rows = fully_convolutional(model, WINDOW, **options).report.rows
    return {row.layer: row.verdict for row in rows if row.verdict is not None}


@pytest.fixture
def counted(monkeypatch):
    """Count the proofs: of given weights, and of all."""
    made = {"prove": 0, "audit": 0}
    for name in made:
        honest = getattr(claims, name)

        def proof(*args, name=name, honest=honest, **options):
            made[name] += 1
            return honest(*args, **options)

        monkeypatch.setattr(claims, name, proof)
    return made


@pytest.mark.parametrize("form", ["conv", "linear"])
def test_sites_of_equal_structure_share_a_proof(counted, form):
    found = verdicts(repeating(), head=form)
    assert list(found) == ["one", "two", "wide", "three", "head", "other"]
    assert all(isinstance(verdict, Proved) for verdict in found.values())
    assert counted == {"prove": 2, "audit": 2}  # wide and three alone; one as two, head as other
    assert found["one"].scope.startswith("all weights, all inputs of shape (4,)")
    assert found["two"].scope == "as one, for all weights" and found["two"].rounding is None
    assert found["other"].scope == "as head, for all weights"
    assert found["wide"].scope.startswith("these weights, every input of shape (4,), in float64")
    assert found["one"].failure_probability < 1e-9


DIFFERENT = {
    "bias": lambda m: setattr(m, "two", nn.Linear(4, 4, bias=False).eval()),
    "dtype-of-the-layout": lambda m: setattr(m.two, "weight", nn.Parameter(torch.randn(4, 4).T)),
    "frozen": lambda m: m.two.weight.requires_grad_(False),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_a_proof_depends_on_keeps_sites_apart(counted, name):
    model = repeating()
    DIFFERENT[name](model)
    assert all(verdicts(model).values())
    assert counted == {"prove": 4, "audit": 1}


def changed(conv):
    with torch.no_grad():
        conv.weight = nn.Parameter(conv.weight.clone())
        conv.weight[2, 1, 0, 0] = torch.nextafter(conv.weight[2, 1, 0, 0], torch.tensor(9.0))
    return conv


def unbiased(conv):
    conv.bias = None
    return conv


def dilated(conv):
    conv.dilation = (2, 1)
    return conv


MUTANTS = {
    f"{mutant.__name__}-{site}": (mutant, site)
    for mutant in (changed, unbiased, dilated)
    for site in ("one", "two", "head", "other")
    if mutant is not dilated or site in ("head", "other")  # a kernel of one cell has no dilation
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_change_at_any_of_equal_sites_is_refuted(monkeypatch, name):
    mutant, site = MUTANTS[name]
    honest = linear._made

    def made(call, layer, exchange):
        conv, head = honest(call, layer, exchange)
        return (mutant(conv), head) if call.site == site else (conv, head)

    monkeypatch.setattr(linear, "_made", made)
    found = verdicts(repeating(), check=False)
    refuted = [name for name, verdict in found.items() if isinstance(verdict, Refuted)]
    assert refuted == [site]


def test_the_same_change_at_both_of_equal_sites_is_refuted(monkeypatch):
    honest = linear.to_conv
    monkeypatch.setattr(linear, "to_conv", lambda given, *a, **o: _flipped(honest(given, *a, **o)))
    found = verdicts(repeating(), check=False)
    assert not any(found.values())


def _flipped(form):
    form.conv.weight = nn.Parameter(form.conv.weight.flip(1))
    return form


def test_a_folded_pool_is_measured_and_its_fold_judged_in_float64():
    torch.manual_seed(4)
    model = nn.Sequential(conv(3, 6, 3), nn.AdaptiveAvgPool2d((4, 3)), nn.Flatten(),
                          nn.Linear(72, 7)).eval()  # fmt: skip
    for form in ("conv", "linear"):
        (verdict,) = verdicts(model, head=form).values()
        assert isinstance(verdict, Measured)
        assert "adaptive_avg_pool2d" in verdict.reason


def test_two_modules_alone_are_proved_for_their_weights():
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(one.state_dict())
    claim = claims.Claim(one, other, (3,))
    (found,) = claims.verdicts([("alone", claim)])
    assert isinstance(found, Proved) and found.scope == prove(one, other, (3,)).scope


def _no_numbers(model):
    return model.to("meta")


def _an_infinity(model):
    model[2].weight.data[0, 0] = float("inf")
    return model


@pytest.mark.parametrize(("poison", "field"), [(_no_numbers, "device"), (_an_infinity, "weight")])
def test_what_no_judge_takes_is_a_row_that_says_so_and_no_error(poison, field):
    layers = nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 5, 7), nn.Linear(7, 2)
    report = fully_convolutional(poison(nn.Sequential(*layers).eval()), (3, 8, 7)).report
    verdict = report.rows[1].verdict
    assert isinstance(verdict, Measured) and verdict.rounding is None
    assert verdict.reason.startswith("not judged, nor measured: ") and field in verdict.reason
    assert "derived, not seen" in str(report)


def test_a_refuted_exchange_makes_the_report_not_exact_and_is_named(monkeypatch):
    honest = linear._made

    def lying(call, layer, exchange):
        def biased(given):
            made = exchange(given)
            made.bias = nn.Parameter(made.bias.detach() + 1)
            return made

        return honest(call, layer, biased)

    monkeypatch.setattr(linear, "_made", lying)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 5, 7)).eval()
    report = fully_convolutional(model, (3, 8, 7), check=False).report
    assert isinstance(report.rows[1].verdict, Refuted)
    assert not report.exact and not report.as_dict()["exact"]
    assert report.summary[0] == "output: not equal to the classifier on every window: 2"
