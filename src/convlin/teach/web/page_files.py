"""The files of the page, and what each kind of them is called over HTTP."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PAGE", "TYPES", "page_file"]

PAGE = Path(__file__).resolve().parents[1] / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


def page_file(name: str) -> Path | None:
    """Return a file of the page by its name below the folder; None for anything else there is.

    >>> page_file("../server.py"), page_file("main.js") == PAGE / "main.js"
    (None, True)
    """
    try:
        file = (PAGE / name).resolve()
        inside = file.is_relative_to(PAGE) and file.is_file()
    except (ValueError, OSError):  # names that no file can have
        return None
    return file if inside and file.suffix in TYPES else None
