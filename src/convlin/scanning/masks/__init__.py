"""Which pixels are asked for.

| file | idea |
|---|---|
| `mask.py` | `open_mask`: an array, an image or outlines, read box by box |
| `outlines.py` | polygons of GeoJSON as pixels |
"""

from convlin.scanning.masks.mask import Mask, MaskRecipe, open_mask

__all__ = ["Mask", "MaskRecipe", "open_mask"]
