"""Faulty conversions that look right: the judge must reject every one of them.

Each is a small function; its docstring says what is wrong, and who makes this mistake. The table
line above it says on which layer, and exactly what the judge must answer: "refuted" with the
kind of counterexample, or, where the fault only leaves the list of exact operations without any
number coming out different, "measured".

| file | what is wrong |
|---|---|
| `weights.py` | which weight meets which input |
| `geometry.py` | stride, padding, dilation, groups, remainder |
| `nonlinear.py` | not linear, openly or hidden, or steered by the numbers themselves |
| `calls.py` | batches, layouts, modes and calls that are not served alike |
| `contract.py` | the parameters, or what else the layer keeps |
| `nearly_equal.py` | two given modules that are nearly equal |
| `steering.py` | numbers that become shapes, text or branches, times what is done with them |
| `memory.py` | programs that count their calls, in every kind of memory |
| `honest.py` | not wrong: random reformulations, which must all be proved |
| `varied.py` | lies told in one way of calling only: a table of lies times a table of ways |
"""

from mutants import calls, contract, geometry, nonlinear, weights  # noqa: F401 - they enrol
from mutants.enrol import CONVERSIONS
from mutants.nearly_equal import PAIRS
from mutants.varied import HONEST, LIES, VARIATIONS, forked

__all__ = ["CONVERSIONS", "HONEST", "LIES", "PAIRS", "VARIATIONS", "forked"]
