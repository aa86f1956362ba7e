"""What a caller of `scan` asks for, read once: plain values of the right kinds, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from convlin.arguments import (
    as_path,
    byte_count,
    choice,
    elements,
    flag,
    index,
    shown,
    whole,
    wholes,
)
from convlin.errors import Refusal, Refused
from convlin.scanning.model_recipe import Classifier
from convlin.scanning.plan.cell_grid import Edges
from convlin.scanning.plan.method_contract import Box, Semantics
from convlin.scanning.stored_outputs import DTYPES, Selection
from convlin.scanning.this_machine import memory_of_machine

__all__ = ["Asked", "asked_of"]

EACH = 4 * 2**30  # bytes of a process where nothing is said: as of `sliding_window`
MOST_THREADS = 1024  # of one process: more than any machine has cores
ENGINES = ("serial", "processes", "dask")


@dataclass(frozen=True)
class Asked:
    """The arguments of `scan`; see there. `memory` is for all processes together."""

    classifier: Classifier
    source: Any
    out: Path | None
    window: tuple[int, ...]
    stride: tuple[int, ...] | None
    semantics: Semantics
    opening: Mapping[str, Any]
    scale: Any
    mean: Any
    std: Any
    edges: Edges
    region: Box | None
    mask: Any
    selection: Selection
    threshold: float | None
    top: int | None
    points: bool
    names: tuple[str, ...] | None
    memory: int
    task: tuple[int, ...]
    band: int
    engine: str
    workers: int
    threads: int | None
    shard: tuple[int, int] | None
    stall: float
    resume: bool
    skip_unreadable: bool
    check: bool


def asked_of(given: Mapping[str, Any]) -> Asked:
    """Return the arguments, each of its kind; raise `Refused` for the first that is not."""
    window = wholes("scan", "window", given["window"], 1, allowed=SHAPES)
    if len(window) not in (2, 3, 4):
        raise Refused(Refusal("scan", "window", window, SHAPES))
    ndim = len(window) - 1
    engine, workers = _engine(given["engine"], given["workers"])
    return Asked(
        classifier=_classifier(given),
        source=given["source"],
        out=_out(given["out"]),
        window=window,
        stride=None if given["stride"] is None else _each("stride", given["stride"], ndim),
        semantics=cast(
            Semantics, choice("scan", "semantics", given["semantics"], ("window", "image"))
        ),
        opening={
            "axes": _letters(given["axes"]),
            "level": whole("scan", "level", given["level"], 0),
            "channels": _several("channels", given["channels"]),
            "nodata": _number("nodata", given["nodata"]),
            "lift_bomb_limit": flag("scan", "lift_bomb_limit", given["lift_bomb_limit"]),
        },
        scale=given["scale"],
        mean=given["mean"],
        std=given["std"],
        edges=cast(Edges, choice("scan", "edges", given["edges"], ("inside", "pad"))),
        region=_region(given["region"], ndim),
        mask=given["mask"],
        selection=_selection(given),
        threshold=_number("threshold", given["threshold"]),
        top=None if given["top"] is None else whole("scan", "top", given["top"], 1),
        points=flag("scan", "points", given["points"]),
        names=_words("names", given["names"], "what classes are called"),
        memory=_memory(given["memory"], workers),
        task=() if given["task"] is None else _each("task", given["task"], ndim),
        band=0 if given["band"] is None else whole("scan", "band", given["band"], 1),
        engine=engine,
        workers=workers,
        threads=_threads(given["threads"]),
        shard=_shard(given["shard"], engine),
        stall=_seconds(given["stall"]),
        resume=flag("scan", "resume", given["resume"]),
        skip_unreadable=flag("scan", "skip_unreadable", given["skip_unreadable"]),
        check=flag("scan", "check", given["check"]),
    )


SHAPES = "(C, L), (C, H, W) or (C, D, H, W)"


def _classifier(given: Mapping[str, Any]) -> Classifier:
    model, weights, through = given["model"], given["weights"], given["windows_through"]
    if not isinstance(model, str | nn.Module):
        allowed = "a torch.nn.Module, or an import path such as torchvision.models:vgg16"
        raise Refused(Refusal("scan", "model", shown(model), allowed))
    if weights is not None and not isinstance(model, str):
        allowed = "None: a module has its weights"
        raise Refused(Refusal("scan", "weights", shown(weights), allowed))
    if not (through is None or isinstance(through, str) or callable(through)):
        allowed = "a function of windows, or the import path of one"
        raise Refused(Refusal("scan", "windows_through", shown(through), allowed))
    if through is not None and given["semantics"] == "image":
        allowed = 'None: semantics="image" has no windows of their own; mean and std are for pixels'
        raise Refused(Refusal("scan", "windows_through", shown(through), allowed))
    path = None if weights is None else str(as_path("scan", "weights", weights))
    return Classifier(model, path, flag("scan", "trust", given["trust"]), through)


def _engine(engine: Any, workers: Any) -> tuple[str, int]:
    """Return the engine's name or address, and how many processes compute; 0: who knows."""
    if not isinstance(engine, str) or not (engine in ENGINES or "://" in engine):
        allowed = f"{', '.join(ENGINES)} or a scheduler's address such as tcp://10.0.0.1:8786"
        raise Refused(Refusal("scan", "engine", shown(engine), allowed))
    if workers is None:
        return engine, {"serial": 1, "processes": 2, "dask": 2}.get(engine, 0)
    if engine not in ("processes", "dask"):
        allowed = 'None: workers are of engine="processes" and engine="dask"'
        raise Refused(Refusal("scan", "workers", shown(workers), allowed))
    return engine, whole("scan", "workers", workers, 1)


