"""Networks of transformers, timm and torchvision, rewritten whole and compared with themselves.

What each layer must answer is found without convlin, in `expected_answers.py`.
"""

import copy
import dataclasses
import itertools

import pytest
import torch
from torch import nn

import convlin
from rewrite.expected_answers import CANDIDATES, CONVOLUTIONS, LINEARS, answers
from rewrite.real_models import (
    MODELS,
    difference,
    in_double,
    minilm,
    run,
    sentences,
)

KEYS = ("same", "native")
TARGETS = ("linear", "conv", "conv2d")
INSIDE = {"linear": nn.Linear, "conv": CONVOLUTIONS, "conv2d": nn.Conv2d}

# By day: every kind of block and every answer, small; by night all of them, at their own widths.
DAILY = {
    ("whisper", "conv2d"), ("gpt2", "linear"), ("gpt2", "conv"), ("siglip", "conv"),
    ("convnext", "linear"), ("mamba", "conv"), ("qwen2_vl", "linear"), ("qwen2_vl", "conv2d"),
    ("timm.beit", "conv"), ("torchvision.vit", "linear"), ("torchvision.swin", "conv"),
}  # fmt: skip
PROVED_DAILY = "convnext"

ROUNDING = 1e-10
VARYING = 1e-3  # two inputs must differ so much for a fault to be seen


def pytest_generate_tests(metafunc):
    every = metafunc.config.getoption("seeds") > 2
    if "case" in metafunc.fixturenames:
        chosen = [
            (name, to, keys, every or name == PROVED_DAILY)
            for name in MODELS
            for to in TARGETS
            for keys in KEYS
            if every or (name, to) in DAILY
        ]
        names = ["-".join(case[:3]) for case in chosen]
        metafunc.parametrize("case", chosen, indirect=True, ids=names, scope="module")
    if "classifier" in metafunc.fixturenames:
        metafunc.parametrize("keys", KEYS if every else ["native"])
    if "back_from" in metafunc.fixturenames:
        every_way = itertools.product(("conv", "conv2d"), KEYS)
        ways = [*every_way] if every else [("conv", "same"), ("conv2d", "native")]
        metafunc.parametrize(("back_from", "keys"), ways)


@dataclasses.dataclass
class Case:
    """A model in float64, what it was before, and what became of it."""

    to: str
    keys: str
    original: nn.Module
    examples: tuple
    state: dict[str, torch.Tensor]
    modules: dict[str, tuple[int, type, bool]]
    frozen: set[int]
    expected: dict[str, set[str]]
    outputs: list
    result: object


def anatomy(model):
    return {
        name: (id(m), type(m), m.training)
        for name, m in model.named_modules(remove_duplicate=False)
    }


@pytest.fixture(scope="module")
def case(request):
    name, to, keys, proofs = request.param
    real = MODELS[name]
    model = real.model().double()
    for i, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(i % 2 == 0)
    for i, layer in enumerate(m for m in model.modules() if isinstance(m, CANDIDATES[to])):
        layer.training = i % 2 == 0
    examples = tuple(map(in_double, real.examples()))
    with torch.no_grad():
        outputs = [run(model, example) for example in examples]
    return Case(
        to,
        keys,
        model,
        examples,
        {key: tensor.clone() for key, tensor in model.state_dict().items()},
        anatomy(model),
        {p.data_ptr() for p in model.parameters() if not p.requires_grad},
        answers(model, examples[0], to, keys),
        outputs,
        convlin.rewrite(model, to, keys=keys, example=examples[0], proofs=proofs),
    )


def test_every_layer_gets_the_answer_that_it_should(case):
    candidates = [m for m in case.original.modules() if isinstance(m, CANDIDATES[case.to])]
    assert case.expected or not candidates
    given = {row.site: row.answer for row in case.result.report.rows}
    wrong = {
        site: (given.get(site), allowed)
        for site, allowed in case.expected.items()
        if given.get(site) not in allowed
    }
    assert wrong == {}
    unexpected = {site for site, answer in given.items() if answer == "exchanged"}
    assert unexpected <= case.expected.keys()


