"""The stride that a model has by itself: from cell to cell of what its windows share last."""

from __future__ import annotations

from convlin.models.cells.analysis import Analysis
from convlin.models.cells.cell_map import Stored

__all__ = ["own_stride"]


def own_stride(analysis: Analysis) -> tuple[int, ...]:
    """Return the pixels from cell to cell of the last map of several cells that windows share."""
    maps = [value for value in analysis.values.values() if value is not None]
    steps: dict[Stored, tuple[int, ...]] = {}
    for value in maps:
        _note_steps(value.stored, steps)
    strides = []
    for axis in range(len(maps[0].axes)):
        several = [value for value in maps if len(value.axes[axis]) > 1] or maps[:1]
        strides.append(steps[several[-1].stored][axis])
    return tuple(strides)


def _note_steps(stored: Stored, steps: dict[Stored, tuple[int, ...]]) -> None:
    """Note the pixels from cell to cell along each axis: the product of the layers' strides."""
    if stored in steps:
        return
    own: tuple[int, ...] = (1,) * len(stored.axes)
    for source in stored.sources:
        _note_steps(source.map.stored, steps)
        its = zip(own, steps[source.map.stored], source.reads, source.map.stored.axes, strict=True)
        # what has one cell is broadcast: to where the next one would be says nothing
        own = tuple(max(n, step * reads.step if len(names) > 1 else 1)
                    for n, step, reads, names in its)  # fmt: skip
    steps[stored] = own
