"""A fully convolutional network fed in bands of rows: what later rows read is kept, nothing else.

| file | idea |
|---|---|
| `banded.py` | `BandedNetwork`: what it reads, and how to start |
| `band_run.py` | `BandRun`: an image's rows come, its outputs go |
| `band_costs.py` | `BandCosts`: what that takes, from sizes alone |
| `row_flow.py` | which rows are final once some have come: integers |
| `row_queue.py` | the rows of a value that are still to be read |
| `band_step.py` | one operation as bands see it |
| `network_steps.py` | all operations of a network, by a table of rules |
| `neighbour_steps.py`, `pool_steps.py` | convolutions and padding; pools |
| `cell_steps.py` | what treats every row alike, joins, slices |
"""

from convlin.models.bands.band_costs import BandCosts
from convlin.models.bands.band_run import BandRun
from convlin.models.bands.banded import BandedNetwork

__all__ = ["BandCosts", "BandRun", "BandedNetwork"]
