"""Exactly the classifier on every window of an image, its padding included, at any stride.

| file | idea |
|---|---|
| `sliding_window.py`, `own_stride.py` | `sliding_window`, and the stride where none is given |
| `slid.py` | `SlidingWindow`, the module that it returns |
| `names.py` | which cells two windows share: integers |
| `chains.py` | in which order cells are kept |
| `pieces.py` | where the cells that a group reads are |
| `cell_map.py` | what windows share of a value |
| `cell_call.py`, `rules/` | what they share of an operation, by its rule |
| `analysis.py` | all that windows share of a model |
| `laid_out.py` | for so many windows: what is shared, and where every cell lies |
| `tiles.py`, `peak_memory.py` | as many windows at once as fit the memory |
| `window_plan.py` | what that takes, for a person, before it runs |
| `every_window.py`, `scores.py` | all windows, tile by tile, and what is made of their outputs |
| `shared_run.py`, `running.py`, `cell_blocks.py`, `freed_memory.py` | the run of one tile |
| `against_crops.py` | the result run against the model |
"""

from convlin.models.cells.slid import SlidingWindow
from convlin.models.cells.sliding_window import sliding_window
from convlin.models.cells.window_plan import PlanRow, WindowPlan

__all__ = ["PlanRow", "SlidingWindow", "WindowPlan", "sliding_window"]
