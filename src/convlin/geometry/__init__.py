"""Sizes, taps, receptive fields: integers only, no array library.

| file | idea |
|---|---|
| `conv.py` | `ConvGeometry`: everything about a convolution but its weights |
| `short_form.py` | a convolution in a few words |
| `field.py` | `ReceptiveField`: what one output cell sees, and how layers compose |
"""

from convlin.geometry.conv import ConvGeometry, PaddingMode
from convlin.geometry.field import ReceptiveField
from convlin.geometry.short_form import short, short_at

__all__ = ["ConvGeometry", "PaddingMode", "ReceptiveField", "short", "short_at"]
