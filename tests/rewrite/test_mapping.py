"""A mapping is plain data, and carries weights and optimizers over and back, bit for bit.

Layers here have pairwise different sizes and distinct integers, so that a wrong axis shows.
"""

import copy
import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convlin.errors import InputError, Refused
from convlin.models.mapping.mapping import WeightMapping
from convlin.models.mapping.mapping_entry import Entry

PATCHES = Entry("patch.weight", "patch.linear.weight", (5, 2, 3, 4), (0, 2, 3, 1), (5, 24))
POINTS = Entry("point.weight", "point.linear.weight", (7, 5, 1, 1), None, (7, 5))
POINT_BIAS = Entry("point.bias", "point.linear.bias", (7,), None, (7,))
TURNED = Entry("gpt.weight", "gpt.linear.weight", (7, 6), (1, 0), (6, 7))
GROUPS = Entry("group.weight", "group.weight", (6, 2, 3), None, (3, 2, 6))
MAPPING = WeightMapping((PATCHES, POINTS, POINT_BIAS, TURNED, GROUPS))


def integers(*shape, start=1):
    return torch.arange(start, start + math.prod(shape), dtype=torch.float64).reshape(shape)


def original():
    state = {
        entry.old: integers(*entry.old_shape, start=i) for i, entry in enumerate(MAPPING.entries)
    }
    return state | {"norm.weight": integers(9), "norm.count": torch.tensor(3), "extra_state": "any"}


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a
    )


@st.composite
def entries(draw):
    """Any permutation followed by any reshape, of axes of any length."""
    old_shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    permute = draw(st.none() | st.permutations(range(len(old_shape))))
    permuted = [old_shape[axis] for axis in permute or range(len(old_shape))]
    cuts = draw(st.sets(st.integers(1, len(permuted))))
    bounds = [0, *sorted(cuts - {len(permuted)}), len(permuted)]
    new_shape = [math.prod(permuted[a:b]) for a, b in itertools.pairwise(bounds)]
    return Entry("a.weight", "a.linear.weight", old_shape, permute, new_shape)


@given(entries(), st.sampled_from([torch.float64, torch.int8, torch.bfloat16]))
@settings(max_examples=80, deadline=None)
def test_any_entry_moves_as_numpy_says_and_back(entry, dtype):
    mapping = WeightMapping((entry,))
    weight = integers(*entry.old_shape).to(dtype)
    native = mapping.from_original({"a.weight": weight})
    numbers = weight.double().numpy()
    expected = np.transpose(numbers, entry.permute).reshape(entry.new_shape)
    assert np.array_equal(native["a.linear.weight"].double().numpy(), expected)
    assert native["a.linear.weight"].dtype == dtype
    assert same(mapping.to_original(native), {"a.weight": weight})
    assert WeightMapping.from_dict(json.loads(json.dumps(mapping.as_dict()))) == mapping


def test_the_file_is_enough_without_convlin(tmp_path):
    MAPPING.save(tmp_path / "mapping.json")
    old = original()
    new = {}
    for e in json.loads((tmp_path / "mapping.json").read_text())["entries"]:
        new[e["new"]] = old[e["old"]].numpy().transpose(e["permute"]).reshape(e["new_shape"])
    native = MAPPING.from_original(old)
    assert all(np.array_equal(native[name].numpy(), new[name]) for name in new)
    assert WeightMapping.load(tmp_path / "mapping.json") == MAPPING


def test_what_is_not_named_passes_as_it_is_and_views_stay_views():
    old = original()
    native = MAPPING.from_original(old)
    assert native["norm.weight"] is old["norm.weight"]
    assert native["extra_state"] == "any"
    assert native["point.linear.weight"].data_ptr() == old["point.weight"].data_ptr()
    assert native["gpt.linear.weight"].data_ptr() == old["gpt.weight"].data_ptr()
    assert same(MAPPING.to_original(native), old)
    # Only a permutation whose axes merge must copy.
    assert native["patch.linear.weight"].data_ptr() != old["patch.weight"].data_ptr()


