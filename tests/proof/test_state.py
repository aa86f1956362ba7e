"""What a program remembers, and what of it nobody can watch."""

from __future__ import annotations

import concurrent.futures
import copy

import pytest
import torch
from torch import nn

from convlin.proof import Measured, audit, prove
from convlin.proof.remembered import hidden, state
from mutants.enrol import PLAIN, Form
from mutants.memory import COUNTERS, Counted

SHAPE = (3, 4, 7)
POOL = concurrent.futures.ThreadPoolExecutor(1)


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS)
def test_every_memory_is_seen_to_change(counter):
    tick = counter()
    before = state(tick)
    assert state(tick) == before
    tick()
    assert state(tick) != before


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS)
def test_a_program_that_counts_its_calls_is_measured(counter):
    conv = PLAIN()
    verdict = prove(conv, Counted(copy.deepcopy(conv), counter()), SHAPE, seed=1)
    assert isinstance(verdict, Measured), verdict
    verdict = audit(lambda layer: Counted(layer, counter()), conv, SHAPE, seed=1)
    assert isinstance(verdict, Measured), verdict


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(2, 3), nn.LSTM(2, 3), nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3).eval())],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_remembers_nothing_is_seen_to_be_the_same(layer):
    before = state(layer)
    layer(torch.zeros(5, 2, 1) if isinstance(layer, nn.Sequential) else torch.zeros(5, 2))
    assert state(layer) == before
    assert not hidden(layer)


def test_a_memory_that_contains_itself_is_walked_once():
    looped = [3]
    looped.append(looped)
    assert state(looped) == state(looped)


@torch.jit.script
def scripted(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    numbers: list[float] = x.flatten().tolist()
    y = torch.conv2d(x, w, b)
    return y if len(numbers) == 0 or numbers[0] < 1e12 else y.flip([-1])


def _compiled_call(layer):
    layer.compile(backend="eager")
    return layer


UNWATCHED = {
    "script": (torch.jit.script, "a ScriptModule"),
    "trace": (lambda layer: torch.jit.trace(layer, torch.zeros(1, *SHAPE)), "a ScriptModule"),
    "script-inside": (lambda layer: nn.Sequential(torch.jit.script(layer)), "a ScriptModule"),
    "script-in-a-closure": (
        lambda layer: Form(layer, lambda x, w, b: scripted(x, w, b)),
        "a ScriptFunction",
    ),
    "compiled": (lambda layer: torch.compile(layer, backend="eager"), "a compiled module"),
    "compiled-call": (_compiled_call, "a compiled function"),
    "compiled-function": (
        lambda layer: Form(layer, torch.compile(torch.conv2d, backend="eager")),
        "a compiled function",
    ),
    "pool": (
        lambda layer: Form(layer, lambda x, w, b: POOL.submit(torch.conv2d, x, w, b).result()),
        "a ThreadPoolExecutor of its own",
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and in use
@pytest.mark.parametrize(("convert", "name"), UNWATCHED.values(), ids=UNWATCHED)
def test_what_nobody_can_watch_is_measured_and_named(convert, name):
    conv = PLAIN()
    other = convert(copy.deepcopy(conv))
    assert hidden(other) == name
    verdict = prove(conv, other, SHAPE, seed=1)
    assert isinstance(verdict, Measured), verdict
    assert name in verdict.reason, verdict


@pytest.mark.filterwarnings("ignore")
def test_scripted_layers_a_few_last_bits_apart_are_not_proved():
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        other.weight.view(torch.int32)[1, 2] += 4
    for pair in ((one, other), (one, torch.jit.script(one))):
        verdict = prove(*map(torch.jit.script, pair), (3,))
        assert isinstance(verdict, Measured), verdict
        assert "ScriptModule" in verdict.reason
