"""The one observer: it sees every call, loses none that failed, and leaves nothing behind."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import convlin.models
from convlin.models.graph.recorder import Wanted
from convlin.models.graph.traced import record
from convlin.models.trace import sample, watched

ROOM = Path(convlin.models.__file__).parent


def shapes(call):
    sides = (call.inputs, call.outputs or [])
    return (call.site, *([tuple(tensor.shape) for tensor in side] for side in sides))


class Fails(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError


class GoesOn(nn.Module):
    """Runs a layer that fails, and goes on without it."""

    def __init__(self):
        super().__init__()
        self.fails, self.head = Fails(), nn.Linear(3, 2)

    def forward(self, x, scale=None):
        try:
            self.fails(x[:, :1])
        except ZeroDivisionError:
            return self.head(x) * scale, {"x": x}


def test_calls_are_seen_with_all_that_they_take_and_give_though_one_inside_failed():
    seen, model = [], GoesOn()
    with watched(model, lambda call: seen.append((shapes(call), call.outputs is None))) as running:
        model(torch.ones(4, 3), scale=torch.ones(2))
        assert running == []
    assert seen == [
        (("", [(4, 3), (2,)], []), True),
        (("fails", [(4, 1)], []), True),
        (("head", [(4, 3)], []), True),
        (("head", [(4, 3)], [(4, 2)]), False),
        (("", [(4, 3), (2,)], [(4, 2), (4, 3)]), False),
    ]


def test_where_a_run_fails_the_innermost_call_is_named_and_no_hook_stays():
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), Fails()))
    with pytest.raises(ZeroDivisionError), watched(model, lambda call: None) as running:
        model(torch.ones(1))
    assert [call.site for call in running] == ["", "1", "1.1"]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.last = x
        return x.expand(2**40, 2)


def test_a_recorded_run_computes_nothing_and_leaves_nothing_behind():
    model, seen = Counting(), []
    record(model, (1, 2), Wanted((), lambda layer: False), seen.append)
    result = seen[-1].outputs[0]
    assert result.shape == (2**40, 2) and not result.requires_grad  # eight terabytes
    assert model.calls.tolist() == [0.0] and not hasattr(model, "last")


def test_a_sample_has_the_dtype_of_the_model():
    assert sample(nn.Linear(2, 2).double(), (1, 2)).dtype == torch.float64
    assert sample(nn.ReLU(), (1, 2)).dtype == torch.float32
    assert sample(nn.BatchNorm1d(2, affine=False).bfloat16(), (1,)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("doing", "where"),
    [
        (r"register_(module_)?forward", ["trace.py"]),
        # A model's runs, and the shapes of a network that is written already.
        (r"with fake_tensors|FakeTensorMode", ["bands/network_steps.py", "graph/traced.py"]),
        # What a run gives as a graph, and who used whose weights in it: hooks would tell neither.
        (r"TorchDispatchMode\)", ["graph/recorder.py", "rewrite/calls_and_reads.py"]),
    ],
    ids=["hooks-a-module", "makes-a-fake-tensor", "sees-operations"],
)
def test_nothing_else_in_the_room(doing, where):
    files = [file for file in ROOM.rglob("*.py") if re.search(doing, file.read_text("utf-8"))]
    assert sorted(file.relative_to(ROOM).as_posix() for file in files) == where
