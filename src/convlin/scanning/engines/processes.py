"""Several processes of this machine: started anew, supervised, ended with this one.

Each opens the job for itself and goes through a run of consecutive tasks. One that is killed costs
its task, which is done again; a task that two workers in a row end with is named, after the rest.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Iterable
from typing import Any

from convlin.errors import ConvlinError, InputError
from convlin.scanning.engines.interrupts import told_of_interrupts
from convlin.scanning.engines.jobs import NO_TASK, Failure, Job, Note, pickled
from convlin.scanning.engines.one_process import OneProcess
from convlin.scanning.engines.shares import Shares

__all__ = ["run_processes"]

# Workers in a row that end before they have a task, until that is taken for a fault of the job's.
ENDED_AT_ONCE = 3
# So often one looks for processes that ended without a sound, and so long they may put things away.
LOOK, PUT_AWAY = 1.0, 10.0


def run_processes(
    job: Job, tasks: Iterable[int], note: Note, workers: int, threads: int = 1
) -> None:
    """Do tasks in so many processes of so many threads each.

    Raises `InputError` for a task that failed, as soon as those that run are done, and for tasks
    that ended their worker twice, when all others are. Ctrl-C waits for those that run; a second
    one does not.
    """
    todo = list(tasks)
    if not todo:
        return
    crew = _Crew(job, todo, note, min(workers, len(todo)), threads)
    try:
        with told_of_interrupts(crew.interrupt):
            crew.work()
    finally:
        crew.close()
    if crew.failure is not None:
        raise crew.failure
    if crew.interrupted:
        raise KeyboardInterrupt
    if crew.given_up:
        raise InputError("; ".join(crew.given_up.values()))


class _Crew:
    """The processes at work, and what became of each task."""

    def __init__(self, job: Job, tasks: list[int], note: Note, workers: int, threads: int) -> None:
        self._note = note
        self._job = pickled(job)
        self._threads = threads
        self._heard: queue.SimpleQueue[tuple[OneProcess | None, str, Any]] = queue.SimpleQueue()
        self._names = [f"process {number}" for number in range(workers)]
        self._shares = Shares(tasks, self._names)
        self._lost: Counter[int] = Counter()
        self._at_once = 0
        self._stopping = False
        self.interrupted = False
        self.failure: ConvlinError | None = None
        self.given_up: dict[int, str] = {}
        self._at_work: list[OneProcess] = []

    def work(self) -> None:
        """Go on until every task is done or given up, or until no more are to be begun."""
        for name in self._names:
            self._start(name)
        while self._running() or (self._shares and not self._stopping):
            try:
                process, kind, what = self._heard.get(timeout=LOOK)
            except queue.Empty:
                for one in self._at_work:
                    one.notice()
                continue
            if process is None:
                self._finish()
            else:
                self._hear(process, kind, what)
            if not self._stopping:
                self._hand_out()

    def interrupt(self) -> None:
        """Have it stop as soon as that is heard."""
        self._heard.put((None, "interrupted", None))

    def close(self) -> None:
        """End all processes."""
        try:
            for process in self._at_work:
                process.end()
            for process in self._at_work:
                process.close(PUT_AWAY)
        except BaseException:
            for process in self._at_work:
                process.process.kill()
            raise

    def _finish(self) -> None:
        """Begin no more tasks; those that run are waited for."""
        self._stopping = self.interrupted = True
        for index in self._running():
            self._note("finishing", index)

    def _running(self) -> list[int]:
        return [p.running for p in self._at_work if p.running is not None]

    def _start(self, name: str) -> None:
        self._at_work.append(OneProcess(name, self._job, self._threads, self._heard))

    def _hand_out(self) -> None:
        for process in self._at_work:
            if process.ready and process.running is None:
                index = self._shares.next(process.name)
                if index is None:
                    return
                self._note("started", index, worker=process.name)
                process.run(index)

    def _hear(self, process: OneProcess, kind: str, what: Any) -> None:
        if kind == "ready":
            process.ready = True
            self._at_once = 0
        elif kind == "done":
            assert process.running is not None
            index, process.running = process.running, None
            self._note("done", index, worker=process.name, seconds=what)
        elif kind == "failed":
            self._fail(what)
            process.running = None
        else:
            self._replace(process, what)

    def _fail(self, failure: Failure) -> None:
        """Begin no more: what fails once fails again, and so will others."""
        self._stopping = True
        self._note("failed", failure.index, error=failure.text)
        self.failure = self.failure or failure.error()

    def _replace(self, process: OneProcess, how: str) -> None:
        """Have another process do what one that is gone was to do."""
        self._at_work.remove(process)
        index = process.running
        process.running = None
        process.close(0)
        if self.failure is not None and index is None:
            return
        self._note(
            "lost worker", NO_TASK if index is None else index, worker=process.name, error=how
        )
        if index is not None:
            self._lose(process.name, index, how)
        else:
            self._at_once += 1
            if self._at_once >= ENDED_AT_ONCE:
                self._fail(Failure(NO_TASK, f"local workers end before their first task: {how}"))
        if self._shares and not self._stopping:
            self._start(process.name)

    def _lose(self, name: str, index: int, how: str) -> None:
        self._lost[index] += 1
        if self._lost[index] == 1:
            self._shares.put_back(name, index)
            self._note("retried", index)
        else:
            self.given_up[index] = f"task {index}: its worker was lost twice: {how}"
            self._note("failed", index, error=self.given_up[index])
