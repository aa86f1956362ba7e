"""Ctrl-C while others work: the first is a message, taken when there is time for it.

As an exception it could come between hearing that a task is done and taking note of it, and the
task would be waited for in vain.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["told_of_interrupts"]


@contextmanager
def told_of_interrupts(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` at the first Ctrl-C, from within a signal handler; raise at the second."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # nobody else raises it here, or somebody else decided what it does
        return
    told = False

    def handle(number: int, frame: Any) -> None:
        nonlocal told
        if told:
            raise KeyboardInterrupt
        told = True
        tell()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
