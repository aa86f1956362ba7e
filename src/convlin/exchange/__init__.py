"""The exchanges, on plain arrays of numpy or torch: precondition, weight map, inverse.

| file | idea |
|---|---|
| `exchange.py` | what an exchange is, in both directions |
| `table.py` | the order in which exchanges are tried, from either side |
| `pointwise.py` | kernel 1: a Linear on every pixel; any Linear on every row |
| `patchify.py` | windows that do not overlap: a Linear on every patch |
| `unpatchify.py` | transposed, outputs that do not overlap: a Linear on every pixel |
| `covering_kernel.py` | a kernel that covers the input: a Linear on the flattened input |
| `dense_at_size.py` | any convolution at one input size: a dense Linear |
| `dense_groups.py` | the same with groups: a dense matrix a group |
| `in_out.py` | a weight stored (in, out): the Linear's, transposed |
| `reshaped.py` | a convolution as another with the same weight |
| `as_conv2d.py` | lines, frames: convolutions in other dimensions than two |
| `space_to_depth.py` | patches as pixels of more channels |
| `windows.py` | any convolution: a Linear on overlapping windows |
| `kernel_matrix.py` | the kernel as a matrix: the weight map of all that slide |
| `block_diagonal.py` | groups as blocks of one matrix |
| `flatten_order.py` | in which order a map was flattened |
| `packed_rows.py` | layers packed into one, as its rows |
| `array_functions.py` | the functions for an array, found in a way that tracers follow |
| `merges/` | layers with nothing between them as one |
| `folded_pool.py` | a pool folded into the kernel behind it |
"""

from convlin.exchange.exchange import Exchange
from convlin.exchange.table import TABLE, choose, choose_conv

__all__ = ["TABLE", "Exchange", "choose", "choose_conv"]
