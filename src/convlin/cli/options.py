"""The arguments that several commands take, each written once."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Json", "Model", "Proofs", "Trust", "Weights", "Window"]

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
Proofs = Annotated[bool, typer.Option(help="Prove every exchange.")]
Trust = Annotated[bool, typer.Option(help="Let weight files unpickle what they hold.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
