"""A day's work in one process: several models, checkpoints that go round, and training that goes on.

Nothing of one model may show in another, and whoever has the old files must be able to use them.
"""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from convlin import rewrite as proving_rewrite
from rewrite.real_models import MODELS, difference, in_double, run

rewrite = partial(proving_rewrite, proofs=False)  # what is proved is proved elsewhere
ROUNDING = 1e-10
STEPS = 3
OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, weight_decay=0.1),
    # Gradients that are 0 over the reals, as of a bias in front of a softmax, come as noise of
    # rounding: an eps far above it, for Adam divides by it.
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-2, eps=1e-4),
}
TRAINED = [("convnext", "linear"), ("gpt2", "conv"), ("qwen2_vl", "linear"), ("vit", "conv2d")]


def vision(name):
    """Return a tower in float64, an input, and what it says of it."""
    model, example = MODELS[name].model().double(), in_double(MODELS[name].examples()[0])
    with torch.no_grad():
        return model, example, run(model, example)


def same_bits(one, other):
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


@torch.no_grad()
def apart(model, outputs, example):
    return difference(outputs, run(model, example))


@pytest.mark.parametrize("keys", ["same", "native"])
def test_three_towers_one_after_the_other(keys, tmp_path):
    plain, example, outputs = vision("qwen2_vl")
    rewritten = rewrite(plain, "linear", keys=keys, example=example).model
    assert apart(rewritten, outputs, example) < ROUNDING
    rewritten.save_pretrained(tmp_path / "2")

    newer, newer_example, newer_outputs = vision("qwen2_5_vl")
    newer_rewritten = rewrite(newer, "linear", keys=keys, example=newer_example).model
    assert apart(newer_rewritten, newer_outputs, newer_example) < ROUNDING
    newer_rewritten.save_pretrained(tmp_path / "2.5")
    reloaded = type(newer).from_pretrained(tmp_path / "2.5", dtype=torch.float64)
    assert same_bits(reloaded.state_dict(), newer.state_dict())
    assert apart(reloaded, newer_outputs, newer_example) < ROUNDING

    again, _, _ = vision("qwen2_vl")
    assert [type(m) for m in again.modules()] == [type(m) for m in plain.modules()]
    assert type(again.patch_embed.proj) is nn.Conv3d
    assert apart(again, outputs, example) == 0
    reloaded = type(again).from_pretrained(tmp_path / "2", dtype=torch.float64)
    assert type(reloaded.patch_embed.proj) is nn.Conv3d
    assert same_bits(reloaded.state_dict(), plain.state_dict())
    assert apart(reloaded, outputs, example) < ROUNDING


@pytest.mark.parametrize(
    ("name", "to"), [("qwen2_vl", "linear"), ("gpt2", "conv"), ("vit", "conv2d")]
)
@pytest.mark.parametrize("size", ["50GB", "10KB"], ids=["whole", "sharded"])
def test_a_native_model_is_saved_as_the_plain_class_loads_it(name, to, size, tmp_path):
    plain, example, outputs = vision(name)
    native = rewrite(plain, to, keys="native", example=example).model
    native.save_pretrained(tmp_path, max_shard_size=size)
    assert (len([*tmp_path.glob("*.safetensors")]) > 1) == (size == "10KB")
    reloaded = type(plain).from_pretrained(tmp_path, dtype=torch.float64)
    assert same_bits(reloaded.state_dict(), plain.state_dict())
    assert apart(reloaded, outputs, example) < ROUNDING


@pytest.mark.parametrize("keys", ["same", "native"])
def test_a_rewritten_model_loads_what_the_plain_one_saved(keys, tmp_path):
    plain, example, outputs = vision("qwen2_vl")
    torch.save(plain.state_dict(), tmp_path / "plain.pt")
    other, _, _ = vision("qwen2_vl")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    rewritten = rewrite(other, "linear", keys=keys).model
    assert apart(rewritten, outputs, example) > 1e-3
    rewritten.load_state_dict(torch.load(tmp_path / "plain.pt", weights_only=True), strict=True)
    assert apart(rewritten, outputs, example) < ROUNDING


def test_both_layouts_load_into_a_native_model_and_only_the_old_into_the_plain_one():
    plain, example, outputs = vision("qwen2_vl")
    result = rewrite(plain, "linear", keys="native", copy=True)
    old = {key: tensor.clone() for key, tensor in plain.state_dict().items()}
    new = result.mapping.from_original(old)
    assert new.keys() != old.keys()
    assert same_bits(result.mapping.to_original(new), old)
    for state in (old, new):
        with torch.no_grad():
            for parameter in result.model.parameters():
                parameter.zero_()
        result.model.load_state_dict(state, strict=True)
        assert apart(result.model, outputs, example) < ROUNDING
    with pytest.raises(RuntimeError, match=r"patch_embed\.proj"):
        plain.load_state_dict(new)


@pytest.mark.parametrize("layout", ["old", "new"])
def test_a_native_model_says_when_a_weight_is_missing(layout):
    plain, _, _ = vision("qwen2_vl")
    result = rewrite(plain, "linear", keys="native", copy=True)
    state = dict(plain.state_dict())
    if layout == "new":
        state = result.mapping.from_original(state)
    key = next(key for key in state if key.startswith("patch_embed.proj"))
    del state[key]
    with pytest.raises(RuntimeError, match=r"Missing key.*patch_embed\.proj"):
        result.model.load_state_dict(state)
    _, unexpected = result.model.load_state_dict(state | {"nobodys": torch.ones(1)}, strict=False)
    assert unexpected == ["nobodys"]


