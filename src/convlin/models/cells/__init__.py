"""Exactly the classifier on every window of an image, its padding included, at any stride.

| file | idea |
|---|---|
| `sliding_window.py` | `sliding_window`, and the module that it returns |
| `names.py` | which cells two windows share: integers |
| `chains.py` | in which order cells are kept |
| `pieces.py` | where the cells that a group reads are |
| `cell_map.py` | what windows share of a value |
| `cell_call.py`, `rules/` | what they share of an operation, by its rule |
| `analysis.py` | all that windows share of a model |
| `laid_out.py` | for so many windows: what is shared, and where every cell lies |
| `window_plan.py`, `peak_memory.py` | what that takes, before it runs |
| `running.py`, `cell_blocks.py`, `shared_run.py`, `scores.py`, `freed_memory.py` | the run |
| `against_crops.py` | the result run against the model |
"""

from convlin.models.cells.sliding_window import SlidingWindow, sliding_window
from convlin.models.cells.window_plan import PlanRow, WindowPlan

__all__ = ["PlanRow", "SlidingWindow", "WindowPlan", "sliding_window"]
