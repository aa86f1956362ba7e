"""The matrix of a convolution: index arithmetic of taps, and the dense matrix itself.

| file | idea |
|---|---|
| `taps.py` | which input each tap of each output reads, as arrays |
| `dense.py` | the dense matrix A(w) at one input size |
"""

from convlin.matrix.dense import dense, dense_shape
from convlin.matrix.taps import connected, sources

__all__ = ["connected", "dense", "dense_shape", "sources"]
