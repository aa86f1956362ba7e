"""`convlin convert`: a classifier as an exported program for images of any size."""

from __future__ import annotations

import io
import json as jsonlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from convlin.cli.models import open_classifier
from convlin.cli.options import Json, Model, Proofs, Trust, Weights, Window
from convlin.cli.shapes import parse_shape, parse_stride
from convlin.cli.terminal import output, progress, shown
from convlin.cli.written_files import check_output
from convlin.display.atomic import replacing
from convlin.display.numbers import bytes_of, times
from convlin.errors import InputError, first_line

if TYPE_CHECKING:
    from torch import nn

    from convlin import FullyConvolutional

__all__ = ["convert"]


def convert(
    model: Model,
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .pt2 file to write.")
    ],
    window: Window = "3,224,224",
    stride: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Pixels from window to window. Refused if not the network's own, which is taken "
            "where none is given.",
        ),
    ] = None,
    weights: Weights = None,
    allow_inexact: Annotated[
        bool, typer.Option(help="Convert also where padding and the like break the equality.")
    ] = False,
    head: Annotated[
        Literal["conv", "linear"],
        typer.Option(help="The first Linear as a convolution, or as windows through a Linear."),
    ] = "conv",
    proofs: Proofs = True,
    force: Annotated[bool, typer.Option(help="Overwrite the output file.")] = False,
    trust: Trust = False,
    json: Json = False,
) -> None:
    """Write MODEL as a .pt2 that takes any batch of images as large as the window or larger.

    The written file is loaded in a new process and compared, at the window, at one cell more and
    at odd sizes, before it gets its name. Exit code 2 if the model is refused, with what stands
    against it.
    """
    shape = parse_shape(window, "--window", (2, 3, 4), "3,224,224")
    steps = () if stride is None else parse_stride(stride, len(shape) - 1)
    check_output(out, ".pt2", force)
    classifier = open_classifier(model, weights, trust, json)

    from convlin import fully_convolutional

    if steps:
        _require_own(steps, classifier, shape)
    with progress() as bar:
        network = fully_convolutional(
            classifier, shape, allow_inexact=allow_inexact, head=head, proofs=proofs, progress=bar
        )
    difference, tried = _write(network, out, model, force)
    if json:
        summary = {"output": str(out), "difference": difference, "compared_on": tried}
        print(jsonlib.dumps(summary | network.report.as_dict(), indent=2))
        return
    console = output()
    console.print(network.report)
    axes = zip("DHW"[-len(shape[1:]) :], shape[1:], strict=True)
    least = ", ".join(f"{name} ≥ {size}" for name, size in axes)
    batches = f"{len(tried)} batches, from {times(min(tried))} to {times(max(tried))}"
    console.print(
        f"\n[bold green]wrote {shown(out)}[/], {bytes_of(out.stat().st_size)}; loaded in a new "
        f"process and compared on {batches}: largest difference {difference:.2g}"
    )
    console.print("load it with", style="dim")
    console.print(
        f'    network = torch.export.load("{shown(out)}").module()\n'
        f"    scores = network(images)  # (N, {shape[0]}, {least})"
    )


def _require_own(stride: tuple[int, ...], classifier: nn.Module, shape: tuple[int, ...]) -> None:
    """Refuse another stride than the network's own before anything is proved, checked or run."""
    from convlin import fully_convolutional

    own = fully_convolutional(
        classifier, shape, allow_inexact=True, proofs=False, check=False
    ).stride
    if stride != own:
        raise InputError(
            f"--stride is {times(stride)}, expected {times(own)}, the network's own: no .pt2 is "
            "written of windows at another one (convlin slide runs them, convlin plan counts them)"
        )


def _write(
    network: FullyConvolutional, out: Path, model: str, force: bool
) -> tuple[float, list[tuple[int, ...]]]:
    """Export, save under another name, load, compare, rename; return the largest difference."""
    import torch

    from convlin.models.dense.export import export
    from convlin.models.dense.written import compare

    archive = io.BytesIO()  # into a full disk, PyTorch's own writer aborts the process
    try:
        program = export(network)
        with warnings.catch_warnings():
            # Weights that are views of a classifier's are saved with all that they share.
            warnings.filterwarnings("ignore", "No complete tensor found")
            torch.export.save(program, archive)
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"{model}: torch.export cannot export it: {reason}") from error
    with replacing(out, force=force) as file:
        file.write(archive.getbuffer())
        file.flush()
        return compare(network, Path(file.name), str(out))
