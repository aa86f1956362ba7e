"""What this process takes of the machine's memory, and how much there is."""

from __future__ import annotations

from convlin.scanning.sources.reader import required

__all__ = ["memory_of_machine", "resident"]


def resident() -> int:
    """Return the bytes that this process takes now."""
    return int(required("psutil", "a scan").Process().memory_info().rss)


def memory_of_machine() -> int:
    """Return the bytes that the machine has."""
    return int(required("psutil", "a scan").virtual_memory().total)
