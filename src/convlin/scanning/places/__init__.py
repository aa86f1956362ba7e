"""Where a score lies: in pixels, at full resolution, on the ground, in micrometres.

| file | idea |
|---|---|
| `place.py` | where the pixels of a source lie |
| `cell_places.py` | where the cells of its scores lie |
"""

from convlin.scanning.places.cell_places import CellPlaces
from convlin.scanning.places.place import Place

__all__ = ["CellPlaces", "Place"]
