"""Two runs of a model compared: what the batch is, what its dtype, and what is not the same."""

import itertools
import random

import numpy as np
import pytest
import torch
from small_nets import Net
from torch import nn

from convlin import Refused
from convlin.models.graph.varying import MODEL_DTYPE, Batch
from models.graph.interpreted import All, ran, same, traced

WINDOW = (4, 6, 5)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def of(forward, **parts):
    """Return a model of one function, with one parameter and what it may need beside."""
    return Net(forward, scale=nn.Parameter(torch.tensor([3.0])), **parts).eval()


def images(batch, dtype=torch.float32):
    count = batch * 4 * 6 * 5
    return ((torch.arange(count) * 7) % 11 - 5).reshape(batch, *WINDOW).to(dtype)


def agrees(forward, dtype=torch.float32, batches=(2, 3, 5), other=(), **parts):
    """Trace a model, and require that its graph does what it does, in these dtypes too."""
    model = of(forward, **parts).to(dtype)
    found = traced(model, WINDOW, All())
    for batch, kind in [(n, dtype) for n in batches] + [(3, kind) for kind in other]:
        with torch.no_grad():
            cast = of(forward, **parts).to(kind)
            same(ran(found, images(batch, kind)), cast(images(batch, kind)))
    return found


def refusal(forward, **parts):
    with pytest.raises(Refused) as caught:
        traced(of(forward, **parts), WINDOW, All())
    return caught.value.refusals[0]


def leaves(found, kind):
    """Return all arguments of a kind in the graph."""
    found_ones = []
    for node in found.graph.nodes:
        for leaf in torch.utils._pytree.tree_leaves((node.args, dict(node.kwargs))):
            found_ones += [leaf] if isinstance(leaf, kind) else []
    return found_ones


BATCHES = {
    "rows": (lambda m, x: x.reshape(x.shape[0] * 4, -1), [4]),
    "len": (lambda m, x: x.view(len(x), -1), [1]),
    "size": (lambda m, x: torch.zeros(x.size(0), 2) + x.mean(), [1]),
    "numel": (lambda m, x: x.view(x.numel()), [120]),
    "twice": (lambda m, x: x.new_zeros(2 * x.shape[0], x.shape[0]), [2, 1]),
    "in-a-slice": (lambda m, x: x.flatten(0, 1)[: 2 * len(x)], [2]),
    "scaled": (lambda m, x: x * x.shape[0], [1]),
}


@pytest.mark.parametrize("name", BATCHES)
def test_numbers_that_grow_with_the_batch_stand_for_it(name):
    forward, each = BATCHES[name]
    found = agrees(forward)
    assert [number.each for number in leaves(found, Batch)] == each


def test_numbers_that_are_no_multiple_of_the_batch_are_none_of_each():
    found = agrees(lambda m, x: x[: len(x) - 1].sum(1) * (len(x) + 5), batches=(2, 3))
    assert [number.each for number in leaves(found, Batch)] == [None, None]


def test_other_numbers_that_the_first_batch_happens_to_be_are_not_taken_for_it():
    assert leaves(agrees(lambda m, x: x.view(-1, 2, 2, 6, 5) * 2), Batch) == []


DTYPED = {
    "to": lambda m, x: (x > 0).to(x.dtype) * 2,
    "zeros": lambda m, x: x + torch.ones(5, dtype=x.dtype),
    "type": lambda m, x: torch.arange(5).type(x.dtype) + x,
    "of-a-weight": lambda m, x: x.half().to(m.scale.dtype),
    "full": lambda m, x: torch.full((1,), 7, dtype=x.dtype) * x,
    "made": lambda m, x: torch.tensor([2.5], dtype=x.dtype) * x,
    "of-numpy": lambda m, x: torch.from_numpy(np.array([1.5])).to(x) * x,
}


@pytest.mark.parametrize("name", DTYPED)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_dtype_of_the_model_is_no_literal(name, dtype):
    found = agrees(DTYPED[name], dtype, other=DTYPES)
    marked = [node for node in found.graph.nodes if node.meta.get("numbers") is MODEL_DTYPE]
    assert MODEL_DTYPE in leaves(found, type(MODEL_DTYPE)) or marked


LITERAL = {
    "to-half": lambda m, x: x.to(torch.float16).float(),
    "int": lambda m, x: x.int(),
    "made-in-double": lambda m, x: x * torch.ones(5, dtype=torch.float64),
}


