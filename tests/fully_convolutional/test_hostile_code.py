"""Networks that a tracer reads wrong: each is converted right or refused by name, none is wrong.

Every one is converted twice: in float64 and seen beside its model; and in float32 by what the trace
alone says, then doubled. Each window is then compared with its crop.
"""

import re

import pytest
import torch
from hostile_nets import CASES
from traced_case import outcome

from convlin import Refused

RIGHT = 1e-10  # five layers of at most 120 terms, in float64; a fault is off by 1e-3 or more


def require(case, found):
    if isinstance(found, Refused):
        assert case.expected != "right", found
        assert all(refusal.site for refusal in found.refusals)
        assert re.search(case.words, str(found)), found
    else:
        assert case.expected != "refused", f"converted, off by {found}"
        assert found < RIGHT


@pytest.mark.parametrize("name", CASES)
def test_it_is_right_or_refused_when_seen_beside_the_model(name):
    require(CASES[name], outcome(CASES[name], torch.float64))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.unseen])
def test_it_is_right_or_refused_by_its_trace_alone(name):
    require(CASES[name], outcome(CASES[name], torch.float32, check=False))


def test_what_a_trace_alone_cannot_see_is_a_short_list():
    assert [name for name, case in CASES.items() if case.unseen] == ["asks-type-is"]
