"""Layers with nothing between them as one layer, on plain arrays of numpy or torch.

| file | idea |
|---|---|
| `composition.py` | one convolution behind another |
| `border.py` | where the border lets the second be merged into the first |
| `parallel_sum.py` | convolutions of one input whose outputs are added |
| `batch_norm.py` | batch normalisation as a scale and a shift a channel |
| `fewer_groups.py` | a kernel of many groups as one of fewer, with zeros |
| `transposition.py` | a layer as the convolution whose matrix is its transpose |

Every merge is one of the first two: a Linear is a convolution of kernel 1 on every row, and a batch
normalisation a depthwise one of kernel 1.
"""

from convlin.exchange.merges.batch_norm import scale_and_shift
from convlin.exchange.merges.composition import Composition
from convlin.exchange.merges.parallel_sum import ParallelSum

__all__ = ["Composition", "ParallelSum", "scale_and_shift"]
