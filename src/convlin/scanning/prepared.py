"""Everything of a scan but the run: opened, checked, planned, and named so that it can go on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from convlin.arguments import Progress
from convlin.display.numbers import bytes_of
from convlin.errors import Description, Refusal, Refused
from convlin.models.cells.freed_memory import give_back
from convlin.models.trace import sample
from convlin.scanning.asked import Asked
from convlin.scanning.exports import require_export
from convlin.scanning.manifest import manifest_of
from convlin.scanning.masks import Mask, open_mask
from convlin.scanning.methods.choice import Chosen, choose
from convlin.scanning.model_recipe import digest_of
from convlin.scanning.pixels import pixels_as
from convlin.scanning.places import CellPlaces, Place
from convlin.scanning.plan.budget import Limit
from convlin.scanning.plan.cell_grid import CellGrid
from convlin.scanning.plan.scan_plan import ScanPlan
from convlin.scanning.plan.settings import Settings
from convlin.scanning.plan.task_grid import TaskGrid, divisor
from convlin.scanning.planning import Planning
from convlin.scanning.sources import Source, open_source
from convlin.scanning.store import StoredArray
from convlin.scanning.this_machine import resident
from convlin.scanning.where import Where
from convlin.scanning.worker import Job

__all__ = ["Prepared", "prepare"]

# Bytes of a process before it has a model: Python, PyTorch, what decodes and stores. Measured.
PROCESS = 750 * 10**6
# Cells of a chunk along the last axis and the others, and classes: a chunk is what a reader unpacks
# at once. With a fourth of the columns, rows of 7,500 cells take half as long again to be written.
COLUMNS, ROWS, CLASSES = 512, 128, 64


@dataclass(frozen=True)
class Prepared:
    """A scan that can be run."""

    asked: Asked
    plan: ScanPlan
    job: Job
    chosen: Chosen
    source: Source
    mask: Mask | None
    places: CellPlaces
    arrays: tuple[StoredArray, ...]
    manifest: dict[str, Any]
    where: Where

    @property
    def tasks(self) -> TaskGrid:
        """The tasks of the whole scan."""
        return TaskGrid(self.job.grid.cells, self.job.settings.task)


def prepare(asked: Asked, progress: Progress | None) -> Prepared:
    """Return what will be run; raise what stands against it before anything is written."""
    where = Where.of(asked)
    before = where.settings()
    bare = replace(asked.classifier, windows_through=None).open()
    classifier = replace(asked.classifier, digest=digest_of(bare))
    dtype = sample(bare, (0,)).dtype
    weights = sum(tensor.numel() * tensor.element_size() for tensor in bare.state_dict().values())
    source = open_source(asked.source, window=asked.window, **asked.opening)
    _require_reopened(asked, classifier.is_by_path, source)
    mask = None if asked.mask is None else open_mask(asked.mask, source.shape[1:], source.place)
    pixels = pixels_as(source, asked.scale, asked.mean, asked.std, dtype == torch.float64)
    check, notes = _may_check(asked, weights, dtype)
    if asked.semantics == "image" and (source.nodata is not None or asked.skip_unreadable):
        notes.append("pixels without data are read as zeros by cells whose field reaches them")
    chosen = choose(
        classifier.behind(bare), asked.window, asked.stride, asked.semantics,
        method=before.method if before else None, check=check, progress=progress,
    )  # fmt: skip
    give_back()
    _require_names(asked, chosen)
    grid = CellGrid(source.shape[1:], asked.window[1:], chosen.stride, asked.edges, asked.region)
    first = _given(asked, before) or Settings(
        chosen.method, asked.threads or _threads(asked), asked.task, asked.band
    )
    places = CellPlaces(
        grid.window, grid.stride, tuple(first for first, _ in grid.cells), source.place or Place()
    )
    job = Job(
        "", classifier, source.recipe, mask and mask.recipe, grid, asked.window, asked.semantics,
        first, pixels, asked.selection, where.store or Path(), source.identity(),
        asked.skip_unreadable,
    )  # fmt: skip
    manifest = manifest_of(job, chosen, places, source, mask)
    where.require_same(manifest)
    base, limit = _room(asked, weights)
    settings, plan = Planning(asked, chosen, grid, source, mask, base, limit).planned(first)
    plan = replace(
        plan, preprocessing=f"{source.dtype} {pixels}", notes=(*source.notes, *chosen.notes, *notes)
    )
    manifest["settings"] = settings.as_dict()
    key = hashlib.sha256(repr(manifest).encode()).hexdigest()
    job = replace(job, key=key, settings=settings)
    arrays = _arrays(plan)
    if where.exported is not None:
        require_export(
            {array.name: array for array in arrays}, places.ndim, where.exported,
            threshold=asked.threshold, top=asked.top, classes=asked.selection.classes,
        )  # fmt: skip
    return Prepared(asked, plan, job, chosen, source, mask, places, arrays, manifest, where)


def _given(asked: Asked, before: Settings | None) -> Settings | None:
    """Return the settings of a scan that is gone on with, and what is asked for instead."""
    if before is None:
        return None
    return replace(
        before, task=asked.task or before.task, band=asked.band or before.band,
        threads=asked.threads or before.threads,
    )  # fmt: skip


def _require_reopened(asked: Asked, by_path: bool, source: Source) -> None:
    """Refuse what other processes cannot open."""
    if asked.engine == "serial":
        return
    if source.recipe is None:
        allowed = "a file or a folder, which other processes can open, or engine='serial'"
        raise Refused(Refusal("scan", "source", Description("an array in memory"), allowed))
    if asked.engine != "processes" and not by_path:
        allowed = "an import path, such as torchvision.models:vgg16, and weights in a file"
        why = "workers on other machines open it by that"
        value = Description("a module")
        raise Refused(Refusal("scan", "model", value, allowed, why))


def _require_names(asked: Asked, chosen: Chosen) -> None:
    """Refuse names that are not one for each class of every output that is stored."""
    asked.selection.of(chosen.outputs)
    for output in chosen.outputs:
        stored = asked.selection.outputs is None or output.name in asked.selection.outputs
        if asked.names and stored and output.shape[:1] != (len(asked.names),):
            allowed = f"{output.shape[0] if output.shape else 1}, one for each class"
            raise Refused(Refusal("scan", "number of names", len(asked.names), allowed))


def _may_check(asked: Asked, weights: int, dtype: torch.dtype) -> tuple[bool, list[str]]:
    """Return whether there is room to run the result against the model, in float64."""
    if not asked.check:
        return False, ["not run against the model first (check=False)"]
    twins = 2 * weights * 8 // dtype.itemsize
    needs = resident() + twins
    if needs <= asked.memory:
        return True, []
    return False, [f"not run against the model first: in float64 that takes {bytes_of(needs)}"]


def _room(asked: Asked, weights: int) -> tuple[int, Limit]:
    """Return what one process takes before it runs anything, and what all of them may take."""
    own = resident()
    if asked.engine == "serial":
        return own, Limit(asked.memory)
    return PROCESS + weights, Limit(asked.memory, max(1, asked.workers), own)


def _threads(asked: Asked) -> int:
    """Return threads of one process: as many as there are cores, divided among processes."""
    if asked.engine == "serial":
        return torch.get_num_threads()
    return max(1, len(os.sched_getaffinity(0)) // max(1, asked.workers))


def _arrays(plan: ScanPlan) -> tuple[StoredArray, ...]:
    """Return the arrays of the result: a shard for each task, and chunks that divide it."""
    shard = tuple(map(min, plan.task, plan.cells))
    *rows, columns = shard
    chunk = (*(divisor(n, ROWS, 8) for n in rows), divisor(columns, COLUMNS, 8))
    return tuple(
        StoredArray(
            name=output.name,
            shape=(*output.shape, *plan.cells),
            shard=(*output.shape, *shard),
            chunk=(*(divisor(n, CLASSES, 8) for n in output.shape), *chunk),
            dtype=plan.dtype,
            fill=float("nan"),
        )
        for output in plan.outputs
    )
