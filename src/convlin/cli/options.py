"""The arguments that several commands take, each written once."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BatchOnly", "Copies", "Function", "Json", "Memory", "Model", "Proofs", "Stride", "Trust",
    "Weights", "Window",
]  # fmt: skip

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Import path, such as torchvision.models:vgg16.")
]
Window = Annotated[
    str,
    typer.Option(metavar="SHAPE", help="Input shape the model classifies: channels,height,width."),
]
Weights = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="State dict: safetensors, or what torch.save wrote."),
]
Stride = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Pixels from window to window: one number, or one per side.",
        show_default="the model's own",
    ),
]  # fmt: skip
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="BYTES", help="What the run may take, such as 2GB or 512MiB.", show_default="4GiB"
    ),
]
Proofs = Annotated[bool, typer.Option(help="Prove every exchange.")]
Trust = Annotated[bool, typer.Option(help="Let weight files unpickle what they hold.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Function = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FUNCTION", help="A conversion: takes a layer, returns a module. It runs."
    ),
]
Copies = Annotated[
    bool | None,
    typer.Option(
        "--copies/--shares",
        help="Whether new parameters must be copies, or share the layer's memory.",
        show_default="either",
    ),
]
BatchOnly = Annotated[
    bool, typer.Option("--batch-only", help="Do not ask for an input without a batch.")
]
