"""The functions for an array of whatever kind, found in a way that tracers follow."""

from __future__ import annotations

from typing import Any

import array_api_compat

__all__ = ["array_namespace"]


def array_namespace(array: Any) -> Any:
    """Return the functions of the array API for this kind of array.

    For tensors without asking a cache, of which torch.compile warns: it would, wherever a compiled
    module reads the weight of a layer that was exchanged.

    >>> import numpy as np
    >>> array_namespace(np.zeros(2)).permute_dims(np.zeros((2, 3)), (1, 0)).shape
    (3, 2)
    """
    if hasattr(array, "__torch_function__"):
        from array_api_compat import torch as functions

        return functions
    return array_api_compat.array_namespace(array)
