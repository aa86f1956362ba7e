"""Random lies and random honest reformulations: none is proved, none is refuted.

A lie is an honest reformulation, put together at random, with a rare event behind it: some way to
see how far out a number lies, on the input, on a weight or on the output, and something that is
then done to the output. No draw reaches that far, so only the judge's list can tell: the verdict is
*measured*, or, where a lie reads memory that was never written, now and then *refuted*.
"""

from __future__ import annotations

import copy
from random import Random

import pytest

from convlin.proof import audit, prove
from mutants.enrol import PLAIN
from mutants.honest import reformulated
from mutants.steering import USES, WAYS, Steered

SHAPE = (3, 4, 7)
LIES = 50
HONEST = 38
TARGETS = {
    "input": lambda layer, x, y: x,
    "weight": lambda layer, x, y: layer.weight,
    "bias": lambda layer, x, y: layer.bias,
    "output": lambda layer, x, y: y,
}
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # a step may be deprecated, and its lie not
    pytest.mark.usefixtures("one_thread"),
]


def steered(random: Random):
    """Return the name of a random lie, and the conversion that tells it."""
    name, convert = reformulated(random, most=1)
    way, use, target = (random.choice(list(table)) for table in (WAYS, USES, TARGETS))

    def lie(layer):
        return Steered(convert(layer), WAYS[way], USES[use], TARGETS[target])

    return f"{name} {way} of {target} {use}", lie


def test_no_random_lie_is_proved(seed):
    random = Random(seed)
    proved = []
    for number in range(LIES):
        name, lie = steered(random)
        layer = PLAIN()
        verdict = (
            audit(lie, layer, SHAPE, seed=number)
            if number % 2
            else prove(layer, lie(copy.deepcopy(layer)), SHAPE, seed=number)
        )
        if verdict:
            proved.append((name, str(verdict)))
    assert not proved


def test_every_random_honest_reformulation_is_proved(seed):
    random = Random(seed)
    doubted = []
    for number in range(HONEST):
        name, convert = reformulated(random)
        layer = PLAIN()
        verdict = (
            audit(convert, layer, SHAPE, seed=number)
            if number % 2
            else prove(layer, convert(layer), SHAPE, seed=number)
        )
        if not verdict:
            doubted.append((name, str(verdict)))
    assert not doubted
