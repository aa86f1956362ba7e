"""What of a plan decides about the numbers of a result, down to the last bit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How a scan is cut: what it is resumed with, and what equal bytes are promised for.

    method: "bands" or "cells"; threads: of one process; task: cells along each axis; band: rows
    that are read at once, of bands; memory: bytes that a tile may take, of cells.
    """

    method: str
    threads: int
    task: tuple[int, ...] = ()
    band: int = 0
    memory: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"task": list(self.task)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Return what `as_dict` gave.

        >>> settings = Settings("bands", 2, (4, 37), 64)
        >>> Settings.from_dict(settings.as_dict()) == settings
        True
        """
        return cls(**{**values, "task": tuple(values["task"])})
