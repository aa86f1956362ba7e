"""The near end of a local worker process: what it is told, and all that is heard of it."""

from __future__ import annotations

import pickle
import queue
import subprocess
import threading
from contextlib import suppress
from typing import Any

from convlin.scanning.engines.started import how_it_ended, start
from convlin.scanning.engines.thread_limits import variables

__all__ = ["OneProcess"]

# Seconds for the last words of a process that has ended.
JOIN = 1.0
MODULE = "convlin.scanning.engines.process_main"


class OneProcess:
    """A process that a job was sent to.

    What it says is put on `heard` as (this, kind, what): "ready"; "done" and the seconds; "failed"
    and a `Failure`; and "ended" and how, once, whatever ended it. running: the task that it has.
    """

    def __init__(self, name: str, job: bytes, threads: int, heard: queue.SimpleQueue[Any]) -> None:
        self.name = name
        self.ready = False
        self.running: int | None = None
        self._heard = heard
        self._gone = False
        self._lock = threading.Lock()
        self.process = start(MODULE, (), variables(threads), stdout=subprocess.PIPE)
        self._listener = threading.Thread(target=self._listen, args=(job, threads), daemon=True)
        self._listener.start()

    def run(self, index: int | None) -> None:
        """Have it do a task; None: no more, it may end."""
        self.running = index
        self._send(index)

    def notice(self) -> None:
        """Notice that it ended even where its pipe did not: something it started may hold that."""
        if self.process.poll() is not None:
            self._listener.join(JOIN)
            self._ended()

    def end(self) -> None:
        """Have it end: at once if it does anything, else when it has put away what it has."""
        if not self.ready or self.running is not None:
            self.process.kill()
        else:
            self.run(None)

    def close(self, timeout: float) -> None:
        """Wait so long for its end, then see to it."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listener.join(JOIN)
        if not self._listener.is_alive():
            for stream in (self.process.stdin, self.process.stdout):
                _close(stream)

    def _listen(self, job: bytes, threads: int) -> None:
        self._send((threads, job))
        try:
            while True:
                kind, what = pickle.load(self.process.stdout)  # type: ignore[arg-type]
                self._heard.put((self, kind, what))
        except Exception:  # the end of the pipe, be it in the midst of a message
            self.process.wait()
        self._ended()

    def _send(self, message: Any) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it has ended, and that will be heard
            self.process.stdin.write(pickle.dumps(message))
            self.process.stdin.flush()

    def _ended(self) -> None:
        with self._lock:
            first, self._gone = not self._gone, True
        if first:
            self._heard.put((self, "ended", how_it_ended(self.process.poll())))


def _close(stream: Any) -> None:
    with suppress(OSError):  # what was not sent yet has no reader any more
        stream.close()
