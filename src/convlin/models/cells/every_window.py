"""All windows of some images: a few images at a time, tile by tile, batch by batch."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from convlin.arguments import Progress
from convlin.geometry import ReceptiveField
from convlin.models.cells.analysis import Analysis
from convlin.models.cells.running import Running
from convlin.models.cells.scores import Scores, batches
from convlin.models.cells.shared_run import run_shared, run_windows
from convlin.models.cells.tiles import Tiles

__all__ = ["scores_of"]


def scores_of(
    analysis: Analysis, running: Running, images: Tensor, tiles: Tiles, field: ReceptiveField,
    progress: Progress | None = None,
) -> Any:  # fmt: skip
    """Return the outputs for every window; `progress` hears of each layer and batch."""
    cells = field.cells(tuple(images.shape[2:]))
    scores = Scores(len(images), cells)
    done, total = 0, len(images) * math.prod(cells)

    def note(layer: str) -> None:
        if progress is not None:
            progress(layer, done, total)

    for start in range(0, max(len(images), 1), tiles.images):
        some = slice(start, start + tiles.images)
        for first, layout in tiles:
            counts = [windows.count for windows in layout.windows]
            last = [a + n - 1 for a, n in zip(first, counts, strict=True)]
            ends = zip(field.reads(first), field.reads(tuple(last)), strict=True)
            part: Any = (some, ..., *(slice(begin, end) for (begin, _), (_, end) in ends))
            made = run_shared(layout, running, images[part], note)
            for ranges in batches(counts, tiles.at_once):
                outputs = run_windows(layout, running, made, ranges, analysis.output)
                pairs = zip(first, ranges, strict=True)
                scores.add(outputs, some, [slice(a + r.start, a + r.stop) for a, r in pairs])
                done += len(images[some]) * math.prod(map(len, ranges))
                note("windows")
    container = analysis.output.meta["container"]
    return container.closed(scores.whole, lambda kind, *args, **named: kind(*args, **named))
