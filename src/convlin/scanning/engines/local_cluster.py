"""A Dask cluster on this machine: a scheduler and workers, each a process of its own.

Dask's own would run this one's script again in each of them; see `started.py`.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from convlin.errors import InputError
from convlin.scanning.engines.started import how_it_ended, start
from convlin.scanning.engines.thread_limits import variables

__all__ = ["local_cluster"]

MODULE = "convlin.scanning.engines.cluster_main"
# Seconds until a scheduler has to listen, and until it has to have ended.
LISTENS, ENDS = 60.0, 10.0


@contextmanager
def local_cluster(workers: int, threads: int) -> Iterator[str]:
    """Yield the address of a scheduler that so many workers come to; end them all.

    Each may use its part of the memory of this machine, and is started again when it is lost.
    """
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(TemporaryDirectory(prefix="convlin-", ignore_cleanup_errors=True))
        )
        log = stack.enter_context((folder / "log").open("wb"))
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, started)

        def run(command: str, *arguments: str) -> None:
            given = (command, "--host", "127.0.0.1", "--no-dashboard", *arguments)
            started.append(start(MODULE, given, variables(threads), stdout=log, stderr=log))

        file = folder / "scheduler.json"
        run("scheduler", "--port", "0", "--scheduler-file", str(file))
        address = _address_in(file, started[0], folder / "log")
        share = f"{_memory() // workers}B"
        for number in range(workers):
            run(
                "worker", address, "--nthreads", "1", "--name", str(number),
                "--memory-limit", share, "--local-directory", str(folder),
            )  # fmt: skip
        yield address


def _address_in(file: Path, scheduler: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until a scheduler has written where it listens, all of it."""
    end = time.monotonic() + LISTENS
    while True:
        try:
            return str(json.loads(file.read_bytes())["address"])
        except (OSError, ValueError):
            pass
        if scheduler.poll() is not None or time.monotonic() > end:
            said = log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            how = how_it_ended(scheduler.poll())
            raise InputError(f"no local Dask scheduler could be started: {how}: {said[-1]}")
        time.sleep(0.05)


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    """End workers, then the scheduler: in good order, or the hard way."""
    for process in reversed(started):
        assert process.stdin is not None
        process.stdin.close()
    end = time.monotonic() + ENDS
    for process in started:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _memory() -> int:
    """Return the bytes that this machine has."""
    import psutil

    return int(psutil.virtual_memory().total)
