"""Checkpoints of a model in the other layout, from file to file.

A checkpoint is one safetensors file, or a folder as Hugging Face lays it out: an index that says
which shard holds which tensor, and the shards. All headers are read and judged before anything is
written; new files are put into place when all of them are whole, the index last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from convlin.arguments import as_path, choice
from convlin.display.atomic import replacing
from convlin.errors import InputError, one_line
from convlin.models.mapping.mapping import WeightMapping, require_mapping
from convlin.models.mapping.mapping_entry import Move
from convlin.models.mapping.moves import Moves
from convlin.models.mapping.tensor_files import TensorFile

__all__ = ["convert_checkpoint", "new_folder"]

INDEX = "*.safetensors.index.json"


def convert_checkpoint(
    source: str | Path, target: str | Path, mapping: WeightMapping, to: str = "original"
) -> None:
    """Write the checkpoint at `source` to `target` in the "original" or the "native" layout.

    source: a safetensors file, or a folder with a sharded checkpoint or one safetensors file.
    target: a file for a file, a folder for a folder: made if need be, its other files unchanged.

    Shards keep their names, tensors their places and files their metadata. At most one tensor is
    in memory. Nothing is unpickled. Raises `Refused` for weights that the mapping does not fit,
    and `InputError`, in one line, for files that cannot be read or written; `target` is then as it
    was.
    """
    choice("convert_checkpoint", "to", to, ("original", "native"))
    require_mapping("convert_checkpoint", mapping)
    source = as_path("convert_checkpoint", "source", source)
    target = as_path("convert_checkpoint", "target", target)
    if not source.is_dir():
        file = TensorFile.open(source)
        moves = _moves([file], mapping, to)
        with replacing(target) as out:
            file.write(moves, out)
        return
    index_path = _the_one(source, INDEX)
    index = None if index_path is None else _index(index_path)
    files = _files(source, index)
    moves = _moves(files, mapping, to)
    with new_folder(target), ExitStack() as stack:
        if index_path is not None and index is not None:
            # Entered first, it is left last: it is put into place when its shards are.
            out = stack.enter_context(replacing(target / index_path.name))
            out.write(_renamed(index, moves))
        for file in files:
            file.write(moves, stack.enter_context(replacing(target / file.path.name)))


def _moves(files: list[TensorFile], mapping: WeightMapping, to: str) -> dict[str, Move]:
    shapes = {name: shape for file in files for name, shape in file.shapes.items()}
    moves = Moves(mapping.entries, to, shapes).of(shapes)
    for file in files:
        file.require_whole_numbers(moves)
    return moves


def _the_one(folder: Path, pattern: str) -> Path | None:
    """Return the file of that name, None if there is none; which of several, nobody knows."""
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(f"{folder}: holds several checkpoints: {names}")
    return found[0] if found else None


def _index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no readable index: {one_line(error)}") from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not all(
        isinstance(shard, str) and Path(shard).name == shard for shard in weight_map.values()
    ):
        raise InputError(f"{path}: no index: it has no weight_map of tensors to files beside it")
    return {**index, "weight_map": weight_map}


def _files(folder: Path, index: Mapping[str, Any] | None) -> list[TensorFile]:
    """Return all shards; raise `InputError` if one is missing or is not what the index says."""
    if index is None:
        path = _the_one(folder, "*.safetensors")
        if path is None:
            raise InputError(f"{folder}: holds no safetensors file")
        return [TensorFile.open(path)]
    weight_map: dict[str, str] = index["weight_map"]
    files = [TensorFile.open(folder / shard) for shard in sorted(set(weight_map.values()))]
    for file in files:
        named = {name for name, shard in weight_map.items() if shard == file.path.name}
        wrong = sorted(named ^ file.shapes.keys())
        if wrong:
            reason = "is not in it" if wrong[0] in named else "is in it"
            raise InputError(f"{file.path}: not what the index says: {wrong[0]} {reason}")
    return files


def _renamed(index: Mapping[str, Any], moves: Mapping[str, Move]) -> bytes:
    """Return the index with the names of the other layout, written as `save_pretrained` does."""
    weight_map = {
        moves[name].target if name in moves else name: shard
        for name, shard in index["weight_map"].items()
    }
    text = json.dumps({**index, "weight_map": weight_map}, indent=2, sort_keys=True)
    return f"{text}\n".encode()


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make a folder if there is none, and take it away again if the block fails."""
    try:
        path.mkdir()
        made = True
    except FileExistsError:
        made = False
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):  # someone else has put something into it
                path.rmdir()
        raise
