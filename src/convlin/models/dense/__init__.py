"""A trained classifier as a network for images of any size, equal to sliding it over them.

| file | idea |
|---|---|
| `fully_convolutional.py` | `fully_convolutional`: the steps in order |
| `axis.py` | one dimension of a map: where the window's cells lie, and what breaks them |
| `layout.py` | where elements lie after reshapes, found by strides or numbered elements |
| `feature_map.py` | what is known of a value that is made of the images |
| `dense_call.py`, `rules/` | one operation of the model, as rules for maps see it; the rules |
| `proofs.py` | what the judge is given of each exchanged layer |
| `grid.py` | what the new graph does to the dense grid |
| `network.py` | `FullyConvolutional`: the result, and its windows |
| `against_model.py`, `side_by_side.py`, `parting.py` | the network run against the model |
| `deviation.py`, `report.py` | what is measured, and reported |
| `export.py`, `written.py`, `run_program.py` | a `.pt2` of it, tried in a new process |
"""

from convlin.models.dense.fully_convolutional import fully_convolutional
from convlin.models.dense.network import FullyConvolutional
from convlin.models.dense.report import Report

__all__ = ["FullyConvolutional", "Report", "fully_convolutional"]