def test_tied_weights_stay_tied_even_where_they_must_be_copied():
    tied = WeightMapping((
        PATCHES,
        Entry("other.weight", "other.linear.weight", (5, 2, 3, 4), (0, 2, 3, 1), (5, 24)),
    ))  # fmt: skip
    model = nn.ModuleDict({"patch": nn.Conv2d(2, 5, (3, 4)), "other": nn.Conv2d(2, 5, (3, 4))})
    model["other"].weight = model["patch"].weight
    native = tied.from_original(model.state_dict())
    a, b = native["patch.linear.weight"], native["other.linear.weight"]
    assert a.data_ptr() == b.data_ptr()
    assert a.data_ptr() != model["patch"].weight.data_ptr()
    both = integers(10, 2, 3, 4)  # as the parts of a joint projection lie
    parts = tied.from_original({"patch.weight": both[:5], "other.weight": both[5:]})
    assert torch.equal(parts["other.linear.weight"], parts["patch.linear.weight"] + 120)
    apart = tied.from_original(
        {"patch.weight": integers(5, 2, 3, 4), "other.weight": integers(5, 2, 3, 4)}
    )
    assert apart["patch.linear.weight"].data_ptr() != apart["other.linear.weight"].data_ptr()


def test_versions_and_gradients_of_a_state_dict():
    """Versions are what load_state_dict reads; of Parameters the numbers come, without a graph."""
    model = nn.Sequential(nn.Conv1d(2, 3, 4), nn.BatchNorm1d(3))
    mapping = WeightMapping((Entry("0.weight", "0.linear.weight", (3, 2, 4), None, (3, 8)),))
    native = mapping.from_original(model.state_dict(keep_vars=True))
    assert native._metadata["1"]["version"] == 2
    assert native["0.linear.weight"].grad_fn is None
    assert not native["0.linear.weight"].requires_grad


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "base_model.model."]
)
def test_wrappers_stay_where_they_are(prefix):
    old = {prefix + name: value for name, value in original().items()}
    native = MAPPING.from_original(old)
    assert prefix + "patch.linear.weight" in native
    assert same(MAPPING.to_original(native), old)
    assert WeightMapping.prefixed(MAPPING, prefix).from_original(old).keys() == native.keys()


def test_a_part_called_module_is_no_wrapper():
    """`module.conv` is a layer of its own here, that the mapping does not name."""
    mapping = WeightMapping((Entry("conv.weight", "conv.linear.weight", (2, 3, 1), None, (2, 3)),))
    state = {"conv.weight": integers(2, 3, 1), "module.conv.weight": integers(2, 3, 1)}
    assert mapping.from_original(state).keys() == {"conv.linear.weight", "module.conv.weight"}
    with pytest.raises(Refused, match="keys is 'module.conv.weight', 'other', …"):
        mapping.from_original({"module.conv.weight": integers(2, 3, 1), "other": integers(1)})
    inside = mapping.prefixed("module.")
    wrapped = {f"module.{name}": value for name, value in state.items()}
    assert inside.from_original(wrapped).keys() == {
        "module.conv.linear.weight",
        "module.module.conv.weight",
    }


