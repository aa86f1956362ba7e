"""The matrix of a convolution: index arithmetic of taps, the operator, and the matrix itself.

| file | idea |
|---|---|
| `taps.py` | which input each tap of each output reads, as arrays |
| `kernel_taps.py` | the kernel by group and by tap, in the matrix's order |
| `correlate.py` | products with the matrix and its adjoint, run as convolutions |
| `runs.py` | one dimension's outputs, those that read alike together |
| `entry_layout.py` | where stored entries stand, and which taps each one holds |
| `entries.py` | the two layouts: an entry per tap, or per position |
| `entry_weights.py` | which weights each stored entry holds |
| `wires.py` | what one output reads |
| `dense.py` | the dense matrix A(w) at one input size |
| `conv_matrix.py` | `ConvMatrix`: all of these as one operator |
| `adjoint.py` | Aᴴ as an operator, and products from the left |
| `protocol.py`, `kernel_numbers.py` | what a `ConvMatrix` offers; the numbers of its kernel |
| `memory.py` | how much memory what is built may take |
| `matrix_blocks.py` | the matrix as a notebook shows it |
| `tensors.py` | the matrix as PyTorch tensors; the only file here that imports torch |
"""

from convlin.matrix.conv_matrix import ConvMatrix
from convlin.matrix.dense import dense, dense_shape
from convlin.matrix.entries import Entries
from convlin.matrix.entry_weights import EntryWeights
from convlin.matrix.memory import MEMORY_LIMIT, require_own_memory
from convlin.matrix.taps import connected, folded, sources
from convlin.matrix.wires import Wire

__all__ = [
    "MEMORY_LIMIT",
    "ConvMatrix",
    "Entries",
    "EntryWeights",
    "Wire",
    "connected",
    "dense",
    "dense_shape",
    "folded",
    "require_own_memory",
    "sources",
]
