"""No faulty conversion passes, each for its own reason; and honest ones do."""

from __future__ import annotations

import math

import pytest
import torch

from convlin.proof import Measured, Refuted, audit, prove
from mutants import CONVERSIONS, PAIRS
from mutants.nearly_equal import SHAPE


@pytest.mark.parametrize("mutant", CONVERSIONS, ids=lambda mutant: mutant.name)
def test_no_faulty_conversion_passes(mutant, seed):
    verdict = audit(mutant.convert, mutant.layer(), mutant.shape, seed=seed, **mutant.options)
    assert not verdict
    if mutant.answer == "measured":
        assert isinstance(verdict, Measured), verdict
        assert verdict.reason
    elif mutant.answer == "nan":
        assert math.isnan(verdict.counterexample.got)
    else:
        assert isinstance(verdict, Refuted), verdict
        assert verdict.counterexample.kind in mutant.answer.split(" or "), verdict


@pytest.mark.parametrize(("pair", "answer"), [p[1:] for p in PAIRS], ids=[p[0] for p in PAIRS])
def test_no_nearly_equal_pair_passes(pair, answer, seed):
    left, right = pair()
    before = {k: v.clone() for k, v in {**left.state_dict(), **right.state_dict()}.items()}
    verdict = prove(left, right, SHAPE, seed=seed)
    if answer in ("proved", "refuted", "measured"):
        assert verdict.kind == answer, verdict
    else:
        assert verdict.counterexample.kind == answer, verdict
    after = {**left.state_dict(), **right.state_dict()}
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_every_mutant_is_enrolled_once():
    names = [mutant.name for mutant in CONVERSIONS]
    assert len(set(names)) == len(names) >= 60
