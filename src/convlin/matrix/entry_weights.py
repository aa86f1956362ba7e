"""Which weights stand in each stored entry of a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

__all__ = ["EntryWeights"]


@dataclass(frozen=True, eq=False, repr=False)
class EntryWeights:
    """Which weights each stored entry of a CSR matrix holds, as a ragged list.

    Entry `e` is the sum of the weights `index[starts[e]:starts[e + 1]]`, numbers in the flattened
    kernel; just one each, unless a padding mode repeats pixels. `taps` are their kernel positions,
    also flattened.
    """

    starts: Int[np.ndarray, " stored_1"]
    index: Int[np.ndarray, " entries"]
    taps: Int[np.ndarray, " entries"]

    def __repr__(self) -> str:
        return f"<EntryWeights: {len(self.index):,} weights in {len(self.starts) - 1:,} entries>"