def test_what_is_said_to_be_exchanged_is_and_nothing_else(case):
    for row in case.result.report.rows:
        before = case.original.get_submodule(row.site)
        after = case.result.model.get_submodule(row.site)
        if row.answer == "exchanged":
            assert row.seen is True
            assert type(after) is not type(before)
            if case.keys == "same":
                assert isinstance(after, type(before))
            elif getattr(before, "groups", 1) == 1:
                assert any(isinstance(inner, INSIDE[case.to]) for inner in after.modules())
        elif row.answer == "not exchanged" or (case.keys, row.answer) == (
            "native",
            "read, not called",
        ):
            assert type(after) is type(before)
        if row.answer == "not exchanged":
            assert row.refusals
        if row.answer in ("read, not called", "called and read"):
            assert row.readers
    assert "derived, and seen" in str(case.result.report)


def test_outputs_are_the_models_own(case):
    assert difference(*case.outputs) > VARYING
    with torch.no_grad():
        for example, outputs in zip(case.examples, case.outputs, strict=True):
            assert difference(outputs, run(case.result.model, example)) < ROUNDING


def test_the_original_is_as_it_was(case):
    assert anatomy(case.original) == case.modules
    state = case.original.state_dict()
    assert state.keys() == case.state.keys()
    assert all(torch.equal(state[key], case.state[key]) for key in state)
    with torch.no_grad():
        assert difference(case.outputs[0], run(case.original, case.examples[0])) == 0


def test_modes_ties_and_frozen_parameters_stay(case):
    original, model = case.original, case.result.model
    for name, module in model.named_modules():
        if name in case.modules:
            assert module.training == case.modules[name][2], name
            if case.keys == "native" and type(module) is not case.modules[name][1]:
                assert all(inner.training == module.training for inner in module.modules()), name
    before, after = list(original.parameters()), list(model.parameters())
    assert len(after) == len(before)
    assert {p.data_ptr() for p in after} == {p.data_ptr() for p in before}
    assert {p.data_ptr() for p in after if not p.requires_grad} == case.frozen
    if case.keys == "same":
        named = dict(original.named_parameters(remove_duplicate=False))
        assert all(p is named[n] for n, p in model.named_parameters(remove_duplicate=False))
    for name, module in original.named_modules(remove_duplicate=False):
        if isinstance(module, CANDIDATES[case.to]):
            there = model.get_submodule(name).weight
            assert there.data_ptr() == module.weight.data_ptr()


def test_checkpoints_of_the_original_load_and_are_saved(case):
    model = case.result.model
    state = model.state_dict()
    assert list(state) == list(case.state)
    assert all(torch.equal(state[key], case.state[key]) for key in state)
    other = {
        key: tensor * 1.5 if tensor.is_floating_point() else tensor
        for key, tensor in case.state.items()
    }
    try:
        model.load_state_dict(other, strict=True)
        for one in (model, case.original):  # which shares every tensor
            state = one.state_dict()
            assert all(torch.equal(state[key], other[key]) for key in other)
        with torch.no_grad():
            outputs = run(case.original, case.examples[0])
            assert difference(outputs, case.outputs[0]) > VARYING
            assert difference(outputs, run(model, case.examples[0])) < ROUNDING
    finally:
        case.original.load_state_dict(case.state)


def test_a_second_rewrite_changes_nothing(case):
    again = convlin.rewrite(
        case.result.model, case.to, keys=case.keys, example=case.examples[0], proofs=False
    )
    assert [type(m) for m in again.model.modules()] == [
        type(m) for m in case.result.model.modules()
    ]
    assert list(again.model.state_dict()) == list(case.state)
    assert "exchanged" not in {row.answer for row in again.report.rows}
    with torch.no_grad():
        assert difference(case.outputs[0], run(again.model, case.examples[0])) < ROUNDING


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("name", ["qwen2_vl", "gpt2"])
def test_a_copy_shares_nothing_and_in_place_is_the_model_itself(name, keys):
    to = {"qwen2_vl": "linear", "gpt2": "conv"}[name]
    model, example = MODELS[name].model().double(), in_double(MODELS[name].examples()[0])
    with torch.no_grad():
        outputs = run(model, example)
    copied = convlin.rewrite(model, to, keys=keys, copy=True, proofs=False).model
    pointers = {p.data_ptr() for p in model.parameters()}
    assert pointers.isdisjoint(p.data_ptr() for p in copied.parameters())
    assert len([*copied.parameters()]) == len([*model.parameters()])  # ties are the copy's own
    expected = answers(model, example, to, keys)
    names = {site for site, allowed in expected.items() if allowed == {"exchanged"}}
    result = convlin.rewrite(model, to, keys=keys, in_place=True, proofs=False)
    assert result.model is model
    exchanged = {row.site for row in result.report.rows if row.answer == "exchanged"}
    assert exchanged == names != set()
    with torch.no_grad():
        assert difference(outputs, run(model, example)) < ROUNDING
        assert difference(outputs, run(copied, example)) < ROUNDING


