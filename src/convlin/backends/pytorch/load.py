"""Models from outside: import paths with optional weight files, and `.pt2` archives."""

from __future__ import annotations

import difflib
import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from convlin.backends.pytorch.archive import load_archive
from convlin.errors import InputError

__all__ = ["load_model"]

LISTED = 4  # names of each kind that an error lists


def load_model(spec: str, weights: str | Path | None = None, *, trust: bool = False) -> nn.Module:
    """Return the model that `spec` names, in eval mode.

    spec: an import path `package.module:factory`, whose factory (or class) is called without
    arguments, or which names a module as it is; or the path of a `.pt2` archive.
    weights: a file for an import path: safetensors, or a state dict that `torch.load` reads with
    `weights_only=True`. `trust` lets files unpickle whatever they hold.

    Raises `InputError`, in one line, for everything that is not there or does not fit.

    >>> load_model("torch.nn:ReLU")
    ReLU()
    >>> load_model("torch.nn:ReLv")
    Traceback (most recent call last):
        ...
    convlin.errors.InputError: torch.nn:ReLv: torch.nn has no 'ReLv'; near: ReLU
    """
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        raise InputError(f"{spec}: ONNX models are not read yet; give an import path or a .pt2")
    if suffix == ".pt2":
        if weights is not None:
            raise InputError(f"{spec}: a .pt2 holds its weights; give none beside it")
        if not Path(spec).is_file():
            raise InputError(f"{spec}: no such file")
        return load_archive(Path(spec), trust=trust)
    model = _build(spec)
    if weights is not None:
        _fill(model, _read(Path(weights), trust), str(weights))
    return model.eval()


def _build(spec: str) -> nn.Module:
    """Import, look up, call."""
    name, colon, attribute = spec.partition(":")
    if not (colon and attribute and all(part.isidentifier() for part in name.split("."))):
        raise InputError(f"{spec}: not package.module:factory, and no .pt2 file")
    found: Any = _import(spec, name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise InputError(f"{spec}: {name} has no {part!r}{_near(part, dir(found))}")
        found = getattr(found, part)
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise InputError(f"{spec}: a {type(found).__name__}, not a factory or a module")
        try:
            found = found()
        except Exception as error:
            raise InputError(
                f"{spec}: calling it without arguments raised {_told(error)}"
            ) from error
    if not isinstance(found, nn.Module):
        raise InputError(f"{spec}: gave a {type(found).__name__}, not a torch.nn.Module")
    return found


def _import(spec: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(f"{spec}: no module named {error.name}") from error
        raise InputError(f"{spec}: importing {name} raised {_told(error)}") from error
    except Exception as error:
        raise InputError(f"{spec}: importing {name} raised {_told(error)}") from error


def _read(path: Path, trust: bool) -> Mapping[str, Tensor]:
    """Read a state dict; safetensors by its own reader, all else by `torch.load`."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        reason = "holds more than weights, which unpickling would run"
        raise InputError(f"{path}: {reason}; open it only if you trust it (--trust)") from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not a readable weight file: {_told(error)}") from error
    if isinstance(state, nn.Module):
        state = state.state_dict()
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: holds no state dict of tensors")
    return state


def _fill(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict into the model, or say everything that does not fit."""
    own = {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    both = [name for name in own if name in state]
    problems = [
        _listed("missing", [name for name in own if name not in state]),
        _listed("unexpected", [name for name in state if name not in own]),
        _listed(
            "of another shape",
            [
                f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}"
                for name in both
                if state[name].shape != own[name].shape
            ],
        ),
        _listed(
            "of a wider dtype",
            [
                f"{name} {state[name].dtype} for {own[name].dtype}"
                for name in both
                if torch.promote_types(state[name].dtype, own[name].dtype) != own[name].dtype
            ],
        ),
    ]
    if any(problems):
        what = "; ".join(filter(None, problems))
        raise InputError(f"{source}: does not fit {type(model).__name__}: {what}")
    model.load_state_dict(state)


def _listed(kind: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{kind}: {', '.join(names[:LISTED])}{more}"


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    return f"; near: {', '.join(near)}" if near else ""


def _told(error: BaseException) -> str:
    """Return an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
