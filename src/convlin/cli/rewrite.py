"""`convlin rewrite`: layers exchanged for equal ones, and the weights as those have them."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from convlin.cli.models import open_classifier
from convlin.cli.options import Json, Model, Proofs, Trust, Weights
from convlin.cli.shapes import parse_shape
from convlin.cli.terminal import output, progress, shown
from convlin.cli.written_files import check_output
from convlin.display.atomic import replacing
from convlin.display.numbers import bytes_of
from convlin.errors import InputError

if TYPE_CHECKING:
    from convlin import Rewritten

__all__ = ["rewrite"]


def rewrite(
    model: Model,
    to: Annotated[
        Literal["linear", "conv", "conv2d"], typer.Option(help="The kind of layers wanted.")
    ] = "linear",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Sites to exchange: globs on dotted names."),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Sites to leave as they are.")
    ] = None,
    keys: Annotated[
        Literal["same", "native"],
        typer.Option(help="The same keys, or those of true nn.Linear and nn.Conv."),
    ] = "same",
    input_shape: Annotated[
        str | None,
        typer.Option(
            metavar="SHAPE",
            help="Run on noise of this shape, such as 3,224,224: calls are observed, and the two "
            "compared.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write; the "
                     "mapping is written beside it as .mapping.json."),
    ] = None,
    weights: Weights = None,
    proofs: Proofs = True,
    force: Annotated[bool, typer.Option(help="Overwrite the output files.")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Exchange the layers of MODEL that have an equal form, prove each, and write the weights.

    One row a site: exchanged, not exchanged and why, read but not called, called and read, not
    reached. The file has the weights as `convlin.rewrite(MODEL, to, keys=…)` holds them, the
    mapping relates them to the original's.
    """
    if plan and out is not None:
        raise InputError(f"--output is {out}, expected none with --plan: nothing is written")
    if out is not None:
        check_output(out, ".safetensors", force)
        check_output(_beside(out), ".json", force)
    shape = None
    if input_shape is not None:
        shape = parse_shape(input_shape, "--input-shape", (1, 2, 3, 4), "3,224,224")
    classifier = open_classifier(model, weights, trust, json)

    import torch

    from convlin import rewrite as rewritten
    from convlin.models.trace import sample

    example = None
    if shape is not None:
        noise = torch.randn((2, *shape), generator=torch.Generator().manual_seed(0))
        example = noise.to(sample(classifier, ()))
    with progress() as steps, torch.no_grad():
        result = rewritten(
            classifier, to, only=only or None, skip=skip or None, keys=keys, plan=plan,
            example=example, proofs=proofs, progress=steps,
        )  # fmt: skip
    written = _write(result, out, force) if out is not None else {}
    if json:
        print(
            jsonlib.dumps({"written": written, "model": model, **result.report.as_dict()}, indent=2)
        )
        return
    console = output()
    console.print(result.report)
    for path, size in written.items():
        console.print(f"[bold green]wrote {shown(path)}[/], {bytes_of(size)}")


def _beside(out: Path) -> Path:
    return out.with_suffix(".mapping.json")


def _write(result: Rewritten, out: Path, force: bool) -> dict[str, int]:
    """Write weights and mapping, both or neither under their names; return their sizes."""
    from safetensors.torch import save

    assert result.model is not None
    held = dict(result.model.state_dict())
    if result.mapping.entries:
        held = result.mapping.from_original(held)
    data = save({name: tensor.detach().clone().contiguous() for name, tensor in held.items()})
    text = jsonlib.dumps(result.mapping.as_dict(), indent=1) + "\n"
    with replacing(_beside(out), force=force) as beside, replacing(out, force=force) as file:
        beside.write(text.encode())
        file.write(data)
    return {str(path): path.stat().st_size for path in (out, _beside(out))}
