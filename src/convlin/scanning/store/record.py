"""JSON that says whether it is damaged: the text of a value, and the checksum of that text.

The text is one of its value alone: sorted keys, no spaces. Equal values are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["digest", "packed", "plain", "unpacked"]


def digest(content: bytes | memoryview) -> str:
    """Return the checksum that markers hold of bytes: BLAKE2b, 16 bytes, as hexadecimal digits.

    >>> digest(b"")
    'cae66941d9efbd404e4d88758ea67670'
    """
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def plain(value: Any) -> Any:
    """Return a value as it comes back from JSON: tuples as lists, keys as text.

    >>> plain({"window": (3, 8, 8)})
    {'window': [3, 8, 8]}
    """
    return json.loads(json.dumps(value))


def packed(value: Any) -> bytes:
    """Return the file of a value."""
    text = _text(value)
    return f'{{"blake2b":"{digest(text.encode())}","is":{text}}}\n'.encode()


def unpacked(content: bytes) -> Any:
    """Return the value in a file; raises `ValueError` where a byte of it is another.

    >>> unpacked(packed({"a": 1}))
    {'a': 1}
    """
    try:
        found = json.loads(content)
        value = found["is"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it holds something else") from error
    if packed(value) != content:
        raise ValueError("its checksum differs")
    return value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
