"""`convlin plan`: what exact scores of every window of an image would cost, before they are run."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from convlin.cli.models import open_classifier
from convlin.cli.options import Json, Memory, Model, Stride, Trust, Weights, Window
from convlin.cli.shapes import parse_bytes, parse_shape, parse_stride
from convlin.cli.terminal import output, progress

__all__ = ["plan"]


def plan(
    model: Model,
    image_size: Annotated[
        str, typer.Option(metavar="SIZE", help="Pixels of the image: height,width.")
    ],
    window: Window = "3,224,224",
    stride: Stride = None,
    images: Annotated[int, typer.Option(metavar="N", help="Images at once.", min=1)] = 1,
    weights: Weights = None,
    memory: Memory = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Count what MODEL's scores of every window of an image cost, shared and in batches of windows.

    Layer by layer: how much windows share, where that ends and why, multiply-adds and memory. The
    scores equal the classifier's on each crop, padding included; `convlin slide` computes them.
    """
    shape = parse_shape(window, "--window", (2, 3, 4), "3,224,224")
    ndim = len(shape) - 1
    allowed = (1, ndim) if ndim > 1 else (1,)
    size = parse_shape(image_size, "--image-size", allowed, ",".join(["1024"] * ndim))
    size = size if len(size) == ndim else size * ndim
    steps, limit = None if stride is None else parse_stride(stride, ndim), parse_bytes(memory)
    classifier = open_classifier(model, weights, trust, json)

    from convlin import sliding_window

    with progress() as bars:
        windows = sliding_window(
            classifier, shape, stride=steps, memory=limit, check=False, progress=bars
        )
    planned = windows.plan(size, images)
    if json:
        print(jsonlib.dumps({"model": model} | planned.as_dict(), indent=2))
        return
    output().print(planned)