WRONG = {
    "transposed": (
        {"patch.weight": integers(5, 2, 4, 3)},
        "patch.weight: shape is (5, 2, 4, 3), expected (5, 2, 3, 4)",
    ),
    "already": (
        {"point.linear.weight": integers(7, 5), "point.linear.bias": integers(7)},
        "point.linear.weight and point.linear.bias: layout is the rewritten model's, expected "
        "the original's; use it as it is",
    ),
    "already-same-name": (
        {"group.weight": integers(3, 2, 6)},
        "group.weight: layout is the rewritten model's, expected the original's; use it as it is",
    ),
    "half": (
        {"point.weight": integers(7, 5, 1, 1), "patch.linear.weight": integers(5, 24)},
        "patch.linear.weight: layout is the rewritten model's, expected the original's; "
        "map them apart from point.weight, which is not",
    ),
    "neither": (
        {"point.linear.weight": integers(5, 7)},
        "point.linear.weight: shape is (5, 7), expected (7, 5)",
    ),
    "other-prefix": (
        {"net.patch.weight": integers(5, 2, 3, 4), "net.b": integers(2)},
        "state: keys is 'net.patch.weight', 'net.b', …, expected such as 'patch.weight', with its "
        "own prefix or none; mapping.prefixed('…') is the mapping under another prefix",
    ),
    "no-state": (integers(3), "mapping: state is Tensor of shape (3,), expected the state dict of a model, of an adapter or of an optimizer"),
    "no-names": ({3: integers(3)}, "state: key is 3, expected the name of a tensor, a string"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_state_that_does_not_fit_is_refused_in_words(case):
    state, words = WRONG[case]
    with pytest.raises(Refused) as error:
        MAPPING.from_original(state)
    assert str(error.value) == words


def test_both_directions_refuse_what_is_there_already():
    with pytest.raises(Refused, match="patch.weight: layout is the original's"):
        MAPPING.to_original({"patch.weight": integers(5, 2, 3, 4)})
    with pytest.raises(Refused, match="point.linear.weight and 3 more: layout is the rewritten"):
        MAPPING.from_original(MAPPING.from_original(original()))


def test_a_rewritten_model_may_save_some_layers_as_the_original_does():
    """It does until something takes the place of an inner layer; one layer is in one layout."""
    old = original()
    native = MAPPING.from_original(old)
    point = {
        "point.linear.weight": native["point.linear.weight"],
        "point.linear.bias": native["point.linear.bias"],
    }
    rest = {name: value for name, value in old.items() if not name.startswith("point.")}
    assert same(MAPPING.to_original(point | rest), old)
    half = {"point.weight": old["point.weight"], "point.linear.bias": native["point.linear.bias"]}
    with pytest.raises(Refused) as error:
        MAPPING.to_original(half | rest)
    assert str(error.value) == (
        "point.weight: layout is the original's, expected the rewritten model's; "
        "map them apart from point.linear.bias, which is not"
    )
    both = "point.linear.weight and point.linear.bias: layout is the rewritten model's"
    with pytest.raises(Refused, match=both):
        MAPPING.from_original(point | rest)


def test_nothing_to_map():
    state = {"a": integers(2)}
    assert WeightMapping().to_original(state) == state
    assert MAPPING.to_original({}) == {}
    lbfgs = {"state": {0: {"old_dirs": [], "d": integers(9)}}, "param_groups": [{"params": [0, 1]}]}
    assert WeightMapping().to_original(lbfgs) == lbfgs


class Odd(torch.Tensor):
    """A tensor that can be nothing but itself, as quantized ones are."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ("reshape", "permute"):
            raise NotImplementedError(f"no {func.__name__} of packed numbers")
        return super().__torch_function__(func, types, args, kwargs)


def test_a_tensor_that_cannot_be_reshaped_is_named():
    state = {"point.linear.weight": integers(7, 5).as_subclass(Odd)}
    with pytest.raises(Refused) as error:
        MAPPING.to_original(state)
    assert str(error.value) == (
        "point.linear.weight: type is Odd, NotImplementedError: no reshape of packed numbers, "
        "expected a tensor that can be reshaped and permuted; "
        "map the weights before they are quantized or sharded"
    )
    bias = {"point.linear.bias": integers(7).as_subclass(Odd)}  # renaming asks nothing of it
    assert MAPPING.to_original(bias)["point.bias"] is bias["point.linear.bias"]


BAD = {
    "new_shape": ({"new_shape": [5, 25]}, "new_shape is (5, 25), expected a shape of 120 numbers, as (5, 2, 3, 4) has"),
    "permute": ({"permute": [0, 1, 1, 3]}, "permute is (0, 1, 1, 3), expected each of (0, 1, 2, 3) once, or None"),
    "shape-text": ({"old_shape": "5"}, "old_shape is '5', expected whole numbers ≥ 0"),
    "shape-bool": ({"old_shape": [True, 2]}, "old_shape is (True, 2), expected whole numbers ≥ 0"),
    "name": ({"old": 3}, "old is 3, expected the name of a weight"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_an_entry_that_does_not_fit_is_refused_in_words(case, tmp_path):
    change, words = BAD[case]
    data = WeightMapping((PATCHES,)).as_dict()
    data["entries"][0] |= change
    with pytest.raises(Refused) as error:
        WeightMapping.from_dict(data)
    assert words in str(error.value)
    (tmp_path / "m.json").write_text(json.dumps(data))
    with pytest.raises(InputError) as error:
        WeightMapping.load(tmp_path / "m.json")
    assert str(error.value).startswith(f"{tmp_path / 'm.json'}: ")
    assert words in str(error.value)


FILES = {
    "empty": (b"", "no readable mapping: JSONDecodeError"),
    "binary": (b"\xff\xfe\x00\x01\xd8", "no readable mapping: "),
    "deep": (b"[" * 100_000, "no readable mapping: RecursionError"),
    "list": (b"[]", "mapping: fields is [], expected version, entries"),
    "fields": (b'{"version": 1}', "mapping: fields is ['version'], expected version, entries"),
    "version": (b'{"version": 9, "entries": []}', "mapping: version is 9, expected 1"),
    "entries": (b'{"version": 1, "entries": {}}', "mapping: entries is {}, expected a list"),
    "entry": (
        b'{"version": 1, "entries": [{"old": "a"}]}',
        "entries[0]: fields is ['old'], expected old, new, old_shape, permute, new_shape",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_mapping_is_one_line(case, tmp_path):
    content, words = FILES[case]
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        WeightMapping.load(tmp_path / "m.json")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no readable mapping: FileNotFoundError"):
        WeightMapping.load(tmp_path / "m.json")


def test_names_that_two_entries_claim_and_layouts_that_cannot_be_told_apart():
    twice = Entry("patch.weight", "b.weight", (2,), None, (2,))
    chained = Entry("point.linear.weight", "b.weight", (2,), None, (2,))
    square = Entry("a.weight", "a.weight", (4, 4), (1, 0), (4, 4))
    with pytest.raises(Refused, match="names is 'patch.weight', expected each name in one entry"):
        WeightMapping((PATCHES, twice))
    with pytest.raises(Refused, match="names is 'point.linear.weight'"):
        WeightMapping((POINTS, chained))
    with pytest.raises(Refused, match="new is 'a.weight', expected another name or shape"):
        WeightMapping((square,))
    with pytest.raises(Refused, match=r"entries\[0\] is 'x', expected an Entry"):
        WeightMapping("x")


# --- optimizers -----------------------------------------------------------------------------------


class Original(nn.Module):
    """A patchify convolution and GPT-2's kind of weight, as a user wrote them."""

    def __init__(self):
        super().__init__()
        self.gpt = nn.ParameterDict({"weight": integers(7, 6) / 50})
        self.patch = nn.Conv2d(2, 7, (3, 4), stride=(3, 4)).double()

    def forward(self, x):
        return self.patch(x).flatten(2).mT @ self.gpt["weight"]


class Native(nn.Module):
    """The same function on matrices, whose parameters come in another order."""

    def __init__(self):
        super().__init__()
        self.patch = nn.ModuleDict({"linear": nn.Linear(24, 7)}).double()
        self.gpt = nn.ModuleDict({"linear": nn.Linear(7, 6, bias=False)}).double()

    def forward(self, x):
        rows = x.unfold(2, 3, 3).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
        return self.gpt["linear"](self.patch["linear"](rows))


PAIR = WeightMapping((
    Entry("patch.weight", "patch.linear.weight", (7, 2, 3, 4), (0, 2, 3, 1), (7, 24)),
    Entry("patch.bias", "patch.linear.bias", (7,), None, (7,)),
    TURNED,
))  # fmt: skip

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "sgd-plain": lambda p: torch.optim.SGD(p, lr=0.01),
    "adadelta": torch.optim.Adadelta,
    "rprop": torch.optim.Rprop,
}


def names(model):
    return [name for name, _ in model.named_parameters()]


def train(model, optimizer, steps):
    x = torch.sin(integers(2, 2, 6, 8))
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_goes_on_in_the_other_layout(kind):
    """Two steps, over into the other model, two steps more: as four steps of the original."""
    old, new = Original(), Native()
    one, other = OPTIMIZERS[kind](old.parameters()), OPTIMIZERS[kind](new.parameters())
    assert (
        names(old)[0] == "gpt.weight" != PAIR.to_original(new.state_dict())
        and names(new)[0] == "patch.linear.weight"
    )
    train(old, one, 2)
    saved = copy.deepcopy(one.state_dict())
    new.load_state_dict(PAIR.from_original(old.state_dict()))
    moved = PAIR.from_original(saved, names=names(old), target_names=names(new))
    other.load_state_dict(copy.deepcopy(moved))
    train(old, one, 2)
    train(new, other, 2)
    trained = PAIR.to_original(new.state_dict())
    assert all(
        torch.allclose(trained[k], v, rtol=1e-12, atol=1e-14) for k, v in old.state_dict().items()
    )
    back = PAIR.to_original(
        moved, names=[names(new)[i] for i in order(moved)], target_names=names(old)
    )
    assert equal_optimizers(back, saved)


def order(moved):
    """The names= of a moved state: its groups' own order is that of the target model."""
    return range(len(moved["param_groups"][0]["params"]))


def equal_optimizers(a, b):
    assert a["param_groups"] == b["param_groups"]
    return (
        all(same(a["state"][key], b["state"][key]) for key in b["state"])
        and a["state"].keys() == b["state"].keys()
    )


def test_an_optimizer_made_with_names_needs_none():
    old, new = Original(), Native()
    one = torch.optim.Adam(old.named_parameters(), lr=0.1)
    train(old, one, 1)
    moved = PAIR.from_original(one.state_dict(), target_names=names(new))
    assert moved["param_groups"][0]["param_names"] == names(new)
    assert moved["param_groups"][0]["params"] == [1, 2, 0]
    assert moved["state"][1]["exp_avg"].shape == (7, 24)
    assert moved["state"][1]["step"] is one.state_dict()["state"][1]["step"]
    assert one.state_dict()["param_groups"][0]["param_names"] == names(old)  # not written to


def test_a_state_by_name_and_two_groups():
    moments = {"exp_avg": integers(7, 6), "step": torch.tensor(3.0)}
    state = {
        "state": {"gpt.weight": moments, "free": {"exp_avg": integers(3)}},
        "param_groups": [{"params": ["gpt.weight"], "lr": 1.0}, {"params": ["free", "patch.bias"]}],
    }
    moved = PAIR.from_original(state)
    assert torch.equal(moved["state"]["gpt.linear.weight"]["exp_avg"], integers(7, 6).T)
    assert moved["state"]["free"]["exp_avg"] is state["state"]["free"]["exp_avg"]
    assert [g["params"] for g in moved["param_groups"]] == [
        ["gpt.linear.weight"],
        ["free", "patch.linear.bias"],
    ]


def adam_state(**slots):
    return {"state": {0: slots}, "param_groups": [{"params": [0]}]}


STATES = {
    "no-names": (
        adam_state(exp_avg=integers(7, 6)), None,
        "optimizer state: names is None, expected the names of its 1 parameters in the order of its groups; "
        "names=[name for name, _ in model.named_parameters()] if it steps all of them",
    ),
    "too-many": (adam_state(exp_avg=integers(7, 6)), ["a", "b"], "names is a list of 2, expected the names of its 1"),
    "factored": (
        adam_state(exp_avg_sq_row=integers(7), step=3), ["gpt.weight"],
        "optimizer state of gpt.weight: exp_avg_sq_row is Tensor of shape (7,), expected (7, 6), the shape of the weight; "
        "continue with a new optimizer",
    ),
    "one-row": (
        adam_state(d=None, prev_flat_grad=integers(42), old_dirs=[]), ["gpt.weight"],
        "prev_flat_grad is one row of all parameters, expected a tensor for each parameter",
    ),
    "already": (adam_state(exp_avg=integers(6, 7)), ["gpt.linear.weight"], "gpt.linear.weight: layout is the rewritten model's"),
    "wrong-order": (adam_state(exp_avg=integers(6, 7)), ["gpt.weight"], "exp_avg is Tensor of shape (6, 7), expected (7, 6)"),
    "unknown": (adam_state(exp_avg=integers(6, 7)), ["net.weight"], "keys is 'net.weight', …"),
}  # fmt: skip


@pytest.mark.parametrize("case", STATES)
def test_an_optimizer_state_that_does_not_fit_is_refused_in_words(case):
    state, given_names, words = STATES[case]
    with pytest.raises(Refused) as error:
        PAIR.from_original(state, names=given_names)
    assert words in str(error.value)


def test_real_optimizers_that_factor_or_flatten_are_refused():
    for make in (lambda p: torch.optim.Adafactor(p), lambda p: torch.optim.LBFGS(p, max_iter=1)):
        model = Original()
        optimizer = make(model.parameters())
        optimizer.zero_grad()

        def loss(model=model):
            value = model(torch.sin(integers(2, 2, 6, 8))).square().sum()
            value.backward()
            return value

        optimizer.step(loss)
        with pytest.raises(Refused, match="continue with a new optimizer"):
            PAIR.from_original(optimizer.state_dict(), names=names(model))


def test_target_names_that_lack_one():
    with pytest.raises(
        Refused,
        match="target_names is a list of 1 without it, expected names with 'gpt.linear.weight'",
    ):
        PAIR.from_original(adam_state(step=1), names=["gpt.weight"], target_names=["x"])
