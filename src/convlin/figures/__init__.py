"""Figures of the engine's own objects, with matplotlib; vector or bitmap, a colour per weight.

| file | idea |
|---|---|
| `palette.py` | colours, told apart by all eyes; no matplotlib |
| `canvas.py` | a figure measured in inches, which saves to the same bytes every time |
| `cells.py` | maps as cells |
| `stored_entries.py` | the stored entries of a matrix, as squares or as an image |
| `plane.py` | what fits on paper |
| `one_neuron.py`, `neuron_layout.py` | `neuron`, and where on the paper its parts are |
| `unrolled.py` | `matrix` |
| `three_forms.py` | `forms` |
| `per_pixel.py` | `pointwise` |
| `energy_split.py` | `energy` |
| `model_map.py` | `exchange_map` |
| `heat_map.py` | `heat_map` |
| `standings.py` | which classes of a score map are highest, and where; no matplotlib |

Every function returns a `matplotlib.figure.Figure` of its own, made without pyplot. Names load
when they are first used: the palette is there without matplotlib.
"""

from typing import Any

import lazy_loader

from convlin.errors import InputError

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise InputError('figures need matplotlib: pip install "convlin[teach]"') from None
