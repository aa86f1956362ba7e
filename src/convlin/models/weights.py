"""Weight files, and models filled from them: nothing in a file runs, and every number survives."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlin.errors import InputError, one_line

__all__ = ["fill", "read_weights"]

LISTED = 4  # names of each kind that an error lists: eight lines of a terminal at double that
INTEGERS = frozenset(
    {torch.int8, torch.int16, torch.int32, torch.int64}
    | {torch.uint8, torch.uint16, torch.uint32, torch.uint64}
)


def read_weights(path: Path, *, trust: bool = False) -> Mapping[str, Tensor]:
    """Return the state dict in a file: safetensors, or what `torch.save` wrote.

    Pickles are read with `weights_only=True` unless `trust`; a state dict under "state_dict" is
    read too. Raises `InputError` for everything that is no state dict of plain tensors.
    """
    safetensors = path.suffix.lower() == ".safetensors"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that are old, not wrong
            if not safetensors and not trust:
                _require_stored(path)
            state: Any = load_file(path) if safetensors else _unpickled(path, trust)
    except InputError:
        raise
    except Exception as error:  # of damaged files: whatever their readers stumble over
        raise InputError(f"{path}: not a readable weight file: {one_line(error)}") from error
    if isinstance(state, nn.Module):
        state = state.state_dict()
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise InputError(f"{path}: holds no state dict of tensors")
    return state


def _unpickled(path: Path, trust: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        reason = "holds more than weights, which unpickling would run"
        raise InputError(f"{path}: {reason}; open it only if you trust it (--trust)") from error


def _require_stored(path: Path) -> None:
    """Refuse archives larger inside than outside: compressed, or with members that overlap."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inside = sum(entry.file_size for entry in entries)
    if inside > path.stat().st_size or any(entry.compress_type for entry in entries):
        reason = "compressed, or larger inside than outside, which torch.save never writes"
        raise InputError(f"{path}: {reason}; open it only if you trust it (--trust)")


def fill(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict into the model, or raise an `InputError` of everything that does not fit.

    A dtype fits if the model's is of the same kind and holds every number of it: float16 goes
    into float32, but no integers go into floats, and nothing is rounded.
    """
    parts = {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    both = [
        (name, state[name], parts[name])
        for name in parts
        # A lazy layer has no shape yet: it takes that of what it loads.
        if name in state and _is_plain(state[name]) and not is_lazy(parts[name])
    ]
    problems = [
        _listed("missing", [name for name in parts if name not in state]),
        _listed("unexpected", [name for name in state if name not in parts]),
        _listed("not a plain tensor", [
            name for name in parts if name in state and not _is_plain(state[name])
        ]),
        _listed("of another shape", [
            f"{name} {tuple(stored.shape)} instead of {tuple(own.shape)}"
            for name, stored, own in both if stored.shape != own.shape
        ]),
        *(
            _listed(f"of {kind} dtype", [
                f"{name} {stored.dtype} instead of {own.dtype}"
                for name, stored, own in both if _misfit(stored.dtype, own.dtype) == kind
            ])
            for kind in ("another", "a wider")
        ),
    ]  # fmt: skip
    if any(problems):
        what = "; ".join(filter(None, problems))
        raise InputError(f"{source}: does not fit {type(model).__name__}: {what}")
    try:
        model.load_state_dict(state)
    except Exception as error:  # of a model that loads in a way of its own
        reason = f"{type(model).__name__} does not load it: {one_line(error)}"
        raise InputError(f"{source}: {reason}") from error


def _is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor holds its numbers in strides, on the CPU, as they are."""
    plain = type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided
    return plain and not (tensor.is_meta or tensor.is_quantized or tensor.is_nested)


def _misfit(stored: torch.dtype, own: torch.dtype) -> str:
    """Return how a dtype fails to hold another: it is of "another" kind, or that is "a wider" one.

    >>> _misfit(torch.int8, torch.float32), _misfit(torch.float64, torch.float32)
    ('another', 'a wider')
    >>> _misfit(torch.float16, torch.float32), _misfit(torch.uint8, torch.int64)
    ('', '')
    """
    if stored == own:
        return ""
    if stored.is_complex and own.is_complex:
        return _misfit(stored.to_real(), own.to_real())
    if stored.is_floating_point and own.is_floating_point:
        a, b = torch.finfo(stored), torch.finfo(own)
        fits = b.eps <= a.eps and b.max >= a.max and b.smallest_normal <= a.smallest_normal
        return "" if fits else "a wider"
    if stored in INTEGERS and own in INTEGERS:
        low, high = torch.iinfo(stored), torch.iinfo(own)
        return "" if high.min <= low.min and high.max >= low.max else "a wider"
    return "another"


def _listed(kind: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{kind}: {', '.join(names[:LISTED])}{more}"
