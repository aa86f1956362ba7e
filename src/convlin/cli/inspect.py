"""`convlin inspect`: what would become of a model, layer by layer, without writing anything."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from convlin.cli.images import read_image
from convlin.cli.models import open_classifier
from convlin.cli.options import Json, Model, Proofs, Trust, Weights, Window
from convlin.cli.shapes import parse_shape
from convlin.cli.terminal import output, progress
from convlin.display.numbers import times
from convlin.errors import InputError

__all__ = ["inspect"]


def inspect(
    model: Model,
    window: Window = "3,224,224",
    weights: Weights = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Picture on whose windows to measure how far off the result is; may be repeated.",
        ),
    ] = None,
    proofs: Proofs = True,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Show what becomes of MODEL, and whether its output equals a sliding window.

    Every layer that breaks the equality is named, with the reason. Pictures enter as values from
    0 to 1. Exit code 2 if no network for larger images can be had at all.
    """
    shape = parse_shape(window, "--window", (2, 3, 4), "3,224,224")
    pictures = [read_image(path, shape[0], _plane(shape)) for path in image or ()]
    classifier = open_classifier(model, weights, trust, json)

    import torch

    from convlin import fully_convolutional

    with progress() as steps:
        network = fully_convolutional(
            classifier,
            shape,
            [torch.from_numpy(picture) for picture in pictures] or None,
            allow_inexact=True,
            proofs=proofs,
            progress=steps,
        )
    if json:
        extra = {"model": model, "window": shape, "stride": network.stride}
        print(jsonlib.dumps(extra | network.report.as_dict(), indent=2))
        return
    console = output()
    console.print(network.report)
    console.print(f"a window every {times(network.stride)} pixels")


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the window's height and width; a picture serves no other kind."""
    if len(shape) != 3:
        text = ",".join(map(str, shape))
        raise InputError(f"--window is {text!r}, expected channels,height,width where --image is")
    return shape[1], shape[2]
