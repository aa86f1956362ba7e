"""The exchanges, on plain arrays of numpy or torch: precondition, weight map, inverse.

| file | idea |
|---|---|
| `pointwise.py` | kernel 1: a Linear on every pixel |
| `patchify.py` | windows that do not overlap: a Linear on every patch |
| `full_size.py` | a kernel that covers the input: a Linear on the flattened input |
| `fixed_size.py` | any convolution at one input size: a dense Linear |
| `windows.py` | any convolution: a Linear on overlapping windows |
| `columns.py` | the kernel as rows of a matrix: the weight map of all that slide |
| `block_diagonal.py` | groups as blocks of one matrix |
| `flatten_order.py` | in which order a map was flattened |
| `table.py` | the order in which exchanges are tried |
"""

from convlin.exchange.table import TABLE, Exchange, choose

__all__ = ["TABLE", "Exchange", "choose"]
