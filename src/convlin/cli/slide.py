"""`convlin slide`: pictures in, the classifier's scores of every window out, and heat maps."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convlin.cli.class_scores import Classes, as_people_read, class_output, parse_classes
from convlin.cli.images import read_image
from convlin.cli.models import open_classifier
from convlin.cli.normalisation import Normalisation, Preset, normalisation
from convlin.cli.options import Json, Memory, Model, Stride, Trust, Weights, Window
from convlin.cli.score_files import Scored, entries, heat_maps, picture_files, write_all
from convlin.cli.shapes import parse_bytes, parse_shape, parse_stride
from convlin.cli.terminal import Steps, output, progress, shown
from convlin.cli.written_files import check_output
from convlin.display.blocks import Column, Table
from convlin.display.numbers import bytes_of, times
from convlin.display.terminal_view import renderable
from convlin.errors import printable

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from convlin import SlidingWindow

__all__ = ["slide"]


def slide(
    model: Model,
    pictures: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Picture files.")],
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .npz file to write.")
    ],
    window: Window = "3,224,224",
    stride: Stride = None,
    weights: Weights = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Mean and deviation of the pictures it was trained on.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="What is taken off pixels from 0 to 1 …")
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="… and what they are divided by then.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw heat maps: .png, .svg or .pdf, one per IMAGE."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Classes to show, such as 281,285; else the best."),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What classes are called, a line for each.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Show scores as they are, not as probabilities.")
    ] = False,
    memory: Memory = None,
    force: Annotated[bool, typer.Option(help="Overwrite the output files.")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Write MODEL's scores of every window of pictures, each equal to those of the window cropped.

    What windows share is computed once, however the model pads. The .npz holds `scores` (classes,
    rows, columns) as the model gives them, `window`, `stride` and `offset` in pixels, `images`,
    `mean` and `std`, and with --names `classes`. Scores of several IMAGEs are `scores_0`,
    `scores_1` …, those of several outputs `scores.` and the output's name. What is shown and
    drawn are probabilities: their softmax, unless they are it already.
    """
    shape = parse_shape(window, "--window", (3,), "3,224,224")
    step, limit = None if stride is None else parse_stride(stride, 2), parse_bytes(memory)
    normal = normalisation(preset, mean, std, shape[0])
    which = parse_classes(classes, names)
    check_output(out, ".npz", force)
    drawings = picture_files(picture, len(pictures), force)
    images = [read_image(path, shape[0], (shape[1], shape[2])) for path in pictures]
    classifier = open_classifier(model, weights, trust, json)

    from convlin import sliding_window

    with progress() as steps:
        windows = sliding_window(classifier, shape, stride=step, memory=limit, progress=steps)
        _require_classes(windows, which, drawn=bool(drawings))
        scored = [
            _scored(windows, path, pixels, normal, raw, steps)
            for path, pixels in zip(pictures, images, strict=True)
        ]
    named = entries(windows, scored, normal, which)
    write_all(out, named, heat_maps(windows, scored, which, drawings), force)
    if json:
        files = {"output": str(out), "pictures": [str(path) for path in drawings]}
        listed = [_as_dict(each, windows, which) for each in scored]
        seen = windows.seen and vars(windows.seen)
        print(jsonlib.dumps({"model": model} | files | {"seen": seen, "images": listed}, indent=2))
        return
    console = output()
    if preset is None and mean is None:
        console.print("[dim]pixels from 0 to 1, not normalised (--preset, or --mean and --std)[/]")
    for each in scored:
        console.print(f"\n[bold]{shown(each.path)}[/]")
        console.print("\n".join(each.plan.summary), markup=False)
        if each.scores:
            console.print(renderable(["", _table(each, windows, which)]))
    written = [f"{name} {times(array.shape)}" for name, array in named.items() if "scores" in name]
    console.print(f"\n{windows.seen}", style="dim")
    console.print(
        f"[bold green]wrote {shown(out)}[/], {bytes_of(out.stat().st_size)}: "
        f"{shown(', '.join(written))}"
    )
    for path in drawings:
        console.print(f"[bold green]wrote {shown(path)}[/]")


def _require_classes(windows: SlidingWindow, which: Classes, *, drawn: bool) -> None:
    """Raise unless the model has these classes: one black window says what it returns."""
    import numpy as np

    scores = class_output(_outputs(windows, np.zeros(windows.window, np.float32)))
    which.require(None if scores is None else len(scores), drawn=drawn)


def _scored(
    windows: SlidingWindow,
    path: Path,
    pixels: Float[np.ndarray, "c h w"],
    normal: Normalisation,
    raw: bool,
    steps: Steps,
) -> Scored:
    """Run the model on all windows of a picture."""
    outputs = _outputs(windows, normal(pixels), steps)
    scores = class_output(outputs)
    read = None if scores is None else as_people_read(scores, raw)
    return Scored(path, pixels, windows.plan(pixels.shape[1:]), outputs, read)


def _outputs(
    windows: SlidingWindow, pixels: Float[np.ndarray, "c h w"], steps: Steps | None = None
) -> dict[str, np.ndarray]:
    """Return what the model says of every window, by the output's name; a single one has none."""
    import torch

    from convlin.internals.trees import named_leaves
    from convlin.matrix.tensors import to_numpy

    floats = (tensor for tensor in windows.parameters() if tensor.is_floating_point())
    image = torch.from_numpy(pixels)[None].to(next(floats, torch.empty(0)))
    with torch.inference_mode():
        leaves = named_leaves(windows(image, progress=steps))
    return {
        name: to_numpy(leaf[0], "scores") for name, leaf in leaves if isinstance(leaf, torch.Tensor)
    }


def _as_dict(each: Scored, windows: SlidingWindow, which: Classes) -> dict[str, Any]:
    """Return what JSON says of a picture."""
    rows = which.rows(each.scores[0], windows.field) if each.scores else []
    kind = each.scores[1] if each.scores else None
    return {"image": str(each.path), "kind": kind, "classes": rows, "plan": each.plan.as_dict()}


def _table(each: Scored, windows: SlidingWindow, which: Classes) -> Table:
    """Return the best classes of a picture, or those asked for."""
    assert each.scores is not None
    scores, kind = each.scores
    of_all = f"{{:,}} of {each.plan.windows:,} windows"
    columns = (
        Column("class", "", _called),
        Column(kind, "best", "{:.4g}".format, "right"),
        Column("highest in", "highest_in", of_all.format, "right"),
        Column("window of the best: x, y", "window", _pixels),
    )
    return Table(columns, which.rows(scores, windows.field))


def _called(row: dict[str, Any]) -> str:
    return printable(f"{row['class']} {row['name'] or ''}".rstrip())


def _pixels(window: tuple[tuple[int, int], tuple[int, int]]) -> str:
    (top, bottom), (left, right) = window
    return f"{left}–{right}, {top}–{bottom}"
