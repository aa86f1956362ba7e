"""A run on a cluster: its workers do one task after another, and any of them may vanish.

Every worker goes through a run of consecutive tasks, two of them with it at a time, so that it
never waits for the next. A task is done when the store says so, whatever the scheduler says. What
a lost worker had is done by others; a task that two workers were lost with is tried once more when
all else is done, alone, and named if it is lost again.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from convlin.display.numbers import bytes_of
from convlin.errors import ConvlinError, Description, InputError, Refusal, Refused, one_line
from convlin.scanning.engines.dask_client import DaskClient
from convlin.scanning.engines.dask_task import (
    NotOpened,
    TaskFailed,
    close_job,
    open_job,
    run_task,
)
from convlin.scanning.engines.jobs import NO_TASK, Failure, Job, Note, pickled
from convlin.scanning.engines.lost_tasks import LostTasks
from convlin.scanning.engines.shares import Shares

__all__ = ["DaskRun", "Finished"]

Finished = Callable[[int], bool]

# Tasks with a worker at a time; percent of its memory that one may need.
IN_FLIGHT, PERCENT = 2, 75
# What the scheduler says of a task whose worker is gone, or of several that were.
LOST = ("KilledWorker", "NoValidWorkerError", "CommClosedError")
# Seconds between two looks at the workers, and until a store on a network has to show a marker.
LOOK, SHOWS = 0.5, 20.0


@dataclass
class _Call:
    """What a worker was asked to do. index: the task, `NO_TASK` of opening the job."""

    worker: str
    index: int
    future: Any
    since: float = field(default_factory=time.monotonic)


class DaskRun:
    """The calls that workers have, and what became of each task."""

    def __init__(
        self, job: Job, tasks: list[int], note: Note, finished: Finished, address: str,
        threads: int, stall: float, memory: int,
    ) -> None:  # fmt: skip
        self._note, self._finished = note, finished
        self._address, self._stall, self._memory = address, stall, memory
        self._opening = (pickled(job), threads)
        self._key = secrets.token_hex(16)
        self._heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._client = DaskClient(address, self._heard.put, stall)
        self._shares = Shares(tasks, ())
        self.lost = LostTasks(self._shares, note)
        self._calls: dict[str, _Call] = {}
        self._known: set[str] = set()
        self._open: set[str] = set()
        self._too_small: set[str] = set()
        self._unseen: list[tuple[float, _Call]] = []
        self._begun = self._stopping = False
        self._alive = self._looked = time.monotonic()
        self.interrupted = False
        self.failure: ConvlinError | None = None

    def work(self) -> None:
        """Go on until every task is done or given up, or until no more are to be begun."""
        self._look()
        while self._busy() or (not self._stopping and (self._shares or self.lost.alone)):
            try:
                name = self._heard.get(timeout=LOOK)
            except queue.Empty:
                pass
            else:
                self._hear(name)
            if time.monotonic() - self._looked > LOOK:
                self._look()
                self._see()
            if not self._stopping and self._client.connected():
                self._hand_out()

    def interrupt(self) -> None:
        """Have it stop as soon as that is heard."""
        self._heard.put(None)

    def close(self) -> None:
        """Let the workers go."""
        if self._client.connected():
            calls = [self._client.submit(close_job, w, self._key, NO_TASK) for w in self._open]
            end = time.monotonic() + 2
            while time.monotonic() < end and any(f.status == "pending" for _, f in calls):
                time.sleep(0.01)
        self._client.close()

    def _busy(self) -> bool:
        return bool(self._unseen) or any(c.index != NO_TASK for c in self._calls.values())

    def _look(self) -> None:
        """See which workers there are; raise `InputError` where there is none for too long."""
        found = self._client.workers()
        now = self._looked = time.monotonic()
        fit = self._fitting(found or {})
        if fit:
            self._alive = now
        elif now - self._alive > self._stall:
            what = f"no scheduler ({self._client.why})" if found is None else "no worker"
            raise InputError(
                f"{self._address}: {what} for {self._stall:g} seconds; what is done is stored, "
                "go on with --resume"
            )
        if found is None:
            return
        for worker in sorted(self._known - fit):
            self._drop(worker)
        for worker in sorted(fit - self._known):
            self._known.add(worker)
            self._submit(open_job, worker, NO_TASK, *self._opening)

    def _fitting(self, found: dict[str, int]) -> set[str]:
        """Return the workers whose memory a task fits; refuse to begin where one has less."""
        small = {
            worker: limit
            for worker, limit in sorted(found.items())
            if limit and self._memory * 100 >= limit * PERCENT
        }
        for worker, limit in small.items():
            allowed = f"less than {PERCENT} % of the {bytes_of(limit)} that {worker} has"
            refusal = Refusal("scan", "memory", Description(bytes_of(self._memory)), allowed)
            if not self._begun:
                raise Refused(refusal)
            if worker not in self._too_small:
                self._note("lost worker", NO_TASK, worker=worker, error=str(refusal))
        self._begun = self._begun or bool(found)
        self._too_small |= set(small)
        return set(found) - set(small)

    def _hand_out(self) -> None:
        has = Counter(call.worker for call in self._calls.values())
        for worker in sorted(self._open):
            while has[worker] < IN_FLIGHT:
                index = self._shares.next(worker)
                if index is None:
                    break
                has[worker] += 1
                self._begin(worker, index)
        if self.lost.alone and self._open and not self._shares and not self._busy():
            self._begin(min(self._open), self.lost.alone.pop(0))

    def _begin(self, worker: str, index: int) -> None:
        self._note("started", index, worker=worker)
        self._submit(run_task, worker, index)

    def _submit(self, function: Any, worker: str, index: int, *more: Any) -> None:
        try:
            name, future = self._client.submit(function, worker, self._key, index, *more)
        except ConnectionError:  # the next look makes another, and opens the job again
            self._known.discard(worker)
            self._open.discard(worker)
            if index != NO_TASK:
                self._shares.put_back(worker, index)
        else:
            self._calls[name] = _Call(worker, index, future)

    def _hear(self, name: str | None) -> None:
        if name is None:
            self._stopping = self.interrupted = True
            for call in self._calls.values():
                if call.index != NO_TASK:
                    self._note("finishing", call.index)
            return
        if name not in self._calls:
            return  # of a worker that was taken for lost
        call = self._calls.pop(name)
        if call.future.status == "finished":
            self._done(call)
        elif call.future.status == "error":
            self._failed(call, call.future.exception(timeout=LOOK))
        elif call.index != NO_TASK:
            self._cancel(call)
        else:
            self._known.discard(call.worker)
        call.future.release()

    def _done(self, call: _Call) -> None:
        if call.index == NO_TASK:
            if call.worker in self._known:
                self._open.add(call.worker)
        elif self._finished(call.index):
            self._is_done(call)
        else:
            self._unseen.append((time.monotonic() + SHOWS, call))

    def _is_done(self, call: _Call) -> None:
        seconds = time.monotonic() - call.since
        self._note("done", call.index, worker=call.worker, seconds=seconds)
        for other in self._calls.values():  # it has waited for this one
            if other.worker == call.worker:
                other.since = time.monotonic()

    def _see(self) -> None:
        """Look for the markers of tasks that are said to be done."""
        unseen, self._unseen = self._unseen, []
        for until, call in unseen:
            if self._finished(call.index):
                self._is_done(call)
            elif time.monotonic() < until:
                self._unseen.append((until, call))
            else:
                text = f"{call.worker} says that it is done, but there is no marker of it"
                self._fail(Failure(call.index, f"{text}; is the store the same folder for both?"))

    def _failed(self, call: _Call, error: BaseException | None) -> None:
        if isinstance(error, TaskFailed):
            self._fail(error.failure, call.worker)
        elif isinstance(error, NotOpened):
            self._known.discard(call.worker)  # it will be opened there again
            self._open.discard(call.worker)
            self._shares.put_back(call.worker, call.index)
        elif error is not None and type(error).__name__ in LOST:
            if call.index == NO_TASK:
                self._known.discard(call.worker)
            else:
                self._lose(call, one_line(error), type(error).__name__ == "KilledWorker")
        else:
            text = "it failed" if error is None else one_line(error)
            self._fail(Failure(call.index, text), call.worker)

    def _fail(self, failure: Failure, worker: str = "") -> None:
        """Begin no more: what fails once fails again, and so will others."""
        self._stopping = True
        if failure.index == NO_TASK:
            failure = Failure(NO_TASK, f"{worker}: {failure.text}", failure.trace)
        self._note("failed", failure.index, error=failure.text)
        self.failure = self.failure or failure.error()

    def _drop(self, worker: str) -> None:
        """Have others do what a worker had that is gone."""
        self._known.discard(worker)
        self._open.discard(worker)
        self._shares.drop(worker)
        had = [(name, call) for name, call in self._calls.items() if call.worker == worker]
        if not any(call.index != NO_TASK for _, call in had):
            self._note("lost worker", NO_TASK, worker=worker, error="it is gone")
        for name, call in had:
            del self._calls[name]
            call.future.release()
            if call.index != NO_TASK:
                self._lose(call, "it is gone")

    def _lose(self, call: _Call, how: str, several: bool = False) -> None:
        if self._finished(call.index):
            self._is_done(call)
        else:
            self.lost.lose(call.index, call.worker, how, several)

    def _cancel(self, call: _Call) -> None:
        if self._finished(call.index):
            self._is_done(call)
        else:
            self.lost.cancel(call.index, call.worker)
