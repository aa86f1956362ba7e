"""Every write becomes a value under all the old names: programs of views and writes, at random.

PyTorch itself is the oracle: what the graph gives is equal to the last bit, for batches of two and
of three and in another dtype, or the trace refuses the program by name.
"""

import collections

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convlin import Refused
from models.graph.alias_programs import PROGRAMS, WINDOW, Program, images, that_run
from models.graph.interpreted import All, ran, same, traced


def found(program, operations):
    """Return how a trace came out: right, or the field that it refuses."""
    model = Program(program).double().eval()
    try:
        graph = traced(model, WINDOW, operations)
    except Refused as refused:
        return refused.refusals[0].field
    cases = [(2, torch.float64), (3, torch.float64), (2, torch.float32)]
    if any(name == "view-bits" for name, *_ in program):
        cases.pop()  # sizes follow from the dtype: such a graph is for one alone
    for batch, dtype in cases:
        expected = Program(program).to(dtype)(images(batch, dtype))
        same(ran(graph, images(batch, dtype)), expected)
    return "right"


def test_what_aliases_and_writes_do_is_in_the_graph_or_refused():
    counts = collections.Counter()

    @settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
    @given(PROGRAMS, st.sampled_from([All(), ()]))
    def draw(steps, operations):
        counts[found(that_run(steps), operations)] += 1

    draw()
    assert counts["right"] > 0.6 * sum(counts.values())
