"""Every public function × every argument × every bad value: a clear refusal, or an answer.

The calls are made by `sweep.py` in an interpreter of its own: there nothing checks types before
convlin does, as the hook of these tests would, and memory and time are limited.
"""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import convlin

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from calls import CALLS, NOT_CALLED  # noqa: E402
from values import VALUES  # noqa: E402

sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def outcomes():
    """What was neither answered nor clearly refused, and how many calls were made."""
    path = os.pathsep.join(
        [str(Path(convlin.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    done = subprocess.run(
        [sys.executable, str(HERE / "sweep.py")],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    *lines, last = map(json.loads, done.stdout.splitlines())
    return lines, last["calls"]


def test_every_public_function_is_in_the_table():
    named = {name.split(".")[0].split("-")[0] for name in CALLS}
    assert named | NOT_CALLED == set(convlin.__all__)
    assert not named & NOT_CALLED


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_of_a_function_is_in_the_table(name):
    function, good = CALLS[name]()
    parameters = inspect.signature(function).parameters
    assert set(good) == set(parameters) or (name == "to_conv-rows" and set(good) < set(parameters))


def test_every_call_was_made(outcomes):
    assert outcomes[1] == sum(len(CALLS[name]()[1]) for name in CALLS) * len(VALUES)


@pytest.mark.parametrize("name", CALLS)
def test_bad_input_is_refused_in_a_few_words_or_answered(name, outcomes):
    assert [line[1:] for line in outcomes[0] if line[0] == name] == []