@pytest.mark.parametrize("keys", KEYS)
def test_training_the_result_trains_the_original(keys):
    model, example = MODELS["convnext"].model(), MODELS["convnext"].examples()[0]
    result = convlin.rewrite(model, "linear", keys=keys, proofs=False)
    before = run(model, example).logits.detach()
    optimizer = torch.optim.SGD(result.model.parameters(), lr=0.01)
    run(result.model, example).logits.square().sum().backward()
    optimizer.step()
    after = run(model, example).logits.detach()
    assert (after - before).abs().max() > VARYING
    assert torch.allclose(after, run(result.model, example).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("keys", KEYS)
def test_without_an_example_nothing_is_said_to_be_seen(keys):
    model = MODELS["timm.swin"].model()
    report = convlin.rewrite(model, "linear", keys=keys).report
    assert not any(row.seen for row in report.rows)
    assert "derived, not seen" in str(report)
    assert "no site was seen called" in str(report)


@pytest.mark.parametrize("name", ["torchvision.vit", "torchvision.swin", "timm.beit", "mamba"])
def test_known_readers_are_not_swapped_under_native_keys_without_an_example(name):
    model, example = MODELS[name].model().double(), in_double(MODELS[name].examples()[0])
    read = {
        site
        for site, allowed in answers(model, example, "conv", "native").items()
        if allowed == {"read, not called"}
    }
    result = convlin.rewrite(model, "conv", keys="native", proofs=False)
    given = {row.site: row.answer for row in result.report.rows}
    assert read
    assert all(given[site] != "exchanged" for site in read)
    with torch.no_grad():
        assert difference(run(model, example), run(result.model, example)) < ROUNDING


def test_a_plan_touches_nothing_and_says_what_the_rewrite_says():
    model, example = MODELS["torchvision.vit"].model(), MODELS["torchvision.vit"].examples()[0]
    before = anatomy(model)
    planned = convlin.rewrite(model, "conv", plan=True, example=example)
    assert planned.model is None
    assert anatomy(model) == before
    done = convlin.rewrite(model, "conv", example=example, proofs=False)
    assert [(r.site, r.answer) for r in planned.report.rows] == [
        (r.site, r.answer) for r in done.report.rows
    ]
    assert len({r.answer for r in planned.report.rows}) > 1


def test_the_trained_classifier_sees_the_same_in_photographs(classifier, keys):
    given = classifier(keys)
    model, result, pictures = given.original, given.result, given.pictures
    pointwise = {n for n, m in model.named_modules() if getattr(m, "kernel_size", None) == (1, 1)}
    exchanged = {row.site for row in result.report.rows if row.answer == "exchanged"}
    assert exchanged == pointwise
    assert len(pointwise) == 32
    with torch.no_grad():
        own, scores = model(pictures), result.model(pictures)
        assert own.argmax(1).tolist() == [285, 967, 985]  # Egyptian cat, espresso, daisy
        assert torch.equal(own.topk(5).indices, scores.topk(5).indices)
        both = [copy.deepcopy(m).double()(pictures.double()) for m in (model, result.model)]
        assert difference(*both) < ROUNDING


def test_the_trained_sentence_model_goes_and_comes_back(back_from, keys):
    model, example = minilm().eval().double(), sentences()[0]
    layers = {n for n, m in model.named_modules() if isinstance(m, LINEARS)}
    assert len(layers) == 37
    there = convlin.rewrite(model, back_from, keys=keys, example=example)
    assert {r.site for r in there.report.rows if r.answer == "exchanged"} == layers
    back = convlin.rewrite(there.model, "linear", keys=keys, proofs=False)
    for name in layers:
        assert type(back.model.get_submodule(name)) is nn.Linear
    own, state = model.state_dict(), back.model.state_dict()
    assert list(state) == list(own)
    assert all(torch.equal(state[key], own[key]) for key in own)
    with torch.no_grad():
        outputs = run(model, example)
        assert difference(outputs, run(there.model, example)) < ROUNDING
        assert difference(outputs, run(back.model, example)) == 0


def test_a_full_size_convolution_becomes_a_linear():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Conv2d(4, 6, (5, 4)), nn.Flatten())
    model, example = model.double(), torch.randn(2, 3, 6, 5, dtype=torch.float64)
    result = convlin.rewrite(model, "linear", example=example)
    assert {row.site: row.answer for row in result.report.rows} == {
        "0": "not exchanged",
        "2": "exchanged",
    }
    with torch.no_grad():
        assert difference(model(example), result.model(example)) < ROUNDING
        larger = torch.randn(1, 3, 9, 7, dtype=torch.float64)
        assert difference(model(larger), result.model(larger)) < ROUNDING


