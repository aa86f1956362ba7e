"""`convlin cost`: what a model costs, layer by layer and in all, in every form."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from convlin.cli.models import open_classifier
from convlin.cli.options import Json, Model, Trust, Weights
from convlin.cli.shapes import parse_shape
from convlin.cli.terminal import output

__all__ = ["cost"]


def cost(
    model: Model,
    input_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="One sample: channels,height,width; without channels, those of the first "
            "convolution; one number: every side.",
        ),
    ] = "3,224,224",
    weights: Weights = None,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Count parameters, bytes and multiply-adds of MODEL, as convolution, FC and sparse matrix.

    For one sample. Multiply-adds are the true ones; beside them stands what counting padded zeros
    adds, as most counters do. JSON has every layer in every form, exactly.
    """
    shape = parse_shape(input_size, "--input-size", (1, 2, 3, 4), "3,224,224")
    classifier = open_classifier(model, weights, trust, json)

    from convlin import cost as count

    table = count(classifier, shape if len(shape) > 1 else shape[0])
    if json:
        print(jsonlib.dumps(table.as_dict() | {"model": model}, indent=2))
        return
    output().print(table)
