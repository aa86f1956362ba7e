"""The judge for other projects' tests: conversions of layers, tried on hostile geometries.

| file | idea |
|---|---|
| `check.py` | `check`: one call, for any test runner |
| `sweep.py` | which layers: what broke conversions before, and all pairs of fields |
| `usual.py` | which layers besides: the commonest ones of trained networks |
| `case.py` | one layer and its input: numbers, no weights; the Python that makes it |
| `answer.py` | what a conversion answers to one layer |
| `shrink.py` | the smallest layer that is broken in the same way |
| `checked.py`, `traits.py` | a table of what was tried |
| `broken.py` | the failure, in words |
"""

from convlin.testing.broken import Broken
from convlin.testing.check import check
from convlin.testing.checked import Checked

__all__ = ["Broken", "Checked", "check"]
