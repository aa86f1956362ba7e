"""Whole PyTorch models: read from files, counted, and rewritten for images of any size.

| room | idea |
|---|---|
| `load.py`, `weights.py`, `pt2_archive.py` | models, weights and programs, from files too |
| `trace.py` | one observer: what the modules of a model take and give |
| `containers.py` | what a model returns, opened, and made again |
| `claims.py` | that one layer equals another, and the verdict on it |
| `window_crops.py` | windows of images, and images that have none |
| `differences.py` | how far the outputs of two runs are apart |
| `graph/` | the graph of what a model's own code runs, and what its editors share |
| `seen_run.py`, `grouped.py` | what running a result beside its model showed; fast in float64 |
| `cost/` | what a layer or a model costs |
| `dense/` | a whole classifier on images of any size |
| `cells/` | exactly the classifier on every window, at any stride |
| `rewrite/` | every layer that has an equal form, exchanged for it |
| `merging/` | layers with nothing between them, as one |
| `mapping/` | weights in two layouts: states, checkpoints, adapters |
| `permutes/` | a rewritten model as a graph, without the permutes that cancel |
"""

from convlin.models.cells import SlidingWindow, WindowPlan, sliding_window
from convlin.models.cost import cost
from convlin.models.dense import FullyConvolutional, Report, fully_convolutional
from convlin.models.mapping import WeightMapping, convert_adapter, convert_checkpoint
from convlin.models.merging import MergedModel, MergeReport, merge_model
from convlin.models.rewrite import RewriteReport, Rewritten, rewrite

__all__ = [
    "FullyConvolutional",
    "MergeReport",
    "MergedModel",
    "Report",
    "RewriteReport",
    "Rewritten",
    "SlidingWindow",
    "WeightMapping",
    "WindowPlan",
    "convert_adapter",
    "convert_checkpoint",
    "cost",
    "fully_convolutional",
    "merge_model",
    "rewrite",
    "sliding_window",
]
