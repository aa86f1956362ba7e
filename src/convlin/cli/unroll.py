"""`convlin unroll`: the matrix of one layer, into a file that SciPy reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convlin.arguments import shown as quoted
from convlin.cli.models import open_classifier
from convlin.cli.options import Model, Trust, Weights
from convlin.cli.shapes import parse_shape
from convlin.cli.terminal import output, shown
from convlin.cli.written_files import check_output
from convlin.display.atomic import replacing
from convlin.errors import GeometryError, InputError

if TYPE_CHECKING:
    from torch import nn

    from convlin.layers.stock_layer import Conv

__all__ = ["unroll"]


def unroll(
    model: Model,
    layer: Annotated[
        str,
        typer.Argument(metavar="LAYER", help="Name of a convolution in it, such as features.0."),
    ],
    input_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="What the layer reads, in pixels: height,width; one number: every side; also "
            "with the layer's channels before.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .npz file to write.")
    ],
    weights: Weights = None,
    memory_limit: Annotated[
        int, typer.Option(metavar="BYTES", help="What the matrix may take.", min=1)
    ] = 2 * 2**30,
    force: Annotated[bool, typer.Option(help="Overwrite the output file.")] = False,
    trust: Trust = False,
) -> None:
    """Write the matrix of a convolution in MODEL as a sparse CSR .npz file.

    scipy.sparse.load_npz reads it. Rows are the layer's outputs (channel, *position), columns its
    inputs, both in C order; taps of weight 0 stay entries. The bias is no part of it.
    """
    shape = parse_shape(input_size, "--input-size", (1, 2, 3, 4), "56,56")
    check_output(out, ".npz", force)
    convolution = _layer(open_classifier(model, weights, trust, json=False), model, layer)
    size = _size(convolution, layer, shape)

    from scipy.sparse import save_npz

    import convlin

    matrix = convlin.unroll(convolution, size, memory_limit=memory_limit)
    csr = matrix.tocsr()
    with replacing(out, force=force) as file:
        save_npz(file, csr)
    console = output()
    called = f"{layer}: " if layer else ""  # the model itself has no name
    console.print(shown(f"{called}{repr(matrix)[1:-1]}"))
    console.print(f"rows: outputs {matrix.output_shape}; columns: inputs {matrix.input_shape}")
    console.print(f"wrote {shown(out)} ({out.stat().st_size:,} bytes)")


def _layer(network: nn.Module, model: str, name: str) -> Conv:
    """Return the convolution of that name, or say which ones there are."""
    from convlin.layers.stock_layer import CONVOLUTIONS

    layers = dict(network.named_modules())
    kinds = tuple(CONVOLUTIONS.values())
    layer = layers.get(name)
    if isinstance(layer, kinds):
        return layer
    known = [
        own or "'', the model itself" for own, each in layers.items() if isinstance(each, kinds)
    ]
    listed = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    reason = "no such layer" if layer is None else f"its type is {type(layer).__name__}"
    reason = reason if name else f"the model itself: {reason}"
    allowed = f"the name of a convolution: {listed or 'it has none'}"
    raise InputError(f"{model}: layer is {quoted(name)}, expected {allowed} ({reason})")


def _size(convolution: Conv, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the input's size in pixels: one number repeats, and the layer's channels may lead."""
    from convlin.geometry import ConvGeometry, short

    geometry = ConvGeometry.of(convolution)
    size = shape * geometry.ndim if len(shape) == 1 else shape
    if len(size) == geometry.ndim + 1 and size[0] == geometry.in_channels:
        size = size[1:]
    what = f"{name or 'the model'} ({type(convolution).__name__} {short(geometry)})"
    if len(size) != geometry.ndim:
        text = ",".join(map(str, shape))
        axes = ",".join(("depth", "height", "width")[-geometry.ndim :])
        allowed = f"{axes} or {geometry.in_channels},{axes}"
        raise InputError(f"{what}: --input-size is {text!r}, expected {allowed}")
    try:
        geometry.output_size(size)
    except GeometryError as error:
        raise GeometryError(replace(each, site=what) for each in error.refusals) from None
    return size