@pytest.mark.parametrize("name", LITERAL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_dtype_that_the_code_names_is_a_literal(name, dtype):
    found = agrees(LITERAL[name], dtype, other=[torch.float32, torch.float64, torch.bfloat16])
    assert leaves(found, type(MODEL_DTYPE)) == []


def test_a_number_that_comes_of_the_dtype_is_that_of_its_own():
    def forward(m, x):
        return x.to(x.dtype) / (x.abs().amax().clamp(min=1) + torch.finfo(x.dtype).eps)

    assert leaves(agrees(forward), Batch) == []
    assert leaves(agrees(forward, torch.float64), Batch) == []


OWN_DTYPE = {
    "weight-of-its-own": lambda m, x: x @ torch.ones(5, 2),
    "asserts": lambda m, x: x * {torch.float32: 2}[x.dtype],
    "double": lambda m, x: (x if x.dtype == torch.float32 else x.sin()) + 1,
}


@pytest.mark.parametrize("name", OWN_DTYPE)
def test_a_model_that_runs_in_its_own_dtype_alone_is_traced(name):
    found = agrees(OWN_DTYPE[name])
    assert "sin" not in [node.name for node in found.graph.nodes]


CALLS = itertools.count()


def counter(m, x):
    m.calls = getattr(m, "calls", 0) + 1
    return x * m.calls


def global_counter(m, x):
    return x + next(CALLS)


def cache(m, x):
    if not hasattr(m, "first"):
        m.first = x.tanh()
    return x + m.first


def list_that_grows(m, x):
    m.held.append(1)
    return x * len(m.held)


def another_way(m, x):
    m.turn = not getattr(m, "turn", False)
    return x.relu() if m.turn else x.tanh()


STATE = {
    "counter": counter,
    "global-counter": global_counter,
    "cache": cache,
    "list": list_that_grows,
    "another-way": another_way,
    "python-random": lambda m, x: x * random.random(),
    "numpy-random": lambda m, x: x + torch.from_numpy(np.random.rand(5)),
    "numpy-integer": lambda m, x: x * np.random.randint(10**9),
    "drawn-shape": lambda m, x: x.new_ones(random.randrange(10**9)).sum() * x,
}


@pytest.mark.parametrize("name", STATE)
def test_what_changes_from_call_to_call_is_refused_with_site_and_line(name):
    refused = refusal(STATE[name], held=[])
    assert refused.field == "state", refused
    assert "test_traced.py:" in refused.reason, refused


def test_it_is_refused_under_the_name_of_the_layer_that_does_it():
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh(), of(counter)))
    with pytest.raises(Refused, match=r"^1\.1: state is .* at the next"):
        traced(model.eval(), WINDOW, All())


def test_what_differs_in_more_than_the_batch_is_refused():
    words = "forward is .* at batch 2 and .* at batch 3"
    with pytest.raises(Refused, match=words):
        traced(of(lambda m, x: x.relu() if len(x) == 2 else x.tanh()), WINDOW, All())
    with pytest.raises(Refused, match=words):
        traced(of(lambda m, x: torch.cat(list(x))), WINDOW, All())


@pytest.mark.parametrize("window", [(4, 6, 5), (4, 9, 5)])
def test_branches_on_the_window_go_the_windows_way(window):
    def forward(m, x):
        return x.relu() if x.shape[-2] < 7 else x.tanh()

    found = traced(of(forward), window, All())
    assert [n.name for n in found.graph.nodes][1] == ("relu" if window[1] < 7 else "tanh")


def test_a_model_on_the_meta_device_is_traced_without_numbers():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(60, 2)).eval()
    found = traced(model, WINDOW, ("conv2d", "flatten", "linear"))
    assert [node.name for node in found.graph.nodes if node.op == "call_function"] == [
        "conv2d", "relu", "flatten", "linear",
    ]  # fmt: skip
    assert all(found.tensors[name].is_meta for name in ("0.weight", "3.bias"))


def test_what_does_not_run_at_the_window_names_the_layer_and_its_input():
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(7, 2))).eval()
    with pytest.raises(Refused, match=r"^1\.0: input is \(2, 4, 6, 5\), expected a window"):
        traced(model, WINDOW, All())


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda model: model.train(), "training is True"),
        (lambda model: model.register_forward_hook(lambda *_: None), "forward hooks is 1"),
        (lambda model: model[0].train(), "training is True in 0"),
    ],
)
def test_what_is_no_function_of_windows_is_refused_before_it_runs(prepare, words):
    model = nn.Sequential(nn.ReLU(), nn.Tanh()).eval()
    prepare(model)
    with pytest.raises(Refused, match=f"Sequential: {words}"):
        traced(model, WINDOW, All())
