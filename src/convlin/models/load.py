"""Models from outside: import paths with optional weight files, and `.pt2` archives."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from convlin.arguments import shown
from convlin.display.inputs import existing
from convlin.errors import ConvlinError, InputError, one_line
from convlin.models.pt2_archive import load_archive
from convlin.models.weights import fill, read_weights

__all__ = ["build", "load_model", "look_up"]


def load_model(spec: str, weights: str | Path | None = None, *, trust: bool = False) -> nn.Module:
    """Return the model that `spec` names, in eval mode.

    spec: an import path `package.module:factory`, whose factory (or class) is called without
    arguments, or which names a module as it is; or, with `trust`, the path of a `.pt2` archive.
    weights: a file for an import path: safetensors, or a state dict that `torch.load` reads with
    `weights_only=True`. `trust` lets files run and unpickle whatever they hold.

    Raises `InputError`, in one line, for everything that is not there or does not fit.

    >>> load_model("torch.nn:ReLU")
    ReLU()
    >>> load_model("torch.nn:ReLv")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: torch.nn:ReLv: torch.nn has no 'ReLv'; did you mean ReLU or ...
    """
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        raise InputError(f"{spec}: ONNX models are not read yet; give an import path or a .pt2")
    if suffix == ".pt2":
        if weights is not None:
            raise InputError(f"{spec}: a .pt2 holds its weights; give none beside it")
        return load_archive(existing(Path(spec)), trust=trust)
    model = build(spec, "model", "package.module:factory or a .pt2 file")
    if weights is not None:
        file = existing(Path(weights))
        fill(model, read_weights(file, trust=trust), str(file))
    with _running(f"{spec}: eval()"):
        model.eval()
    return model


def look_up(spec: str, what: str, allowed: str) -> Any:
    """Return what an import path names, or raise `InputError`: `what` is not `allowed`.

    >>> look_up("os.path:join", "function", "package.module:function").__name__
    'join'
    """
    name, colon, attribute = spec.partition(":")
    if not (colon and attribute and all(part.isidentifier() for part in name.split("."))):
        raise InputError(f"{what} is {shown(spec)}, expected {allowed}")
    named: Any = _import(spec, name)
    for part in attribute.split("."):
        with _running(f"{spec}: looking up {part}"):
            if not hasattr(named, part):
                near = _near(part, dir(named))
                raise InputError(f"{spec}: {name} has no {part!r}{near}")
            named = getattr(named, part)
    return named


def build(spec: str, what: str, allowed: str) -> nn.Module:
    """Return the module that an import path names, or that what it names makes."""
    named = look_up(spec, what, allowed)
    if not isinstance(named, nn.Module):
        if not callable(named):
            kinds = "a factory or a torch.nn.Module"
            raise InputError(f"{spec}: type is {type(named).__name__}, expected {kinds}")
        with _running(f"{spec}: calling it without arguments"):
            named = named()
    if not isinstance(named, nn.Module):
        kind = type(named).__name__
        raise InputError(f"{spec}: type of the result is {kind}, expected a torch.nn.Module")
    return named


def _import(spec: str, name: str) -> Any:
    with _running(f"{spec}: importing {name}"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise InputError(f"{spec}: no module named {error.name}") from error
            raise


@contextmanager
def _running(what: str) -> Iterator[None]:
    """Run code of the user's; whatever it raises becomes one line that says when.

    That includes SystemExit, in which a script without a main guard ends when it is imported.
    """
    try:
        yield
    except (ConvlinError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise InputError(f"{what} raised {one_line(error)}") from error


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
