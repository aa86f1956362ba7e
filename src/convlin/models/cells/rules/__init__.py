"""Which operations share cells between windows, and how their cells are named.

| file | |
|---|---|
| `neighbouring.py` | convolutions and pools |
| `between_cells.py` | upsampling, transposed convolutions, pixel shuffle |
| `other_names.py` | padding, slices, flips, rolls: cells that are there already |
| `every_cell.py` | what treats every cell alike |
| `several_maps.py` | the same cell of several maps |
| `shared_operations.py` | all of them, in one plain table |

A rule takes a `CellCall` and returns a `CellMap`; None: it cannot be shared, and is run for every
window. What is in no rule is run for every window.
"""
