"""Models that the user names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlin.cli.terminal import output, shown
from convlin.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "announce", "not_exiting", "open_classifier", "open_function", "open_layer", "open_model",
    "require_classifier",
]  # fmt: skip


def open_model(spec: str, weights: Path | None, trust: bool, json: bool) -> nn.Module:
    """Load a model, and say whose code runs for it; the working directory is searched first."""
    from convlin.models.load import load_model

    announce(spec, weights, trust, json)
    return load_model(spec, weights, trust=trust)


def announce(spec: str, weights: Path | None, trust: bool, json: bool) -> None:
    """Say whose code runs for a model; the working directory is searched first."""
    console = output(json)
    if ":" in spec:
        _search_here()
        filled = shown(weights) if weights else "as it makes them"
        console.print(f"[dim]runs the code of {shown(spec)}; weights: {filled}[/]")
    elif trust:
        console.print(f"[dim]trusts {shown(spec)}: it may run code of its own[/]")


def require_classifier(spec: str) -> None:
    """Raise `InputError` for a `.pt2`, which cannot be run on larger images."""
    if spec.lower().endswith(".pt2"):
        raise InputError(f"{spec}: a .pt2 serves `convlin prove` only; give an import path")


def open_classifier(spec: str, weights: Path | None, trust: bool, json: bool) -> nn.Module:
    """Load a model to be made fully convolutional, which a `.pt2` cannot be."""
    require_classifier(spec)
    return open_model(spec, weights, trust, json)


def open_function(spec: str, json: bool) -> Callable[..., Any]:
    """Look a conversion up, and say that its code runs; the working directory comes first."""
    from convlin.models.load import look_up

    _search_here()
    output(json).print(f"[dim]runs the code of {shown(spec)}[/]")
    function: Callable[..., Any] = look_up(spec, "function", "package.module:function")
    if not callable(function):
        raise InputError(f"{spec}: type is {type(function).__name__}, expected a function")
    return function


def open_layer(spec: str, json: bool) -> nn.Module:
    """Make a layer from its numbers, `Conv2d:3,5,k=1`, or from an import path, whose code runs."""
    from convlin.cli.written_layers import is_written_out, parse_layer
    from convlin.models.load import build

    if is_written_out(spec):
        return parse_layer(spec)
    allowed = "package.module:layer, or numbers such as Conv2d:3,5,k=1,s=2"
    _search_here()
    if ":" in spec:
        output(json).print(f"[dim]runs the code of {shown(spec)}[/]")
    return build(spec, "layer", allowed)


@contextmanager
def not_exiting(spec: str) -> Iterator[None]:
    """Run code of the user's for a verdict: if it exits, even with 0, nothing was proved."""
    try:
        yield
    except SystemExit as end:
        raise InputError(f"{spec}: its code ended the program: {one_line(end)}") from end


def _search_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
