"""Zarr arrays of formats 2 and 3, and which array a path or a group stands for.

Chunks that are not stored are the array's fill value: that is the format. So a chunk's file that
is empty, or a shard whose index points behind its end, would read as fill values too; and blosc
believes what a chunk says of its own length, and reads on where the chunk is cut short. All three
are looked for before zarr reads them.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convlin.errors import InputError, one_line
from convlin.scanning.plan.contract import Box
from convlin.scanning.sources.ome_levels import OmeLevel, ome_level
from convlin.scanning.sources.on_disk import folder_identity
from convlin.scanning.sources.reader import Facts, level_of, required

__all__ = ["ZarrReader", "is_zarr", "zarr_reader"]

METADATA = ("zarr.json", ".zarray", ".zgroup")
UNCHECKED = "Zarr without checksums: a damaged chunk may read as other numbers"
# Codecs, as their names end, that put a checksum of what they hold behind it.
CHECKED = ("crc32c", "crc32", "adler32", "fletcher32", "jenkins_lookup3", "gzip", "zlib")
AT_ONCE = 10  # chunks that zarr reads at once, by its own default
ABSENT = np.uint64(2**64 - 1)  # in an index, of chunks that are not stored
GROUP = 16 * 2**20  # bytes of chunks that are asked of zarr at once, if one is not larger


class ZarrReader:
    """A Zarr array; folder: where it lies, None of one in memory; origin: what was opened."""

    def __init__(
        self, array: Any, name: str, kind: str, folder: Path | None, origin: Any = None,
        level: OmeLevel | None = None,
    ) -> None:  # fmt: skip
        self._array = array
        self._folder = folder
        self._origin = folder if origin is None else origin
        self._dtype = np.dtype(array.dtype)
        shape, outer = tuple(array.shape), tuple(array.shards or array.chunks)
        self._outer = tuple(max(1, min(n, side)) for n, side in zip(shape, outer, strict=True))
        item = self._dtype.itemsize
        chunk, shard = math.prod(array.chunks) * item, math.prod(outer) * item
        self._group = _grouped(self._outer, shape, GROUP // item)
        # of a group: what zarr makes of it, and of each chunk beside the others of it what is
        # packed and unpacked
        at_once = min(AT_ONCE, -(-math.prod(self._group) * item // shard)) * shard
        codecs = _codecs(array)
        self._packed_last = codecs[-1]["name"].rpartition(".")[2] if codecs else ""
        options = [each.get("configuration") or {} for each in codecs]
        self._index_is_first = any(
            str(its.get("index_location")).endswith("start") for its in options
        )
        facts = level or OmeLevel("", None, ())
        self.facts = Facts(
            name, kind, shape, self._dtype, facts.axes, tuple(array.chunks),
            memory=math.prod(self._group) * item + 2 * max(at_once, chunk),
            place=facts.place, notes=() if _has_checksums(codecs) else (UNCHECKED,),
            space=facts.space,
        )  # fmt: skip

    def read(self, box: Box) -> np.ndarray:
        """Return these numbers; chunks that are not stored are the array's fill value."""
        self._require_stored(box)
        made = np.empty(tuple(stop - start for start, stop in box), self._dtype)
        for part in _parts(box, self._group):
            sides = zip(part, box, strict=True)
            place = tuple(slice(a - first, b - first) for (a, b), (first, _) in sides)
            made[place] = self._array[tuple(slice(start, stop) for start, stop in part)]
        return made

    def identity(self) -> dict[str, Any]:
        """Return shape and kind of numbers, and what its folder is known by."""
        known = {
            "kind": self.facts.kind, "shape": list(self._array.shape), "dtype": str(self._dtype)
        }  # fmt: skip
        return known if self._origin is None else known | folder_identity(Path(self._origin))

    def reopened(self) -> Any:
        """Return its path, and None of one in memory."""
        return None if self._origin is None else str(self._origin)

    def close(self) -> None:
        """Leave it: nothing is open between reads."""

    def _require_stored(self, box: Box) -> None:
        """Raise `OSError` for files of chunks that would read as if they were not there."""
        if self._folder is None:
            return
        sides = zip(box, self._outer, strict=True)
        for index in itertools.product(*(range(a // n, -(-b // n)) for (a, b), n in sides)):
            path = self._folder / self._array.metadata.encode_chunk_key(index)
            try:
                size = path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not size:
                raise OSError(f"{path.name} is empty")
            self._require_whole(path, size)

    def _require_whole(self, path: Path, size: int) -> None:
        """Raise `OSError` if a chunk's file is shorter than it says itself."""
        said = 0
        if self._packed_last == "blosc" and not self._array.shards:
            with path.open("rb") as file:  # its header: four bytes, then lengths unpacked, of a
                said = int.from_bytes(file.read(16)[12:], "little")  # block, and packed
        elif self._array.shards and self._index_is_first:
            count = math.prod(self._array.shards) // math.prod(self._array.chunks)
            with path.open("rb") as file:  # its index: offset and length of each chunk
                index = np.frombuffer(file.read(16 * count), "<u8").reshape(-1, 2)
            there = index[(index != ABSENT).all(axis=1)]
            said = max(map(int, there.sum(axis=1)), default=0) if len(index) == count else size + 1
        if said > size:
            raise OSError(f"{path.name} is cut short: {size:,} bytes of {said:,}")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return path.is_dir() and any((path / name).exists() for name in METADATA)


def zarr_reader(source: Any, level: int) -> ZarrReader:
    """Return the reader of a path, an array or a group; of an OME-Zarr image, of one level."""
    zarr = required("zarr", "Zarr")
    name, node = str(source), source
    if isinstance(source, Path):
        try:
            node = zarr.open(store=str(source), mode="r")
        except Exception as error:  # of damaged metadata: whatever zarr stumbles over
            raise InputError(f"{source}: not a readable Zarr: {one_line(error)}") from error
    elif not isinstance(source, zarr.Array | zarr.Group):
        raise InputError(f"{type(source).__name__}: expected an array or a group of zarr")
    folder = _folder(node)
    if folder is not None:
        name = folder.name
    kind = f"Zarr v{node.metadata.zarr_format}"
    try:
        if isinstance(node, zarr.Array):
            level_of(name, level, 1)
            return ZarrReader(node, name, kind, folder)
        array, its = ome_level(node, level, name)
        return ZarrReader(array, name, f"OME-{kind}{its.text}", _folder(array), folder, its)
    except InputError:
        raise
    except Exception as error:  # of odd metadata: whatever it does not hold
        raise InputError(f"{name}: not a readable Zarr: {one_line(error)}") from error


def _folder(node: Any) -> Path | None:
    """Return the folder of an array or a group on this machine's disk."""
    root = getattr(node.store, "root", None)
    return None if not isinstance(root, Path) else root / node.path


def _grouped(chunk: tuple[int, ...], shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return whole chunks along each axis that hold `most` numbers together, or a single one.

    >>> _grouped((1, 10, 16), (3, 37, 53), 2000)
    (1, 30, 64)
    """
    group = list(chunk)
    for axis in reversed(range(len(chunk))):
        others = math.prod(group) // group[axis]
        times = min(-(-shape[axis] // chunk[axis]), most // (others * chunk[axis]))
        group[axis] = max(1, times) * chunk[axis]
    return tuple(group)


def _parts(box: Box, group: tuple[int, ...]) -> Iterator[Box]:
    """Yield a box cut where groups of chunks end."""
    axes = []
    for (start, stop), n in zip(box, group, strict=True):
        ends = [start, *range(start // n * n + n, stop, n), stop]
        axes.append(list(itertools.pairwise(ends)))
    yield from itertools.product(*axes)


def _codecs(array: Any) -> list[dict[str, Any]]:
    """Return the codecs of an array, each as the format writes it, in the order of writing."""
    found = json.loads(json.dumps(array.metadata.to_dict(), default=str))
    if found["zarr_format"] == 2:
        codecs = [*(found.get("filters") or ()), found.get("compressor") or {"id": ""}]
        return [{"name": each["id"], "configuration": each} for each in codecs]
    codecs = found["codecs"]
    return codecs if isinstance(codecs, list) else []


def _has_checksums(codecs: list[dict[str, Any]]) -> bool:
    """Whether every chunk's numbers are stored with a checksum of theirs."""
    for each in codecs:
        options = each.get("configuration") or {}
        own = each["name"].rpartition(".")[2]
        if own in CHECKED or (own == "zstd" and options.get("checksum")):
            return True
        if own == "sharding_indexed" and _has_checksums(options["codecs"]):
            return True
    return False
