"""What is asked of a scheduler, each question with an end: it may be gone, or never have been.

A scheduler that is lost has a way of not saying so: what was asked of it counts as cancelled, and
the library's own waits end as if all were done. So nothing here is believed but what is stored.
"""

from __future__ import annotations

import importlib
import logging
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from convlin.errors import one_line
from convlin.scanning.sources.reader import required

__all__ = ["DaskClient", "quiet"]

# Seconds that a scheduler has to answer, and to let a client go.
ANSWER, GOODBYE = 5.0, 5.0


class DaskClient:
    """A connection to a scheduler that is made again as often as it is lost."""

    def __init__(self, address: str, finished: Callable[[str], None], patience: float) -> None:
        self._address = address
        self._finished = finished
        self._patience = patience
        self._paused: dict[str, float] = {}
        self._library = required("distributed", "a cluster")
        self._client: Any = None
        self.why = "it was not asked yet"

    def workers(self) -> dict[str, int] | None:
        """Return the memory limit of each worker, 0 without one; None if nobody answers.

        A worker that is short of memory pauses; one that has paused for `patience` seconds is none.
        """
        try:
            if self._client is None or self._client.status == "closed":
                self.close()
                self._client = self._connected()
            client = self._client
            if client.status == "connecting":  # it does that by itself, for a while
                self.why = "the connection was lost"
                return None
            answer = client.sync(client.scheduler.identity, callback_timeout=ANSWER)
        except Exception as error:  # of which there are many kinds; none is an answer
            self.why = one_line(error)
            return None
        found = answer["workers"]
        now = time.monotonic()
        self._paused = {
            address: self._paused.get(address, now)
            for address, worker in found.items()
            if worker["status"] == "paused"
        }
        return {
            address: int(worker["memory_limit"] or 0)
            for address, worker in found.items()
            if worker["status"] == "running"
            or now - self._paused.get(address, -math.inf) < self._patience
        }

    def submit(self, function: Callable[..., None], worker: str, *given: Any) -> tuple[str, Any]:
        """Have one worker, and no other, call a function; return the call's name and its future.

        `finished` is called with that name, in another thread, whatever becomes of the call.
        Raises `ConnectionError` if the scheduler was lost just now.
        """
        name = f"convlin-{function.__name__}-{secrets.token_hex(8)}"
        dask = importlib.import_module("dask")
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1PB"}):
            try:
                future = self._client.submit(
                    function, *given, key=name, workers=[worker], allow_other_workers=False,
                    pure=False, retries=0,
                )  # fmt: skip
            except Exception as error:
                if self.connected():
                    raise
                raise ConnectionError("the scheduler was lost") from error
        future.add_done_callback(lambda _: self._finished(name))
        return name, future

    def connected(self) -> bool:
        """Return whether calls can be submitted."""
        return self._client is not None and self._client.status == "running"

    def close(self) -> None:
        """Let the scheduler go, if it is there."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # whatever it says: there is nobody to tell
                client.close(timeout=GOODBYE)

    def _connected(self) -> Any:
        where = "scheduler_file" if self._address.endswith(".json") else "address"
        return self._library.Client(
            **{where: self._address}, timeout=ANSWER, set_as_default=False, name="convlin"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the library logs of lost connections off the terminal: it is told in one line."""
    required("distributed", "a cluster")
    before = {}
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logger = logging.getLogger(name)
            before[logger] = logger.level
            logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
