"""How much memory what is built may take, and arrays that claim more numbers than they hold."""

from __future__ import annotations

from typing import Any

from convlin.errors import Refusal, Refused

__all__ = ["MEMORY_LIMIT", "require_own_memory"]

# Bytes. Twice as much is more than a small machine has besides PyTorch; half as much refuses the
# matrices of common layers, such as 64 channels of 3×3 on 64×64 pixels: 1.1 GiB.
MEMORY_LIMIT = 2 * 2**30


def require_own_memory(site: str, field: str, array: Any) -> None:
    """Raise for an array, NumPy or PyTorch, that repeats numbers and is too large written out.

    A stride of 0 makes petabytes of a single number. Any other array is as large as it says, so
    there is room for one like it.
    """
    steps = array.strides if hasattr(array, "strides") else array.stride()
    if 0 in steps and array.nbytes > MEMORY_LIMIT:
        reason = f"written out, its {tuple(array.shape)} numbers take {array.nbytes} bytes"
        fits = f"numbers in memory of their own, or at most {MEMORY_LIMIT} bytes of them"
        raise Refused(Refusal(site, f"{field}.strides", tuple(steps), fits, reason))
