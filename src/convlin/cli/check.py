"""`convlin check`: on which layer does anybody's conversion break?"""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from convlin.arguments import shown
from convlin.cli.models import not_exiting, open_function
from convlin.cli.options import BatchOnly, Copies, Function, Json
from convlin.cli.terminal import output
from convlin.cli.written_layers import CLASSES
from convlin.errors import InputError

__all__ = ["check"]


def check(
    function: Function,
    layer: Annotated[
        list[str], typer.Option(metavar="CLASS", help="What it takes: Conv2d, Linear …; repeat it.")
    ] = ["Conv2d"],  # noqa: B006 - Typer copies it
    sized: Annotated[
        bool, typer.Option("--sized", help="Hand the input's size over: convert(layer, (5, 7)).")
    ] = False,
    copies: Copies = None,
    batch_only: BatchOnly = False,
    measured: Annotated[
        bool, typer.Option("--measured", help="Let pass what can only be measured.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Try other layers.")] = 0,
    json: Json = False,
) -> None:
    """Try a conversion on hostile layers, and show the smallest that breaks it.

    The function's code runs, many times. ValueError, NotImplementedError, None and the layer as it
    was are refusals. Exit code 0: every layer was converted right, or refused. 1: one was not, or
    all were refused. 2: bad input.
    """
    for name in layer:
        if name not in CLASSES:
            raise InputError(f"--layer is {shown(name)}, expected one of {', '.join(CLASSES)}")
    convert = open_function(function, json)

    from torch import nn

    from convlin.testing import Broken
    from convlin.testing import check as tried

    kinds = tuple(getattr(nn, name) for name in layer)
    try:
        with not_exiting(function):
            checked = tried(
                convert, kinds, sized=sized, unbatched=not batch_only, copies=copies,
                measured=measured, seed=seed,
            )  # fmt: skip
    except Broken as broken:
        if json:
            print(jsonlib.dumps({"function": function} | broken.as_dict(), indent=2))
        else:
            output().print(str(broken), markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if json:
        print(jsonlib.dumps({"function": function} | checked.as_dict(), indent=2))
    else:
        output().print(checked)
