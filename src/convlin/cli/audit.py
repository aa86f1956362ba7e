"""`convlin audit`: is anybody's conversion of a layer right?"""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from convlin.cli.models import not_exiting, open_function, open_layer
from convlin.cli.options import BatchOnly, Copies, Function, Json
from convlin.cli.shapes import parse_shape
from convlin.cli.terminal import output

__all__ = ["audit"]


def audit(
    function: Function,
    layer: Annotated[
        str,
        typer.Argument(
            metavar="LAYER",
            help="Numbers, as in Conv2d:3,5,k=3x5,s=2,p=1 (k, s, p, d, g, mode, bias, "
            "output_padding; p=same), or an import path.",
        ),
    ],
    input_shape: Annotated[
        str,
        typer.Option(
            metavar="SHAPE", help="What the layer takes, without a batch: channels,height,width."
        ),
    ],
    draws: Annotated[int, typer.Option(metavar="N", help="How often to draw weights.")] = 3,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Draw the same numbers again.")
    ] = None,
    copies: Copies = None,
    batch_only: BatchOnly = False,
    json: Json = False,
) -> None:
    """Audit a conversion of LAYER: equal for all weights and inputs, and a drop-in?

    The function's code runs, many times, on copies of the layer. Exit code 0: proved. 1: refuted
    by a counterexample, or only measured; the verdict says which. 2: bad input, or a refusal.
    """
    shape = parse_shape(input_shape, "--input-shape", (1, 2, 3, 4), "3,32,32")
    convert, subject = open_function(function, json), open_layer(layer, json)

    import convlin

    with not_exiting(function):
        verdict = convlin.audit(
            convert, subject, shape, draws=draws, seed=seed, copies=copies,
            unbatched=not batch_only,
        )  # fmt: skip
    if json:
        asked = {"function": function, "layer": layer, "input_shape": shape}
        print(jsonlib.dumps(asked | verdict.as_dict(), indent=2))
    else:
        output().print(verdict)
    if not verdict:
        raise typer.Exit(1)
