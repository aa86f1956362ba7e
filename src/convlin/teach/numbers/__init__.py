"""What the lessons say in numbers, all of it asked of the engine when a lesson runs.

| file | lesson |
|---|---|
| `sparse.py` | 1: a convolution is a sparse FC layer; which other weights would do |
| `sharing.py` | 2: one kernel for all positions, and what happens without |
| `pointwise.py` | 3: a 1×1 convolution is an FC layer over channels |
| `full_size.py` | 4: a kernel as large as the map is an FC layer on the flattened map |
| `uses.py` | 5: what 1×1 convolutions are for |
| `why.py` | 6: why share, and what for: all of the three below |
| `shifts.py` | 6: shift the image, and the output shifts, or does not |
| `shuffles.py` | 6: shuffle the pixels: which layers do not mind, and which one does |
| `head.py` | 6: a fully connected head as a convolution: a map of scores of a whole sheet |
| `bench.py` | the open question of 1, one weight and one image at a time |
| `dial.py` | from convolution to local to FC layer, and one step of training each |
| `given_layers.py` | layers that hold given numbers |
"""

from convlin.teach.numbers.bench import Bench, bench
from convlin.teach.numbers.dial import Dial, dial
from convlin.teach.numbers.full_size import FullSize, full_size
from convlin.teach.numbers.pointwise import Pointwise, pointwise
from convlin.teach.numbers.sharing import Sharing, sharing
from convlin.teach.numbers.sparse import Sparse, sparse
from convlin.teach.numbers.uses import Uses, uses
from convlin.teach.numbers.why import Why, why

__all__ = [
    "Bench",
    "Dial",
    "FullSize",
    "Pointwise",
    "Sharing",
    "Sparse",
    "Uses",
    "Why",
    "bench",
    "dial",
    "full_size",
    "pointwise",
    "sharing",
    "sparse",
    "uses",
    "why",
]
