"""What the lessons say in numbers, all of it asked of the engine when a lesson runs.

| file | lesson |
|---|---|
| `sparse.py` | 1: a convolution is a sparse FC layer; which other weights would do |
| `sharing.py` | 2: one kernel for all positions, and what happens without |
| `pointwise.py` | 3: a 1×1 convolution is an FC layer over channels |
| `full_size.py` | 4: a kernel as large as the map is an FC layer on the flattened map |
| `uses.py` | 5: what 1×1 convolutions are for |
| `given_layers.py` | layers that hold given numbers |
"""

from convlin.teach.numbers.full_size import FullSize, full_size
from convlin.teach.numbers.pointwise import Pointwise, pointwise
from convlin.teach.numbers.sharing import Sharing, sharing
from convlin.teach.numbers.sparse import Sparse, sparse
from convlin.teach.numbers.uses import Uses, uses

__all__ = [
    "FullSize",
    "Pointwise",
    "Sharing",
    "Sparse",
    "Uses",
    "full_size",
    "pointwise",
    "sharing",
    "sparse",
    "uses",
]
