"""A process of Python's that this one can lose, and that ends when this one does.

It imports what this one can import, but never this one's script again, as `multiprocessing` does:
a script without a guard, a notebook and code from a pipe can start such processes too. Ctrl-C in
the terminal does not reach it: whoever started it decides what to finish.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from convlin.errors import InputError

__all__ = ["how_it_ended", "start"]

BOOT = "import sys; n = int(sys.argv[2]); sys.path[:] = sys.argv[3:3 + n]; module = sys.argv[1]"
BOOT += "; del sys.argv[1:3 + n]; __import__(module, fromlist=['main']).main()"


def start(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], **streams: Any
) -> subprocess.Popen[bytes]:
    """Start `module.main()` in a process of its own, its standard input a pipe from here."""
    if not sys.executable:
        raise InputError("local processes need a Python to start: sys.executable is empty")
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" is the folder here
    command = [sys.executable, "-P", "-c", BOOT, module, str(len(paths)), *paths, *arguments]
    with _without_interrupts():
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, env={**os.environ, **environment}, **streams
        )


def how_it_ended(code: int | None) -> str:
    """Say in a few words how a process ended.

    >>> how_it_ended(1), how_it_ended(-15)
    ('it ended with exit code 1', 'it was ended by SIGTERM')
    """
    if code is None:
        return "it does not answer"
    if code >= 0:
        return f"it ended with exit code {code}"
    if -code == getattr(signal, "SIGKILL", None):
        return "it was ended by SIGKILL, as systems do that run out of memory"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"it was ended by {name}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that never hear of Ctrl-C: a blocked signal is blocked in them for ever."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
