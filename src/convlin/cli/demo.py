"""`convlin demo`: the main job, on a sheet of digits or on a picture of the user's."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from convlin.cli.images import read_image
from convlin.cli.options import Json
from convlin.cli.shapes import parse_size
from convlin.cli.terminal import output, progress, shown
from convlin.display.blocks import Column, Table, Toned
from convlin.display.numbers import count
from convlin.display.terminal_view import renderable
from convlin.errors import InputError

if TYPE_CHECKING:
    from convlin import FullyConvolutional
    from convlin.demo.one_pass import Reading
    from convlin.demo.race import Difference, Precision, Race
    from convlin.demo.sheet import Sheet

__all__ = ["demo"]

LARGEST = 6144  # pixels a side: the first layer's map takes 1.2 GB, and 4.8 GB at double that

MEMORY = "one pass over more needs too much memory"


def demo(
    size: Annotated[
        str, typer.Option(metavar="SIZE", help="Pixels of the sheet, WIDTHxHEIGHT.")
    ] = "1024x1024",
    seed: Annotated[int, typer.Option(metavar="N", help="Which sheet.", min=0)] = 0,
    image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A picture of your own: dark digits, some 24 pixels high."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The picture to write.")] = Path(
        "out/demo.png"
    ),
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds of the race.", min=1)] = 5,
    json: Json = False,
) -> None:
    """Read a large sheet of handwritten digits in one pass of a small trained classifier.

    The classifier knows windows of 32x32 pixels. It is made fully convolutional, the exchange
    is proved, and the result is compared with sliding the classifier over the sheet: the same
    scores, and how many times faster.
    """
    console = output(json)
    sheet_size = parse_size(size, "--size")
    if min(sheet_size) < 32:
        raise InputError(f"--size is {size!r}, expected a window of 32x32 or more")
    if max(sheet_size) > LARGEST:
        raise InputError(f"--size is {size!r}, expected at most {LARGEST} pixels a side ({MEMORY})")
    own = None if image is None else read_image(image, 1, (32, 32))[0]
    if own is not None and own.size > LARGEST**2:
        shape = f"{own.shape[1]}x{own.shape[0]}"
        expected = f"at most as many as {LARGEST}x{LARGEST} has ({MEMORY})"
        raise InputError(f"{image}: pixels are {shape}, expected {expected}")

    import torch

    from convlin import fully_convolutional
    from convlin.demo.classifier import WINDOW, digit_classifier, training_record
    from convlin.demo.one_pass import read
    from convlin.demo.picture import check, draw, write
    from convlin.demo.race import largest_difference, race
    from convlin.demo.sheet import Sheet, compose, held_out_digits

    check(out)
    sheet = (
        Sheet(own, ()) if own is not None else compose(*held_out_digits(), sheet_size, seed=seed)
    )
    with progress() as steps:
        classifier = digit_classifier()
        images = torch.from_numpy(sheet.image)[None, None]
        network = fully_convolutional(classifier, WINDOW, images, progress=steps)
        _print_classifier(console, training_record())
        console.print(network.report)
        reading = read(network, sheet.image, None if own is not None else sheet.digits)
        _print_reading(console, reading, sheet)
        difference = largest_difference(classifier, network, sheet.image)
        _print_difference(console, difference)
        result = race(classifier, network, sheet.image, rounds=rounds, progress=steps)
        _print_race(console, result)
    write(draw(reading, *_captions(reading, result)), out)
    console.print(f"\nwrote [bold]{shown(out)}[/]")
    if json:
        print(jsonlib.dumps(_as_json(network, reading, difference, result, out), indent=2))


def _print_classifier(console: Console, record: dict[str, str]) -> None:
    accuracy, digits = float(record["held_out_accuracy"]), record["held_out"]
    console.rule("[bold]a digit classifier, made fully convolutional[/]", align="left")
    console.print(
        f"trained on windows of 32×32 pixels; {accuracy:.1%} right on {digits} held-out digits\n"
    )


def _print_reading(console: Console, reading: Reading, sheet: Sheet) -> None:
    height, width = sheet.image.shape
    console.print()
    console.rule(f"[bold]a sheet of {width}×{height} pixels, read in one pass[/]", align="left")
    digits, result = len(reading.detections), reading.result
    if result is None:
        console.print(f"{digits} digits found")
        return
    console.print(
        f"{digits} digits found, {len(sheet.digits)} there: {len(result.matches)} right, "
        f"{len(result.false)} wrong, {len(result.missed)} missed"
    )
    console.print(
        f"precision [bold]{result.precision:.1%}[/], recall [bold]{result.recall:.1%}[/] "
        "(same digit, at most 8 pixels away)"
    )


def _print_difference(console: Console, difference: Difference) -> None:
    console.print()
    console.rule("[bold]against sliding the classifier[/]", align="left")
    columns = (
        Column("precision", "dtype"),
        Column("largest difference", "", _largest, "right"),
        Column("rounding bound there", "bound", "{:.1e}".format, "right"),
        Column("largest score", "scale", "{:.1f}".format, "right"),
    )
    console.print(f"scores of {difference.windows:,} windows, drawn at random")
    console.print(renderable([Table(columns, difference.rows)]))


def _largest(row: Precision) -> Toned:
    return Toned(f"{row.largest:.1e}", "good" if row.within else "bad")


def _print_race(console: Console, result: Race) -> None:
    dense, sliding, ratio = result.medians
    columns = (
        Column(f"all {result.windows:,} windows", "way"),
        Column("seconds", "seconds", "{:.2f}".format, "right"),
        Column("multiply-adds", "multiply_adds", count, "right"),
    )
    slid, once = f"slid, batches of {result.batch}", "dense, one pass"
    dense_adds, sliding_adds = result.multiply_adds
    rows = [
        {"way": slid, "seconds": sliding, "multiply_adds": sliding_adds},
        {"way": once, "seconds": dense, "multiply_adds": dense_adds},
    ]
    console.print()
    console.print(renderable([Table(columns, rows)]))
    scaled = ", sliding" if result.timed == result.windows else (
        f"; sliding timed on {result.timed:,} random windows and scaled up,"
    )  # fmt: skip
    console.print(
        f"[bold green]{ratio:.0f} times faster[/] (from {result.ratios[0]:.0f} to "
        f"{result.ratios[-1]:.0f}; medians of {len(result.dense)} rounds by turns{scaled} with the "
        "fastest batch size)"
    )


def _captions(reading: Reading, result: Race) -> tuple[str, str]:
    """Return the picture's title and the line below."""
    dense, _, ratio = result.medians
    windows = f"{result.windows:,} windows in {dense:.2f} s"
    speed = f"{windows}, {ratio:.0f} times faster than sliding the classifier over them"
    if reading.result is None:
        return f"{len(reading.detections)} digits read in one pass", speed
    quality = f"precision {reading.result.precision:.1%}, recall {reading.result.recall:.1%}"
    return f"{len(reading.result.matches)} of {len(reading.truth or ())} digits read in one pass", (
        f"{quality}; {speed}"
    )


def _as_json(
    network: FullyConvolutional, reading: Reading, difference: Difference, result: Race, out: Path
) -> dict[str, Any]:
    score = reading.result
    return {
        "report": network.report.as_dict(),
        "digits": [vars(detection) for detection in reading.detections],
        "precision": score and score.precision,
        "recall": score and score.recall,
        "difference": [vars(row) for row in difference.rows],
        "race": vars(result) | {"sliding": result.sliding, "ratio": result.medians[2]},
        "picture": str(out),
    }  # fmt: skip
