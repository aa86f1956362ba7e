"""The far end of a local worker process: a job, then task after task, until there is no more.

Messages come on the standard input and go out on what was the standard output; whatever a model
prints goes to the standard error. When the near end is gone, so is this process, whatever it does.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import time
from typing import IO, Any

from convlin.scanning.engines.jobs import NO_TASK, Failure
from convlin.scanning.engines.thread_limits import limit

__all__ = ["main"]


def main() -> None:
    """Do what comes in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    coming, going = _streams()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(coming, inbox), daemon=True).start()
    threads, job = inbox.get()
    try:
        limit(threads)
        worker = pickle.loads(job).open(threads)
        del job
        limit(threads)  # what the job has loaded
    except BaseException as error:
        _say(going, "failed", Failure.of(NO_TASK, error))
        return
    _say(going, "ready", None)
    while (index := inbox.get()) is not None:
        began = time.monotonic()
        try:
            worker.do(index)
        except BaseException as error:
            _say(going, "failed", Failure.of(index, error))
        else:
            _say(going, "done", time.monotonic() - began)
    worker.close()


def _streams() -> tuple[IO[bytes], IO[bytes]]:
    """Return the two streams of messages; nobody else reads or writes them from now on."""
    coming, going = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return coming, going


def _listen(coming: IO[bytes], inbox: queue.SimpleQueue[Any]) -> None:
    """Hand on what comes in; end the process when nothing can come any more."""
    try:
        while True:
            message = pickle.load(coming)
            inbox.put(message)
            if message is None:
                return
    except BaseException:
        os._exit(1)


def _say(going: IO[bytes], kind: str, what: Any) -> None:
    try:
        going.write(pickle.dumps((kind, what)))
        going.flush()
    except OSError:
        os._exit(1)
