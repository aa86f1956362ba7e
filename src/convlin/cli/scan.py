"""`convlin scan`: an image of any size in, the scores of all of its windows out."""

from __future__ import annotations

import json as jsonlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from convlin.arguments import shown as in_words
from convlin.cli.class_scores import parse_classes
from convlin.cli.models import announce, require_classifier
from convlin.cli.normalisation import Preset, normalisation
from convlin.cli.options import Json, Model, Stride, Trust, Weights, Window
from convlin.cli.shapes import parse_bytes, parse_shape, parse_stride
from convlin.cli.terminal import output, progress, shown
from convlin.errors import InputError

if TYPE_CHECKING:
    from convlin.scanning import ScanPlan, ScanResult

__all__ = ["scan"]


def scan(
    model: Model,
    source: Annotated[
        str,
        typer.Argument(help="Image: .npy, Zarr, OME-Zarr, TIFF, GeoTIFF, VRT, WAV, PNG, JPEG …"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT",
            help="A folder (Zarr), or .ome.zarr, .tif, .npy, .csv, .geojson.",
        ),
    ],
    semantics: Annotated[
        Literal["window", "image"],
        typer.Option(help="What a score is: the model's on that crop, or on the whole image."),
    ],
    window: Window = "3,224,224",
    stride: Stride = None,
    weights: Weights = None,
    axes: Annotated[
        str | None, typer.Option(metavar="LETTERS", help="Dimensions of SOURCE, such as YXC.")
    ] = None,
    level: Annotated[int, typer.Option(metavar="N", help="Level of a pyramid.", min=0)] = 0,
    channels: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="Channels that the model reads: 0,1,2.")
    ] = None,
    nodata: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="What pixels without data hold.")
    ] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Mean and deviation of what the model was trained on.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="What is taken off scaled pixels …")
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="… and what they are divided by then.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Scale of pixels.", show_default="1/255 of bytes"),
    ] = None,
    windows_through: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Run on every window before the model."),
    ] = None,
    edges: Annotated[
        Literal["inside", "pad"], typer.Option(help="Windows inside alone, or zeros beyond.")
    ] = "inside",
    region: Annotated[
        str | None,
        typer.Option(metavar="A:B,C:D", help="Pixels along each axis: windows within them alone."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Image or GeoJSON: windows outside of it are NaN."),
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Outputs to store, with commas.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="Classes to store: 281,285.")
    ] = None,
    softmax: Annotated[bool, typer.Option("--softmax", help="Store probabilities.")] = False,
    dtype: Annotated[
        Literal["float16", "float32", "float64"], typer.Option(help="Numbers to store.")
    ] = "float32",
    threshold: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Scores that a .csv or .geojson lists, at least."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="N", help="Windows of each class that it lists.", min=1),
    ] = None,
    points: Annotated[
        bool, typer.Option("--points", help="List the middles of windows, not their boxes.")
    ] = False,
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What classes are called, a line for each.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES", help="What all processes may take, such as 2GB.",
            show_default="4GiB each",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="CELLS", help="Cells of a task along each axis.")
    ] = None,
    band: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Rows read at once.", min=1)
    ] = None,
    engine: Annotated[
        str,
        typer.Option(metavar="ENGINE", help="serial, processes, dask, or a scheduler's address."),
    ] = "serial",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes that compute.", min=1)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Threads of each process.", min=1)
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Share I of N of the tasks: for arrays of jobs."),
    ] = None,
    stall: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long Dask may be without a worker.")
    ] = 60.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with OUT.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare OUT with its checksums, and run nothing.")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out what cannot be read, and say so.")
    ] = False,
    lift_bomb_limit: Annotated[
        bool,
        typer.Option("--lift-bomb-limit", help="Decode pictures of any size, if you trust them."),
    ] = False,
    check: Annotated[bool, typer.Option(help="Run the result against MODEL first.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Write MODEL's scores of every window of SOURCE, however large that is.

    It is planned first, read piece by piece, and stored so that nothing is lost: whatever ends the
    run, --resume goes on with it. SOURCE is (channels, rows, columns) unless the format or --axes
    says otherwise.
    """
    if verify:
        _verified(out, json)
        return
    shape = parse_shape(window, "--window", (2, 3, 4), "3,224,224")
    ndim = len(shape) - 1
    if preset is not None and scale is not None:
        raise InputError(f"--preset is {preset!r}, expected it without --scale")
    normal = normalisation(preset, mean, std, shape[0])
    options: dict[str, Any] = {
        "window": shape,
        "stride": None if stride is None else parse_stride(stride, ndim),
        "channels": _numbers(channels, "--channels", "0,1,2"),
        "region": _region(region, ndim),
        "outputs": None if outputs is None else outputs.split(","),
        "classes": _numbers(classes, "--classes", "281,285"),
        "names": parse_classes(None, names).names,
        "memory": parse_bytes(memory),
        "task": None if task is None else _cells(task, ndim),
        "shard": _share(shard),
    }
    require_classifier(model)
    announce(model, weights, trust, json)
    console = output(json)

    from convlin.scanning.scan import begin, finish

    with progress(remaining=True) as steps:
        prepared = begin(
            model, source, out, semantics=semantics, weights=weights, trust=trust, axes=axes,
            level=level, nodata=nodata, lift_bomb_limit=lift_bomb_limit, scale=scale,
            mean=normal.mean, std=normal.std, windows_through=windows_through, edges=edges,
            mask=mask, softmax=softmax, dtype=dtype, threshold=threshold, top=top, points=points,
            band=band, engine=engine, workers=workers, threads=threads, stall=stall, resume=resume,
            skip_unreadable=skip_unreadable, check=check, dry_run=dry_run, progress=steps,
            **options,
        )  # fmt: skip
        console.print(prepared.plan)
        if dry_run:
            _as_json(json, model, prepared.plan)
            return
        try:
            result = finish(prepared, steps)
        except KeyboardInterrupt:
            typer.secho(f"convlin: interrupted; go on with {out} by --resume", err=True)
            raise
    _as_json(json, model, result)
    console.print()
    console.print(result)


def _as_json(json: bool, model: str, shown: ScanPlan | ScanResult) -> None:
    if json:
        print(jsonlib.dumps({"model": model} | shown.as_dict(), indent=2))


def _verified(out: Path, json: bool) -> None:
    """Compare a store with its checksums; raise `InputError` if anything is not what it was."""
    from convlin.scanning.store import Store

    store = Store.open(out)
    with progress() as steps:
        problems = store.verify(progress=steps)
    done = len(store.done())
    if json:
        listed = [vars(problem) for problem in problems]
        print(jsonlib.dumps({"path": str(out), "tasks": done, "problems": listed}, indent=2))
    for problem in problems[:MOST]:
        output(json).print(f"[red]{shown(str(problem))}[/]")
    if problems:
        many = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise InputError(f"{out}: {many}; --resume computes those tasks anew")
    output(json).print(f"[bold green]{shown(out)}[/]: {done:,} tasks are what they were")


MOST = 20  # problems shown: a screen


def _numbers(text: str | None, option: str, example: str) -> tuple[int, ...] | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,7}(,\d{1,7})*", text, re.ASCII):
        allowed = f"whole numbers with commas, such as {example}"
        raise InputError(f"{option} is {in_words(text)}, expected {allowed}")
    return tuple(map(int, text.split(",")))


def _cells(text: str, ndim: int) -> tuple[int, ...]:
    numbers = parse_shape(text, "--task", (1, ndim) if ndim > 1 else (1,), "16,64")
    return numbers if len(numbers) == ndim else numbers * ndim


def _region(text: str | None, ndim: int) -> tuple[tuple[int, int], ...] | None:
    """Return pixels [start, stop) along each axis.

    >>> _region("0:512,1024:2048", 2)
    ((0, 512), (1024, 2048))
    """
    if text is None:
        return None
    sides = [re.fullmatch(r"(\d{1,9}):(\d{1,9})", part, re.ASCII) for part in text.split(",")]
    found = [side for side in sides if side is not None]
    if len(found) != ndim or len(sides) != ndim:
        example = ",".join(["0:512"] * ndim)
        raise InputError(f"--region is {in_words(text)}, expected start:stop, such as {example}")
    return tuple((int(side[1]), int(side[2])) for side in found)


def _share(text: str | None) -> tuple[int, int] | None:
    """Return which share of how many.

    >>> _share("3/16")
    (3, 16)
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        allowed = "I/N with I from 1 to N, such as 3/16"
        raise InputError(f"--shard is {in_words(text)}, expected {allowed}")
    return int(match[1]), int(match[2])