def test_a_weight_of_another_shape_is_refused_by_a_native_model():
    plain, _, _ = vision("qwen2_vl")
    native = rewrite(plain, "linear", keys="native", copy=True).model
    state = dict(plain.state_dict())
    key = "patch_embed.proj.weight"
    state[key] = state[key].transpose(3, 4)[..., :3]
    with pytest.raises(RuntimeError, match=r"size mismatch|shape"):
        native.load_state_dict(state)


@pytest.mark.parametrize("keys", ["same", "native"])
def test_a_model_on_the_meta_device_is_rewritten_and_filled_later(keys):
    plain, example, outputs = vision("convnext")
    state = plain.state_dict()
    with torch.device("meta"):
        empty = MODELS["convnext"].build().eval().double()
    rewritten = rewrite(empty, "linear", keys=keys).model
    assert any(
        type(m) is not type(n) for m, n in zip(rewritten.modules(), empty.modules(), strict=False)
    )
    rewritten.load_state_dict(state, strict=True, assign=True)
    assert not any(p.is_meta for p in rewritten.parameters())
    assert apart(rewritten, outputs, example) < ROUNDING


def steps(model, optimizer, example, count=STEPS):
    for _ in range(count):
        optimizer.zero_grad()
        outputs = run(model, example)
        tensor = outputs.logits if "logits" in outputs else outputs.last_hidden_state
        tensor.square().mean().backward()
        optimizer.step()


def assert_same_training(own, other, state_before, example):
    """Compare what was learned, not where it started."""
    one, two = own.state_dict(), other.state_dict()
    assert list(one) == list(two)
    moved = max((one[k] - state_before[k]).abs().max() for k in one)
    assert moved > 1e-3
    assert max((one[k] - two[k]).abs().max() for k in one) < ROUNDING * moved
    assert apart(other, run(own, example), example) < ROUNDING


@pytest.mark.parametrize(("name", "to"), TRAINED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_made_before_steps_a_rewrite_with_the_same_keys(name, to, optimizer):
    own, example, _ = vision(name)
    other = copy.deepcopy(own)
    before = copy.deepcopy(own.state_dict())
    made_before = OPTIMIZERS[optimizer](other.parameters())
    rewritten = rewrite(other, to, keys="same").model
    assert any(
        type(m) is not type(n) for m, n in zip(rewritten.modules(), other.modules(), strict=True)
    )
    steps(own, OPTIMIZERS[optimizer](own.parameters()), example)
    steps(rewritten, made_before, example)
    assert_same_training(own, rewritten, before, example)
    assert same_bits(rewritten.state_dict(), other.state_dict())


@pytest.mark.parametrize(("name", "to"), TRAINED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_new_optimizer_trains_a_native_model_as_the_original(name, to, optimizer):
    own, example, _ = vision(name)
    before = copy.deepcopy(own.state_dict())
    native = rewrite(own, to, keys="native", copy=True).model
    steps(own, OPTIMIZERS[optimizer](own.parameters()), example)
    steps(native, OPTIMIZERS[optimizer](native.parameters()), example)
    assert_same_training(own, native, before, example)


@pytest.mark.parametrize(("name", "to"), TRAINED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_state_of_an_optimizer_moves_to_a_native_model(name, to, optimizer):
    own, example, _ = vision(name)
    before = copy.deepcopy(own.state_dict())
    made_before = OPTIMIZERS[optimizer](own.named_parameters())
    steps(own, made_before, example)
    result = rewrite(own, to, keys="native", copy=True)
    made_after = OPTIMIZERS[optimizer](result.model.named_parameters())
    old = copy.deepcopy(made_before.state_dict())
    made_after.load_state_dict(result.mapping.from_original(old))
    steps(own, made_before, example)
    steps(result.model, made_after, example)
    assert_same_training(own, result.model, before, example)
    back = result.mapping.to_original(made_after.state_dict())
    states = zip(made_before.state_dict()["state"].values(), back["state"].values(), strict=True)
    for one, two in states:
        for field, value in one.items():
            if isinstance(value, torch.Tensor):
                assert two[field].shape == value.shape
                assert torch.allclose(two[field], value, rtol=1e-8, atol=1e-12)


def test_the_report_says_that_an_optimizer_does_not_step_a_native_model():
    model = MODELS["convnext"].model()
    assert "optimizer" in str(rewrite(model, "linear", keys="native").report)
    assert "from_original" in str(rewrite(model, "linear", keys="native").report)


def test_the_mapping_is_plain_data_that_works_without_convlin():
    import json

    plain, _, _ = vision("gpt2")
    result = rewrite(plain, "conv", keys="native", copy=True)
    data = json.loads(json.dumps(result.mapping.as_dict()))
    entries = data if isinstance(data, list) else data["entries"]
    old, new = plain.state_dict(), {}
    for entry in entries:
        tensor = old[entry["old"]]
        assert list(tensor.shape) == entry["old_shape"]
        if entry["permute"] is not None:
            tensor = tensor.permute(entry["permute"])
        new[entry["new"]] = tensor.reshape(entry["new_shape"])
    parameters = dict(result.model.named_parameters(remove_duplicate=False))
    assert new.keys() <= parameters.keys()
    assert new
    for key, tensor in new.items():
        assert torch.equal(tensor, parameters[key])
    changed = {e["old"] for e in entries}
    assert {k for k in old if k not in changed} <= parameters.keys() | dict(
        plain.named_buffers()
    ).keys()


def test_same_keys_need_no_mapping():
    plain, _, _ = vision("gpt2")
    result = rewrite(plain, "conv", keys="same")
    assert same_bits(result.mapping.from_original(plain.state_dict()), plain.state_dict())
