"""A file that is read at any place, by any thread, and never on past its end in silence."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

from convlin.errors import InputError, one_line

__all__ = ["OpenFile"]


class OpenFile:
    """A file open for reading; closed when it is let go of, at the latest."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._lock = threading.Lock()
        self.size = os.fstat(self._descriptor).st_size

    def fill(self, target: memoryview, offset: int) -> None:
        """Read into `target` what lies from `offset` on; raise `OSError` if there is less."""
        while target:
            count = self._read_into(target, offset)
            if not count:
                raise OSError(f"the file ends at byte {offset:,}, before them")
            target, offset = target[count:], offset + count

    def read(self, offset: int, count: int) -> bytearray:
        """Return `count` bytes from `offset` on; raise `OSError` if there are less."""
        if offset + count > os.fstat(self._descriptor).st_size:  # ask for no room to read nothing
            raise OSError(f"bytes {offset:,} to {offset + count:,} are beyond the file's end")
        found = bytearray(count)
        self.fill(memoryview(found), offset)
        return found

    def close(self) -> None:
        """Close it."""
        self._close()

    def _read_into(self, target: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [target], offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            part = os.read(self._descriptor, len(target))
        target[: len(part)] = part
        return len(part)
