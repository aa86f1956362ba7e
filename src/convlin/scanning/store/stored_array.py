"""What an array of a store is like: whole shards, each the part of one task.

A shard is a file, of chunks that can be read alone. Two tasks in one shard would each read it, put
their part in and write it: the later would lose what the earlier wrote. So what is no whole shard
is refused.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from convlin.errors import Description, Refusal, Refused

__all__ = ["StoredArray"]

Region = tuple[slice, ...]


@dataclass(frozen=True)
class StoredArray:
    """An array of (channels, *cells): its shards and the chunks in them, its numbers.

    fill: what a cell is that nobody wrote. shard, chunk: of as many dimensions as `shape`; a
    shard is made of whole chunks.
    """

    name: str
    shape: tuple[int, ...]
    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    fill: float = math.nan

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith((".", "__")) or set(self.name) & set("/\\\0"):
            allowed = "a name that a folder can have, without / and without . or __ before it"
            raise Refused(Refusal("store", "name", self.name, allowed))
        for field, sizes in (("shape", self.shape), ("shard", self.shard), ("chunk", self.chunk)):
            if len(sizes) != len(self.shape) or min(sizes, default=0) < 1:
                allowed = f"{len(self.shape)} sizes of at least 1"
                raise Refused(Refusal(self.name, field, sizes, allowed))
        if any(shard % chunk for shard, chunk in zip(self.shard, self.chunk, strict=True)):
            allowed = f"sizes that divide the shard's {self.shard}"
            raise Refused(Refusal(self.name, "chunk", self.chunk, allowed))

    def region(self, cells: Sequence[slice]) -> Region:
        """Return all channels of a place; refuse what is no whole shards.

        >>> StoredArray("scores", (5, 10), (5, 4), (5, 2), "float32").region([slice(8, 10)])
        (slice(0, 5, None), slice(8, 10, None))
        """
        channels = len(self.shape) - len(cells)
        if channels < 0:
            allowed = f"at most {len(self.shape)} slices"
            raise Refused(Refusal(self.name, "place", _shown(cells), allowed))
        whole = (*(slice(0, size) for size in self.shape[:channels]), *cells)
        for part, size, shard in zip(whole, self.shape, self.shard, strict=True):
            fits = part.step in (None, 1) and 0 <= part.start < part.stop <= size
            if not fits or part.start % shard or (part.stop % shard and part.stop != size):
                allowed = f"whole shards of {self.shard} within {self.shape}"
                why = "tasks that share a shard would write over each other"
                raise Refused(Refusal(self.name, "place", _shown(cells), allowed, why))
        return tuple(slice(part.start, part.stop) for part in whole)

    def files(self, region: Region) -> Iterator[str]:
        """Yield the names of the files that a region's shards are stored in.

        >>> list(StoredArray("s", (5, 10), (5, 4), (5, 2), "f4").files((slice(0, 5), slice(4, 10))))
        ['c/0/1', 'c/0/2']
        """
        spans = (
            range(part.start // shard, -(-part.stop // shard))
            for part, shard in zip(region, self.shard, strict=True)
        )
        for corner in itertools.product(*spans):
            yield "/".join(("c", *map(str, corner)))

    def require_like(self, region: Region, shape: tuple[int, ...], dtype: str) -> None:
        """Refuse values of another shape or of other numbers than those stored there."""
        expected = tuple(part.stop - part.start for part in region)
        if shape != expected:
            raise Refused(Refusal(self.name, "shape", shape, f"{expected}, as the place is"))
        if dtype != self.dtype:
            why = "they are not rounded in silence"
            raise Refused(Refusal(self.name, "dtype", dtype, self.dtype, why))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, the fill value as text: JSON knows no NaN."""
        return {**asdict(self), "fill": repr(float(self.fill))}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> StoredArray:
        """Return it from what `as_dict` returned, through JSON or not."""
        sizes = {field: tuple(fields[field]) for field in ("shape", "shard", "chunk")}
        return cls(fields["name"], **sizes, dtype=fields["dtype"], fill=float(fields["fill"]))


def _shown(cells: Sequence[slice]) -> Description:
    return Description(", ".join(f"{part.start}:{part.stop}" for part in cells))
