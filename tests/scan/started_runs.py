"""Runs of the toy job in processes of their own, to be killed by those who test that."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import toy_job
import toy_run

from convlin.scanning.store import Store

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
LONG = 60.0  # seconds after which a test gives up


def start(*arguments, **streams):
    """Start `toy_run.py` in a group of its own, so that Ctrl-C can be sent as a terminal does."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "toy_run.py"), *map(str, arguments)], env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0, **streams,
    )  # fmt: skip


def ended(process):
    """Return exit code, output and errors of a process that ends by itself."""
    out, error = process.communicate(timeout=LONG)
    return process.returncode, out, error


def killed(process):
    process.kill()
    process.communicate(timeout=LONG)


def until(true, what):
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def began(out):
    """Return the tasks that were begun, in order, as often as they were."""
    file = out.parent / "began"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def opened(out):
    """Return the processes that opened the job, in order."""
    file = out.parent / "opened"
    return [int(line.split()[0]) for line in file.read_text().splitlines()] if file.exists() else []


def alive(pid):
    """Return whether a process runs: it is there, and no one's zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def rounds(out, whole, kills, most):
    """Yield so often, with enough left to do each time; see that nothing is lost, ever.

    most: tasks that one round may have begun in vain.
    """
    since = 0
    for number in range(kills):
        if out.exists() and len(Store.open(out).done()) > toy_job.TASKS - 9:
            finished(out, whole, since * most)
            shutil.rmtree(out)
            for file in ("began", "opened"):
                (out.parent / file).unlink()
            since = 0
        since += 1
        yield number
    finished(out, whole, since * most)


def finished(out, whole, vain):
    """Go on until all is done, and compare."""
    toy_run.run(out, "serial", toy_job.Events())
    assert toy_job.whole_files(out) == whole
    assert len(began(out)) <= toy_job.TASKS + vain


def at_work(out, *arguments):
    """Start a run, and return it when it has begun a task."""
    so_far = len(began(out))
    run = start(out, *arguments)
    until(lambda: len(began(out)) > so_far, "no task")
    assert run.poll() is None
    return run


def kill_one(out, seed):
    """Kill a process that has the job open."""
    pids = [pid for pid in opened(out) if alive(pid)]
    os.kill(random.Random(seed).choice(pids), signal.SIGKILL)
