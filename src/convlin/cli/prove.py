"""`convlin prove`: are two layers the same map?"""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from convlin.cli.models import not_exiting, open_model
from convlin.cli.options import Json
from convlin.cli.shapes import parse_shape
from convlin.cli.terminal import output

__all__ = ["prove"]


def prove(
    a: Annotated[str, typer.Argument(metavar="A", help="Import path, or a .pt2 file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Import path, or a .pt2 file.")],
    input_shape: Annotated[
        str,
        typer.Option(
            metavar="SHAPE", help="What both take, without a batch: channels,height,width."
        ),
    ],
    weights_a: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict for A.")
    ] = None,
    weights_b: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict for B.")
    ] = None,
    trust: Annotated[
        bool, typer.Option(help="Open files that can run code when they are loaded.")
    ] = False,
    up_to_rounding: Annotated[
        bool,
        typer.Option(
            "--up-to-rounding",
            help="Exit code 0 too if all that differs is that B's weights are "
            "rounded, as those of merged layers are.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Prove that A and B give the same output for every input, or show where they do not.

    Exit code 0: proved. 1: equal only up to the rounding of merged weights, refuted by a
    counterexample, or only measured, since A or B is not linear; the verdict says which. 2: bad
    input. One program with the same weights on both sides is proved by identity, whatever it is
    made of.
    """
    shape = parse_shape(input_shape, "--input-shape", (1, 2, 3, 4), "3,32,32")
    first = open_model(a, weights_a, trust, json)
    one_file = a == b and a.lower().endswith(".pt2") and weights_a == weights_b
    second = first if one_file else open_model(b, weights_b, trust, json)

    import convlin

    with not_exiting(a if one_file else f"{a}, {b}"):
        verdict = convlin.prove(first, second, shape)
    if json:
        print(jsonlib.dumps({"a": a, "b": b, "input_shape": shape} | verdict.as_dict(), indent=2))
    else:
        output().print(verdict)
    if not (verdict.up_to_rounding if up_to_rounding else verdict):
        raise typer.Exit(1)
