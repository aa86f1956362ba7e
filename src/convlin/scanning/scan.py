"""`scan`: a classifier on every window of an image of any size, planned, run and stored."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, SupportsIndex

from torch import nn

from convlin.arguments import Progress, flag, listener
from convlin.scanning.asked import asked_of
from convlin.scanning.plan.scan_plan import ScanPlan
from convlin.scanning.prepared import Prepared, prepare
from convlin.scanning.run import export, run
from convlin.scanning.scan_result import ScanResult, result_of

__all__ = ["begin", "finish", "scan"]


def scan(
    model: nn.Module | str,
    source: Any,
    out: str | Path | None = None,
    *,
    semantics: Literal["window", "image"],
    window: Sequence[SupportsIndex] = (3, 224, 224),
    stride: SupportsIndex | Sequence[SupportsIndex] | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
    axes: str | None = None,
    level: int = 0,
    channels: Sequence[int] | None = None,
    nodata: float | None = None,
    lift_bomb_limit: bool = False,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    windows_through: Any = None,
    edges: Literal["inside", "pad"] = "inside",
    region: Sequence[tuple[int, int]] | None = None,
    mask: Any = None,
    outputs: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
    softmax: bool = False,
    dtype: Literal["float16", "float32", "float64"] = "float32",
    threshold: float | None = None,
    top: int | None = None,
    points: bool = False,
    names: Sequence[str] | None = None,
    memory: int | str | None = None,
    task: Sequence[int] | None = None,
    band: int | None = None,
    engine: str = "serial",
    workers: int | None = None,
    threads: int | None = None,
    shard: tuple[int, int] | None = None,
    stall: float = 60.0,
    resume: bool = False,
    skip_unreadable: bool = False,
    check: bool = True,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ScanResult | ScanPlan:
    """Write the scores of every window of an image of any size, read and stored piece by piece.

    The image
        model: the classifier, or its import path (`weights`: a file for it; `trust`: as for
        `load_model`). source: an array (C, *spatial), a Zarr array, or a file: .npy, Zarr,
        OME-Zarr, TIFF and pyramids (`level`), GeoTIFF, VRT, WAV, PNG, JPEG. axes: what its
        dimensions are, such as "YXC". channels: which of them the model reads. nodata: the number
        of pixels that are none.
    The windows
        window (C, *spatial), stride: as for `sliding_window`; window i begins at pixel i·stride,
        whatever `region`, ((start, stop), …) in pixels, is scanned. edges="pad" goes on with zeros
        until every pixel is in a window. mask: an array, an image or GeoJSON: windows that hold
        none of it are NaN, as are those that hold pixels without data.
    The scores
        semantics="window": the classifier's on that crop alone. semantics="image": those of the
        network on the whole image, which pads at the image's border alone. Where no layer pads,
        the two are the same. Neither depends on how the work is cut.
    What is read
        (pixel·scale - mean) / std; scale None: 1/255 of bytes, 1/65535 of numbers of 16 bits, else
        1. Pixels without data are read as zeros: of image semantics, by every cell whose field
        reaches them. windows_through: a function of windows (N, C, *window) that is run before
        the model, on each of them.
    What is stored
        out: a folder, a Zarr group with `scores` (K, *cells), or a name for each of several
        outputs; .ome.zarr, .tif, .npy, .csv and .geojson are written from it at the end; None: in
        memory. outputs, classes: which; softmax: over all classes; dtype. threshold, top: which
        windows a .csv or .geojson lists; points: by their middles, not boxes. names: of the model's
        classes, in files that have a place for them.
    The run
        memory: bytes that all processes may take, interpreter and weights included, such as "2GB";
        None: 4 GiB each. task: cells of a task; band: rows that are read at once. engine: "serial",
        "processes", "dask" or the address of a Dask scheduler; workers; threads of each. shard
        (i, n): every process of n does its own share of the tasks, i from 1. resume: go on with
        what `out` has. skip_unreadable: leave out windows whose pixels cannot be read. check: run
        the result against the model first. dry_run: return the plan alone. progress: called with
        (what, tasks done, tasks in all).

    Raises `Refused` for what cannot be granted, `InputError` for files. What is done is kept,
    whatever ends the run.

    >>> import numpy as np, torch
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(),
    ...     torch.nn.Linear(4 * 6 * 5, 3),
    ... ).eval()
    >>> image = np.random.default_rng(1).random((1, 40, 37), np.float32)
    >>> result = scan(model, image, window=(1, 8, 7), stride=2, semantics="window")
    >>> result["scores"].shape
    (3, 17, 16)
    >>> crop = torch.from_numpy(image[None, :, 10:18, 4:11])
    >>> np.allclose(result["scores"][:, 5, 2], model(crop)[0].detach(), atol=1e-6)
    True
    """
    prepared = begin(**locals())
    return prepared.plan if dry_run else finish(prepared, progress)


def begin(*given: Any, **named: Any) -> Prepared:
    """Return a scan of `scan`'s arguments that is planned, and not run."""
    bound = inspect.signature(scan).bind(*given, **named)
    bound.apply_defaults()
    asked = asked_of(bound.arguments)
    flag("scan", "dry_run", bound.arguments["dry_run"])
    return prepare(asked, listener("scan", bound.arguments["progress"]))


def finish(prepared: Prepared, progress: Progress | None) -> ScanResult:
    """Run what is planned, to its end."""
    started = time.perf_counter()
    store, tasks = run(prepared, progress)
    notes = [marker["notes"] for index in sorted(store.done()) if (marker := store.marker(index))]
    export(prepared, store)
    arrays = {} if prepared.where.exported else dict(store.arrays)
    seconds, out = time.perf_counter() - started, prepared.asked.out
    return result_of(out, prepared.plan, prepared.places, arrays, seconds, tasks, notes)
