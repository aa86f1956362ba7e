"""The numbers of a kernel: which arrays have them, and what they are as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from convlin.arguments import shown
from convlin.errors import Description, GeometryError, Refusal
from convlin.matrix.memory import require_own_memory

__all__ = ["as_numpy", "require_numbers"]


def require_numbers(site: str, weight: Any) -> tuple[int, ...]:
    """Return the shape of an array; raise for anything else, and for one without numbers."""
    if not is_torch_array(weight):
        kind = getattr(getattr(weight, "dtype", None), "kind", "")
        if kind not in tuple("biufc") or not hasattr(weight, "shape"):
            allowed = "an array of numbers, NumPy or PyTorch"
            raise GeometryError(Refusal(site, "weight", shown(weight), allowed))
    elif weight.is_nested:
        raise GeometryError(Refusal(site, "weight", Description("a nested tensor"), "a plain one"))
    return tuple(weight.shape)


def as_numpy(weight: Any) -> np.ndarray:
    """Return the weight as a NumPy array, on the same storage where SciPy has its dtype."""
    if not is_torch_array(weight):
        array = np.asarray(weight)
        require_own_memory("matrix", "weight", array)
        return array.astype(np.float32) if array.dtype == np.float16 else array
    from convlin.matrix.tensors import to_numpy

    return to_numpy(weight)
