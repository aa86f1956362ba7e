"""Which other weights give the same outputs on the same data? Arrays only, no framework.

| file | idea |
|---|---|
| `design_blocks.py` | which unknowns meet which data: blocks of weights, a design matrix each |
| `equilibration.py` | features and samples of any size brought to one, and back |
| `row_space.py` | rank and row space of the design matrices, and how sure the rank is |
| `modular_rank.py` | the rank of integer matrices modulo a prime: a certain lower bound |
| `null_space.py` | the directions that are free, as an operator |
| `reach.py` | which of them some input could tell apart, and an input that does |
| `family.py` | `SolutionFamily`: all of these as one affine family |
"""

from convlin.solutions.design_blocks import DesignBlocks
from convlin.solutions.family import Basis, SolutionFamily

__all__ = ["Basis", "DesignBlocks", "SolutionFamily"]
