"""Conversions that others have published, and convlin's own beside them, on one sweep of layers.

| file | idea |
|---|---|
| `entry.py` | one conversion, and what became of it on every layer of the sweep |
| `packaged.py` | those that their packages bring |
| `restated.py` | those that live inside larger systems, restated here |
| `merged.py` | those that make one layer of several |
| `own.py` | convlin's |

A restated one says which system it is of and what that one checks. It is written anew, from what
the system does; where it is wrong, the system was run or read, and is wrong alike.
"""

from published.merged import MERGED
from published.own import OWN
from published.packaged import PACKAGED
from published.restated import RESTATED

OTHERS = (*PACKAGED, *RESTATED, *MERGED)

__all__ = ["OTHERS", "OWN"]