def test_one_layer_given_as_the_model_is_a_site():
    for keys in KEYS:
        layer = nn.Conv2d(3, 5, 1).double()
        result = convlin.rewrite(layer, "linear", keys=keys)
        assert [(row.site, row.answer) for row in result.report.rows] == [("", "exchanged")]
        x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
        assert type(result.model) is not nn.Conv2d
        assert difference(layer(x), result.model(x)) < ROUNDING


@pytest.mark.parametrize("keys", KEYS)
def test_shared_modules_and_tied_weights_stay_so(keys):
    shared = nn.Conv2d(4, 4, 1)
    tied = nn.Conv2d(4, 4, 1)
    tied.weight = shared.weight
    model = nn.Sequential(shared, nn.ReLU(), shared, tied).double()
    for to_be_copied in (False, True):
        result = convlin.rewrite(model, "linear", keys=keys, copy=to_be_copied)
        assert result.model[0] is result.model[2]
        assert result.model[0] is not result.model[3]
        assert len([*result.model.parameters()]) == 3
        assert list(result.model.state_dict()) == list(model.state_dict())
        x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
        with torch.no_grad():
            assert difference(model(x), result.model(x)) < ROUNDING
        deep = copy.deepcopy(result.model)
        assert len([*deep.parameters()]) == 3


@pytest.mark.parametrize("keys", KEYS)
def test_heads_of_training_are_not_reached(keys):
    class WithAuxiliaryHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head, self.auxiliary = (nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward(self, x):
            y = self.stem(x)
            return (self.head(y), self.auxiliary(y)) if self.training else self.head(y)

    torch.manual_seed(0)
    model, x = WithAuxiliaryHead().double().eval(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    result = convlin.rewrite(model, "linear", keys=keys, example=x)
    given = {row.site: row.answer for row in result.report.rows}
    assert given == {"stem": "exchanged", "head": "exchanged", "auxiliary": "not reached"}
    model.train()
    given = convlin.rewrite(model, "linear", keys=keys, example=x)
    assert {row.answer for row in given.report.rows} == {"exchanged"}
    assert difference(model(x), given.model(x)) < ROUNDING
    assert difference(model(x), result.model.train()(x)) < ROUNDING


@pytest.mark.parametrize("keys", KEYS)
def test_a_weight_that_is_called_and_read(keys):
    class CalledAndRead(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 5)

        def forward(self, x):
            return self.layer(x) @ self.layer.weight.t()

    torch.manual_seed(0)
    model, x = CalledAndRead().double(), torch.randn(2, 3, 5, dtype=torch.float64)
    result = convlin.rewrite(model, "conv", keys=keys, example=x)
    (row,) = result.report.rows
    assert row.answer == "called and read"
    assert "CalledAndRead" in str(row.readers)
    assert difference(model(x), result.model(x)) < ROUNDING