def _memory(memory: Any, workers: int) -> int:
    """Return the bytes that all processes may take; unless said, no more than the machine has."""
    if memory is not None:
        return byte_count("scan", "memory", memory)
    return min(EACH * max(1, workers), memory_of_machine() * 3 // 4)


def _out(value: Any) -> Path | None:
    if value is None:
        return None
    path = as_path("scan", "out", value)
    if not path.name:
        raise Refused(Refusal("scan", "out", str(value), "the name of a folder or a file"))
    return path


def _letters(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Refused(Refusal("scan", "axes", shown(value), 'letters, such as "CYX"'))


def _threads(value: Any) -> int | None:
    if value is None:
        return None
    allowed = f"a whole number from 1 to {MOST_THREADS}"
    number = whole("scan", "threads", value, 1, allowed=allowed)
    if number > MOST_THREADS:
        raise Refused(Refusal("scan", "threads", number, allowed))
    return number


def _selection(given: Mapping[str, Any]) -> Selection:
    outputs = given["outputs"]
    one = (outputs,) if isinstance(outputs, str) else outputs
    names = _words("outputs", one, "names of outputs")
    dtype = choice("scan", "dtype", given["dtype"], DTYPES)
    softmax = flag("scan", "softmax", given["softmax"])
    return Selection(names, _several("classes", given["classes"]), softmax, dtype)


def _words(field: str, value: Any, allowed: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    words = tuple(value) if isinstance(value, list | tuple) else ()
    if not words or not all(isinstance(word, str) for word in words):
        raise Refused(Refusal("scan", field, shown(value), f"{allowed}, as texts"))
    return words


def _several(field: str, value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    numbers = wholes("scan", field, value, 0)
    if not numbers:
        raise Refused(Refusal("scan", field, (), "at least one"))
    return numbers


def _each(field: str, value: Any, ndim: int) -> tuple[int, ...]:
    """Return one number for each dimension."""
    one = index(value)
    allowed = f"a whole number ≥ 1, or {ndim} of them"
    numbers = wholes("scan", field, (one,) * ndim if one is not None else value, 1, allowed=allowed)
    if len(numbers) != ndim:
        raise Refused(Refusal("scan", field, shown(value), allowed))
    return numbers


def _region(value: Any, ndim: int) -> Box | None:
    if value is None:
        return None
    sides = elements(value)
    allowed = f"{ndim} pair{'s' * (ndim > 1)} (start, stop) of pixels"
    if sides is None or len(sides) != ndim:
        raise Refused(Refusal("scan", "region", shown(value), allowed))
    found = [wholes("scan", "region", side, 0, allowed=allowed) for side in sides]
    if any(len(side) != 2 for side in found):
        raise Refused(Refusal("scan", "region", shown(value), allowed))
    return tuple((start, stop) for start, stop in found)


def _number(field: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except Exception as error:  # whatever an object of others raises
        raise Refused(Refusal("scan", field, shown(value), "a number")) from error


def _seconds(value: Any) -> float:
    seconds = _number("stall", value)
    if seconds is None or not 0 < seconds < math.inf:
        raise Refused(Refusal("scan", "stall", shown(value), "seconds above 0"))
    return seconds


def _shard(value: Any, engine: str) -> tuple[int, int] | None:
    if value is None:
        return None
    allowed = "(i, n) with i from 1 to n"
    numbers = wholes("scan", "shard", value, 1, allowed=allowed)
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise Refused(Refusal("scan", "shard", shown(value), allowed))
    if engine != "serial":
        why = "a share of the tasks is run by the process that is asked for it"
        raise Refused(Refusal("scan", "engine", engine, '"serial", beside shard', why))
    return numbers[0], numbers[1]
