"""The one observer: it sees every call, loses none that failed, and leaves nothing behind."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import convlin.models
from convlin.models.trace import sample, shapes_alone, watched

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


def test_shapes_alone_compute_nothing_and_leave_nothing_behind():
    model = Counting()
    with shapes_alone(model):
        result = model(sample(model, (1, 2)))
        assert result.shape == (2**40, 2) and not result.requires_grad
        assert torch.ones(2**40, 3).shape == (2**40, 3)  # four terabytes
    assert model.calls.tolist() == [0.0] and not hasattr(model, "last")


def test_a_sample_has_the_dtype_of_the_model():
    assert sample(nn.Linear(2, 2).double(), (1, 2)).dtype == torch.float64
    assert sample(nn.ReLU(), (1, 2)).dtype == torch.float32
    assert sample(nn.BatchNorm1d(2, affine=False).bfloat16(), (1,)).dtype == torch.bfloat16


def test_nothing_else_in_the_room_hooks_a_module_or_makes_a_fake_tensor():
    own = re.compile(r"register_(module_)?forward|fake_tensors|FakeTensorMode")
    files = [file.name for file in ROOM.rglob("*.py") if own.search(file.read_text("utf-8"))]
    assert files == ["trace.py"]
