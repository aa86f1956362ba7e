"""What tracing leaves behind: the model as it was, and a network under the model's own names."""

import contextlib
import copy
import random

import numpy as np
import pytest
import torch
from dense_oracle import leaves, worst
from hostile_nets import CASES, normalising, one_alias, tokens
from small_nets import conv
from torch import nn
from traced_case import WINDOWS, filled
from typer.testing import CliRunner

from convlin import Refused, fully_convolutional
from convlin.cli import app
from rounding import agree
from written_here import check_here

RIGHT = [name for name, case in CASES.items() if case.expected == "right"]
TIED = ["same-layer-twice"]  # a layer called twice stands there twice
COMPUTED = [name for name in CASES if name.startswith(("parametrized-", "product-"))]


def same(one, other):
    """Whether two values of attributes are equal, tensors element by element."""
    if isinstance(one, torch.Tensor):
        return one is other or (one.dtype == other.dtype and torch.equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or one == other


def attributes(model):
    """Return every module with a copy of its attributes: containers anew, their values as they are."""

    def anew(value):
        if isinstance(value, nn.Parameter):
            return value
        if isinstance(value, torch.Tensor):
            return value.clone()
        if type(value) in (list, tuple):
            return type(value)(map(anew, value))
        return {k: anew(v) for k, v in value.items()} if isinstance(value, dict) else value

    return [(module, {k: anew(v) for k, v in vars(module).items()}) for module in model.modules()]


def random_states():
    name, keys, *rest = np.random.get_state()
    return [torch.get_rng_state(), random.getstate(), name, torch.from_numpy(keys.copy()), rest]


@pytest.mark.parametrize("name", CASES)
def test_model_and_random_states_stay_as_they_are(name):
    case = CASES[name]
    with case.around():
        model = case.build()
        before, drawn = attributes(model), random_states()
        numbers = copy.deepcopy(model.state_dict())
        with contextlib.suppress(Refused):
            fully_convolutional(model, case.window, proofs=False)
        assert same(random_states(), drawn)
        after = attributes(model)
    assert [module for module, _ in after] == [module for module, _ in before]
    for (module, now), (_, then) in zip(after, before, strict=True):
        assert same(now, then), type(module)
    assert same(dict(model.state_dict()), dict(numbers))


# The others have parts that nothing reads, or tensors that are read beside their layer.
WHOLE = [name for name in RIGHT if not name.startswith(("names-", "layers-"))]


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in TIED + COMPUTED])
def test_parameters_are_the_models_own_under_its_own_names(name):
    case = CASES[name]
    model = case.build()
    network = fully_convolutional(model, case.window, proofs=False, check=False)
    assert sorted(network.network.state_dict()) == sorted(model.state_dict())
    own, dense = (dict(module.named_parameters()) for module in (model, network.network))
    for key, value in own.items():
        assert dense[key].data_ptr() == value.data_ptr(), key
        assert dense[key].numel() == value.numel()


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_weights_stay_the_models_own_parameters(name):
    case = CASES[name]
    model = case.build()
    try:
        network = fully_convolutional(model, case.window, proofs=False, check=False)
    except Refused:
        assert case.expected != "right"
        return
    own, dense = (
        {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        for module in (model, network)
    )
    assert dense == own


KEPT = ["alias-iadd", "normalised-mean-and-std", "tokens-mlp"]


@pytest.mark.parametrize("name", KEPT)
def test_a_copy_gives_the_same_and_is_apart(name):
    case = CASES[name]
    network = fully_convolutional(case.build(), case.window, proofs=False)
    other, images = copy.deepcopy(network), case.images().float()
    before = [leaf.clone() for leaf in leaves(network(images))]
    assert all(map(torch.equal, leaves(other(images)), before))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(map(torch.equal, leaves(other(images)), before))
    assert not any(map(torch.equal, leaves(network(images)), before))


@pytest.mark.parametrize("factory", [one_alias, normalising, tokens], ids=lambda f: f.__name__)
def test_the_command_writes_a_program_for_every_size(factory, tmp_path, monkeypatch):
    check_here(monkeypatch)
    window, file = WINDOWS[2], tmp_path / "net.pt2"
    named = f"hostile_nets:{factory.__name__}"
    arguments = ["convert", named, "--window", ",".join(map(str, window)), "-o", str(file)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    program = torch.export.load(file).module()
    network = fully_convolutional(factory(), window, proofs=False)
    for batch, size in ((1, (13, 8)), (3, (13, 8)), (2, (14, 11)), (1, (20, 9))):
        images = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected, written = network(images), program(images)
        # two orders of five layers that sum at most 120 products each
        assert agree(written, expected, 2 * 5 * 120, expected.abs().max())


# Numbers that are no eighths, made in the dtype of the images: right in whichever dtype it was made.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Normalised(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make, self.a, self.head = make, conv(3, 4, 3), nn.Linear(4 * 11 * 6, 7)

    def forward(self, x):
        mean, std = (self.make(x, numbers).view(3, 1, 1) for numbers in (MEAN, STD))
        return self.head(self.a((x - mean) / std).flatten(1))


MAKERS = {
    "tensor": lambda x, numbers: torch.tensor(numbers),
    "dtype": lambda x, numbers: torch.tensor(numbers, dtype=x.dtype, device=x.device),
    "to": lambda x, numbers: torch.tensor(numbers).to(x),
    "type-as": lambda x, numbers: torch.tensor(numbers).type_as(x),
    "new-tensor": lambda x, numbers: x.new_tensor(numbers),
    "numpy": lambda x, numbers: torch.from_numpy(np.array(numbers)).to(x.dtype),
    "as-tensor": lambda x, numbers: torch.as_tensor(np.array(numbers), dtype=x.dtype),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", MAKERS)
def test_numbers_in_the_dtype_of_the_images_are_right_in_that_dtype(name, dtype):
    model = filled(Normalised(MAKERS[name])).eval().to(dtype)
    network = fully_convolutional(model, WINDOWS[2], proofs=False)
    assert network.report.exact
    images = torch.randn(2, 3, 15, 10, generator=torch.Generator().manual_seed(1)).to(dtype)
    if dtype == torch.float64:
        assert worst(model, network, images) < 1e-10
        return
    with torch.no_grad():
        dense = network(images)
        for cell in ((0, 0), (2, 1), (1, 2)):
            expected = model(images[network.crop(cell)])
            # an order of 27 products, and one of 264, of numbers about as large as the largest
            assert agree(dense[(..., *cell)], expected, 4 * (27 + 264), expected.abs().max())


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.head = conv(3, 4, 3), nn.Linear(4 * 11 * 6, 7)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.head(self.a(x).relu().flatten(1))


@pytest.mark.parametrize("check", [True, False], ids=["checked", "unchecked"])
def test_autocast_within_forward_is_in_the_network_or_refused(check):
    model = filled(Autocast()).eval()
    try:
        network = fully_convolutional(model, WINDOWS[2], proofs=False, check=check)
    except Refused as refused:
        assert "autocast" in str(refused)
        return
    images = torch.randn(1, 3, 15, 10, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        dense, expected = network(images)[..., 2, 1], model(images[network.crop((2, 1))])
    assert dense.dtype == expected.dtype == torch.bfloat16
    # sums are float32's; the map, the weights and the scores are rounded to 8 bits
    assert agree(dense.float(), expected.float(), 4 * 2**16, expected.float().abs().max())
