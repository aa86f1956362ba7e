"""Random programs around the stock layers: converted right or refused, never silently wrong."""

from random import Random

import pytest
import torch
from dense_oracle import leaves, worst
from hypothesis import given, note, settings
from hypothesis import strategies as st
from random_programs import Program

from convlin import FullyConvolutional, Refused, fully_convolutional

RIGHT = 1e-10  # at most nine layers of at most 1500 terms, in float64


def converted(program: Program, **options) -> FullyConvolutional | None:
    """Return what the trace alone makes of it: nothing is compared with the model."""
    try:
        return fully_convolutional(
            program.model().double(), program.window, check=False, proofs=False, **options
        )
    except Refused:
        return None


def off(program: Program, network: FullyConvolutional) -> float:
    """Return how far the network is off on any of two windows a dimension, and a pixel more."""
    size = [n + s + 1 for n, s in zip(program.window[1:], network.stride, strict=True)]
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)).double()
    return worst(program.model(), network, images, fresh=True)


def off_at_the_window(program: Program, network: FullyConvolutional) -> float:
    images = torch.randn(2, *program.window, generator=torch.Generator().manual_seed(1)).double()
    with torch.inference_mode():
        pairs = zip(
            leaves(program.model().double()(images.clone())),
            leaves(network(images.clone())),
            strict=True,
        )
        return max(
            ((own - dense.reshape(own.shape)).abs().max() / own.abs().max()).item()
            for own, dense in pairs
        )


@pytest.mark.parametrize("ndim", [1, 2, 3])
@settings(max_examples=100)
@given(random=st.randoms(use_true_random=False))
def test_a_random_program_is_right_or_refused(ndim, random):
    program = Program(random, ndim)
    note(program.source)
    network = converted(program)
    if network is not None:
        assert network.report.exact
        assert off(program, network) < RIGHT
        return
    network = converted(program, allow_inexact=True)
    if network is not None:
        assert not network.report.exact
        assert off_at_the_window(program, network) < RIGHT


DRAWN = 60


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_more_than_a_third_of_the_programs_are_converted(ndim):
    networks = [converted(Program(Random(seed), ndim)) for seed in range(DRAWN)]
    assert sum(network is not None for network in networks) > DRAWN / 3


def test_programs_are_made_of_every_kind_of_statement_and_run():
    """What is drawn is Python that runs, and writes, aliases, branches and joins are in it."""
    lines = []
    for seed in range(300):
        program = Program(Random(seed), 1 + seed % 3)
        with torch.inference_mode():
            outputs = leaves(program.model()(torch.ones(2, *program.window)))
        assert all(output.shape[0] == 2 and output.isfinite().all() for output in outputs)
        lines += program.lines
    text = "\n".join(lines)
    for part in (
        "+=",
        "out=",
        ".chunk(",
        "[:, :",
        "if y",
        "def closed",
        "held[",
        "torch.cat",
        ".permute(",
        "try:",
    ):
        assert text.count(part) > 5, part
