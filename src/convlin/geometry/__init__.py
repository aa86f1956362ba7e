"""Sizes, taps, receptive fields: integers only, no array library.

| file | idea |
|---|---|
| `conv.py` | `ConvGeometry`: everything about a convolution but its weights |
| `brief.py` | a convolution in a few words |
| `field.py` | `ReceptiveField`: what one output cell sees, and how layers compose |
"""

from convlin.geometry.brief import brief, placed
from convlin.geometry.conv import ConvGeometry, PaddingMode
from convlin.geometry.field import ReceptiveField

__all__ = ["ConvGeometry", "PaddingMode", "ReceptiveField", "brief", "placed"]
