"""Run the toy job as a scan is run: begin, or go on with what is there. `python toy_run.py --help`."""

import argparse
import sys
from pathlib import Path

import toy_job

from convlin import InputError
from convlin.scanning.engines import run_dask, run_processes, run_serial
from convlin.scanning.store import Store


def left(out):
    """Return the store and the tasks that are not done, as a resumed scan does."""
    if not out.exists():
        return toy_job.make(out), list(range(toy_job.TASKS))
    store = Store.open(out)
    store.require_same(toy_job.MANIFEST)
    store.clean()
    for problem in store.verify(store.marked()):
        store.discard(problem.index)
    done = store.done()
    return store, [index for index in range(toy_job.TASKS) if index not in done]


def run(out, engine, note, seconds=0.0, stall=60.0, address=None, **told):
    store, tasks = left(out)
    job = toy_job.ToyJob(out, seconds, **told)
    if engine == "serial":
        run_serial(job, tasks, note)
    elif engine == "processes":
        run_processes(job, tasks, note, 2, 1)
    else:
        run_dask(job, tasks, note, finished=store.is_done, address=address, workers=2, stall=stall)


def say(kind, index, **facts):
    print(kind, index, facts.get("worker", ""), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("engine")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--address")
    parser.add_argument("--stall", type=float, default=60.0)
    parser.add_argument("--together", type=int, default=1)
    given = parser.parse_args()
    try:
        run(
            given.out, given.engine, say, given.seconds, given.stall, given.address,
            together=given.together,
        )  # fmt: skip
    except InputError as error:
        print(f"convlin: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
