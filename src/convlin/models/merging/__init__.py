"""Every chain of a model's layers with nothing between them, as one layer.

| file | idea |
|---|---|
| `merge_model.py` | the call: what is merged, into which layer, and what comes back |
| `nothing_between.py` | which layers have nothing between them, and are nobody else's business |
| `merge_sites.py` | two neighbours as one: PyTorch's own layers, and subclasses |
| `merge_report.py` | one row a layer: merged, or why not |
| `seen_merged.py` | the model and what it was merged to, both run, beside the bound |
"""

from convlin.models.merging.merge_model import MergedModel, merge_model
from convlin.models.merging.merge_report import MergeReport

__all__ = ["MergeReport", "MergedModel", "merge_model"]
